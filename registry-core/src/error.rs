//! Everything that can go wrong, and the one table from errors to codes and statuses.
//!
//! Rules of the workspace:
//!
//! - Whoever detects a condition returns the variant that names it; nobody re-wraps or downgrades it on
//!   the way up. Context for the log goes into a `source`, never over the variant.
//! - [`Error::code`] and the constants of [`ErrorCode`] are the only mapping to the wire. Handlers and
//!   middleware never name a status for an error.
//! - [`StorageError::NotFound`] means something only where the path was built; there it becomes
//!   [`Error::BlobUnknown`] and the like. One that reaches a client is a bug and answers 500.

mod code;
mod storage;
mod wire;

use std::borrow::Cow;

use crate::digest::Digest;
use crate::name::{Reference, RepositoryName, Tag, UploadId};
use crate::text::InvalidText;

pub use code::ErrorCode;
pub use storage::StorageError;
pub use wire::WireError;

/// Any error as a source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The result of an operation on a namespace, a repository or one of its services.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a [`Namespace`](crate::Namespace), a [`Repository`](crate::Repository) and their services may say.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Text of a client breaks its grammar.
    #[error(transparent)]
    Invalid(#[from] InvalidText),
    /// The repository has nothing in it that the operation could answer from.
    #[error("repository {repository} is not known")]
    NameUnknown {
        /// The repository.
        repository: RepositoryName,
    },
    /// The blob is not in the repository.
    #[error("blob {digest} unknown in {repository}")]
    BlobUnknown {
        /// The repository.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// The manifest or tag is not in the repository.
    #[error("manifest {reference} unknown in {repository}")]
    ManifestUnknown {
        /// The repository.
        repository: RepositoryName,
        /// The tag or digest.
        reference: Reference,
    },
    /// The manifest is not one, or contradicts itself or its request.
    #[error("manifest invalid: {reason}")]
    ManifestInvalid {
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// The manifest refers to content that is not in the repository. One for each missing digest.
    #[error("manifest refers to {digest}, which is not in the repository")]
    ManifestBlobUnknown {
        /// The missing content, as the manifest spells it.
        digest: String,
    },
    /// The manifest has more bytes than are accepted.
    #[error("manifest is larger than {limit} bytes")]
    ManifestTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// Content does not have the digest that was announced.
    #[error("content does not match digest {expected}")]
    DigestMismatch {
        /// The digest that was announced.
        expected: Digest,
        /// The digest of what came, where it is known.
        actual: Option<Digest>,
    },
    /// The digest is well-formed, but of an algorithm that we do not compute.
    #[error("digest algorithm {} is not supported", digest.algorithm_name())]
    DigestUnsupported {
        /// The digest.
        digest: Digest,
    },
    /// Content does not have the length that was announced.
    #[error("expected {expected} bytes, got {actual}")]
    SizeMismatch {
        /// The number of bytes that was announced.
        expected: u64,
        /// The number of bytes that came.
        actual: u64,
    },
    /// There is no such upload session in the repository; it may have ended.
    #[error("upload {id} unknown in {repository}")]
    UploadUnknown {
        /// The repository.
        repository: RepositoryName,
        /// The session.
        id: UploadId,
    },
    /// The request does not belong to the upload session that it names.
    #[error("upload invalid: {reason}")]
    UploadInvalid {
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// The bytes of a request do not begin where the upload session ends.
    #[error("upload {id} resumes at byte {expected}, not {actual}")]
    UploadOffset {
        /// The session.
        id: UploadId,
        /// The next byte that it takes.
        expected: u64,
        /// The first byte that was sent.
        actual: u64,
    },
    /// Another request is writing to the upload session.
    #[error("upload {id} is being written by another request")]
    UploadBusy {
        /// The session.
        id: UploadId,
    },
    /// The range has no byte in common with the content.
    #[error("range lies outside of the content, which has {len} bytes")]
    RangeNotSatisfiable {
        /// The length of the content in bytes.
        len: u64,
    },
    /// A tag that was expected to be absent exists.
    #[error("tag {tag} exists in {repository}")]
    TagExists {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
    },
    /// The operation is switched off, or this namespace cannot do it.
    #[error("{operation} is not supported")]
    Unsupported {
        /// What was asked for.
        operation: Cow<'static, str>,
    },
    /// The caller is known, and may not do this.
    #[error("denied: {reason}")]
    Denied {
        /// Which rule says so.
        reason: Cow<'static, str>,
    },
    /// An error with a code that the registry itself does not know: for embedders and middleware.
    #[error("{0}")]
    Coded(#[source] Box<CodedError>),
    /// Several errors at once; each becomes an entry of the error envelope.
    #[error("{}", wire::join(.0))]
    Many(Vec<Self>),
    /// The storage driver failed.
    #[error("storage failure")]
    Storage(#[from] StorageError),
    /// Something failed that nobody outside can name.
    #[error("internal failure: {context}")]
    Internal {
        /// What was being done.
        context: &'static str,
        /// Why it failed.
        #[source]
        source: BoxError,
    },
}

/// An error whose code an embedder or a middleware defines.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CodedError {
    /// The code, with its status.
    pub code: ErrorCode,
    /// What the client is told.
    pub message: Cow<'static, str>,
    /// Further data for the client.
    pub detail: Option<serde_json::Value>,
    /// The cause, for the log.
    #[source]
    pub source: Option<BoxError>,
}

impl Error {
    /// An error with a code of the caller's own and the code's message.
    pub fn coded(code: ErrorCode) -> Self {
        Self::Coded(Box::new(CodedError { code, message: code.message().into(), detail: None, source: None }))
    }

    /// An error with a code, message and detail of the caller's own.
    pub fn coded_with(
        code: ErrorCode,
        message: impl Into<Cow<'static, str>>,
        detail: Option<serde_json::Value>,
        source: Option<BoxError>,
    ) -> Self {
        Self::Coded(Box::new(CodedError { code, message: message.into(), detail, source }))
    }

    /// A manifest is not one, for this reason.
    pub fn manifest_invalid(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::ManifestInvalid { reason: reason.into() }
    }

    /// An operation that is switched off or cannot be done.
    pub fn unsupported(operation: impl Into<Cow<'static, str>>) -> Self {
        Self::Unsupported { operation: operation.into() }
    }

    /// A failure that nobody outside can name.
    pub fn internal(context: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Internal { context, source: source.into() }
    }

    /// The code of this error on the wire, and with it the status.
    ///
    /// There is no catch-all arm: a new variant does not compile until it has a code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(text) => text.kind().code(),
            Self::NameUnknown { .. } => ErrorCode::NAME_UNKNOWN,
            Self::BlobUnknown { .. } => ErrorCode::BLOB_UNKNOWN,
            Self::ManifestUnknown { .. } => ErrorCode::MANIFEST_UNKNOWN,
            Self::ManifestInvalid { .. } => ErrorCode::MANIFEST_INVALID,
            Self::ManifestBlobUnknown { .. } => ErrorCode::MANIFEST_BLOB_UNKNOWN,
            Self::ManifestTooLarge { .. } => ErrorCode::MANIFEST_TOO_LARGE,
            Self::DigestMismatch { .. } | Self::DigestUnsupported { .. } => ErrorCode::DIGEST_INVALID,
            Self::SizeMismatch { .. } => ErrorCode::SIZE_INVALID,
            Self::UploadUnknown { .. } => ErrorCode::BLOB_UPLOAD_UNKNOWN,
            Self::UploadInvalid { .. } => ErrorCode::BLOB_UPLOAD_INVALID,
            Self::UploadOffset { .. } | Self::RangeNotSatisfiable { .. } => ErrorCode::RANGE_INVALID,
            Self::UploadBusy { .. } => ErrorCode::BLOB_UPLOAD_BUSY,
            Self::TagExists { .. } => ErrorCode::TAG_EXISTS,
            Self::Unsupported { .. } => ErrorCode::UNSUPPORTED,
            Self::Denied { .. } => ErrorCode::DENIED,
            Self::Coded(coded) => coded.code,
            Self::Many(errors) => errors.first().map_or(ErrorCode::UNKNOWN, Self::code),
            Self::Storage(storage) => storage.code(),
            Self::Internal { .. } => ErrorCode::UNKNOWN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_stay_small_enough_to_return_by_value() {
        assert!(size_of::<Error>() <= 128, "{}", size_of::<Error>());
    }

    #[test]
    fn a_code_of_an_embedder_reaches_the_wire_unchanged() {
        const QUOTA: ErrorCode =
            ErrorCode::custom("QUOTA_EXCEEDED", http::StatusCode::FORBIDDEN, "quota exceeded");
        let error = Error::coded(QUOTA);
        assert_eq!(error.code(), QUOTA);
        assert_eq!(error.wire()[0].message, "quota exceeded");
    }
}
