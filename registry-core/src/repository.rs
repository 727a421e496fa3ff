//! One repository.

use std::fmt;
use std::sync::Arc;

use crate::blobs::BlobStore;
use crate::manifests::ManifestStore;
use crate::name::RepositoryName;
use crate::tags::TagStore;

/// A handle on one repository for one request: its name and its three services.
///
/// Services are cheap to ask for and share the context that the handle was made with. Middleware wraps
/// a repository and replaces or decorates the services it cares about.
pub trait Repository: fmt::Debug + Send + Sync {
    /// The name.
    fn name(&self) -> &RepositoryName;
    /// Blobs and uploads.
    fn blobs(&self) -> Arc<dyn BlobStore>;
    /// Manifests and referrers.
    fn manifests(&self) -> Arc<dyn ManifestStore>;
    /// Tags.
    fn tags(&self) -> Arc<dyn TagStore>;
}

/// A repository whose services are those of another, except for the ones that were replaced: what most
/// repository middleware returns.
#[derive(Debug)]
pub struct ComposedRepository {
    inner: Arc<dyn Repository>,
    blobs: Option<Arc<dyn BlobStore>>,
    manifests: Option<Arc<dyn ManifestStore>>,
    tags: Option<Arc<dyn TagStore>>,
}

impl ComposedRepository {
    /// All services of `inner`.
    pub fn of(inner: Arc<dyn Repository>) -> Self {
        Self { inner, blobs: None, manifests: None, tags: None }
    }

    /// Replaces the blobs.
    #[must_use]
    pub fn with_blobs(mut self, blobs: impl BlobStore + 'static) -> Self {
        self.blobs = Some(Arc::new(blobs));
        self
    }

    /// Replaces the manifests.
    #[must_use]
    pub fn with_manifests(mut self, manifests: impl ManifestStore + 'static) -> Self {
        self.manifests = Some(Arc::new(manifests));
        self
    }

    /// Replaces the tags.
    #[must_use]
    pub fn with_tags(mut self, tags: impl TagStore + 'static) -> Self {
        self.tags = Some(Arc::new(tags));
        self
    }
}

#[deny(clippy::missing_trait_methods)]
impl Repository for ComposedRepository {
    fn name(&self) -> &RepositoryName {
        self.inner.name()
    }

    fn blobs(&self) -> Arc<dyn BlobStore> {
        self.blobs.as_ref().map_or_else(|| self.inner.blobs(), Arc::clone)
    }

    fn manifests(&self) -> Arc<dyn ManifestStore> {
        self.manifests.as_ref().map_or_else(|| self.inner.manifests(), Arc::clone)
    }

    fn tags(&self) -> Arc<dyn TagStore> {
        self.tags.as_ref().map_or_else(|| self.inner.tags(), Arc::clone)
    }
}
