//! Whether a blob is visible in a repository: the third hook, and the cache beside it.

use std::fmt;
use std::sync::Arc;

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
/// answers `None`.
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
    /// The blob is visible in this repository. For layers that look further than into the store; the
    /// store's own links are asked each time.
    Repository(&'a RepositoryName),
}
