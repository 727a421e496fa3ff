//! `storage.cache` and `redis`: what is remembered, and where.

use registry_redis::RedisOptions;

/// `storage.cache`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DescriptorCache {
    /// In the memory of this process.
    InMemory {
        /// Most entries kept; `None` for no bound.
        entries: Option<usize>,
    },
    /// In Redis, for all processes over the same store.
    Redis(Box<RedisOptions>),
}
