//! Writing a file piece by piece.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
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
    /// Whether something could not be written, so that nothing may come after it.
    broken: bool,
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
            broken: false,
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
                return written.map_err(|error| self.breaks(error));
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
            Some(write) => {
                write.await.map_err(io::Error::other).flatten().map_err(|error| self.breaks(error))
            }
        }
    }

    /// Drops what has not been written: its place is after what could not be.
    fn breaks(&mut self, error: io::Error) -> StorageError {
        self.broken = true;
        self.waiting.clear();
        self.waiting_bytes = 0;
        io_error("write", &self.path, error)
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
        let sync = move |shared: &Shared, location: PathBuf| {
            let file = rest()?;
            shared.sync_file(&path, &location, Arc::clone(&file))?;
            Ok(file.metadata()?.len())
        };
        // After a failure fewer bytes are there than were accepted.
        self.shared.blocking("write", &self.path, sync).await
    }

    async fn detach(self: Box<Self>) -> Result<Detached, StorageError> {
        Ok(Detached::stored(self.close().await?))
    }

    async fn commit(mut self: Box<Self>, then: Batch) -> Result<u64, StorageError> {
        let rest = self.rest().await?;
        if self.broken {
            let source = "what came before could not be written".into();
            return Err(StorageError::Backend { driver: NAME, operation: "write", source });
        }
        let path = self.path.clone();
        self.shared
            .blocking("write", &self.path, move |shared, location| {
                let file = rest()?;
                let moved = then.renames(&path);
                batch::apply(shared, then, Some((Arc::clone(&file), location.clone())))?;
                // A file that stays where it is has to be durable there.
                if !moved && location.exists() {
                    shared.sync_file(&path, &location, file)?;
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

#[cfg(test)]
mod tests {
    //! Files that fail below: one that is open for reading cannot be written to, `/dev/null` cannot be synced.

    use super::*;

    fn writer(root: &Path, file: File) -> Box<Writer> {
        let path = StoragePath::parse("/data").unwrap();
        Box::new(Writer::new(Arc::new(Shared::new(root.to_owned(), 25)), path, file, 0))
    }

    fn piece() -> Bytes {
        vec![b'x'; HAND_OVER_BYTES].into()
    }

    /// In place on a runtime with threads to spare, and by being handed over on one without.
    fn on_either_runtime<F: Future<Output = ()>>(test: impl Fn() -> F) {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap().block_on(test());
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test());
    }

    #[test]
    fn nothing_is_written_after_what_could_not_be() {
        on_either_runtime(|| async {
            let root = tempfile::tempdir().unwrap();
            let location = root.path().join("data");
            std::fs::write(&location, "").unwrap();
            let mut writer = writer(root.path(), File::open(&location).unwrap());
            let mut accepted = 0;
            while writer.write(piece()).await.is_ok() {
                accepted += 1;
                assert!(accepted < 10, "the failure is told");
            }
            // There is room again.
            writer.file = Arc::new(OpenOptions::new().append(true).open(&location).unwrap());
            assert_eq!(writer.close().await.unwrap(), 0, "as much as is there");
            assert_eq!(std::fs::metadata(&location).unwrap().len(), 0);
        });
    }

    #[test]
    fn what_could_not_be_written_is_not_committed() {
        on_either_runtime(|| async {
            let root = tempfile::tempdir().unwrap();
            let location = root.path().join("data");
            std::fs::write(&location, "").unwrap();
            let mut writer = writer(root.path(), File::open(&location).unwrap());
            while writer.write(piece()).await.is_ok() {}
            let to = StoragePath::parse("/blob").unwrap();
            let then = Batch::new().rename(StoragePath::parse("/data").unwrap(), to);
            assert!(writer.commit(then).await.is_err());
            assert!(!root.path().join("blob").exists());
        });
    }

    /// The kernel reports once that it could not write, and then counts the pages as clean.
    #[tokio::test]
    async fn what_could_not_be_synced_once_is_not_gone_on_with() {
        for commit in [false, true] {
            let root = tempfile::tempdir().unwrap();
            let location = root.path().join("data");
            std::fs::write(&location, "hello").unwrap();
            let null = OpenOptions::new().write(true).open("/dev/null").unwrap();
            let mut writer = writer(root.path(), null);
            writer.write("hello".into()).await.unwrap();
            let ended = if commit { writer.commit(Batch::new()).await } else { writer.close().await };
            assert!(ended.is_err());
            assert!(!location.exists(), "whoever goes on with it finds out");
        }
    }
}
