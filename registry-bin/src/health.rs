//! Health: checks that run beside the requests, and what the API answers while one fails.
//!
//! Each check runs in a task of its own, first when the registry starts and then every interval, and counts as
//! failing once it has failed as often in a row as its threshold says; one success ends that.

mod checks;
mod gate;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use registry::core::StorageDriver;
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
    stops: Stops,
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
    stops: Stops,
) -> Result<(Health, Checking), HealthError> {
    let mut probes = Vec::new();
    if let Some(rhythm) = config.storage {
        let name = format!("storagedriver_{}", driver.name());
        let root = match store {
            Driver::Filesystem { root, .. } => Some(root.clone()),
            Driver::InMemory => None,
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
    Ok((Health { shared, stops }, Checking { _tasks: tasks }))
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
