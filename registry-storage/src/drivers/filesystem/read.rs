//! Reading files.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use registry_core::{
    ByteRange, ByteStream, Content, ContentBody, FileSlice, Metadata, StorageError, StoragePath,
};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Failure, NAME, at_hand};

/// What is read in one go, and returned as it is, without a stream.
const WHOLE: u64 = 64 * 1024;

/// How much a stream reads at a time.
const PIECE: u64 = 256 * 1024;

/// Whether a read may wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Not at all: it is on a thread that others need.
    Never,
    /// It may: it is on a blocking thread.
    Allowed,
}

impl Wait {
    fn open(self, location: &Path) -> io::Result<Option<File>> {
        match self {
            Self::Never => at_hand::open(location),
            Self::Allowed => File::open(location).map(Some),
        }
    }

    /// `len` bytes at `offset`; fewer are an error, since a length has been promised.
    fn read(self, file: &File, offset: u64, len: u64) -> io::Result<Option<Bytes>> {
        match self {
            Self::Never => Ok(at_hand::read(file, offset, len as usize).map(Bytes::from)),
            Self::Allowed => Ok(Some(at_hand::read_waiting(file, offset, len as usize)?.into())),
        }
    }
}

/// All of a small file; `None` if that means to wait.
pub(super) fn whole(
    location: &Path,
    path: &StoragePath,
    limit: u64,
    wait: Wait,
) -> Result<Option<Bytes>, Failure> {
    let Some(file) = wait.open(location)? else { return Ok(None) };
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(StorageError::NotFound { driver: NAME, path: path.clone() }.into());
    }
    if found.len() > limit {
        let (path, len) = (path.clone(), found.len());
        return Err(StorageError::TooLarge { driver: NAME, path, len, limit }.into());
    }
    Ok(wait.read(&file, 0, found.len())?)
}

/// A file or part of it, opened; `None` if that means to wait.
pub(super) fn open(
    location: &Path,
    path: &StoragePath,
    range: Option<ByteRange>,
    wait: Wait,
) -> Result<Option<Content>, Failure> {
    let Some(file) = wait.open(location)? else { return Ok(None) };
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(StorageError::NotFound { driver: NAME, path: path.clone() }.into());
    }
    let size = found.len();
    let range = match range {
        None => 0..size,
        Some(range) => range.resolve(size).map_err(|error| StorageError::InvalidRange {
            driver: NAME,
            path: path.clone(),
            len: error.len,
        })?,
    };
    let len = range.end - range.start;
    let body = if len <= WHOLE {
        match wait.read(&file, range.start, len)? {
            Some(bytes) => ContentBody::Bytes(bytes),
            None => return Ok(None),
        }
    } else {
        let file = Arc::new(file);
        let stream = pieces(Arc::clone(&file), range.clone());
        ContentBody::File(FileSlice::new(file, range.clone(), stream))
    };
    Ok(Some(Content { size, modified: found.modified()?, range, body }))
}

/// What is at a path; `None` if finding out means to wait.
pub(super) fn stat(location: &Path, wait: Wait) -> Result<Option<Metadata>, Failure> {
    let found = match wait {
        Wait::Never => match at_hand::locate(location)? {
            Some(file) => file.metadata()?,
            None => return Ok(None),
        },
        Wait::Allowed => std::fs::metadata(location)?,
    };
    Ok(Some(Metadata {
        size: if found.is_dir() { 0 } else { found.len() },
        modified: found.modified()?,
        is_dir: found.is_dir(),
    }))
}

/// A range of a file, piece by piece. A piece that is at hand is read where the stream is polled; one that
/// is not, on a blocking thread, and the next one is begun while it is being sent.
fn pieces(file: Arc<File>, range: Range<u64>) -> ByteStream<StorageError> {
    let reading = Reading { file, left: range, ahead: None };
    stream::try_unfold(reading, |mut reading| async move {
        let piece = reading.next().await.map_err(|source| StorageError::Backend {
            driver: NAME,
            operation: "read",
            source: source.into(),
        })?;
        Ok(piece.map(|piece| (piece, reading)))
    })
    .boxed()
}

/// What is left of a file to be read.
struct Reading {
    file: Arc<File>,
    left: Range<u64>,
    ahead: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl Reading {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let waiting = match self.ahead.take() {
            Some(ahead) => ahead,
            None => {
                let Some((start, len)) = self.take() else { return Ok(None) };
                if let Some(piece) = at_hand::read(&self.file, start, len) {
                    return Ok(Some(piece.into()));
                }
                self.read(start, len)
            }
        };
        let piece = waiting.await.map_err(io::Error::other).flatten()?;
        self.ahead = self.take().map(|(start, len)| self.read(start, len));
        Ok(Some(piece.into()))
    }

    /// Where the next piece is, which counts as read from now on.
    fn take(&mut self) -> Option<(u64, usize)> {
        let (start, len) = (self.left.start, (self.left.end - self.left.start).min(PIECE));
        self.left.start += len;
        (len > 0).then_some((start, len as usize))
    }

    fn read(&self, start: u64, len: usize) -> JoinHandle<io::Result<Vec<u8>>> {
        let file = Arc::clone(&self.file);
        spawn_blocking(move || at_hand::read_waiting(&file, start, len))
    }
}
