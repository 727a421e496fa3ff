//! What a storage driver may say.

use super::{BoxError, ErrorCode};
use crate::driver::StoragePath;

/// What a [`StorageDriver`](crate::StorageDriver) may say. No word of the registry protocol in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Nothing is at the path.
    #[error("{driver}: path not found: {path}")]
    NotFound {
        /// The name of the driver.
        driver: &'static str,
        /// The path.
        path: StoragePath,
    },
    /// Something is at a path that was to be created.
    #[error("{driver}: path already exists: {path}")]
    AlreadyExists {
        /// The name of the driver.
        driver: &'static str,
        /// The path.
        path: StoragePath,
    },
    /// The range has no byte in common with the file.
    #[error("{driver}: range lies outside of {path}, which has {len} bytes")]
    InvalidRange {
        /// The name of the driver.
        driver: &'static str,
        /// The path.
        path: StoragePath,
        /// The length of the file in bytes.
        len: u64,
    },
    /// The file has more bytes than the caller is ready to hold.
    #[error("{driver}: {path} has {len} bytes, more than {limit}")]
    TooLarge {
        /// The name of the driver.
        driver: &'static str,
        /// The path.
        path: StoragePath,
        /// The length of the file in bytes.
        len: u64,
        /// The caller's limit in bytes.
        limit: u64,
    },
    /// Another writer has the file open.
    #[error("{driver}: {path} is being written by somebody else")]
    Busy {
        /// The name of the driver.
        driver: &'static str,
        /// The path.
        path: StoragePath,
    },
    /// The store has no room left.
    #[error("{driver}: no space left for {operation}")]
    Full {
        /// The name of the driver.
        driver: &'static str,
        /// What was being done.
        operation: &'static str,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The store cannot be written to: a read-only file system or a policy of the store.
    #[error("{driver}: {operation} refused, the store is read-only")]
    ReadOnly {
        /// The name of the driver.
        driver: &'static str,
        /// What was being done.
        operation: &'static str,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The driver has no such operation.
    #[error("{driver}: {operation} is not supported")]
    Unsupported {
        /// The name of the driver.
        driver: &'static str,
        /// What was asked for.
        operation: &'static str,
    },
    /// The store does not answer, or asks for patience; the same call may succeed later.
    #[error("{driver}: temporarily unavailable")]
    Unavailable {
        /// The name of the driver.
        driver: &'static str,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// Anything else.
    #[error("{driver}: {operation} failed")]
    Backend {
        /// The name of the driver.
        driver: &'static str,
        /// What was being done.
        operation: &'static str,
        /// The cause.
        #[source]
        source: BoxError,
    },
}

impl StorageError {
    /// Whether this says that nothing is at the path.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Self::Full { .. } => ErrorCode::STORAGE_FULL,
            Self::Unavailable { .. } | Self::ReadOnly { .. } => ErrorCode::UNAVAILABLE,
            Self::Unsupported { .. } => ErrorCode::UNSUPPORTED,
            Self::NotFound { .. }
            | Self::AlreadyExists { .. }
            | Self::InvalidRange { .. }
            | Self::TooLarge { .. }
            | Self::Busy { .. }
            | Self::Backend { .. } => ErrorCode::UNKNOWN,
        }
    }
}
