//! A descriptor cache in memory.

use std::fmt;

use async_trait::async_trait;
use quick_cache::sync::Cache;
use registry_core::{CacheScope, Descriptor, DescriptorCache, Digest, RepositoryName};

/// Keeps a bounded number of descriptors in memory.
pub struct MemoryCache {
    entries: Cache<(Option<RepositoryName>, Digest), Descriptor>,
}

impl MemoryCache {
    /// How many descriptors are kept unless said otherwise.
    pub const DEFAULT_SIZE: usize = 10_000;

    /// A cache of at most `size` descriptors.
    pub fn new(size: usize) -> Self {
        Self { entries: Cache::new(size) }
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
        self.entries.get(&key(scope, digest))
    }

    async fn put(&self, scope: CacheScope<'_>, digest: &Digest, descriptor: &Descriptor) {
        self.entries.insert(key(scope, digest), descriptor.clone());
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
    fn scopes_are_kept_apart_and_size_is_bounded() {
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
        for n in 0..10_000_u32 {
            let digest = Algorithm::Sha256.digest(&n.to_le_bytes());
            cache.put(CacheScope::Content, &digest, &descriptor).now_or_never().unwrap();
        }
        assert!(cache.entries.len() <= 100, "{}", cache.entries.len());
    }
}
