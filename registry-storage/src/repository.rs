//! The handle on one repository.

use std::sync::Arc;

use registry_core::{BlobDescriptors, BlobStore, ManifestStore, Repository, RepositoryName, TagStore};

use crate::blobs::Blobs;
use crate::global::ContentStore;
use crate::manifests::Manifests;
use crate::namespace::Shared;
use crate::remembered::Followed;
use crate::tags::Tags;

/// A repository of a store, for one request.
#[derive(Debug, Clone)]
pub(crate) struct StorageRepository {
    shared: Arc<Shared>,
    name: RepositoryName,
    descriptors: Arc<dyn BlobDescriptors>,
    content: ContentStore,
    followed: Arc<Followed>,
}

impl StorageRepository {
    pub(crate) fn new(
        shared: Arc<Shared>,
        name: RepositoryName,
        descriptors: Arc<dyn BlobDescriptors>,
        content: ContentStore,
    ) -> Self {
        Self { shared, name, descriptors, content, followed: Arc::default() }
    }
}

impl Repository for StorageRepository {
    fn name(&self) -> &RepositoryName {
        &self.name
    }

    fn blobs(&self) -> Arc<dyn BlobStore> {
        let descriptors = Arc::clone(&self.descriptors);
        Arc::new(Blobs::new(Arc::clone(&self.shared), self.name.clone(), descriptors, self.content.clone()))
    }

    fn manifests(&self) -> Arc<dyn ManifestStore> {
        let followed = Arc::clone(&self.followed);
        Arc::new(Manifests::new(Arc::clone(&self.shared), self.name.clone(), self.content.clone(), followed))
    }

    fn tags(&self) -> Arc<dyn TagStore> {
        Arc::new(Tags::new(Arc::clone(&self.shared), self.name.clone(), Arc::clone(&self.followed)))
    }
}
