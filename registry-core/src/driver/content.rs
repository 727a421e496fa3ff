//! Content as a driver hands it out.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::{StreamExt, stream};

use crate::error::StorageError;
use crate::stream::ByteStream;

/// A file, or part of it, opened for reading.
#[derive(Debug)]
pub struct Content {
    /// The length of the whole file in bytes.
    pub size: u64,
    /// When the file last changed.
    pub modified: SystemTime,
    /// Which bytes of it the body has.
    pub range: Range<u64>,
    /// The bytes.
    pub body: ContentBody,
}

/// The bytes of a file, in whatever form is cheapest for the driver.
pub enum ContentBody {
    /// All of them, at hand.
    Bytes(Bytes),
    /// Piece by piece.
    Stream(ByteStream<StorageError>),
    /// In an open file, for a listener that can send it without copying.
    File(FileSlice),
}

impl ContentBody {
    /// The bytes as a stream, whatever the form.
    pub fn into_stream(self) -> ByteStream<StorageError> {
        match self {
            Self::Bytes(bytes) if bytes.is_empty() => stream::empty().boxed(),
            Self::Bytes(bytes) => stream::once(async move { Ok(bytes) }).boxed(),
            Self::Stream(stream) => stream,
            Self::File(slice) => slice.into_stream(),
        }
    }
}

impl fmt::Debug for ContentBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Self::Stream(_) => f.write_str("Stream"),
            Self::File(slice) => slice.fmt(f),
        }
    }
}

/// A run of bytes in an open file, with a stream of the same bytes for whoever cannot use the file.
///
/// The stream reads nothing before it is polled.
pub struct FileSlice {
    file: Arc<File>,
    range: Range<u64>,
    stream: ByteStream<StorageError>,
}

impl FileSlice {
    /// The bytes `range` of `file`, which `stream` yields too.
    pub fn new(file: Arc<File>, range: Range<u64>, stream: ByteStream<StorageError>) -> Self {
        Self { file, range, stream }
    }

    /// The open file.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Which bytes of the file are meant.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// The bytes as a stream.
    pub fn into_stream(self) -> ByteStream<StorageError> {
        self.stream
    }
}

impl fmt::Debug for FileSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSlice").field("file", &self.file).field("range", &self.range).finish()
    }
}
