//! Conveniences for callers of a driver.

use async_trait::async_trait;
use bytes::Bytes;

use super::{Batch, Entry, ListMode, ListRequest, Metadata, StorageDriver, StoragePath};
use crate::error::StorageError;

/// What callers of a driver would otherwise write again and again. Implemented for every driver.
#[async_trait]
pub trait StorageDriverExt: StorageDriver {
    /// Writes a whole file durably, replacing what was there.
    async fn put(&self, path: &StoragePath, content: Bytes) -> Result<(), StorageError> {
        self.apply(Batch::new().put(path.clone(), content)).await
    }

    /// Removes a file or directory durably; nothing there is no error.
    async fn delete(&self, path: &StoragePath) -> Result<(), StorageError> {
        self.apply(Batch::new().delete(path.clone())).await
    }

    /// The whole of a small file, or `None` if there is none.
    async fn get_if_present(&self, path: &StoragePath, limit: u64) -> Result<Option<Bytes>, StorageError> {
        absent_as_none(self.get(path, limit).await)
    }

    /// What is at a path, or `None`.
    async fn stat_if_present(&self, path: &StoragePath) -> Result<Option<Metadata>, StorageError> {
        absent_as_none(self.stat(path).await)
    }

    /// Whether something is at a path.
    async fn exists(&self, path: &StoragePath) -> Result<bool, StorageError> {
        Ok(self.stat_if_present(path).await?.is_some())
    }

    /// All entries of a listing, read page by page. For directories whose size is bounded by other
    /// means, and for tests.
    async fn list_all(&self, dir: &StoragePath, mode: ListMode) -> Result<Vec<Entry>, StorageError> {
        const PAGE: usize = 1000;
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let after = entries.last().map(|entry| entry.name.clone());
            let page = self.list(dir, &ListRequest { mode, after, limit: PAGE }).await?;
            entries.extend(page.entries);
            if !page.more {
                return Ok(entries);
            }
        }
    }
}

impl<T: StorageDriver + ?Sized> StorageDriverExt for T {}

fn absent_as_none<T>(result: Result<T, StorageError>) -> Result<Option<T>, StorageError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
