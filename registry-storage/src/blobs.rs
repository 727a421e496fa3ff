//! The blobs of one repository.

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::{
    Blob, BlobBody, BlobDescriptors, BlobStore, BlobWriter, Descriptor, Digest, Error, GetBlob, GlobalBlobs,
    MountSource, RepositoryName, Result, StartUpload, UploadId, UploadStart, UploadStatus,
};

use crate::namespace::Shared;
use crate::uploads::Uploads;
use crate::{layout, link};

/// The blobs that a repository shows.
#[derive(Debug)]
pub(crate) struct Blobs {
    shared: Arc<Shared>,
    name: RepositoryName,
    descriptors: Arc<dyn BlobDescriptors>,
}

impl Blobs {
    pub(crate) fn new(
        shared: Arc<Shared>,
        name: RepositoryName,
        descriptors: Arc<dyn BlobDescriptors>,
    ) -> Self {
        Self { shared, name, descriptors }
    }

    fn uploads(&self) -> Uploads {
        Uploads::new(Arc::clone(&self.shared), self.name.clone(), Arc::clone(&self.descriptors))
    }

    /// The stored content that a mount is about. Where the source repository has the blob under another
    /// digest than the content, its link says so.
    async fn mount_target(&self, source: &MountSource) -> Result<Option<Descriptor>> {
        let digest = &source.descriptor.digest;
        let content = self.shared.content.deciding();
        if let Some(found) = content.stat(digest).await? {
            return Ok(Some(found));
        }
        let Some(path) = source.from.as_ref().and_then(|from| layout::layer_link(from, digest)) else {
            return Ok(None);
        };
        match link::read(self.shared.driver.as_ref(), &path).await? {
            Some(target) => content.stat(&target).await,
            None => Ok(None),
        }
    }
}

/// The same content under the digest that it was asked for by.
fn named(mut descriptor: Descriptor, digest: &Digest) -> Descriptor {
    descriptor.digest = digest.clone();
    descriptor
}

#[async_trait]
impl BlobStore for Blobs {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        Ok(named(self.descriptors.stat(digest).await?, digest))
    }

    async fn get(&self, digest: &Digest, options: GetBlob) -> Result<Blob> {
        let content = self.descriptors.stat(digest).await?;
        if self.shared.redirects
            && let Some(hint) = &options.redirect
            && let Some(path) = layout::blob_data(&content.digest)
            && let Some(uri) = self.shared.driver.redirect_url(&path, hint).await?
        {
            let range = 0..content.size;
            return Ok(Blob { descriptor: named(content, digest), range, body: BlobBody::Redirect(uri) });
        }
        let unknown = || Error::BlobUnknown { repository: self.name.clone(), digest: digest.clone() };
        let blob = self.shared.content.open(&content.digest, options.range).await?;
        let blob = blob.ok_or_else(unknown)?;
        Ok(Blob { descriptor: named(blob.descriptor, digest), ..blob })
    }

    async fn start(&self, options: StartUpload) -> Result<UploadStart> {
        if let Some(source) = &options.mount
            && let Some(content) = self.mount_target(source).await?
        {
            self.descriptors.set(&source.descriptor.digest, &content).await?;
            return Ok(UploadStart::Mounted(named(content, &source.descriptor.digest)));
        }
        let writer = self.uploads().start(options.algorithm.unwrap_or_default()).await?;
        Ok(UploadStart::Session(writer))
    }

    async fn resume(&self, id: &UploadId, ticket: Option<&str>) -> Result<Box<dyn BlobWriter>> {
        self.uploads().resume(id, ticket).await
    }

    async fn status(&self, id: &UploadId, ticket: Option<&str>) -> Result<UploadStatus> {
        self.uploads().status(id, ticket).await
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        self.shared.check_deletes()?;
        self.descriptors.clear(digest).await
    }
}
