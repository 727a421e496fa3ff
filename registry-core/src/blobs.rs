//! Blobs of a repository.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::Uri;

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::driver::{ContentBody, FileSlice, RedirectHint};
use crate::error::{Error, Result};
use crate::name::UploadId;
use crate::range::ByteRange;
use crate::stream::ByteStream;
use crate::uploads::{BlobWriter, StartUpload, UploadStart, UploadStatus};

/// The blobs of one repository, and the sessions in which new ones are uploaded.
#[async_trait]
pub trait BlobStore: fmt::Debug + Send + Sync {
    /// Whether the blob is in this repository, and its size (end-2, HEAD).
    ///
    /// # Errors
    /// [`Error::BlobUnknown`].
    async fn stat(&self, digest: &Digest) -> Result<Descriptor>;

    /// A blob or part of it, or a URL to fetch it from (end-2, GET). The content is open when this
    /// returns; a failure after that comes through the body.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`], [`Error::RangeNotSatisfiable`].
    async fn get(&self, digest: &Digest, options: GetBlob) -> Result<Blob>;

    /// Mounts a blob, or begins an upload (end-4a, end-4c, end-11).
    ///
    /// A source in `options.mount` was checked by the caller; where the blob cannot be mounted all the
    /// same, a session begins.
    async fn start(&self, options: StartUpload) -> Result<UploadStart>;

    /// Continues an upload, in this process or in another over the same store. Whoever holds the
    /// writer holds the session alone.
    ///
    /// `ticket` is what [`UploadStatus::ticket`] said last, if the caller can vouch for it. Without one,
    /// or with one that is out of date, the store is asked.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`], [`Error::UploadBusy`].
    async fn resume(&self, id: &UploadId, ticket: Option<&str>) -> Result<Box<dyn BlobWriter>>;

    /// How far an upload has come (end-13). Does not disturb whoever is writing. `ticket` as for
    /// [`resume`](Self::resume); the store is asked all the same, since the answer with a newer one may
    /// have been lost.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`].
    async fn status(&self, id: &UploadId, ticket: Option<&str>) -> Result<UploadStatus>;

    /// Removes a blob from this repository (end-10). Its content stays until it is collected, other
    /// repositories are not touched, and manifests that refer to it stay.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`].
    async fn delete(&self, digest: &Digest) -> Result<()>;
}

/// How a blob is wanted.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GetBlob {
    /// Only this part of it.
    pub range: Option<ByteRange>,
    /// Whether a URL will do, and for whom; `None` always gives bytes. With a hint for HEAD nobody wants
    /// bytes: where there is no URL the body is empty, and nothing need be opened.
    pub redirect: Option<RedirectHint>,
    /// A URL will do only for blobs of at least this many bytes.
    pub redirect_from: u64,
}

impl GetBlob {
    /// Only this part of the blob.
    #[must_use]
    pub fn with_range(mut self, range: Option<ByteRange>) -> Self {
        self.range = range;
        self
    }

    /// A URL will do.
    #[must_use]
    pub fn with_redirect(mut self, redirect: Option<RedirectHint>) -> Self {
        self.redirect = redirect;
        self
    }

    /// A URL will do only for blobs of at least this many bytes.
    #[must_use]
    pub fn with_redirect_from(mut self, bytes: u64) -> Self {
        self.redirect_from = bytes;
        self
    }
}

/// A blob, opened.
#[derive(Debug)]
pub struct Blob {
    /// What it is; `size` is that of the whole blob.
    pub descriptor: Descriptor,
    /// Which bytes the body has.
    pub range: Range<u64>,
    /// The bytes, or where to get them.
    pub body: BlobBody,
}

/// The bytes of a blob, or where to get them.
pub enum BlobBody {
    /// All of them, at hand.
    Bytes(Bytes),
    /// Piece by piece.
    Stream(ByteStream),
    /// In an open file, for a listener that can send it without copying.
    File(FileSlice),
    /// At this URL, for the client to fetch. The range is not part of it.
    Redirect(Uri),
}

impl BlobBody {
    /// The bytes as a stream; for a redirect `Err` with its URL.
    ///
    /// A wrapper that counts, limits or transforms does this first, so that no kind of body passes it.
    pub fn into_stream(self) -> Result<ByteStream, Uri> {
        match self {
            Self::Bytes(bytes) if bytes.is_empty() => Ok(stream::empty().boxed()),
            Self::Bytes(bytes) => Ok(stream::once(async move { Ok(bytes) }).boxed()),
            Self::Stream(stream) => Ok(stream),
            Self::File(slice) => Ok(slice.into_stream().map_err(Error::from).boxed()),
            Self::Redirect(uri) => Err(uri),
        }
    }
}

impl From<ContentBody> for BlobBody {
    fn from(body: ContentBody) -> Self {
        match body {
            ContentBody::Bytes(bytes) => Self::Bytes(bytes),
            ContentBody::Stream(stream) => Self::Stream(stream.map_err(Error::from).boxed()),
            ContentBody::File(slice) => Self::File(slice),
        }
    }
}

impl fmt::Debug for BlobBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Self::Stream(_) => f.write_str("Stream"),
            Self::File(slice) => slice.fmt(f),
            Self::Redirect(uri) => f.debug_tuple("Redirect").field(uri).finish(),
        }
    }
}
