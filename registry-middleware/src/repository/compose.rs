//! A repository with some of its services replaced.

use std::sync::Arc;

use registry_core::{BlobStore, ManifestStore, Repository, RepositoryName, TagStore};

/// A repository whose services are those of another, except for the ones that were replaced.
#[derive(Debug)]
pub(crate) struct Composed {
    inner: Arc<dyn Repository>,
    blobs: Option<Arc<dyn BlobStore>>,
    manifests: Option<Arc<dyn ManifestStore>>,
    tags: Option<Arc<dyn TagStore>>,
}

impl Composed {
    /// Nothing replaced yet.
    pub(crate) fn of(inner: Arc<dyn Repository>) -> Self {
        Self { inner, blobs: None, manifests: None, tags: None }
    }

    /// Replaces the blobs.
    pub(crate) fn blobs(mut self, blobs: impl BlobStore + 'static) -> Self {
        self.blobs = Some(Arc::new(blobs));
        self
    }

    /// Replaces the manifests.
    pub(crate) fn manifests(mut self, manifests: impl ManifestStore + 'static) -> Self {
        self.manifests = Some(Arc::new(manifests));
        self
    }

    /// Replaces the tags.
    pub(crate) fn tags(mut self, tags: impl TagStore + 'static) -> Self {
        self.tags = Some(Arc::new(tags));
        self
    }
}

#[deny(clippy::missing_trait_methods)]
impl Repository for Composed {
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
