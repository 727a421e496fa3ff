//! `registry serve`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use registry::TokenEndpoint;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Failure;
use super::settings::Settings;
use super::source::{Source, environment, strictness};
use crate::access::{self, Access};
use crate::access_log;
use crate::assemble::{Assembly, assemble};
use crate::config::{self, Config, Driver, Limits};
use crate::listener::{self, Listener, Outcome, ServeOptions, Tls, Transport};
use crate::reload::{Reload, Watch};
use crate::telemetry::{self, Telemetry};
use crate::{logging, maintenance, notifications, notify, observe};

/// Reads the configuration and serves until a signal ends it.
pub(crate) fn serve(file: Option<PathBuf>, lenient: bool) -> Result<(), Failure> {
    let environment = environment(std::env::vars_os())?;
    let source = Source::find(file, &environment)?;
    let loaded = config::load(&source.text, &source.name, environment.clone(), strictness(lenient)).map_err(
        |rejected| {
            let warnings = rejected.warnings.into_iter().map(|line| format!("warning: {line}"));
            Failure(warnings.chain(rejected.errors).collect())
        },
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let telemetry = {
        let _inside = runtime.enter();
        telemetry::start(|name| std::env::var(name).ok())?
    };
    let spans = telemetry.as_ref().and_then(Telemetry::layer);
    let logging = logging::install(&loaded.config.log, spans)?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let settings = (!source.built_in).then(|| {
        let file = PathBuf::from(&source.name);
        Settings::new(file, &source, environment, strictness(lenient), logging.threshold())
    });
    let result = in_a_runtime(runtime, &loaded.config, settings, telemetry);
    if let Err(Failure(reasons)) = &result {
        logging.fatal(reasons);
    }
    logging.finish();
    result
}

/// There are no `settings` with the built-in configuration.
fn in_a_runtime(
    runtime: Runtime,
    config: &Config,
    settings: Option<Settings>,
    telemetry: Option<Telemetry>,
) -> Result<(), Failure> {
    let result = runtime.block_on(run(config, settings, telemetry));
    // A blocking file operation that hangs must not keep the process.
    runtime.shutdown_background();
    result
}

async fn run(
    config: &Config,
    settings: Option<Settings>,
    telemetry: Option<Telemetry>,
) -> Result<(), Failure> {
    // Before anything is opened: a signal during the start then ends in a clean stop.
    let (stops, hangups) = (listener::signals()?, listener::hangups()?);
    listener::raise_limit();
    describe(config, settings.is_none());
    let tls =
        config.http.tls.as_ref().map(|tls| Tls::load(tls, config.http.http2)).transpose()?.map(Arc::new);
    let Access { controller, reloads: of_access, rules, issuer, audit } = access::access(config).await?;
    let settings = settings.map(|settings| Arc::new(settings.with_policy(rules)) as Arc<dyn Reload>);
    let of_tls = tls.clone().map(|tls| tls as Arc<dyn Reload>);
    let reloads = settings.into_iter().chain(of_tls).chain(of_access).collect();
    let watch = Watch::new(reloads);
    let inherited = Listener::inherited()?;
    let Assembly { service, driver, answers, notifier, redis, metrics } =
        assemble(config, controller, audit, telemetry.as_ref()).await?;
    let store = observe::Watched { driver: Arc::clone(&driver), answers };
    let watchers =
        observe::start(config, store, notifier.clone(), redis, metrics, telemetry, stops.clone()).await?;
    let service = watchers.around(TokenEndpoint::new(service, issuer));
    let listener = match inherited {
        Some(listener) => {
            info!("listening on {}, as given by LISTEN_FDS; http.addr is not used", listener.local());
            listener
        }
        None => {
            let listener = Listener::bind_all(&config.http.addrs).await?;
            info!("listening on {}", listener.local());
            listener
        }
    };
    if let Some(purging) = config.storage.upload_purging
        && !config.storage.read_only
    {
        tokio::spawn(maintenance::purge_uploads(driver, purging));
    }
    let options = ServeOptions {
        drain_timeout: config.http.drain_timeout,
        access_log: config.log.access_log.then(access_log::standard_output),
        limits: Limits {
            read_ahead: matches!(config.storage.driver, Driver::Bucket(_))
                .then_some(Limits::BUCKET_READ_AHEAD),
            ..config.http.limits
        },
        transport: Transport {
            tls: tls.clone(),
            h2c: config.http.h2c,
            proxies: config.http.proxy_protocol.clone().map(Arc::new),
        },
    };
    tokio::spawn(watch.run(hangups));
    if let Some(acme) = tls.as_ref().and_then(|tls| tls.acme()) {
        tokio::spawn(Arc::clone(acme).run());
    }
    notify::tell(notify::READY);
    let stopping = tokio::spawn({
        let stops = stops.clone();
        async move {
            notifications::first_stop(stops).await;
            notify::tell(notify::STOPPING);
        }
    });
    let stopped = tokio::spawn(notifications::first_stop(stops.clone()));
    let outcome = listener::serve(listener, service, stops.clone(), options).await;
    // There was a stop, and it has to be told before the process ends.
    let _ = stopping.await;
    if let Some(notifier) = notifier {
        let stopped = stopped.await.unwrap_or_else(|_| Instant::now());
        notifications::finish(&notifier, stopped, config.http.drain_timeout, stops).await;
    }
    watchers.finish().await;
    match outcome {
        Outcome::Drained => {
            info!("stopped");
            Ok(())
        }
        Outcome::TimedOut(count) => Err(Failure(vec![format!(
            "stopped after {:?} with {count} requests unfinished (http.draintimeout)",
            config.http.drain_timeout
        )])),
        Outcome::Forced(count) => {
            Err(Failure(vec![format!("stopped by a second signal with {count} requests unfinished")]))
        }
    }
}

/// Says in the first lines of the log what is about to be served to whom.
fn describe(config: &Config, built_in: bool) {
    if built_in {
        info!("no configuration file given, using the built-in configuration");
    }
    let store = match &config.storage.driver {
        Driver::Filesystem { root, .. } => format!("files in {}", absolute(root).display()),
        Driver::InMemory => "memory, gone when the process ends".to_owned(),
        Driver::Bucket(bucket) => bucket.describe(),
    };
    info!("storage: {store}");
    let addresses: Vec<String> = config.http.addrs.iter().map(ToString::to_string).collect();
    let how = if config.http.tls.is_some() { "with TLS" } else { "in the clear" };
    info!("address: {}, {how}", addresses.join(", "));
    if config.storage.read_only {
        info!("writes are off (storage.maintenance.readonly)");
    } else {
        info!("deletes are {}", if config.storage.delete_enabled { "on" } else { "off" });
    }
    access::describe(config);
}

fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // `/a/./b` is a needless riddle in a log.
    path.components().collect()
}
