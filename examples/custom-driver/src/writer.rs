//! A file that is written piece by piece.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use registry_core::{Batch, Detached, FileWriter, StorageError, StoragePath};
use tokio::task::JoinHandle;

use crate::log::Record;
use crate::{LogDriver, NAME, PIECE, failed, lock};

/// That somebody writes to a file. It ends with the last clone.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    driver: LogDriver,
    path: StoragePath,
}

impl Claim {
    pub(crate) fn new(driver: &LogDriver, path: &StoragePath) -> Result<Self, StorageError> {
        if !lock(&driver.shared.being_written).insert(path.clone()) {
            return Err(StorageError::Busy { driver: NAME, path: path.clone() });
        }
        Ok(Self { held: Arc::new(Held { driver: driver.clone(), path: path.clone() }) })
    }

    pub(crate) fn path(&self) -> &StoragePath {
        &self.held.path
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.driver.shared.being_written).remove(&self.path);
    }
}

/// The writer of one file.
#[derive(Debug)]
pub(crate) struct LogWriter {
    claim: Claim,
    size: u64,
    pending: BytesMut,
    /// What goes on on another thread. If whoever waited for it gives up, the next call waits.
    under_way: Option<JoinHandle<Result<(), StorageError>>>,
}

impl LogWriter {
    pub(crate) fn new(claim: Claim, size: u64) -> Self {
        Self { claim, size, pending: BytesMut::new(), under_way: None }
    }

    /// Does something with what is pending, after everything that is under way.
    async fn flush<F>(&mut self, then: F) -> Result<(), StorageError>
    where
        F: FnOnce(&LogDriver, &StoragePath) -> Result<(), StorageError> + Send + 'static,
    {
        self.settle().await?;
        let pending = std::mem::take(&mut self.pending);
        // The claim goes along: nobody else writes to the file before this is over.
        let claim = self.claim.clone();
        self.under_way = Some(tokio::task::spawn_blocking(move || {
            let Held { driver, path } = &*claim.held;
            if !pending.is_empty() {
                driver.log().append(Record::append(path, pending.len()), &pending)?;
            }
            then(driver, path)
        }));
        self.settle().await
    }

    async fn settle(&mut self) -> Result<(), StorageError> {
        let Some(task) = &mut self.under_way else { return Ok(()) };
        let done = task.await.map_err(|error| failed("writing", io::Error::other(error)));
        self.under_way = None;
        done?
    }
}

#[async_trait]
impl FileWriter for LogWriter {
    fn size(&self) -> u64 {
        self.size
    }

    /// Appending is all a log can do: there is no better place for the content than at its end.
    fn destined_for(&mut self, _: &StoragePath) {}

    async fn write(&mut self, data: Bytes) -> Result<(), StorageError> {
        self.size += data.len() as u64;
        self.pending.extend_from_slice(&data);
        if self.pending.len() as u64 >= PIECE { self.flush(|_, _| Ok(())).await } else { Ok(()) }
    }

    async fn close(mut self: Box<Self>) -> Result<u64, StorageError> {
        self.flush(|driver, _| {
            let file = Arc::clone(driver.log().file());
            file.sync_data().map_err(|error| failed("syncing", error))
        })
        .await?;
        Ok(self.size)
    }

    async fn detach(self: Box<Self>) -> Result<Detached, StorageError> {
        Ok(Detached::stored(self.close().await?))
    }

    async fn commit(mut self: Box<Self>, then: Batch) -> Result<u64, StorageError> {
        self.flush(move |driver, _| {
            let applied = driver.apply_now(then);
            let file = Arc::clone(driver.log().file());
            file.sync_data().map_err(|error| failed("syncing", error))?;
            applied
        })
        .await?;
        Ok(self.size)
    }

    async fn cancel(mut self: Box<Self>) -> Result<(), StorageError> {
        self.pending.clear();
        self.flush(|driver, path| driver.log().append(Record::delete(path), &[])).await
    }
}
