//! The driver and its writers, with counting around them.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::Uri;
use registry_core::{
    Batch, ByteRange, Content, Detached, FileWriter, ListPage, ListRequest, Metadata, RedirectHint, Shape,
    StorageDriver, StorageError, StoragePath, WriteMode,
};

use super::{Action, Numbers};

/// A counted driver.
#[derive(Debug)]
pub(super) struct Counted {
    inner: Arc<dyn StorageDriver>,
    numbers: Arc<Numbers>,
}

impl Counted {
    pub(super) fn new(inner: Arc<dyn StorageDriver>, numbers: Arc<Numbers>) -> Self {
        Self { inner, numbers }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl StorageDriver for Counted {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn shape(&self) -> Shape {
        self.inner.shape()
    }

    async fn get(&self, path: &StoragePath, limit: u64) -> Result<Bytes, StorageError> {
        let call = self.numbers.begin(Action::GetContent);
        call.end(self.inner.get(path, limit).await)
    }

    async fn reader(&self, path: &StoragePath, range: Option<ByteRange>) -> Result<Content, StorageError> {
        let call = self.numbers.begin(Action::Reader);
        call.end(self.inner.reader(path, range).await)
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata, StorageError> {
        let call = self.numbers.begin(Action::Stat);
        call.end(self.inner.stat(path).await)
    }

    async fn list(&self, dir: &StoragePath, request: &ListRequest) -> Result<ListPage, StorageError> {
        let call = self.numbers.begin(Action::List);
        call.end(self.inner.list(dir, request).await)
    }

    async fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        let call = self.numbers.begin(Action::of(&batch));
        call.end(self.inner.apply(batch).await)
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>, StorageError> {
        let call = self.numbers.begin(Action::Writer);
        let inner = call.end(self.inner.writer(path, mode).await)?;
        Ok(Box::new(Writer { inner, numbers: Arc::clone(&self.numbers) }))
    }

    async fn redirect_url(
        &self,
        path: &StoragePath,
        hint: &RedirectHint,
    ) -> Result<Option<Uri>, StorageError> {
        let call = self.numbers.begin(Action::RedirectUrl);
        call.end(self.inner.redirect_url(path, hint).await)
    }

    async fn sweep(&self, before: SystemTime, dry_run: bool) -> Result<u64, StorageError> {
        self.inner.sweep(before, dry_run).await
    }

    fn object_key(&self, path: &StoragePath) -> Option<String> {
        self.inner.object_key(path)
    }
}

#[derive(Debug)]
struct Writer {
    inner: Box<dyn FileWriter>,
    numbers: Arc<Numbers>,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl FileWriter for Writer {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn destined_for(&mut self, path: &StoragePath) {
        self.inner.destined_for(path);
    }

    async fn write(&mut self, data: Bytes) -> Result<(), StorageError> {
        let (call, length) = (self.numbers.begin(Action::Write), data.len());
        call.end(self.inner.write(data).await)?;
        self.numbers.written.add(length as u64);
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<u64, StorageError> {
        let Self { inner, numbers } = *self;
        let call = numbers.begin(Action::Close);
        call.end(inner.close().await)
    }

    async fn detach(self: Box<Self>) -> Result<Detached, StorageError> {
        let Self { inner, numbers } = *self;
        let call = numbers.begin(Action::Close);
        call.end(inner.detach().await)
    }

    async fn commit(self: Box<Self>, then: Batch) -> Result<u64, StorageError> {
        let Self { inner, numbers } = *self;
        let call = numbers.begin(Action::Commit);
        call.end(inner.commit(then).await)
    }

    async fn cancel(self: Box<Self>) -> Result<(), StorageError> {
        let Self { inner, numbers } = *self;
        let call = numbers.begin(Action::Cancel);
        call.end(inner.cancel().await)
    }
}
