//! The driver over a bucket.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::Uri;
use registry_core::{
    Batch, ByteRange, Content, FileWriter, ListPage, ListRequest, Metadata, RedirectHint, Shape,
    StorageDriver, StorageError, StoragePath, WriteMode,
};

use super::counts::{CallCount, Counted};
use super::errors::storage_error;
use super::names::Names;
use super::options::BucketOptions;
use super::store::{Bucket, BucketError};
use super::write::{self, Budget, Ended};
use super::{apply, list, read, sweep};

/// Keeps files as objects of a bucket, under the keys that Distribution gives them.
///
/// Clones share the same bucket, and what is known of it.
#[derive(Clone)]
pub struct BucketDriver(Arc<Shared>);

/// What everything that the driver hands out has in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) bucket: Counted,
    pub(super) names: Names,
    pub(super) budget: Arc<Budget>,
    /// Uploads in parts that were asked to become objects here.
    pub(super) ended: Ended,
    open: Mutex<HashSet<StoragePath>>,
}

/// That a file is open for writing, until this is dropped.
pub(super) struct Open {
    shared: Arc<Shared>,
    path: StoragePath,
}

impl Shared {
    pub(super) fn driver(&self) -> &'static str {
        self.bucket.name()
    }

    /// Turns an error of the bucket into one of the driver.
    pub(super) fn failed(
        &self,
        operation: &'static str,
        path: &StoragePath,
    ) -> impl Fn(BucketError) -> StorageError + use<> {
        let (driver, path) = (self.driver(), path.clone());
        move |error| storage_error(driver, operation, &path, error)
    }

    pub(super) fn not_found(&self, path: &StoragePath) -> StorageError {
        StorageError::NotFound { driver: self.driver(), path: path.clone() }
    }

    pub(super) fn busy(&self, path: &StoragePath) -> StorageError {
        StorageError::Busy { driver: self.driver(), path: path.clone() }
    }

    /// Takes a file for the one who writes it.
    pub(super) fn open(self: &Arc<Self>, path: &StoragePath) -> Result<Open, StorageError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.insert(path.clone()) {
            return Err(self.busy(path));
        }
        Ok(Open { shared: Arc::clone(self), path: path.clone() })
    }

    /// Whether a file is open for writing in this process.
    pub(super) fn is_open(&self, path: &StoragePath) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Open").field(&self.path).finish()
    }
}

impl BucketDriver {
    pub(super) fn over(bucket: Arc<dyn Bucket>, options: &BucketOptions) -> Self {
        Self(Arc::new(Shared {
            bucket: Counted::new(bucket),
            names: Names::new(&options.root),
            budget: Budget::new(options.memory),
            ended: Ended::default(),
            open: Mutex::default(),
        }))
    }

    /// How often the bucket was asked what.
    pub fn calls(&self) -> Vec<CallCount> {
        self.0.bucket.counts()
    }

    /// How many bytes of uploads are in memory, and how many were at most.
    pub fn memory(&self) -> (u64, u64) {
        self.0.budget.used()
    }
}

#[async_trait]
impl StorageDriver for BucketDriver {
    fn name(&self) -> &'static str {
        self.0.driver()
    }

    fn shape(&self) -> Shape {
        Shape::Flat
    }

    async fn get(&self, path: &StoragePath, limit: u64) -> Result<Bytes, StorageError> {
        read::get(&self.0, path, limit).await
    }

    async fn reader(&self, path: &StoragePath, range: Option<ByteRange>) -> Result<Content, StorageError> {
        read::open(&self.0, path, range).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata, StorageError> {
        read::stat(&self.0, path).await
    }

    async fn list(&self, dir: &StoragePath, request: &ListRequest) -> Result<ListPage, StorageError> {
        list::list(&self.0, dir, request).await
    }

    async fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        apply::apply(&self.0, batch, None).await
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>, StorageError> {
        write::open(&self.0, path, mode).await
    }

    async fn redirect_url(
        &self,
        path: &StoragePath,
        hint: &RedirectHint,
    ) -> Result<Option<Uri>, StorageError> {
        let signed = self.0.bucket.sign(&self.0.names.file(path), hint).await;
        signed.map_err(self.0.failed("sign", path))
    }

    async fn sweep(&self, before: SystemTime, dry_run: bool) -> Result<u64, StorageError> {
        sweep::sweep(&self.0, before, dry_run).await
    }

    fn object_key(&self, path: &StoragePath) -> Option<String> {
        Some(self.0.names.file(path))
    }
}

impl fmt::Debug for BucketDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BucketDriver").field(&self.0.bucket).finish()
    }
}
