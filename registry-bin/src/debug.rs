//! The debug server: health, variables, metrics and profiles, for operators. It has no access control, so its
//! address belongs on a network of theirs.

mod pprof;
#[cfg(any(feature = "profiling", feature = "heap-profile"))]
mod profile;
mod redis;
#[cfg(test)]
mod tests;
mod vars;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use registry::metrics::{Metrics, TEXT_FORMAT};
use registry_notifications::Notifier;
use registry_redis::{RedisCache, RedisOptions};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::info;

use crate::config::{Config, Limits, model};
use crate::health::{Health, readiness};
use crate::listener::{self, BindError, Intake, Listener, ServeOptions};

/// What the debug server tells about.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    /// The path of the metrics, if they are served.
    pub(crate) prometheus: Option<String>,
    pub(crate) notifications: model::Notifications,
    pub(crate) notifier: Option<Arc<Notifier>>,
    /// The descriptor cache in Redis, and how it was configured.
    pub(crate) redis: Option<(Arc<RedisCache>, RedisOptions)>,
}

/// A debug server that runs. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    _task: JoinSet<()>,
    /// It is never told to stop: it answers while the others drain.
    _stops: watch::Sender<usize>,
}

/// Starts the debug server, if one is configured.
///
/// # Errors
/// Its address cannot be listened on.
pub(crate) async fn start(config: &Config, sources: Sources) -> Result<Option<Server>, BindError> {
    let Some(addr) = &config.debug.addr else { return Ok(None) };
    let listener = Listener::bind(addr).await?;
    info!("debug server listening {}", listener.local());
    if let Some(path) = &sources.prometheus {
        info!("providing prometheus metrics on {path}");
    }
    let sources = Arc::new(sources);
    let service = tower::service_fn(move |request: Request<Intake>| {
        let sources = Arc::clone(&sources);
        let (method, uri) = (request.method().clone(), request.uri().clone());
        async move { Ok::<_, Infallible>(sources.answer(&method, &uri).await) }
    });
    let (stops, stopped) = watch::channel(0);
    let options = ServeOptions {
        drain_timeout: config.http.drain_timeout,
        access_log: None,
        limits: Limits { connections: Some(CONNECTIONS), ..config.http.limits },
        transport: listener::Transport::default(),
    };
    let mut task = JoinSet::new();
    task.spawn(async move {
        listener::serve(listener, service, stopped, options).await;
    });
    Ok(Some(Server { _task: task, _stops: stops }))
}

/// Operators are few.
const CONNECTIONS: usize = 100;

type Answer = Response<Full<Bytes>>;

impl Sources {
    async fn answer(&self, method: &Method, uri: &Uri) -> Answer {
        let path = uri.path();
        if let Some(response) = readiness(&self.health, method, path) {
            return response;
        }
        let reads = matches!(*method, Method::GET | Method::HEAD);
        match path {
            "/debug/health" if *method == Method::GET => self.failures(),
            "/debug/vars" if reads => {
                json(StatusCode::OK, "application/json; charset=utf-8", &vars::vars(self))
            }
            path if self.prometheus.as_deref() == Some(path) && reads => {
                answer(StatusCode::OK, TEXT_FORMAT, self.metrics.text())
            }
            path => match path.strip_prefix("/debug/pprof/") {
                Some(which) if reads => pprof::answer(which, uri.query().unwrap_or_default()).await,
                _ => not_found(),
            },
        }
    }

    fn failures(&self) -> Answer {
        let failures = self.health.failures();
        let status = if failures.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        json(status, "application/json", &serde_json::json!(failures))
    }
}

fn json(status: StatusCode, kind: &'static str, value: &serde_json::Value) -> Answer {
    answer(status, kind, value.to_string())
}

/// What Go's library answers.
fn not_found() -> Answer {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

fn text(status: StatusCode, said: impl Into<Bytes>) -> Answer {
    answer(status, "text/plain; charset=utf-8", said)
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let mut set =
        |name: HeaderName, value| response.headers_mut().insert(name, HeaderValue::from_static(value));
    set(CONTENT_TYPE, kind);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}
