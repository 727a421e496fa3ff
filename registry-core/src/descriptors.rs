//! Whether a blob is visible in a repository: the third hook, and the cache beside it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::context::RequestContext;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::Result;
use crate::name::RepositoryName;
use crate::namespace::GlobalBlobs;

/// "Is this blob visible in this repository, and how large is it?"
///
/// All existence and access checks of a repository's blobs go through one of these, so that replacing
/// it changes what the repository shows: a blob can be visible because metadata elsewhere refers to it,
/// or hidden although it is linked.
#[async_trait]
pub trait BlobDescriptors: fmt::Debug + Send + Sync {
    /// The descriptor of a visible blob. Its `digest` is the one under which the content is stored,
    /// which for an alias differs from the one asked for.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`](crate::Error::BlobUnknown).
    async fn stat(&self, digest: &Digest) -> Result<Descriptor>;

    /// Makes stored content visible under `digest`. Durable when it returns.
    async fn set(&self, digest: &Digest, descriptor: &Descriptor) -> Result<()>;

    /// Makes a blob invisible.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`](crate::Error::BlobUnknown).
    async fn clear(&self, digest: &Digest) -> Result<()>;
}

/// Puts a layer around the descriptors of each repository.
pub trait BlobDescriptorsLayer: fmt::Debug + Send + Sync + 'static {
    /// Wraps the descriptors of the repository `name` for the request `cx`. `content` tells what is stored,
    /// whichever repository shows it: a blob that is made visible has to be readable too.
    fn wrap(
        &self,
        cx: &Arc<RequestContext>,
        name: &RepositoryName,
        inner: Arc<dyn BlobDescriptors>,
        content: &Arc<dyn GlobalBlobs>,
    ) -> Arc<dyn BlobDescriptors>;
}

/// A cache of what is known about stored content.
///
/// A cache only ever saves work. A failure inside is the cache's own affair: it logs, counts and
/// answers `None`. What it says may be out of date for a while after another process has removed
/// content, so that whoever decides about a write asks the store instead.
#[async_trait]
pub trait DescriptorCache: fmt::Debug + Send + Sync + 'static {
    /// What is known, if anything.
    async fn get(&self, scope: CacheScope<'_>, digest: &Digest) -> Option<Descriptor>;

    /// Remembers.
    async fn put(&self, scope: CacheScope<'_>, digest: &Digest, descriptor: &Descriptor);

    /// Forgets. What was forgotten is not answered any more once this returns.
    async fn remove(&self, scope: CacheScope<'_>, digest: &Digest);
}

/// What a cached descriptor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheScope<'a> {
    /// The content is stored.
    Content,
    /// The blob is visible in this repository. For layers that look further than into the store. The
    /// store's own links are asked each time, except for a GET where each question is a round trip.
    Repository(&'a RepositoryName),
}

/// What a descriptor cache has been asked, as it was at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheCounts {
    /// How often it was asked what it knows; the sum of hits and misses.
    pub requests: u64,
    /// How often it knew.
    pub hits: u64,
    /// How often it did not know, or could not be asked.
    pub misses: u64,
    /// How many operations of any kind failed.
    pub errors: u64,
}

/// Counts for [`CacheCounts`], from any number of threads.
#[derive(Debug, Default)]
pub struct CacheCounters {
    hits: AtomicU64,
    misses: AtomicU64,
    errors: AtomicU64,
}

impl CacheCounters {
    /// Counts an answer: whether the cache knew.
    pub fn answered(&self, hit: bool) {
        let counter = if hit { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an operation that failed.
    pub fn failed(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// All counts so far.
    pub fn counts(&self) -> CacheCounts {
        let hits = self.hits.load(Ordering::Relaxed);
        let misses = self.misses.load(Ordering::Relaxed);
        CacheCounts { requests: hits + misses, hits, misses, errors: self.errors.load(Ordering::Relaxed) }
    }
}
