//! A storage driver of one's own: everything in one file that only ever grows.
//!
//! [`LogDriver`] writes each change as a record at the end of a log, and remembers in memory where the
//! bytes of which file are. Opening a log reads it once from the beginning. What a power cut left of a
//! record at the end is cut off, so a store is always some beginning of what was done to it, which is
//! all that [`Batch`] asks of the order of its stages.
//!
//! What it shows:
//!
//! - a driver depends on `registry-core` and on no other crate of the registry (`Cargo.toml`);
//! - it proves itself with one line, `registry_conformance::driver_tests!` (`tests/driver.rs`);
//! - a file that lies in one piece is handed out as a [`FileSlice`], for listeners that use `sendfile`;
//! - blocking calls run on threads for them, and go on alone if their caller is dropped. So a writer's
//!   claim on its file lasts until its last call is over.
//!
//! | file | what is there |
//! |---|---|
//! | `log.rs` | records, and the files that they amount to |
//! | `tree.rs` | the files by path, and listings |
//! | `writer.rs` | a file that is written piece by piece |
//!
//! A log is not compacted: deleted content keeps its room until the log is copied. For Unix, where a
//! file can be read at any place without seeking.
//!
//! ```text
//! cargo run -p example-custom-driver --example serve_log -- /tmp/store.log
//! curl -i http://127.0.0.1:5000/v2/
//! ```

mod log;
mod tree;
mod writer;

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::Uri;
use registry_core::{
    Batch, ByteRange, Content, ContentBody, Durability, FileSlice, FileWriter, ListPage, ListRequest,
    Metadata, RedirectHint, Shape, StorageDriver, StorageError, StoragePath, WriteMode,
};

use crate::log::{Log, Record};
use crate::writer::LogWriter;

/// The name of the driver in errors.
const NAME: &str = "log";

/// How much is read or written at once.
const PIECE: u64 = 256 * 1024;

/// Keeps files in a log. Clones share it.
#[derive(Debug, Clone)]
pub struct LogDriver {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    log: Mutex<Log>,
    being_written: Mutex<HashSet<StoragePath>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded changes only after the file did, and then at once.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LogDriver {
    /// Opens a log, or begins one. Blocks while it reads.
    ///
    /// # Errors
    /// Those of the file system. [`io::ErrorKind::WouldBlock`] while another process has the log open.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let log = Mutex::new(Log::open(path.as_ref())?);
        Ok(Self { shared: Arc::new(Shared { log, being_written: Mutex::default() }) })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.shared.log)
    }

    /// Does something that blocks, on a thread for that.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Self) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let driver = self.clone();
        let task = tokio::task::spawn_blocking(move || work(&driver));
        task.await.map_err(|error| failed(operation, io::Error::other(error)))?
    }

    /// Does the steps of a batch, one record each, and syncs at the end if one has to last.
    fn apply_now(&self, batch: Batch) -> Result<(), StorageError> {
        let mut sync = false;
        let mut log = self.log();
        for step in batch.into_stages().into_iter().flatten() {
            sync |= step.durability == Durability::Synced;
            log.change(step.change)?;
        }
        let file = Arc::clone(log.file());
        drop(log);
        // Everything before is older in the log, so it cannot be lost without what came after it.
        if sync { file.sync_data().map_err(|error| failed("syncing", error)) } else { Ok(()) }
    }
}

/// An error of the file system, as a driver puts it.
fn failed(operation: &'static str, error: io::Error) -> StorageError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StorageError::Full { driver: NAME, operation, source: error.into() }
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            StorageError::ReadOnly { driver: NAME, operation, source: error.into() }
        }
        _ => StorageError::Backend { driver: NAME, operation, source: error.into() },
    }
}

fn not_found(path: &StoragePath) -> StorageError {
    StorageError::NotFound { driver: NAME, path: path.clone() }
}

/// The bytes of the log in `range`.
fn read(file: &File, range: Range<u64>) -> Result<Bytes, StorageError> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut bytes, range.start)
        .map_err(|error| failed("reading", error))?;
    Ok(bytes.into())
}

/// The bytes of the log in `pieces`, read as they are asked for.
fn body(file: Arc<File>, pieces: Vec<Range<u64>>) -> ContentBody {
    let whole = match pieces.as_slice() {
        [] => return ContentBody::Bytes(Bytes::new()),
        [piece] => Some(piece.clone()),
        _ => None,
    };
    let reads: Vec<Range<u64>> = pieces
        .into_iter()
        .flat_map(|piece| {
            let starts = piece.clone().step_by(PIECE as usize);
            starts.map(move |start| start..piece.end.min(start + PIECE))
        })
        .collect();
    let source = Arc::clone(&file);
    let stream = stream::iter(reads).then(move |range| {
        let file = Arc::clone(&source);
        async move {
            let task = tokio::task::spawn_blocking(move || read(&file, range));
            task.await.map_err(|error| failed("reading", io::Error::other(error)))?
        }
    });
    match whole {
        Some(range) => ContentBody::File(FileSlice::new(file, range, stream.boxed())),
        None => ContentBody::Stream(stream.boxed()),
    }
}

#[async_trait]
impl StorageDriver for LogDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn shape(&self) -> Shape {
        Shape::Tree
    }

    async fn get(&self, path: &StoragePath, limit: u64) -> Result<Bytes, StorageError> {
        let (file, found) = {
            let log = self.log();
            (Arc::clone(log.file()), log.tree().get(path)?.clone())
        };
        if found.len() > limit {
            return Err(StorageError::TooLarge { driver: NAME, path: path.clone(), len: found.len(), limit });
        }
        let pieces = found.slice(0..found.len());
        self.blocking("reading", move |_| {
            let parts: Result<Vec<Bytes>, _> = pieces.into_iter().map(|range| read(&file, range)).collect();
            Ok(parts?.concat().into())
        })
        .await
    }

    async fn reader(&self, path: &StoragePath, range: Option<ByteRange>) -> Result<Content, StorageError> {
        let log = self.log();
        let found = log.tree().get(path)?;
        let size = found.len();
        let range = match range {
            None => 0..size,
            Some(range) => range.resolve(size).map_err(|error| StorageError::InvalidRange {
                driver: NAME,
                path: path.clone(),
                len: error.len,
            })?,
        };
        let body = body(Arc::clone(log.file()), found.slice(range.clone()));
        Ok(Content { size, modified: found.modified, range, body })
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata, StorageError> {
        self.log().tree().stat(path)
    }

    async fn list(&self, dir: &StoragePath, request: &ListRequest) -> Result<ListPage, StorageError> {
        Ok(self.log().tree().list(dir, request))
    }

    async fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        self.blocking("applying a batch", move |driver| driver.apply_now(batch)).await
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>, StorageError> {
        let claim = writer::Claim::new(self, path)?;
        match mode {
            WriteMode::Append => {
                let size = self.log().tree().get(path)?.len();
                return Ok(Box::new(LogWriter::new(claim, size)));
            }
            // We give out no tickets.
            WriteMode::Continue(_) => {
                return Err(StorageError::Unsupported {
                    driver: NAME,
                    operation: "continuing with a ticket",
                });
            }
            WriteMode::Truncate => {}
        }
        let writer = LogWriter::new(claim.clone(), 0);
        let emptied = self
            .blocking("opening a file", move |driver| driver.log().append(Record::put(claim.path(), 0), &[]));
        emptied.await?;
        Ok(Box::new(writer))
    }

    async fn redirect_url(&self, _: &StoragePath, _: &RedirectHint) -> Result<Option<Uri>, StorageError> {
        Ok(None)
    }

    async fn sweep(&self, _: SystemTime, _: bool) -> Result<u64, StorageError> {
        Ok(0)
    }

    fn object_key(&self, _: &StoragePath) -> Option<String> {
        None
    }
}
