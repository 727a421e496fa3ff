//! From the traits of `object_store` to ours.

mod body;
#[cfg(feature = "gcs")]
mod parts;

use std::error::Error as StdError;

use bytes::Bytes;
use futures::TryStreamExt;
use http::StatusCode;
use object_store::client::HttpError;
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectStore};
use registry_core::{BoxError, StorageError};

use super::http::{GaveUp, Refused, Tripped, Unprepared, describe, was_repeated};
use super::retry::Patience;
use super::store::{Bucket, BucketError, GetRange, Object, ObjectMeta};

#[cfg(feature = "gcs")]
pub(crate) use parts::{abort, begin, put_part};

/// A key as `object_store` knows it.
///
/// # Errors
/// If it is none: an empty segment, `.` or `..`.
pub(crate) fn path(key: &str) -> Result<Path, BucketError> {
    Path::parse(key).map_err(|error| BucketError::Other(Box::new(error)))
}

/// [`Bucket::get`](super::store::Bucket::get). `driver` is named by what breaks off, and not gone on with after
/// all tries.
pub(crate) async fn get(
    store: &(impl ObjectStore + Clone),
    driver: &'static str,
    key: &str,
    range: Option<GetRange>,
    patience: Patience,
) -> Result<Object, BucketError> {
    // Services read these numbers as signed ones, and no object is as long.
    const END: u64 = i64::MAX as u64;
    let range = range.map(|range| match range {
        GetRange::Bounded(range) => {
            object_store::GetRange::Bounded(range.start.min(END - 1)..range.end.min(END))
        }
        GetRange::From(start) => object_store::GetRange::Offset(start.min(END)),
        GetRange::Suffix(length) => object_store::GetRange::Suffix(length.min(END)),
    });
    let options = GetOptions { range: range.clone(), ..GetOptions::default() };
    let path = path(key)?;
    let result = match store.get_opts(&path, options).await.map_err(bucket_error) {
        Ok(result) => result,
        // An empty object has no range. Some services answer with all of it, others with a range that is
        // none, and both are taken for nonsense.
        Err(BucketError::Other(error)) if range.is_some() && !error.is::<Refused>() => {
            return Err(match head(store, key).await?.size {
                0 => BucketError::InvalidRange { len: Some(0) },
                _ => BucketError::Other(error),
            });
        }
        Err(error) => return Err(error),
    };
    let (meta, range) = (meta(&result.meta), result.range.clone());
    let body = body::body(store.clone(), driver, path, result, patience);
    Ok(Object { meta, range, body })
}

/// [`Bucket::head`](super::store::Bucket::head).
pub(crate) async fn head(store: &dyn ObjectStore, key: &str) -> Result<ObjectMeta, BucketError> {
    let options = GetOptions { head: true, ..GetOptions::default() };
    Ok(meta(&store.get_opts(&path(key)?, options).await.map_err(bucket_error)?.meta))
}

/// What it means that an object was not written. Where it was to be a new one and there is one already, that may
/// be what a try before has written, whose answer was lost.
pub(crate) async fn not_written(
    bucket: &dyn Bucket,
    key: &str,
    content: &Bytes,
    error: HttpError,
) -> Result<(), BucketError> {
    let repeated = was_repeated(&error);
    match bucket_error(error) {
        BucketError::AlreadyExists if repeated && is(bucket, key, content).await? => Ok(()),
        error => Err(error),
    }
}

/// Whether there is an object with this content.
async fn is(bucket: &dyn Bucket, key: &str, content: &Bytes) -> Result<bool, BucketError> {
    let object = match bucket.get(key, None).await {
        Ok(object) if object.meta.size == content.len() as u64 => object,
        Ok(_) | Err(BucketError::NotFound) => return Ok(false),
        Err(error) => return Err(error),
    };
    let (mut body, mut rest) = (object.body, content.clone());
    while let Some(piece) = body.try_next().await.map_err(|error| unavailable(error, None))? {
        if !rest.starts_with(&piece) {
            return Ok(false);
        }
        drop(rest.split_to(piece.len()));
    }
    Ok(rest.is_empty())
}

fn meta(meta: &object_store::ObjectMeta) -> ObjectMeta {
    ObjectMeta { size: meta.size, modified: meta.last_modified.into() }
}

/// What a body says that broke off, and could not be gone on with.
fn broken_off(driver: &'static str, error: Error) -> StorageError {
    StorageError::Unavailable { driver, source: Box::new(error) }
}

/// What a failed request says. What [`Transport`](super::http::Transport) found out comes before what
/// `object_store` made of it.
pub(crate) fn bucket_error(error: impl StdError + Send + Sync + 'static) -> BucketError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    let mut broken = None;
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return refused.clone().into();
        }
        if let Some(failed) = inner.downcast_ref::<GaveUp>() {
            return unavailable(failed.clone(), failed.retry_after);
        }
        if let Some(tripped) = inner.downcast_ref::<Tripped>() {
            return unavailable(tripped.clone(), Some(tripped.retry_after));
        }
        if let Some(unprepared) = inner.downcast_ref::<Unprepared>() {
            return unavailable(unprepared.clone(), None);
        }
        // The connection broke; what we say of it ourselves would come further down.
        broken = broken.or_else(|| inner.downcast_ref::<HttpError>().map(|http| describe(http)));
        cause = inner.source();
    }
    if let Some(what) = broken {
        return unavailable(what, None);
    }
    let outer: &(dyn StdError + 'static) = &error;
    match outer.downcast_ref::<Error>() {
        Some(Error::NotFound { .. }) => BucketError::NotFound,
        Some(Error::AlreadyExists { .. } | Error::Precondition { .. }) => BucketError::AlreadyExists,
        Some(Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) => {
            BucketError::Denied(Box::new(error))
        }
        _ => BucketError::Other(Box::new(error)),
    }
}

fn unavailable(source: impl Into<BoxError>, retry_after: Option<std::time::Duration>) -> BucketError {
    BucketError::Unavailable { retry_after, source: source.into() }
}

impl From<Refused> for BucketError {
    fn from(refused: Refused) -> Self {
        match refused.code.as_str() {
            "NoSuchUpload" => return Self::NoSuchUpload,
            "InvalidPart" | "InvalidPartOrder" | "InvalidBlockList" | "InvalidBlockId" => {
                return Self::PartChanged;
            }
            "NoSuchBucket" | "ContainerNotFound" => return Self::Other(Box::new(refused)),
            "QuotaExceeded" | "XMinioStorageFull" | "XAmzStorageFull" => {
                return Self::Full(Box::new(refused));
            }
            // Credentials that ran out, and could not be had anew yet.
            "SlowDown" | "ServerBusy" | "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
                return Self::Unavailable { retry_after: None, source: Box::new(refused) };
            }
            _ => {}
        }
        match refused.status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::PRECONDITION_FAILED => Self::AlreadyExists,
            StatusCode::CONFLICT if refused.code.ends_with("AlreadyExists") => Self::AlreadyExists,
            StatusCode::RANGE_NOT_SATISFIABLE => Self::InvalidRange { len: whole_length(&refused) },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED => {
                Self::Denied(Box::new(refused))
            }
            StatusCode::INSUFFICIENT_STORAGE => Self::Full(Box::new(refused)),
            // So a HEAD is answered if credentials have run out; it cannot say so.
            StatusCode::BAD_REQUEST if refused.code.is_empty() && refused.message.is_empty() => {
                Self::Unavailable { retry_after: None, source: Box::new(refused) }
            }
            _ => Self::Other(Box::new(refused)),
        }
    }
}

/// `Content-Range: bytes */<length>` (RFC 9110 14.4).
fn whole_length(refused: &Refused) -> Option<u64> {
    let range = refused.headers.get(http::header::CONTENT_RANGE)?.to_str().ok()?;
    range.trim().strip_prefix("bytes */")?.parse().ok()
}
