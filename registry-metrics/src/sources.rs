//! What others count.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use registry_core::CacheCounts;

use crate::family::{Family, Sample, Value};
use crate::names;

/// How one endpoint of notifications is doing, since the process began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotificationCounts {
    /// The name of the endpoint.
    pub endpoint: String,
    /// Events that wait.
    pub pending: u64,
    /// Events that came in.
    pub events: u64,
    /// Events that were accepted.
    pub successes: u64,
    /// Events that were answered with a status that does not accept them.
    pub failures: u64,
    /// Events that could not be sent.
    pub errors: u64,
    /// Events that were given up.
    pub dropped: u64,
    /// Events by the status that answered them, such as `200 OK`.
    pub statuses: BTreeMap<String, u64>,
}

impl NotificationCounts {
    /// Counts of an endpoint to which nothing has happened.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into(), ..Self::default() }
    }
}

type Source<T> = Mutex<Option<Box<dyn Fn() -> T + Send + Sync>>>;

#[derive(Default)]
pub(crate) struct Sources {
    cache: Source<CacheCounts>,
    notifications: Source<Vec<NotificationCounts>>,
    health: Source<Vec<(String, bool)>>,
    version: Mutex<Option<String>>,
    custom: Mutex<Vec<Box<dyn Fn() -> Family + Send + Sync>>>,
}

fn set<T>(place: &Mutex<Option<T>>, value: T) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
}

fn ask<T>(source: &Source<T>) -> Option<T> {
    source.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|source| source())
}

impl Sources {
    pub(crate) fn cache(&self, source: Box<dyn Fn() -> CacheCounts + Send + Sync>) {
        set(&self.cache, source);
    }

    pub(crate) fn notifications(&self, source: Box<dyn Fn() -> Vec<NotificationCounts> + Send + Sync>) {
        set(&self.notifications, source);
    }

    pub(crate) fn health(&self, source: Box<dyn Fn() -> Vec<(String, bool)> + Send + Sync>) {
        set(&self.health, source);
    }

    pub(crate) fn version(&self, version: &str) {
        set(&self.version, version.to_owned());
    }

    pub(crate) fn custom(&self, source: Box<dyn Fn() -> Family + Send + Sync>) {
        self.custom.lock().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    pub(crate) fn read(&self, families: &mut Vec<Family>) {
        // Distribution shows these at zero also where there is no cache.
        let cache = ask(&self.cache).unwrap_or_default();
        families.push(Family::single(&names::CACHE_REQUESTS, cache.requests as f64));
        families.push(Family::single(&names::CACHE_HITS, cache.hits as f64));
        families.push(Family::single(&names::CACHE_ERRORS, cache.errors as f64));
        notifications(&ask(&self.notifications).unwrap_or_default(), families);
        let checks = ask(&self.health).unwrap_or_default();
        let samples = checks
            .into_iter()
            .map(|(check, up)| Sample::new([("check", check)], Value::Number(f64::from(u8::from(up)))))
            .collect();
        families.push(Family { name: &names::HEALTH_CHECK_UP, samples });
        let version = self.version.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let samples =
            version.into_iter().map(|version| Sample::new([("version", version)], Value::Number(1.0)));
        families.push(Family { name: &names::BUILD, samples: samples.collect() });
        let custom = self.custom.lock().unwrap_or_else(PoisonError::into_inner);
        families.extend(custom.iter().map(|source| source()));
    }
}

fn notifications(endpoints: &[NotificationCounts], families: &mut Vec<Family>) {
    let (mut events, mut pending) = (Vec::new(), Vec::new());
    let (mut statuses, mut dropped) = (Vec::new(), Vec::new());
    for counts in endpoints {
        let endpoint = || Cow::Owned(counts.endpoint.clone());
        let kinds = [
            ("Errors", counts.errors),
            ("Events", counts.events),
            ("Failures", counts.failures),
            ("Successes", counts.successes),
        ];
        for (kind, count) in kinds {
            let labels = [("endpoint", endpoint()), ("type", Cow::Borrowed(kind))];
            events.push(Sample::new(labels, Value::Number(count as f64)));
        }
        pending.push(Sample::new([("endpoint", endpoint())], Value::Number(counts.pending as f64)));
        dropped.push(Sample::new([("endpoint", endpoint())], Value::Number(counts.dropped as f64)));
        for (code, count) in &counts.statuses {
            let labels = [("code", Cow::Owned(code.clone())), ("endpoint", endpoint())];
            statuses.push(Sample::new(labels, Value::Number(*count as f64)));
        }
    }
    families.push(Family { name: &names::EVENTS, samples: events });
    families.push(Family { name: &names::EVENTS_PENDING, samples: pending });
    families.push(Family { name: &names::EVENTS_STATUS, samples: statuses });
    families.push(Family { name: &names::EVENTS_DROPPED, samples: dropped });
}
