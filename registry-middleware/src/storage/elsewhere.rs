//! A driver of which only the URLs are different.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::Uri;
use registry_core::{
    Batch, ByteRange, Content, FileWriter, ListPage, ListRequest, Metadata, RedirectHint, Shape,
    StorageDriver, StorageError, StoragePath, WriteMode,
};

/// Decides which URL a client gets.
#[async_trait]
pub(super) trait Locate: fmt::Debug + Send + Sync + 'static {
    /// The URL, or `None` if the bytes have to come from us.
    async fn locate(
        &self,
        inner: &dyn StorageDriver,
        path: &StoragePath,
        hint: &RedirectHint,
    ) -> Result<Option<Uri>, StorageError>;
}

/// Forwards everything to `inner` but the question for a URL.
#[derive(Debug)]
pub(super) struct Elsewhere<L> {
    inner: Arc<dyn StorageDriver>,
    locate: L,
}

impl<L: Locate> Elsewhere<L> {
    pub(super) fn around(inner: Arc<dyn StorageDriver>, locate: L) -> Arc<dyn StorageDriver> {
        Arc::new(Self { inner, locate })
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: Locate> StorageDriver for Elsewhere<L> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn shape(&self) -> Shape {
        self.inner.shape()
    }

    async fn get(&self, path: &StoragePath, limit: u64) -> Result<Bytes, StorageError> {
        self.inner.get(path, limit).await
    }

    async fn reader(&self, path: &StoragePath, range: Option<ByteRange>) -> Result<Content, StorageError> {
        self.inner.reader(path, range).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata, StorageError> {
        self.inner.stat(path).await
    }

    async fn list(&self, dir: &StoragePath, request: &ListRequest) -> Result<ListPage, StorageError> {
        self.inner.list(dir, request).await
    }

    async fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        self.inner.apply(batch).await
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>, StorageError> {
        self.inner.writer(path, mode).await
    }

    async fn redirect_url(
        &self,
        path: &StoragePath,
        hint: &RedirectHint,
    ) -> Result<Option<Uri>, StorageError> {
        self.locate.locate(self.inner.as_ref(), path, hint).await
    }

    async fn sweep(&self, before: SystemTime, dry_run: bool) -> Result<u64, StorageError> {
        self.inner.sweep(before, dry_run).await
    }

    fn object_key(&self, path: &StoragePath) -> Option<String> {
        self.inner.object_key(path)
    }
}
