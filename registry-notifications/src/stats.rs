//! Counters, for whoever shows them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use http::StatusCode;

/// How an endpoint is doing, since the process began. The names are those of Distribution's counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointStats {
    /// The name of the endpoint.
    pub name: String,
    /// Where it is, without user name and password.
    pub url: String,
    /// Events that wait, those of before a restart included.
    pub pending: u64,
    /// Events that came in, those that are ignored left out.
    pub events: u64,
    /// Events that were accepted.
    pub successes: u64,
    /// Events that were answered with a status that does not accept them, each time.
    pub failures: u64,
    /// Events that could not be sent, or had no answer in time, each time.
    pub errors: u64,
    /// Events that were given up because the queue was full. Distribution has no such counter, and no such bound.
    pub dropped: u64,
    /// Events by the status that answered them, such as `200 OK`.
    pub statuses: BTreeMap<String, u64>,
}

/// The counters behind [`EndpointStats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    events: AtomicU64,
    successes: AtomicU64,
    failures: AtomicU64,
    errors: AtomicU64,
    statuses: Mutex<BTreeMap<StatusCode, u64>>,
}

impl Counters {
    pub(crate) fn came_in(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }

    /// That `count` events were answered like this.
    pub(crate) fn answered(&self, status: StatusCode, accepted: bool, count: u64) {
        let counter = if accepted { &self.successes } else { &self.failures };
        counter.fetch_add(count, Ordering::Relaxed);
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        *statuses.entry(status).or_default() += count;
    }

    /// That `count` events had no answer.
    pub(crate) fn failed(&self, count: u64) {
        self.errors.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, stats: &mut EndpointStats) {
        stats.events = self.events.load(Ordering::Relaxed);
        stats.successes = self.successes.load(Ordering::Relaxed);
        stats.failures = self.failures.load(Ordering::Relaxed);
        stats.errors = self.errors.load(Ordering::Relaxed);
        let statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        // As Go names them: the code alone, with a space, where it has no name.
        let name = |status: &StatusCode| {
            format!("{} {}", status.as_str(), status.canonical_reason().unwrap_or_default())
        };
        stats.statuses = statuses.iter().map(|(status, count)| (name(status), *count)).collect();
    }
}
