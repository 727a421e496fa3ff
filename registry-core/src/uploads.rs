//! Upload sessions.
//!
//! A session lives in the store, not in a process: any process over the same store can go on with it.
//! The store is also the only truth about how far it has come. Its life:
//!
//! ```text
//! start ──▶ writer ──write*──▶ close ──▶ (resume ──▶ writer ──write*──▶ close)* ──▶ commit
//!              │                                                                 └─▶ cancel
//!              └─ dropped: a crash; what had reached the store stays, resume goes on from there
//! ```

use std::fmt;
use std::num::NonZeroU64;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use crate::descriptor::Descriptor;
use crate::digest::{Algorithm, Digest};
use crate::error::Result;
use crate::name::{RepositoryName, UploadId};

/// How an upload is wanted.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StartUpload {
    /// A blob of another repository that may be taken instead of uploading.
    pub mount: Option<MountSource>,
    /// The algorithm of the digest that the client is going to name; SHA-256 if it does not say.
    pub algorithm: Option<Algorithm>,
}

impl StartUpload {
    /// Takes a blob from elsewhere, if that can be done.
    #[must_use]
    pub fn with_mount(mut self, mount: Option<MountSource>) -> Self {
        self.mount = mount;
        self
    }

    /// Announces the algorithm of the digest.
    #[must_use]
    pub fn with_algorithm(mut self, algorithm: Option<Algorithm>) -> Self {
        self.algorithm = algorithm;
        self
    }
}

/// Where a blob can be mounted from. Whoever makes this has checked that the caller may read it there,
/// through the outermost [`Namespace`](crate::Namespace), so that all middleware had a say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountSource {
    /// The repository; `None` for a mount without one ("automatic content discovery").
    pub from: Option<RepositoryName>,
    /// The blob.
    pub descriptor: Descriptor,
}

/// What came of starting an upload.
#[derive(Debug)]
pub enum UploadStart {
    /// The blob is in the repository now; nothing has to be uploaded.
    Mounted(Descriptor),
    /// A session has begun.
    Session(Box<dyn BlobWriter>),
}

/// How far an upload has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadStatus {
    /// The session.
    pub id: UploadId,
    /// The next byte that it takes, which is the number of bytes it has.
    pub size: u64,
    /// When it was started.
    pub started_at: SystemTime,
    /// What [`resume`](crate::BlobStore::resume) would like to be given back, so that it need not look
    /// for it in the store. Whoever lets it out of hand has to see to it that it comes back unchanged: it
    /// is taken at its word.
    pub ticket: Option<String>,
}

/// An upload session, held by the one request that writes to it.
#[async_trait]
pub trait BlobWriter: fmt::Debug + Send {
    /// The session.
    fn id(&self) -> &UploadId;

    /// The next byte that it takes, which is the number of bytes it has.
    fn size(&self) -> u64;

    /// When it was started.
    fn started_at(&self) -> SystemTime;

    /// The least number of bytes that a chunk other than the last should have
    /// (`OCI-Chunk-Min-Length`), if the store has such a wish.
    fn min_chunk_size(&self) -> Option<NonZeroU64>;

    /// Tells which digest [`commit`](Self::commit) is going to be asked for, before anything is written.
    /// Only a hint: the content may then go straight to where it belongs.
    fn expect(&mut self, digest: &Digest);

    /// Appends. May return before the bytes have left memory; what is held back is bounded.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage); the session can be resumed.
    async fn write(&mut self, data: Bytes) -> Result<()>;

    /// Ends this request's part. When it returns, everything written is durable, and so is the state of
    /// the digest, so that [`resume`](crate::BlobStore::resume) reads nothing again. Returns the size.
    async fn close(self: Box<Self>) -> Result<u64>;

    /// Like [`close`](Self::close), for a caller who comes back with the
    /// [ticket](UploadStatus::ticket): what would be written to the store only to find it again may be in
    /// there. The bytes themselves are as durable as after [`close`](Self::close).
    async fn detach(self: Box<Self>) -> Result<UploadStatus>;

    /// Ends the session: checks the content, stores it and puts it into the repository. When it
    /// returns, the blob is durable and readable. Once begun it runs to its end even if the future is
    /// dropped.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`](crate::Error::DigestMismatch) or
    /// [`Error::DigestUnsupported`](crate::Error::DigestUnsupported). After a mismatch the session is
    /// gone; after a storage failure it can be resumed and committed again.
    async fn commit(self: Box<Self>, expected: &Digest) -> Result<Descriptor>;

    /// Gives up and removes the session (end-14).
    async fn cancel(self: Box<Self>) -> Result<()>;
}
