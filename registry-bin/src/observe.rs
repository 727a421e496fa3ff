//! What watches over the registry while it serves: health checks, metrics, the debug server.

use std::sync::Arc;

use registry::TokenEndpoint;
use registry::core::StorageDriver;
use registry::http::RegistryService;
use registry::metrics::{HttpMetrics, HttpMetricsLayer, Metrics, NotificationCounts};
use registry_notifications::{EndpointStats, Notifier};
use registry_redis::{RedisCache, RedisOptions};
use tower::Layer;

use crate::config::Config;
use crate::config::model::DescriptorCache;
use crate::debug::{self, Server, Sources};
use crate::health::{self, Answers, Checking, Gate, Health, HealthError};
use crate::listener::{BindError, Stops};
use crate::telemetry::{Telemetry, TelemetryError, Traced};

/// Why it cannot be watched over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObserveError {
    #[error(transparent)]
    Health(#[from] HealthError),
    #[error("http.debug.addr: {0}")]
    Debug(#[from] BindError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}

/// The metrics of this process.
pub(crate) fn metrics() -> Metrics {
    let metrics = Metrics::new();
    metrics.version(env!("CARGO_PKG_VERSION"));
    metrics
}

/// Whether requests and storage calls are to be counted.
pub(crate) fn counting(config: &Config, telemetry: Option<&Telemetry>) -> bool {
    (config.debug.addr.is_some() && config.debug.prometheus.is_some())
        || telemetry.is_some_and(Telemetry::counts)
}

/// The store that is watched over.
pub(crate) struct Watched {
    pub(crate) driver: Arc<dyn StorageDriver>,
    /// Whether its service answers, where there is one.
    pub(crate) answers: Option<Answers>,
}

/// Everything that watches. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Watchers {
    health: Health,
    layer: HttpMetricsLayer,
    telemetry: Option<Telemetry>,
    _checking: Checking,
    _debug: Option<Server>,
}

/// The API, and the token endpoint if there is one.
pub(crate) type Api = TokenEndpoint<RegistryService>;

/// The service with everything around it that a request passes first.
pub(crate) type Observed = Gate<Traced<HttpMetrics<Api>>>;

/// Starts health checks and the debug server.
///
/// # Errors
/// A check that could never be made, or an address that cannot be listened on.
pub(crate) async fn start(
    config: &Config,
    store: Watched,
    notifier: Option<Arc<Notifier>>,
    redis: Option<Arc<RedisCache>>,
    metrics: Metrics,
    mut telemetry: Option<Telemetry>,
    stops: Stops,
) -> Result<Watchers, ObserveError> {
    let (health, checking) =
        health::start(&config.health, &config.storage.driver, &store.driver, store.answers, stops)?;
    if let Some(notifier) = notifier.clone() {
        metrics.notifications(move || notifier.stats().into_iter().map(counts).collect());
    }
    metrics.health({
        let health = health.clone();
        move || health.checks()
    });
    if let Some(telemetry) = &mut telemetry {
        telemetry.send(&metrics)?;
    }
    let layer = match counting(config, telemetry.as_ref()) {
        true => metrics.http(config.http.prefix.as_deref().unwrap_or_default()),
        false => HttpMetricsLayer::off(),
    };
    let sources = Sources {
        health: health.clone(),
        metrics,
        prometheus: config.debug.prometheus.clone(),
        notifications: config.notifications.clone(),
        notifier,
        redis: redis.zip(redis_options(config).cloned()),
    };
    let debug = debug::start(config, sources).await?;
    Ok(Watchers { health, layer, telemetry, _checking: checking, _debug: debug })
}

fn redis_options(config: &Config) -> Option<&RedisOptions> {
    match &config.storage.descriptor_cache {
        Some(DescriptorCache::Redis(options)) => Some(options),
        _ => None,
    }
}

impl Watchers {
    /// Puts the gate and the counting around the API.
    pub(crate) fn around(&self, service: Api) -> Observed {
        let service = Telemetry::around(self.telemetry.as_ref(), self.layer.layer(service));
        Gate::new(service, self.health.clone())
    }

    /// Ends everything, and sends what telemetry is left.
    pub(crate) async fn finish(self) {
        if let Some(telemetry) = self.telemetry {
            // What it cannot send in time is lost, as is a defect in it: the process ends either way.
            let _ = tokio::task::spawn_blocking(|| telemetry.finish()).await;
        }
    }
}

fn counts(stats: EndpointStats) -> NotificationCounts {
    let mut counts = NotificationCounts::new(stats.name);
    counts.pending = stats.pending;
    counts.events = stats.events;
    counts.successes = stats.successes;
    counts.failures = stats.failures;
    counts.errors = stats.errors;
    counts.dropped = stats.dropped;
    counts.statuses = stats.statuses;
    counts
}
