//! What a registry does, in numbers that Prometheus collects.
//!
//! Names, labels and buckets are those of CNCF Distribution where it has the metric, so that dashboards made for
//! it go on working; [`names`] lists them all. Counting costs a few atomic additions for each request and for
//! each call of the storage driver, and takes no lock.
//!
//! ```
//! use std::sync::Arc;
//! use registry_metrics::Metrics;
//! use registry_storage::MemoryDriver;
//! use tower_layer::Layer;
//!
//! let metrics = Metrics::new();
//! // Around the service of the API; the prefix is what comes before `/v2/`, if anything:
//! let layer = metrics.http("");
//! # let service = ();
//! let service = layer.layer(service);
//! // Around the storage driver, or by `RegistryBuilder::storage_middleware(metrics.storage())`:
//! let driver = metrics.storage().around(Arc::new(MemoryDriver::new()));
//! // What Prometheus reads:
//! let text = metrics.text();
//! assert!(text.contains("registry_storage_action_seconds_count{action=\"Stat\",driver=\"inmemory\"} 0\n"));
//! ```
//!
//! | file | what is there |
//! |---|---|
//! | `http.rs`, `http/` | requests, as a tower layer |
//! | `storage.rs`, `storage/` | calls of the storage driver, as storage middleware |
//! | `cache.rs` | how long a descriptor cache takes |
//! | `sources.rs` | what others count: descriptor caches, buckets, notification endpoints, health checks |
//! | `process.rs` | CPU, memory and files of the process |
//! | `number.rs`, `family.rs`, `text.rs` | counters and histograms, what they say at one moment, and as text |
//! | `names.rs` | every metric with its kind and labels |
//!
//! The numbers and their text are code of this crate, a page each: of the libraries for it one renames what
//! dashboards look for, and the other builds every metric fallibly and writes numbers otherwise than Go does,
//! so that the buckets of a mixed fleet would not add up.

mod cache;
mod family;
mod http;
pub mod names;
mod number;
mod process;
mod sources;
mod storage;
mod text;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use registry_core::{CacheCounts, DescriptorCache};

pub use crate::cache::TimedCache;
pub use crate::family::{Family, Sample, Value};
pub use crate::http::{Answer, HttpMetrics, HttpMetricsLayer, Received, Sent};
pub use crate::sources::{BucketCalls, BucketCounts, NotificationCounts};
pub use crate::storage::StorageMetrics;

use crate::http::Requests;
use crate::sources::Sources;
use crate::storage::Drivers;

/// The `Content-Type` of [`Metrics::text`].
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of one registry. Clones are the same metrics.
#[derive(Clone, Default)]
pub struct Metrics {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: Arc<Requests>,
    drivers: Arc<Drivers>,
    redis: Arc<cache::Timings>,
    sources: Sources,
    scrapes: number::Counter,
}

impl Metrics {
    /// Metrics of a registry in which nothing has happened yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the requests that a service answers. `prefix` is what comes before `/v2/`, such as `/registry/`.
    pub fn http(&self, prefix: &str) -> HttpMetricsLayer {
        HttpMetricsLayer::new(Arc::clone(&self.shared.requests), prefix)
    }

    /// Counts the calls of the storage driver that this is put around.
    pub fn storage(&self) -> StorageMetrics {
        StorageMetrics::new(Arc::clone(&self.shared.drivers))
    }

    /// Times the calls of a descriptor cache that is kept in Redis.
    pub fn redis_cache(&self, cache: Arc<dyn DescriptorCache>) -> TimedCache {
        TimedCache::new(cache, Arc::clone(&self.shared.redis))
    }

    /// Shows what a descriptor cache has counted. A second one takes the place of the first.
    pub fn descriptor_cache(&self, counts: impl Fn() -> CacheCounts + Send + Sync + 'static) {
        self.shared.sources.cache(Box::new(counts));
    }

    /// Shows how the endpoints of notifications are doing.
    pub fn notifications(&self, counts: impl Fn() -> Vec<NotificationCounts> + Send + Sync + 'static) {
        self.shared.sources.notifications(Box::new(counts));
    }

    /// Shows how health checks are doing: the name of each, and whether it passes.
    pub fn health(&self, checks: impl Fn() -> Vec<(String, bool)> + Send + Sync + 'static) {
        self.shared.sources.health(Box::new(checks));
    }

    /// Shows what a storage driver asks the service of its bucket. A second one takes the place of the first.
    pub fn bucket(&self, counts: impl Fn() -> BucketCounts + Send + Sync + 'static) {
        self.shared.sources.bucket(Box::new(counts));
    }

    /// Says which version of which program this is.
    pub fn version(&self, version: &str) {
        self.shared.sources.version(version);
    }

    /// Shows a metric of an embedder's own.
    pub fn custom(&self, source: impl Fn() -> Family + Send + Sync + 'static) {
        self.shared.sources.custom(Box::new(source));
    }

    /// All metrics as they are now, in the order of their names.
    pub fn families(&self) -> Vec<Family> {
        let mut families = Vec::new();
        self.shared.requests.read(&mut families);
        self.shared.drivers.read(&mut families);
        self.shared.redis.read(&mut families);
        self.shared.sources.read(&mut families);
        process::read(&mut families);
        families.sort_by_key(|family| family.name.name);
        families
    }

    /// All metrics in the text format of Prometheus, whose type is [`TEXT_FORMAT`].
    pub fn text(&self) -> String {
        let mut families = self.families();
        // Distribution's handler counts the scrapes that it has answered, not this one.
        let scrapes = self.shared.scrapes.0.fetch_add(1, Ordering::Relaxed);
        let codes = [("200", scrapes), ("500", 0), ("503", 0)];
        let samples = codes.map(|(code, count)| Sample::new([("code", code)], Value::Number(count as f64)));
        families.push(Family::single(&names::SCRAPES_IN_FLIGHT, 1.0));
        families.push(Family { name: &names::SCRAPES, samples: samples.to_vec() });
        families.sort_by_key(|family| family.name.name);
        text::encode(&families)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("names", &names::ALL.len()).finish_non_exhaustive()
    }
}
