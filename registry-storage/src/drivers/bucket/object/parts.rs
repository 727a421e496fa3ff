//! Uploads in parts.

use bytes::Bytes;
use object_store::multipart::MultipartStore;
use object_store::{PutMultipartOptions, PutPayload};

use super::{bucket_error, path};
use crate::drivers::bucket::store::{BucketError, Part};

/// [`Bucket::begin`](crate::drivers::bucket::store::Bucket::begin).
pub(crate) async fn begin(
    store: &dyn MultipartStore,
    key: &str,
    options: PutMultipartOptions,
) -> Result<String, BucketError> {
    store.create_multipart_opts(&path(key)?, options).await.map_err(bucket_error)
}

/// [`Bucket::put_part`](crate::drivers::bucket::store::Bucket::put_part).
pub(crate) async fn put_part(
    store: &dyn MultipartStore,
    key: &str,
    upload: &str,
    number: u32,
    content: Vec<Bytes>,
) -> Result<Part, BucketError> {
    let content = PutPayload::from_iter(content);
    let size = content.content_length() as u64;
    let index = number.saturating_sub(1) as usize;
    let part = store.put_part(&path(key)?, &upload.to_owned(), index, content).await.map_err(bucket_error)?;
    Ok(Part { number, size, tag: part.content_id })
}

/// [`Bucket::abort`](crate::drivers::bucket::store::Bucket::abort).
pub(crate) async fn abort(store: &dyn MultipartStore, key: &str, upload: &str) -> Result<(), BucketError> {
    match store.abort_multipart(&path(key)?, &upload.to_owned()).await.map_err(bucket_error) {
        Err(BucketError::NoSuchUpload | BucketError::NotFound) => Ok(()),
        other => other,
    }
}
