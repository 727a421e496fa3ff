//! A driver that stands for a bucket.

use std::net::IpAddr;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Uri};
use registry_core::{
    Batch, ByteRange, Content, FileWriter, ListPage, ListRequest, Metadata, RedirectHint, Shape,
    StorageDriver, StorageError, StoragePath, WriteMode,
};

use crate::testing::Memory;

pub(super) const BLOB: &str = "/docker/registry/v2/blobs/sha256/4a/4a60/data";

/// Memory, with objects in a bucket if there is a prefix for their names.
#[derive(Debug)]
pub(super) struct Bucket {
    files: Memory,
    prefix: Option<&'static str>,
}

impl Bucket {
    /// Knows neither URLs nor objects.
    pub(super) fn tree() -> Self {
        Self { files: Memory::default(), prefix: None }
    }

    /// Has its objects below `images`.
    pub(super) fn with_urls() -> Self {
        Self::below("images/")
    }

    pub(super) fn below(prefix: &'static str) -> Self {
        Self { files: Memory::default(), prefix: Some(prefix) }
    }
}

/// The URL of a blob for a client there.
pub(super) async fn ask(driver: &dyn StorageDriver, client: Option<&str>) -> Option<String> {
    let client: Option<IpAddr> = client.map(|address| address.parse().unwrap());
    let hint = RedirectHint::new(Method::GET, client);
    let url = driver.redirect_url(&StoragePath::parse(BLOB).unwrap(), &hint).await.unwrap();
    url.map(|url| url.to_string())
}

#[async_trait]
impl StorageDriver for Bucket {
    fn name(&self) -> &'static str {
        "bucket"
    }

    fn shape(&self) -> Shape {
        self.files.shape()
    }

    async fn get(&self, path: &StoragePath, limit: u64) -> Result<Bytes, StorageError> {
        self.files.get(path, limit).await
    }

    async fn reader(&self, path: &StoragePath, range: Option<ByteRange>) -> Result<Content, StorageError> {
        self.files.reader(path, range).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata, StorageError> {
        self.files.stat(path).await
    }

    async fn list(&self, dir: &StoragePath, request: &ListRequest) -> Result<ListPage, StorageError> {
        self.files.list(dir, request).await
    }

    async fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        self.files.apply(batch).await
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>, StorageError> {
        self.files.writer(path, mode).await
    }

    async fn redirect_url(&self, path: &StoragePath, _: &RedirectHint) -> Result<Option<Uri>, StorageError> {
        let signed = |key: String| format!("https://bucket.s3.example/{key}?signed=1").parse().unwrap();
        Ok(self.object_key(path).map(signed))
    }

    async fn sweep(&self, _: SystemTime, _: bool) -> Result<u64, StorageError> {
        Ok(0)
    }

    fn object_key(&self, path: &StoragePath) -> Option<String> {
        self.prefix.map(|prefix| format!("{prefix}{}", path.relative()))
    }
}
