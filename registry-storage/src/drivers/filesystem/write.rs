//! Writing a file piece by piece.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use registry_core::{Batch, Detached, FileWriter, StorageError, StoragePath, WriteMode};
use tokio::task::JoinHandle;

use super::{Failure, NAME, Shared, batch, io_error};

/// So much makes a write worth while.
const WRITE_BYTES: usize = 64 * 1024;

/// So much makes a hand-over to a blocking thread worth while.
const HAND_OVER_BYTES: usize = 256 * 1024;

/// No more pieces than this are collected.
const MOST_PIECES: usize = 256;

/// Opens a file for a single writer, at its end. Returns it with its length.
///
/// Whoever has the lock on the file is its writer, in this process or in another; the lock goes with
/// the file when it is moved or closed, also by a crash.
pub(super) fn open(location: &Path, path: &StoragePath, mode: WriteMode) -> Result<(File, u64), Failure> {
    if let WriteMode::Continue(_) = mode {
        let operation = "continuing with a ticket";
        return Err(StorageError::Unsupported { driver: NAME, operation }.into());
    }
    let open = || OpenOptions::new().write(true).create(mode == WriteMode::Truncate).open(location);
    let mut file = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound && mode == WriteMode::Truncate => {
            if let Some(parent) = location.parent() {
                fs::create_dir_all(parent)?;
            }
            open()?
        }
        result => result?,
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StorageError::Busy { driver: NAME, path: path.clone() }.into());
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    // Between opening and locking the writer before us may have moved the file to where nobody may
    // write to it any more.
    let (ours, there) = (file.metadata()?, fs::metadata(location)?);
    if (ours.dev(), ours.ino()) != (there.dev(), there.ino()) {
        return Err(StorageError::NotFound { driver: NAME, path: path.clone() }.into());
    }
    let mut size = ours.len();
    if size > 0 && mode == WriteMode::Truncate {
        file.set_len(0)?;
        size = 0;
    } else if size > 0 {
        size = file.seek(SeekFrom::End(0))?;
    }
    Ok((file, size))
}

/// An open file.
///
/// What arrives is written where the caller is, while it is in that core's cache; or, where that may not
/// be, on a blocking thread, while the next is being collected.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    path: StoragePath,
    file: Arc<File>,
    size: u64,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    under_way: Option<JoinHandle<io::Result<()>>>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, path: StoragePath, file: File, size: u64) -> Self {
        Self {
            shared,
            path,
            file: Arc::new(file),
            size,
            waiting: Vec::new(),
            waiting_bytes: 0,
            under_way: None,
        }
    }

    /// Writes what is waiting, here or on a blocking thread.
    async fn flush(&mut self) -> Result<(), StorageError> {
        if self.under_way.as_ref().is_some_and(JoinHandle::is_finished) {
            self.settle().await?;
        }
        if self.under_way.is_none() {
            let write = || write_all(&self.file, &self.waiting);
            if let Ok(written) = self.shared.in_place.run(write) {
                self.waiting.clear();
                self.waiting_bytes = 0;
                return written.map_err(|error| io_error("write", &self.path, error));
            }
        }
        if self.waiting_bytes < HAND_OVER_BYTES && self.waiting.len() < MOST_PIECES {
            return Ok(());
        }
        self.settle().await?;
        let (file, waiting) = (Arc::clone(&self.file), std::mem::take(&mut self.waiting));
        self.waiting_bytes = 0;
        self.under_way = Some(tokio::task::spawn_blocking(move || write_all(&file, &waiting)));
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), StorageError> {
        match self.under_way.take() {
            None => Ok(()),
            Some(write) => match write.await {
                Ok(result) => result.map_err(|error| io_error("write", &self.path, error)),
                Err(error) => {
                    Err(StorageError::Backend { driver: NAME, operation: "write", source: error.into() })
                }
            },
        }
    }

    /// What is left to be done before the file can be synced, for a blocking thread.
    async fn rest(&mut self) -> Result<impl FnOnce() -> io::Result<Arc<File>> + Send + use<>, StorageError> {
        self.settle().await?;
        let (file, waiting) = (Arc::clone(&self.file), std::mem::take(&mut self.waiting));
        Ok(move || {
            write_all(&file, &waiting)?;
            Ok(file)
        })
    }
}

/// Writes all of several pieces at the position of the file.
fn write_all(mut file: &File, pieces: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut rest = slices.as_mut_slice();
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[async_trait]
impl FileWriter for Writer {
    fn size(&self) -> u64 {
        self.size
    }

    fn destined_for(&mut self, _: &StoragePath) {}

    async fn write(&mut self, data: Bytes) -> Result<(), StorageError> {
        self.size += data.len() as u64;
        self.waiting_bytes += data.len();
        self.waiting.push(data);
        if self.waiting_bytes >= WRITE_BYTES || self.waiting.len() >= MOST_PIECES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn close(mut self: Box<Self>) -> Result<u64, StorageError> {
        let rest = self.rest().await?;
        let path = self.path.clone();
        self.shared.blocking("write", &self.path, move |shared, _| shared.sync_file(&path, rest()?)).await?;
        Ok(self.size)
    }

    async fn detach(self: Box<Self>) -> Result<Detached, StorageError> {
        Ok(Detached::stored(self.close().await?))
    }

    async fn commit(mut self: Box<Self>, then: Batch) -> Result<u64, StorageError> {
        let rest = self.rest().await?;
        let path = self.path.clone();
        self.shared
            .blocking("write", &self.path, move |shared, location| {
                let file = rest()?;
                let moved = then.renames(&path);
                batch::apply(shared, then, Some(Arc::clone(&file)))?;
                // A file that stays where it is has to be durable there.
                if !moved && location.exists() {
                    shared.sync_file(&path, file)?;
                }
                Ok(())
            })
            .await?;
        Ok(self.size)
    }

    async fn cancel(mut self: Box<Self>) -> Result<(), StorageError> {
        // What is under way must not outlive the lock.
        let _ = self.settle().await;
        self.shared
            .blocking("delete", &self.path, |_, location| match fs::remove_file(location) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
                _ => Ok(()),
            })
            .await
    }
}
