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

/// What a driver has asked the service of its bucket, since the process began.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketCounts {
    /// The name of the driver.
    pub driver: &'static str,
    /// Whether the service is asked; if not, it has not answered for a while.
    pub answering: bool,
    /// How often a request was sent once more.
    pub retries: u64,
    /// What was asked, by operation.
    pub calls: Vec<BucketCalls>,
}

/// How often the service of a bucket was asked for one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketCalls {
    /// The name of the operation.
    pub operation: &'static str,
    /// How often it was asked for.
    pub calls: u64,
    /// How often it was not done.
    pub errors: u64,
    /// Bytes of content in requests and answers.
    pub bytes: u64,
}

impl BucketCounts {
    /// Counts of a bucket that answers and of which nothing was asked.
    pub fn new(driver: &'static str) -> Self {
        Self { driver, answering: true, retries: 0, calls: Vec::new() }
    }
}

impl BucketCalls {
    /// Counts of an operation that nobody asked for.
    pub fn new(operation: &'static str) -> Self {
        Self { operation, calls: 0, errors: 0, bytes: 0 }
    }
}

type Source<T> = Mutex<Option<Box<dyn Fn() -> T + Send + Sync>>>;

#[derive(Default)]
pub(crate) struct Sources {
    cache: Source<CacheCounts>,
    notifications: Source<Vec<NotificationCounts>>,
    health: Source<Vec<(String, bool)>>,
    bucket: Source<BucketCounts>,
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

    pub(crate) fn bucket(&self, source: Box<dyn Fn() -> BucketCounts + Send + Sync>) {
        set(&self.bucket, source);
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
        bucket(ask(&self.bucket).as_slice(), families);
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

fn bucket(buckets: &[BucketCounts], families: &mut Vec<Family>) {
    let of_each = |name, number: fn(&BucketCalls) -> u64| {
        let samples = buckets.iter().flat_map(|bucket| {
            bucket.calls.iter().map(|calls| {
                let labels = [("driver", bucket.driver), ("operation", calls.operation)];
                Sample::new(labels, Value::Number(number(calls) as f64))
            })
        });
        Family { name, samples: samples.collect() }
    };
    families.push(of_each(&names::BUCKET_CALLS, |calls| calls.calls));
    families.push(of_each(&names::BUCKET_ERRORS, |calls| calls.errors));
    families.push(of_each(&names::BUCKET_BYTES, |calls| calls.bytes));
    let of_all = |name, number: fn(&BucketCounts) -> f64| {
        let sample =
            |bucket: &BucketCounts| Sample::new([("driver", bucket.driver)], Value::Number(number(bucket)));
        Family { name, samples: buckets.iter().map(sample).collect() }
    };
    families.push(of_all(&names::BUCKET_RETRIES, |bucket| bucket.retries as f64));
    families.push(of_all(&names::BUCKET_UP, |bucket| f64::from(u8::from(bucket.answering))));
}

#[cfg(test)]
mod tests {
    //! What others count has its names.

    use super::*;
    use crate::Metrics;

    #[test]
    fn calls_of_a_bucket_are_shown_by_operation() {
        let metrics = Metrics::new();
        assert!(!metrics.text().contains("registry_storage_bucket_calls_total{"), "there is none");
        metrics.bucket(|| {
            let mut get = BucketCalls::new("get");
            (get.calls, get.errors, get.bytes) = (7, 2, 100);
            let mut counts = BucketCounts::new("s3aws");
            counts.retries = 3;
            counts.calls = vec![get, BucketCalls::new("put")];
            counts
        });
        let text = metrics.text();
        for line in [
            "registry_storage_bucket_calls_total{driver=\"s3aws\",operation=\"get\"} 7",
            "registry_storage_bucket_calls_total{driver=\"s3aws\",operation=\"put\"} 0",
            "registry_storage_bucket_errors_total{driver=\"s3aws\",operation=\"get\"} 2",
            "registry_storage_bucket_bytes_total{driver=\"s3aws\",operation=\"get\"} 100",
            "registry_storage_bucket_retries_total{driver=\"s3aws\"} 3",
            "registry_storage_bucket_up{driver=\"s3aws\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
