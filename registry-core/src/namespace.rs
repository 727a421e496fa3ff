//! All repositories together.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::blobs::Blob;
use crate::context::RequestContext;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::Result;
use crate::name::RepositoryName;
use crate::page::{Page, PageRequest};
use crate::repository::Repository;

/// The collection of repositories that a registry serves.
#[async_trait]
pub trait Namespace: fmt::Debug + Send + Sync + 'static {
    /// A handle on a repository for one request. The repository need not exist yet; a handle is cheap
    /// and asks the store nothing.
    ///
    /// # Errors
    /// Only those of middleware, which may refuse or fail.
    async fn repository(
        &self,
        cx: &Arc<RequestContext>,
        name: &RepositoryName,
    ) -> Result<Arc<dyn Repository>>;

    /// Names of repositories that hold at least one manifest or did so once, in ascending order of
    /// their components (so `a`, `a/b`, `a-b`).
    async fn repositories(&self, cx: &RequestContext, page: &PageRequest) -> Result<Page<RepositoryName>>;

    /// Content across all repositories, for administration, collection and mounts without a source.
    fn blobs(&self) -> Arc<dyn GlobalBlobs>;

    /// The ability to remove whole repositories, if this namespace has it.
    fn remover(&self) -> Option<Arc<dyn RepositoryRemover>>;
}

/// Content by digest alone, whichever repositories it is in. Who may ask is up to the caller.
#[async_trait]
pub trait GlobalBlobs: fmt::Debug + Send + Sync {
    /// The descriptor of stored content, or `None`.
    async fn stat(&self, digest: &Digest) -> Result<Option<Descriptor>>;

    /// Stored content, or `None`.
    async fn get(&self, digest: &Digest) -> Result<Option<Blob>>;

    /// Digests of all stored content, manifests included, in an order of the store's own. `after` is a
    /// digest of the page before.
    async fn list(&self, page: &PageRequest) -> Result<Page<Digest>>;

    /// Removes content, whoever still refers to it. For garbage collection.
    async fn delete(&self, digest: &Digest) -> Result<()>;
}

/// The ability to remove a repository with everything in it.
#[async_trait]
pub trait RepositoryRemover: fmt::Debug + Send + Sync {
    /// Removes a repository: tags, manifests, links and uploads. Content stays until it is collected.
    ///
    /// # Errors
    /// [`Error::NameUnknown`](crate::Error::NameUnknown) if there is no such repository.
    async fn remove(&self, name: &RepositoryName) -> Result<()>;
}
