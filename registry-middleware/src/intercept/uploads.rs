//! Interception of the writer of an upload session.

use std::num::NonZeroU64;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use registry_core::{BlobWriter, Descriptor, Digest, Result, UploadId, UploadStatus};

use super::{Operation, Running, Site, Target};

/// A writer that keeps the call open that handed it out.
#[derive(Debug)]
pub(super) struct Writer {
    inner: Box<dyn BlobWriter>,
    site: Site,
    opened: Running,
}

impl Writer {
    pub(super) fn new(inner: Box<dyn BlobWriter>, site: Site, opened: Running) -> Self {
        Self { inner, site, opened }
    }

    fn target(&self) -> Target {
        Target::Upload(self.inner.id().clone())
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl BlobWriter for Writer {
    fn id(&self) -> &UploadId {
        self.inner.id()
    }

    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn started_at(&self) -> SystemTime {
        self.inner.started_at()
    }

    fn min_chunk_size(&self) -> Option<NonZeroU64> {
        self.inner.min_chunk_size()
    }

    fn expect(&mut self, digest: &Digest) {
        self.inner.expect(digest);
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        let target = self.target();
        let call = self.site.enter(Operation::UploadWrite, target).await?;
        call.finish(self.inner.write(data).await)
    }

    async fn close(self: Box<Self>) -> Result<u64> {
        let target = self.target();
        let Self { inner, site, opened } = *self;
        let call = site.enter(Operation::UploadClose, target).await?;
        opened.finish(call.finish(inner.close().await))
    }

    async fn detach(self: Box<Self>) -> Result<UploadStatus> {
        let target = self.target();
        let Self { inner, site, opened } = *self;
        let call = site.enter(Operation::UploadClose, target).await?;
        opened.finish(call.finish(inner.detach().await))
    }

    async fn commit(self: Box<Self>, expected: &Digest) -> Result<Descriptor> {
        let Self { inner, site, opened } = *self;
        let call = site.enter(Operation::UploadCommit, Target::Digest(expected.clone())).await?;
        opened.finish(call.finish(inner.commit(expected).await))
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        let target = self.target();
        let Self { inner, site, opened } = *self;
        let call = site.enter(Operation::UploadCancel, target).await?;
        opened.finish(call.finish(inner.cancel().await))
    }
}
