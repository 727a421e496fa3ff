//! Need: own descriptor cache.
//!
//! One entry per digest says that the content is stored and which streams show it, so that one removal
//! is enough when content goes. Storage uses it for content, `visibility.rs` for streams.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use registry::core::{CacheScope, Descriptor, DescriptorCache, Digest, RepositoryName};

use crate::app::Hooks;

/// How many digests are remembered.
const SIZE: usize = 20_000;

/// Remembers content, and the streams that show it.
#[derive(Debug, Default)]
pub struct DigestCache {
    entries: Mutex<BTreeMap<Digest, Entry>>,
}

#[derive(Debug, Default)]
struct Entry {
    content: Option<Descriptor>,
    streams: BTreeMap<RepositoryName, Descriptor>,
}

impl DigestCache {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<Digest, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DescriptorCache for DigestCache {
    async fn get(&self, scope: CacheScope<'_>, digest: &Digest) -> Option<Descriptor> {
        let entries = self.entries();
        let entry = entries.get(digest)?;
        match scope {
            CacheScope::Content => entry.content.clone(),
            CacheScope::Repository(name) => entry.streams.get(name).cloned(),
        }
    }

    async fn put(&self, scope: CacheScope<'_>, digest: &Digest, descriptor: &Descriptor) {
        let mut entries = self.entries();
        if entries.len() >= SIZE && !entries.contains_key(digest) {
            // Digests are as good as random, so the first is as good as any.
            entries.pop_first();
        }
        let entry = entries.entry(digest.clone()).or_default();
        match scope {
            CacheScope::Content => entry.content = Some(descriptor.clone()),
            CacheScope::Repository(name) => drop(entry.streams.insert(name.clone(), descriptor.clone())),
        }
    }

    async fn remove(&self, scope: CacheScope<'_>, digest: &Digest) {
        let mut entries = self.entries();
        match scope {
            CacheScope::Content => drop(entries.remove(digest)),
            CacheScope::Repository(name) => {
                if let Some(entry) = entries.get_mut(digest) {
                    entry.streams.remove(name);
                }
            }
        }
    }
}

#[async_trait]
impl DescriptorCache for Hooks {
    async fn get(&self, scope: CacheScope<'_>, digest: &Digest) -> Option<Descriptor> {
        self.0.cache.get(scope, digest).await
    }

    async fn put(&self, scope: CacheScope<'_>, digest: &Digest, descriptor: &Descriptor) {
        self.0.cache.put(scope, digest, descriptor).await;
    }

    async fn remove(&self, scope: CacheScope<'_>, digest: &Digest) {
        self.0.cache.remove(scope, digest).await;
    }
}
