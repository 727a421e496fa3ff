//! Which blobs a repository shows, by its links.

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::{
    Batch, BlobDescriptors, Descriptor, Digest, Error, GlobalBlobs, RepositoryName, Result, StorageDriverExt,
};

use crate::global::ContentStore;
use crate::namespace::Shared;
use crate::{layout, link};

/// The blobs that are linked below `_layers`.
///
/// Only that content is stored is remembered from one request to the next, never that it is linked
/// here: so a delete holds at once, on every process over the same store.
#[derive(Debug)]
pub(crate) struct LinkedDescriptors {
    shared: Arc<Shared>,
    content: ContentStore,
    name: RepositoryName,
}

impl LinkedDescriptors {
    pub(crate) fn new(shared: Arc<Shared>, content: ContentStore, name: RepositoryName) -> Self {
        Self { shared, content, name }
    }

    fn unknown(&self, digest: &Digest) -> Error {
        Error::BlobUnknown { repository: self.name.clone(), digest: digest.clone() }
    }
}

#[async_trait]
impl BlobDescriptors for LinkedDescriptors {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        let path = layout::layer_link(&self.name, digest).ok_or_else(|| self.unknown(digest))?;
        let target = link::read(self.shared.driver.as_ref(), &path).await?;
        let target = target.ok_or_else(|| self.unknown(digest))?;
        self.content.stat(&target).await?.ok_or_else(|| self.unknown(digest))
    }

    async fn set(&self, digest: &Digest, descriptor: &Descriptor) -> Result<()> {
        let path = layout::layer_link(&self.name, digest).ok_or_else(|| self.unknown(digest))?;
        let batch = Batch::new().put(path, link::content(&descriptor.digest));
        Ok(self.shared.driver.apply(batch).await?)
    }

    async fn clear(&self, digest: &Digest) -> Result<()> {
        let path = layout::layer_link(&self.name, digest).ok_or_else(|| self.unknown(digest))?;
        if !self.shared.driver.exists(&path).await? {
            return Err(self.unknown(digest));
        }
        self.shared.driver.delete(&path).await?;
        self.content.unlinked(&self.name, digest).await;
        Ok(())
    }
}
