//! Health: checks that run beside the requests, and what the API answers while one fails.
//!
//! Each check runs in a task of its own, first when the registry starts and then every interval, and counts as
//! failing once it has failed as often in a row as its threshold says; one success ends that.

mod checks;
mod gate;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use registry::core::{ListRequest, StorageDriver, StoragePath};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use self::checks::Probe;
use crate::config::model::{self, Driver, Rhythm};
use crate::listener::Stops;

pub(crate) use self::checks::HealthError;
pub(crate) use self::gate::{Gate, readiness};

/// What the checks have found. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    shared: Arc<Shared>,
    answers: Option<Answers>,
    stops: Stops,
}

/// Whether the service that keeps the store answers, as requests have found it. Asking costs next to nothing.
#[derive(Clone)]
pub(crate) struct Answers(Arc<dyn Fn() -> bool + Send + Sync>);

impl Answers {
    #[cfg(any(test, feature = "s3", feature = "gcs", feature = "azure"))]
    pub(crate) fn new(answers: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(answers))
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Answers").field(&self.0()).finish()
    }
}

#[derive(Debug, Default)]
struct Shared {
    checks: Vec<Check>,
    /// How many are failing, so that a request has one number to look at.
    failing: AtomicUsize,
}

#[derive(Debug)]
struct Check {
    name: String,
    /// Why it fails, if it does.
    failure: Mutex<Option<String>>,
}

impl Check {
    fn new(name: String) -> Self {
        Self { name, failure: Mutex::default() }
    }

    fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The tasks that check. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Checking {
    _tasks: JoinSet<()>,
}

/// Starts all checks.
///
/// # Errors
/// A check that could never be made.
pub(crate) fn start(
    config: &model::Health,
    store: &Driver,
    driver: &Arc<dyn StorageDriver>,
    answers: Option<Answers>,
    stops: Stops,
) -> Result<(Health, Checking), HealthError> {
    let mut probes = Vec::new();
    if let Some(rhythm) = config.storage {
        let name = format!("storagedriver_{}", driver.name());
        let root = match store {
            Driver::Filesystem { root, .. } => Some(root.clone()),
            Driver::InMemory | Driver::Bucket(_) => None,
        };
        probes.push((name, Probe::store(Arc::clone(driver), root, rhythm.interval), rhythm));
    }
    let mut client = None;
    for check in &config.checks {
        let client = || match &client {
            Some(client) => Ok(reqwest::Client::clone(client)),
            None => Ok(client.insert(checks::client()?).clone()),
        };
        probes.push((check.name.clone(), Probe::of(&check.name, &check.target, client)?, check.rhythm));
    }
    let checks = probes.iter().map(|(name, ..)| Check::new(name.clone())).collect();
    let shared = Arc::new(Shared { checks, failing: AtomicUsize::new(0) });
    let mut tasks = JoinSet::new();
    for (index, (_, probe, rhythm)) in probes.into_iter().enumerate() {
        tasks.spawn(watch(Arc::clone(&shared), index, probe, rhythm));
    }
    if let Some(answers) = answers.clone() {
        tasks.spawn(find_again(answers, Arc::clone(driver)));
    }
    Ok((Health { shared, answers, stops }, Checking { _tasks: tasks }))
}

/// How often a service that does not answer is asked again, if nobody else does: whoever is not ready gets no
/// requests that would find out. Not each of these gets through.
const AGAIN: Duration = Duration::from_secs(1);

async fn find_again(answers: Answers, driver: Arc<dyn StorageDriver>) {
    loop {
        tokio::time::sleep(AGAIN).await;
        if !answers.0() {
            // What it says is counted where it is asked.
            let _ = driver.list(&StoragePath::root(), &ListRequest::children(1)).await;
        }
    }
}

async fn watch(shared: Arc<Shared>, index: usize, mut probe: Probe, rhythm: Rhythm) {
    let mut ticks = tokio::time::interval(rhythm.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failures = 0_u32;
    loop {
        ticks.tick().await;
        match probe.run().await {
            Ok(()) => {
                failures = 0;
                shared.set(index, None);
            }
            Err(reason) => {
                failures = failures.saturating_add(1);
                if failures >= rhythm.threshold {
                    shared.set(index, Some(reason));
                }
            }
        }
    }
}

impl Shared {
    fn set(&self, index: usize, failure: Option<String>) {
        let Some(check) = self.checks.get(index) else { return };
        let mut place = check.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match (place.is_some(), &failure) {
            (false, Some(reason)) => {
                self.failing.fetch_add(1, Ordering::Release);
                warn!(check = check.name, reason, "a health check fails, the API answers 503");
            }
            (true, None) => {
                self.failing.fetch_sub(1, Ordering::Release);
                info!(check = check.name, "a health check passes again");
            }
            (false, None) | (true, Some(_)) => {}
        }
        *place = failure;
    }
}

impl Health {
    /// Whether no check fails.
    pub(crate) fn is_good(&self) -> bool {
        self.shared.failing.load(Ordering::Acquire) == 0
    }

    /// Whether the service that keeps the store answers, if there is one.
    pub(crate) fn store_answers(&self) -> bool {
        self.answers.as_ref().is_none_or(|answers| answers.0())
    }

    /// Whether the process has been told to stop.
    pub(crate) fn is_draining(&self) -> bool {
        *self.stops.borrow() > 0
    }

    /// The failing checks by name, with the reason.
    pub(crate) fn failures(&self) -> BTreeMap<String, String> {
        let failing = |check: &Check| Some((check.name.clone(), check.failure()?));
        self.shared.checks.iter().filter_map(failing).collect()
    }

    /// All checks by name, and whether they pass.
    pub(crate) fn checks(&self) -> Vec<(String, bool)> {
        let state = |check: &Check| (check.name.clone(), check.failure().is_none());
        self.shared.checks.iter().map(state).collect()
    }
}
