//! Reading files.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use registry_core::{ByteRange, ByteStream, Content, ContentBody, FileSlice, StorageError, StoragePath};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Failure, NAME};

/// What is read in one go, and returned as it is, without a stream.
const WHOLE: u64 = 64 * 1024;

/// How much a stream reads at a time. It reads one piece ahead.
const PIECE: u64 = 256 * 1024;

/// All of a small file.
pub(super) fn whole(location: &Path, path: &StoragePath, limit: u64) -> Result<Bytes, Failure> {
    let mut file = File::open(location)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(StorageError::NotFound { driver: NAME, path: path.clone() }.into());
    }
    if found.len() > limit {
        let (path, len) = (path.clone(), found.len());
        return Err(StorageError::TooLarge { driver: NAME, path, len, limit }.into());
    }
    Ok(read_exactly(&mut file, found.len())?)
}

/// A file or part of it, opened.
pub(super) fn open(
    location: &Path,
    path: &StoragePath,
    range: Option<ByteRange>,
) -> Result<Content, Failure> {
    let mut file = File::open(location)?;
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
    if range.start > 0 {
        file.seek(SeekFrom::Start(range.start))?;
    }
    let len = range.end - range.start;
    let body = if len <= WHOLE {
        ContentBody::Bytes(read_exactly(&mut file, len)?)
    } else {
        let file = Arc::new(file);
        let stream = pieces(Arc::clone(&file), range.clone());
        ContentBody::File(FileSlice::new(file, range.clone(), stream))
    };
    Ok(Content { size, modified: found.modified()?, range, body })
}

/// The next `len` bytes; fewer are an error, since a length has been promised.
fn read_exactly(mut file: impl Read, len: u64) -> io::Result<Bytes> {
    // Reading to the end of a limited reader fills the spare capacity without clearing it first.
    let mut content = Vec::with_capacity(len as usize);
    let read = file.by_ref().take(len).read_to_end(&mut content)?;
    if (read as u64) < len {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("the file ends {} bytes early", len - read as u64),
        ));
    }
    Ok(content.into())
}

/// A range of a file, whose position is at its start, piece by piece. While one piece is being sent the
/// next is being read.
fn pieces(file: Arc<File>, range: Range<u64>) -> ByteStream<StorageError> {
    struct Reading {
        file: Arc<File>,
        left: u64,
        next: Option<JoinHandle<io::Result<Bytes>>>,
    }
    impl Reading {
        fn start(&mut self) {
            let len = self.left.min(PIECE);
            self.left -= len;
            let file = Arc::clone(&self.file);
            self.next = (len > 0).then(|| spawn_blocking(move || read_exactly(&*file, len)));
        }
    }
    let reading = Reading { file, left: range.end - range.start, next: None };
    stream::try_unfold((reading, false), |(mut reading, started)| async move {
        if !started {
            reading.start();
        }
        let Some(piece) = reading.next.take() else { return Ok(None) };
        let piece = piece.await.map_err(io::Error::other).flatten().map_err(|source| {
            StorageError::Backend { driver: NAME, operation: "read", source: source.into() }
        })?;
        reading.start();
        Ok(Some((piece, (reading, true))))
    })
    .boxed()
}
