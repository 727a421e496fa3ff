//! `registry serve`

use std::path::{Path, PathBuf};

use tracing::{info, warn};

use super::Failure;
use super::source::{Source, environment};
use crate::access_log;
use crate::assemble::assemble;
use crate::config::{self, Config, Driver};
use crate::listener::{self, Listener, Outcome, ServeOptions};
use crate::logging;

/// Reads the configuration and serves until a signal ends it.
pub(crate) fn serve(file: Option<PathBuf>, lenient: bool) -> Result<(), Failure> {
    let environment = environment(std::env::vars_os())?;
    let source = Source::find(file, &environment)?;
    let loaded = config::load(&source.text, &source.name, environment, lenient).map_err(|rejected| {
        let warnings = rejected.warnings.into_iter().map(|line| format!("warning: {line}"));
        Failure(warnings.chain(rejected.errors).collect())
    })?;
    logging::install(&loaded.config.log);
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(run(&loaded.config, source.built_in));
    // A blocking file operation that hangs must not keep the process.
    runtime.shutdown_background();
    result
}

async fn run(config: &Config, built_in: bool) -> Result<(), Failure> {
    // Before anything is opened: a signal during the start then ends in a clean stop.
    let stops = listener::signals()?;
    describe(config, built_in);
    let service = assemble(config).await?;
    let listener = Listener::bind(&config.http.addr).await?;
    info!("listening on {}", listener.local());
    let options = ServeOptions {
        drain_timeout: config.http.drain_timeout,
        access_log: config.log.access_log.then(access_log::standard_output),
    };
    match listener::serve(listener, service, stops, options).await {
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
    };
    info!("storage: {store}");
    info!("address: {}", config.http.addr);
    let access = if config.storage.read_only {
        info!("writes are off (storage.maintenance.readonly)");
        "read"
    } else {
        info!("deletes are {}", if config.storage.delete_enabled { "on" } else { "off" });
        "read and write"
    };
    info!("no authentication: whoever reaches the address may {access}");
}

fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // `/a/./b` is a needless riddle in a log.
    path.components().collect()
}
