//! Need: quota when a layer is completed.
//!
//! Only then its size is known, since a client may upload in chunks and need not say how many. The
//! session is removed along with the refusal, so that what is too large takes no room.

use std::num::NonZeroU64;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use registry::core::{BlobWriter, Descriptor, Digest, Error, Result, UploadId, UploadStatus};
use serde_json::json;

use crate::errors::QUOTA;
use crate::repository::Scope;

/// An upload that is checked before it becomes a blob.
#[derive(Debug)]
pub(crate) struct WithQuota {
    inner: Box<dyn BlobWriter>,
    scope: Scope,
}

impl WithQuota {
    pub(crate) fn new(inner: Box<dyn BlobWriter>, scope: Scope) -> Self {
        Self { inner, scope }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl BlobWriter for WithQuota {
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
        self.inner.write(data).await
    }

    async fn close(self: Box<Self>) -> Result<u64> {
        self.inner.close().await
    }

    async fn detach(self: Box<Self>) -> Result<UploadStatus> {
        self.inner.detach().await
    }

    async fn commit(self: Box<Self>, expected: &Digest) -> Result<Descriptor> {
        let limit = self.scope.find().await?.and_then(|stream| stream.largest_layer);
        let size = self.inner.size();
        if let Some(limit) = limit.filter(|limit| size > *limit) {
            self.inner.cancel().await?;
            let detail = json!({ "size": size, "limit": limit });
            return Err(Error::coded_with(QUOTA, QUOTA.message(), Some(detail), None));
        }
        self.inner.commit(expected).await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        self.inner.cancel().await
    }
}
