//! Files that are replaced while they are read.
//!
//! A reader whose connection to a bucket breaks asks for the rest of the same object. Where that was written anew
//! meanwhile, the rest may belong to something else. Not so content under its digest: whoever pushes a blob again
//! writes the same bytes.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use registry_core::{
    BoxError, ByteRange, ByteStream, Content, ContentBody, StorageDriver, StorageError, StoragePath,
};

/// How often a body is gone on with in another version of its file.
const VERSIONS: usize = 8;

/// The source of [`StorageError::Unavailable`] where a body broke off, and what is left of it is not known to be
/// the rest of the same file.
#[derive(Debug)]
#[cfg_attr(
    not(any(feature = "s3", feature = "gcs", feature = "azure")),
    allow(dead_code, reason = "no other driver says so")
)]
pub(crate) struct Replaced(BoxError);

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; what is there now need not be the same file", self.0)
    }
}

impl Error for Replaced {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
impl Replaced {
    /// After this is what it broke off.
    pub(crate) fn after(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }
}

/// Whether a body broke off and its file is another one now, or may be.
pub(crate) fn is_replaced(error: &StorageError) -> bool {
    matches!(error, StorageError::Unavailable { source, .. } if source.is::<Replaced>())
}

/// The rest of a body.
struct Rest {
    driver: Arc<dyn StorageDriver>,
    path: StoragePath,
    size: u64,
    next: u64,
    end: u64,
    body: ByteStream<StorageError>,
    versions: usize,
}

/// What was opened at `path`, where every file that can be there has the same bytes: the body is gone on with in
/// another one.
pub(crate) fn same_bytes(
    driver: &Arc<dyn StorageDriver>,
    path: StoragePath,
    content: Content,
) -> ContentBody {
    let body = match content.body {
        ContentBody::Stream(body) => body,
        at_hand => return at_hand,
    };
    let driver = Arc::clone(driver);
    let (size, next, end) = (content.size, content.range.start, content.range.end);
    let rest = Rest { driver, path, size, next, end, body, versions: VERSIONS };
    ContentBody::Stream(stream::try_unfold(rest, Rest::piece).boxed())
}

impl Rest {
    async fn piece(mut self) -> Result<Option<(Bytes, Self)>, StorageError> {
        loop {
            let error = match self.body.next().await {
                None => return Ok(None),
                Some(Ok(piece)) => {
                    self.next += piece.len() as u64;
                    return Ok(Some((piece, self)));
                }
                Some(Err(error)) => error,
            };
            if !is_replaced(&error) || self.versions == 0 {
                return Err(error);
            }
            self.versions -= 1;
            let range = ByteRange::Bounded { start: self.next, end: self.end };
            match self.driver.reader(&self.path, Some(range)).await {
                Ok(content) if content.size == self.size && content.range == (self.next..self.end) => {
                    self.body = content.body.into_stream();
                }
                // What broke off says more.
                _ => return Err(error),
            }
        }
    }
}
