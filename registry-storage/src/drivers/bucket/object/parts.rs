//! Listings and uploads in parts.

use bytes::Bytes;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::multipart::MultipartStore;
use object_store::{PutMultipartOptions, PutPayload};

use super::{bucket_error, path};
use crate::drivers::bucket::store::{BucketError, Key, KeyPage, ListKeys, Part};

/// [`Bucket::list`](crate::drivers::bucket::store::Bucket::list), of a service that begins after any key.
pub(crate) async fn list(
    store: &dyn PaginatedListStore,
    request: &ListKeys<'_>,
) -> Result<KeyPage, BucketError> {
    let options = PaginatedListOptions {
        offset: request.after.map(str::to_owned),
        delimiter: request.fold.then_some("/".into()),
        max_keys: Some(request.limit),
        ..PaginatedListOptions::default()
    };
    let page = store.list_paginated(Some(request.prefix), options).await.map_err(bucket_error)?;
    let objects = page
        .result
        .objects
        .into_iter()
        .map(|object| Key { key: object.location.to_string(), size: Some(object.size) });
    let folded =
        page.result.common_prefixes.into_iter().map(|prefix| Key { key: format!("{prefix}/"), size: None });
    let mut keys: Vec<Key> = objects.chain(folded).collect();
    keys.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(KeyPage { keys, more: page.page_token.is_some() })
}

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
