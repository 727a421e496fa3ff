//! A descriptor cache in memory.

use std::fmt;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use quick_cache::sync::Cache;
use registry_core::{
    CacheCounters, CacheCounts, CacheScope, Descriptor, DescriptorCache, Digest, RepositoryName,
};

/// Keeps a bounded number of descriptors in memory, each for [`MemoryCache::LIFETIME`].
///
/// What another process removes from the store is not noticed here; an entry that has become wrong that way
/// ends with its lifetime.
pub struct MemoryCache {
    entries: Cache<(Option<RepositoryName>, Digest), Entry>,
    counters: CacheCounters,
}

#[derive(Debug, Clone)]
struct Entry {
    descriptor: Descriptor,
    since: Instant,
}

impl MemoryCache {
    /// How long a descriptor is kept at most.
    pub const LIFETIME: Duration = Duration::from_secs(5 * 60);

    /// How many descriptors are kept unless said otherwise.
    pub const DEFAULT_SIZE: usize = 10_000;

    /// A cache of at most `size` descriptors.
    pub fn new(size: usize) -> Self {
        Self { entries: Cache::new(size), counters: CacheCounters::default() }
    }

    /// How often it was asked, and how often it knew.
    pub fn counts(&self) -> CacheCounts {
        self.counters.counts()
    }
}

impl Default for MemoryCache {
    fn default() -> Self {
        Self::new(Self::DEFAULT_SIZE)
    }
}

impl fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCache").field("len", &self.entries.len()).finish()
    }
}

fn key(scope: CacheScope<'_>, digest: &Digest) -> (Option<RepositoryName>, Digest) {
    let repository = match scope {
        CacheScope::Content => None,
        CacheScope::Repository(name) => Some(name.clone()),
    };
    (repository, digest.clone())
}

#[async_trait]
impl DescriptorCache for MemoryCache {
    async fn get(&self, scope: CacheScope<'_>, digest: &Digest) -> Option<Descriptor> {
        let entry = self.entries.get(&key(scope, digest));
        let known = entry.filter(|entry| entry.since.elapsed() < Self::LIFETIME);
        self.counters.answered(known.is_some());
        known.map(|entry| entry.descriptor)
    }

    async fn put(&self, scope: CacheScope<'_>, digest: &Digest, descriptor: &Descriptor) {
        let entry = Entry { descriptor: descriptor.clone(), since: Instant::now() };
        self.entries.insert(key(scope, digest), entry);
    }

    async fn remove(&self, scope: CacheScope<'_>, digest: &Digest) {
        self.entries.remove(&key(scope, digest));
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use registry_core::Algorithm;

    use super::*;

    #[test]
    fn scopes_are_kept_apart_and_size_and_time_are_bounded() {
        let cache = MemoryCache::new(100);
        let name = RepositoryName::parse("a").unwrap();
        let digest = Algorithm::Sha256.digest(b"x");
        let descriptor = Descriptor::blob(digest.clone(), 1);
        cache.put(CacheScope::Repository(&name), &digest, &descriptor).now_or_never().unwrap();
        let get = |scope| cache.get(scope, &digest).now_or_never().unwrap();
        assert_eq!(get(CacheScope::Content), None);
        assert_eq!(get(CacheScope::Repository(&name)), Some(descriptor.clone()));
        cache.remove(CacheScope::Repository(&name), &digest).now_or_never().unwrap();
        assert_eq!(get(CacheScope::Repository(&name)), None);
        let counts = cache.counts();
        assert_eq!((counts.requests, counts.hits, counts.misses, counts.errors), (3, 1, 2, 0));
        let Some(since) = Instant::now().checked_sub(MemoryCache::LIFETIME) else { return };
        let entry = Entry { descriptor: descriptor.clone(), since };
        cache.entries.insert(key(CacheScope::Content, &digest), entry);
        assert_eq!(get(CacheScope::Content), None, "its time is over");
        for n in 0..10_000_u32 {
            let digest = Algorithm::Sha256.digest(&n.to_le_bytes());
            cache.put(CacheScope::Content, &digest, &descriptor).now_or_never().unwrap();
        }
        assert!(cache.entries.len() <= 100, "{}", cache.entries.len());
    }
}
