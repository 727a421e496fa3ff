//! How long a descriptor cache takes.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use registry_core::{CacheScope, Descriptor, DescriptorCache, Digest};

use crate::family::{Family, Sample};
use crate::names;
use crate::number::{ACTION_SECONDS, Histogram};

/// The operations, by Distribution's names and in their order; the last is ours.
const OPERATIONS: [&str; 5] = ["RepoSetDescriptor", "RepoStat", "SetDescriptor", "Stat", "Clear"];

/// How long each operation of a cache in Redis takes.
pub(crate) struct Timings([Histogram; OPERATIONS.len()]);

impl Default for Timings {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Histogram::new(&ACTION_SECONDS)))
    }
}

impl Timings {
    pub(crate) fn read(&self, families: &mut Vec<Family>) {
        let samples = OPERATIONS
            .iter()
            .zip(&self.0)
            .map(|(operation, seconds)| Sample::new([("operation", *operation)], seconds.value()));
        // Nothing about Redis where there is none.
        let used = |sample: &Sample| !matches!(sample.value, crate::Value::Histogram { count: 0, .. });
        families.push(Family { name: &names::REDIS_SECONDS, samples: samples.filter(used).collect() });
    }
}

/// A descriptor cache whose calls are timed; see [`Metrics::redis_cache`](crate::Metrics::redis_cache).
pub struct TimedCache {
    inner: Arc<dyn DescriptorCache>,
    timings: Arc<Timings>,
}

impl TimedCache {
    pub(crate) fn new(inner: Arc<dyn DescriptorCache>, timings: Arc<Timings>) -> Self {
        Self { inner, timings }
    }

    fn took(&self, operation: usize, started: Instant) {
        self.timings.0[operation].observe_time(started.elapsed());
    }
}

impl fmt::Debug for TimedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedCache").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// Among [`OPERATIONS`]: whether it is about one repository, and whether it reads.
fn operation(scope: CacheScope<'_>, reads: bool) -> usize {
    match scope {
        CacheScope::Repository(_) => usize::from(reads),
        CacheScope::Content => 2 + usize::from(reads),
    }
}

#[async_trait]
impl DescriptorCache for TimedCache {
    async fn get(&self, scope: CacheScope<'_>, digest: &Digest) -> Option<Descriptor> {
        let started = Instant::now();
        let descriptor = self.inner.get(scope, digest).await;
        self.took(operation(scope, true), started);
        descriptor
    }

    async fn put(&self, scope: CacheScope<'_>, digest: &Digest, descriptor: &Descriptor) {
        let started = Instant::now();
        self.inner.put(scope, digest, descriptor).await;
        self.took(operation(scope, false), started);
    }

    async fn remove(&self, scope: CacheScope<'_>, digest: &Digest) {
        let started = Instant::now();
        self.inner.remove(scope, digest).await;
        self.took(OPERATIONS.len() - 1, started);
    }
}
