//! The handle on one repository.

use std::sync::Arc;

use registry_core::{BlobDescriptors, BlobStore, ManifestStore, Repository, RepositoryName, TagStore};

use crate::blobs::Blobs;
use crate::manifests::Manifests;
use crate::namespace::Shared;
use crate::tags::Tags;

/// A repository of a store, for one request.
#[derive(Debug, Clone)]
pub(crate) struct StorageRepository {
    shared: Arc<Shared>,
    name: RepositoryName,
    descriptors: Arc<dyn BlobDescriptors>,
}

impl StorageRepository {
    pub(crate) fn new(
        shared: Arc<Shared>,
        name: RepositoryName,
        descriptors: Arc<dyn BlobDescriptors>,
    ) -> Self {
        Self { shared, name, descriptors }
    }
}

impl Repository for StorageRepository {
    fn name(&self) -> &RepositoryName {
        &self.name
    }

    fn blobs(&self) -> Arc<dyn BlobStore> {
        Arc::new(Blobs::new(Arc::clone(&self.shared), self.name.clone(), Arc::clone(&self.descriptors)))
    }

    fn manifests(&self) -> Arc<dyn ManifestStore> {
        Arc::new(Manifests::new(Arc::clone(&self.shared), self.name.clone()))
    }

    fn tags(&self) -> Arc<dyn TagStore> {
        Arc::new(Tags::new(Arc::clone(&self.shared), self.name.clone()))
    }
}
