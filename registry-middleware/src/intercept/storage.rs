//! Interception at the storage hook.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::Uri;
use registry_core::{
    Batch, BuildError, ByteRange, Content, Detached, Error, FileWriter, ListPage, ListRequest, Metadata,
    RedirectHint, Shape, StorageDriver, StorageError, StorageMiddleware, StoragePath, WriteMode,
};

use super::{Interceptor, Operation, Running, Site, Target};

/// Shows an [`Interceptor`] every call of the storage driver below.
#[derive(Debug, Clone)]
pub struct InterceptStorage {
    interceptor: Arc<dyn Interceptor>,
}

impl InterceptStorage {
    /// Shows calls to this interceptor.
    pub fn new(interceptor: Arc<dyn Interceptor>) -> Self {
        Self { interceptor }
    }

    /// Puts this around a driver; cannot fail.
    pub fn around(&self, inner: Arc<dyn StorageDriver>) -> Arc<dyn StorageDriver> {
        Arc::new(Driver { inner, site: Site::new(Arc::clone(&self.interceptor)) })
    }
}

#[async_trait]
impl StorageMiddleware for InterceptStorage {
    async fn wrap(&self, inner: Arc<dyn StorageDriver>) -> Result<Arc<dyn StorageDriver>, BuildError> {
        Ok(self.around(inner))
    }
}

/// Begins a call; a refusal becomes a storage error.
async fn enter(
    site: &Site,
    driver: &'static str,
    operation: Operation,
    target: Target,
) -> Result<Running, StorageError> {
    site.enter(operation, target).await.map_err(|refused| match refused {
        Error::Storage(error) => error,
        other => StorageError::Backend { driver, operation: operation.as_str(), source: Box::new(other) },
    })
}

#[derive(Debug)]
struct Driver {
    inner: Arc<dyn StorageDriver>,
    site: Site,
}

impl Driver {
    async fn enter(&self, operation: Operation, path: &StoragePath) -> Result<Running, StorageError> {
        enter(&self.site, self.inner.name(), operation, Target::Path(path.clone())).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl StorageDriver for Driver {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn shape(&self) -> Shape {
        self.inner.shape()
    }

    async fn get(&self, path: &StoragePath, limit: u64) -> Result<Bytes, StorageError> {
        let call = self.enter(Operation::DriverGet, path).await?;
        call.finish(self.inner.get(path, limit).await)
    }

    async fn reader(&self, path: &StoragePath, range: Option<ByteRange>) -> Result<Content, StorageError> {
        let call = self.enter(Operation::DriverReader, path).await?;
        match self.inner.reader(path, range).await {
            Ok(content) => Ok(call.follow_content(content)),
            failed => call.finish(failed),
        }
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata, StorageError> {
        let call = self.enter(Operation::DriverStat, path).await?;
        call.finish(self.inner.stat(path).await)
    }

    async fn list(&self, dir: &StoragePath, request: &ListRequest) -> Result<ListPage, StorageError> {
        let call = self.enter(Operation::DriverList, dir).await?;
        call.finish(self.inner.list(dir, request).await)
    }

    async fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        let target = Target::Batch(batch.clone());
        let call = enter(&self.site, self.inner.name(), Operation::DriverApply, target).await?;
        call.finish(self.inner.apply(batch).await)
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>, StorageError> {
        let call = self.enter(Operation::DriverWriter, path).await?;
        match self.inner.writer(path, mode).await {
            Ok(inner) => Ok(Box::new(Writer {
                inner,
                opened: call,
                site: self.site.clone(),
                driver: self.inner.name(),
                path: path.clone(),
            })),
            failed => call.finish(failed),
        }
    }

    async fn redirect_url(
        &self,
        path: &StoragePath,
        hint: &RedirectHint,
    ) -> Result<Option<Uri>, StorageError> {
        let call = self.enter(Operation::DriverRedirectUrl, path).await?;
        call.finish(self.inner.redirect_url(path, hint).await)
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
    opened: Running,
    site: Site,
    driver: &'static str,
    path: StoragePath,
}

impl Writer {
    fn target(&self) -> Target {
        Target::Path(self.path.clone())
    }
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
        let call = enter(&self.site, self.driver, Operation::FileWrite, self.target()).await?;
        call.finish(self.inner.write(data).await)
    }

    async fn close(self: Box<Self>) -> Result<u64, StorageError> {
        let call = enter(&self.site, self.driver, Operation::FileClose, self.target()).await?;
        let Self { inner, opened, .. } = *self;
        opened.finish(call.finish(inner.close().await))
    }

    async fn detach(self: Box<Self>) -> Result<Detached, StorageError> {
        let call = enter(&self.site, self.driver, Operation::FileClose, self.target()).await?;
        let Self { inner, opened, .. } = *self;
        opened.finish(call.finish(inner.detach().await))
    }

    async fn commit(self: Box<Self>, then: Batch) -> Result<u64, StorageError> {
        let target = Target::Batch(then.clone());
        let call = enter(&self.site, self.driver, Operation::FileCommit, target).await?;
        let Self { inner, opened, .. } = *self;
        opened.finish(call.finish(inner.commit(then).await))
    }

    async fn cancel(self: Box<Self>) -> Result<(), StorageError> {
        let call = enter(&self.site, self.driver, Operation::FileCancel, self.target()).await?;
        let Self { inner, opened, .. } = *self;
        opened.finish(call.finish(inner.cancel().await))
    }
}
