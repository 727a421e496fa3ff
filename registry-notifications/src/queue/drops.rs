//! What a full queue gives up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long until it is said again.
const AGAIN: Duration = Duration::from_secs(60);

/// Counts the events that were given up, and says so, not for each.
#[derive(Debug)]
pub(crate) struct Drops {
    endpoint: String,
    count: AtomicU64,
    said: Mutex<Option<Instant>>,
}

impl Drops {
    pub(crate) fn new(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), count: AtomicU64::new(0), said: Mutex::new(None) }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// That `count` events are given up, and why.
    pub(crate) fn add(&self, count: u64, why: &str) {
        if count == 0 {
            return;
        }
        let total = self.count.fetch_add(count, Ordering::Relaxed) + count;
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() > AGAIN) {
            *said = Some(Instant::now());
            tracing::error!(
                endpoint = self.endpoint,
                dropped = total,
                "notifications: events are dropped: {why}"
            );
        }
    }
}
