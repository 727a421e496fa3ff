//! The blobs of one repository.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use registry_core::{
    Blob, BlobBody, BlobDescriptors, BlobStore, BlobWriter, ByteRange, Descriptor, Digest, Error, GetBlob,
    GlobalBlobs, MountSource, RepositoryName, Result, StartUpload, UploadId, UploadStart, UploadStatus,
};

use crate::global::ContentStore;
use crate::namespace::Shared;
use crate::remembered::Arrival;
use crate::uploads::Uploads;
use crate::{layout, link};

/// The blobs that a repository shows.
#[derive(Debug)]
pub(crate) struct Blobs {
    shared: Arc<Shared>,
    name: RepositoryName,
    descriptors: Arc<dyn BlobDescriptors>,
    content: ContentStore,
}

impl Blobs {
    pub(crate) fn new(
        shared: Arc<Shared>,
        name: RepositoryName,
        descriptors: Arc<dyn BlobDescriptors>,
        content: ContentStore,
    ) -> Self {
        Self { shared, name, descriptors, content }
    }

    fn uploads(&self) -> Uploads {
        Uploads::new(Arc::clone(&self.shared), self.name.clone(), Arc::clone(&self.descriptors))
    }

    /// The stored content that a mount is about. Where the source repository has the blob under another
    /// digest than the content, its link says so.
    async fn mount_target(&self, source: &MountSource) -> Result<Option<Arrival>> {
        let digest = &source.descriptor.digest;
        if let Some(from) = &source.from
            && self.shared.remembers_links()
            && let Some(found) = self.shared.arrivals.take_source(from, digest)
        {
            return Ok(Some(found));
        }
        let content = self.shared.content.deciding();
        if let Some(found) = content.stat(digest).await? {
            return Ok(Some(Arrival::now(found)));
        }
        let Some(path) = source.from.as_ref().and_then(|from| layout::layer_link(from, digest)) else {
            return Ok(None);
        };
        match link::read(self.shared.driver.as_ref(), &path).await? {
            Some(target) => Ok(content.stat(&target).await?.map(Arrival::now)),
            None => Ok(None),
        }
    }

    fn unknown(&self, digest: &Digest) -> Error {
        Error::BlobUnknown { repository: self.name.clone(), digest: digest.clone() }
    }

    /// A blob of a store where each question is a round trip: if the repository was seen to show it a while
    /// ago, the read is all there is; otherwise link and content are asked for side by side.
    async fn get_at_once(&self, digest: &Digest, range: Option<ByteRange>) -> Result<Blob> {
        if let Some(content) = self.content.seen(&self.name, digest).await {
            if let Some(blob) = self.content.open(&content.digest, range).await? {
                return Ok(blob);
            }
            self.shared.unlinked(&self.name, digest).await;
            return Err(self.unknown(digest));
        }
        let path = layout::layer_link(&self.name, digest).ok_or_else(|| self.unknown(digest))?;
        let link = link::read(self.shared.driver.as_ref(), &path);
        let (target, opened) = futures::join!(link, self.content.open(digest, range));
        let target = target?.ok_or_else(|| self.unknown(digest))?;
        let opened = if target == *digest { opened? } else { self.content.open(&target, range).await? };
        let blob = opened.ok_or_else(|| self.unknown(digest))?;
        if self.content.trusts() {
            self.content.remember(&blob.descriptor).await;
            self.content.linked(&self.name, digest, &blob.descriptor).await;
        }
        Ok(blob)
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
        // Clients decide by HEAD what they need not push, so it is not answered by what was seen before.
        let head = options.redirect.as_ref().is_some_and(|hint| hint.method == Method::HEAD);
        let redirects = self.shared.redirects && options.redirect.is_some();
        if self.shared.remembers_links() && !redirects && !head {
            let blob = self.get_at_once(digest, options.range).await?;
            return Ok(Blob { descriptor: named(blob.descriptor, digest), ..blob });
        }
        let seen = match self.shared.remembers_links() && !head {
            true => self.content.seen(&self.name, digest).await,
            false => None,
        };
        let content = match seen {
            Some(content) => content,
            None => {
                let content = self.descriptors.stat(digest).await?;
                if self.shared.remembers_links() && self.content.trusts() {
                    self.content.linked(&self.name, digest, &content).await;
                }
                content
            }
        };
        if self.shared.redirects
            && let Some(hint) = &options.redirect
            && content.size >= options.redirect_from
            && let Some(path) = layout::blob_data(&content.digest)
            && let Some(uri) = self.shared.driver.redirect_url(&path, hint).await?
        {
            let range = 0..content.size;
            return Ok(Blob { descriptor: named(content, digest), range, body: BlobBody::Redirect(uri) });
        }
        if head {
            let body = BlobBody::Bytes(Bytes::new());
            return Ok(Blob { descriptor: named(content, digest), range: 0..0, body });
        }
        let blob = self.shared.content.open(&content.digest, options.range).await?;
        let blob = blob.ok_or_else(|| self.unknown(digest))?;
        Ok(Blob { descriptor: named(blob.descriptor, digest), ..blob })
    }

    async fn start(&self, options: StartUpload) -> Result<UploadStart> {
        if let Some(source) = &options.mount
            && let Some(found) = self.mount_target(source).await?
        {
            let (digest, content) = (&source.descriptor.digest, found.content.clone());
            self.descriptors.set(digest, &content).await?;
            self.shared.linked(&self.name, digest, found).await;
            return Ok(UploadStart::Mounted(named(content, digest)));
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
