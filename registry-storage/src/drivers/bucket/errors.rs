//! What a bucket says, in the words of drivers.

#[cfg(any(feature = "gcs", feature = "azure"))]
use registry_core::{BoxError, BuildError};
use registry_core::{StorageError, StoragePath};

use super::store::BucketError;

/// What an error of a bucket means for the file at `path`.
pub(super) fn storage_error(
    driver: &'static str,
    operation: &'static str,
    path: &StoragePath,
    error: BucketError,
) -> StorageError {
    let path = path.clone();
    match error {
        // An upload that is gone was of a file that is gone, or that somebody else has finished.
        BucketError::NotFound | BucketError::NoSuchUpload => StorageError::NotFound { driver, path },
        BucketError::AlreadyExists => StorageError::AlreadyExists { driver, path },
        BucketError::InvalidRange { len } => {
            StorageError::InvalidRange { driver, path, len: len.unwrap_or_default() }
        }
        BucketError::PartChanged => StorageError::Busy { driver, path },
        BucketError::Full(source) => StorageError::Full { driver, operation, source },
        error @ BucketError::Denied(_) if WRITES.contains(&operation) => {
            StorageError::ReadOnly { driver, operation, source: error.into() }
        }
        error @ BucketError::Unavailable { .. } => StorageError::Unavailable { driver, source: error.into() },
        error @ (BucketError::Denied(_) | BucketError::Other(_)) => {
            StorageError::Backend { driver, operation, source: error.into() }
        }
    }
}

/// What is wrong with an option.
#[cfg(any(feature = "gcs", feature = "azure"))]
pub(super) fn invalid(what: &'static str) -> impl Fn(BoxError) -> BuildError {
    move |error| BuildError::Invalid { what, reason: error.to_string() }
}

/// Operations that change something.
const WRITES: [&str; 6] = ["put", "rename", "delete", "write", "commit", "cancel"];
