//! Listings of objects, of uploads and of their parts, which S3 and the XML interface of Google write alike.
//!
//! Keys are taken as they are: `object_store` refuses a whole page for one that it has no form for (`a//b`), and
//! gives others back changed (`/a`, `a/`).

mod answers;

use std::borrow::Cow;

use async_trait::async_trait;
use bytes::Bytes;

use super::store::{BucketError, Key, KeyPage, ListKeys, Part, Pending};
use super::xml::{escape, parse};
use answers::{ListBucketResult, ListMultipartUploadsResult, ListPartsResult};

/// The most entries of an answer.
pub(crate) const PAGE: usize = 1000;

/// A service that answers with such pages.
#[async_trait]
pub(crate) trait Pages: Sync {
    /// The answer to a GET of an object, or of the bucket, with this query, which is not escaped.
    async fn page(&self, key: Option<&str>, query: &[(&str, &str)]) -> Result<Bytes, BucketError>;
}

/// Part of a listing, beginning anywhere
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>,
/// <https://cloud.google.com/storage/docs/xml-api/get-bucket-list>).
pub(crate) async fn objects(service: &impl Pages, request: &ListKeys<'_>) -> Result<KeyPage, BucketError> {
    let limit = request.limit.clamp(1, PAGE).to_string();
    let mut token: Option<String> = None;
    loop {
        let mut query = vec![("list-type", "2"), ("prefix", request.prefix), ("max-keys", &limit)];
        if request.fold {
            query.push(("delimiter", "/"));
        }
        let after = start_after(request);
        if let Some(token) = &token {
            query.push(("continuation-token", token));
        } else if let Some(after) = &after {
            query.push(("start-after", after));
        }
        let mut found: ListBucketResult = parse(&service.page(None, &query).await?)?;
        let next = found.next_continuation_token.take();
        let page = page(found, request);
        // A page without keys does not tell where to go on.
        if !page.keys.is_empty() || !page.more || next.is_none() {
            return Ok(page);
        }
        token = next;
    }
}

/// Every part of an upload, in order
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html>,
/// <https://cloud.google.com/storage/docs/xml-api/get-object-multipart>).
pub(crate) async fn parts(service: &impl Pages, key: &str, upload: &str) -> Result<Vec<Part>, BucketError> {
    let mut parts: Vec<Part> = Vec::new();
    loop {
        let marker = parts.last().map(|last| last.number.to_string());
        let mut query = vec![("uploadId", upload)];
        if let Some(marker) = &marker {
            query.push(("part-number-marker", marker));
        }
        let found: ListPartsResult = parse(&service.page(Some(key), &query).await?)?;
        let before = parts.len();
        let (listed, more) = found.read();
        parts.extend(listed);
        parts.sort_unstable_by_key(|part| part.number);
        parts.dedup_by_key(|part| part.number);
        if !more || parts.len() == before {
            return Ok(parts);
        }
    }
}

/// Parts as the request names them that makes an object of them.
pub(crate) fn named(parts: &[Part]) -> String {
    let name = |part: &Part| {
        let (number, tag) = (part.number, escape(&part.tag));
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>")
    };
    parts.iter().map(name).collect()
}

/// A page of the uploads under way whose keys begin with a prefix
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>,
/// <https://cloud.google.com/storage/docs/xml-api/get-bucket-uploads>).
pub(crate) async fn uploads(
    service: &impl Pages,
    prefix: &str,
    after: Option<&Pending>,
) -> Result<Vec<Pending>, BucketError> {
    let mut query = vec![("uploads", ""), ("prefix", prefix)];
    if let Some(after) = after {
        query.extend([("key-marker", after.key.as_str()), ("upload-id-marker", after.upload.as_str())]);
    }
    let found: ListMultipartUploadsResult = parse(&service.page(None, &query).await?)?;
    Ok(found.read().filter(|found| after.is_none_or(|after| *found != *after)).collect())
}

/// The folded key that a listing goes on after: nothing of what is in it is to come.
fn folded_before<'a>(request: &ListKeys<'a>) -> Option<&'a str> {
    let after = request.after.filter(|_| request.fold)?;
    let inside = after.strip_prefix(request.prefix)?.find('/')?;
    after.get(..=request.prefix.len() + inside)
}

/// Services differ in whether they fold what is left of `dir/` to it once more, so nothing is left.
fn start_after<'a>(request: &ListKeys<'a>) -> Option<Cow<'a, str>> {
    match folded_before(request) {
        Some(folded) => Some(format!("{folded}\u{10ffff}").into()),
        None => request.after.map(Into::into),
    }
}

fn page(found: ListBucketResult, request: &ListKeys<'_>) -> KeyPage {
    let objects = found.contents.into_iter().map(|object| Key { key: object.key, size: Some(object.size) });
    let folded = found.common_prefixes.into_iter().map(|prefix| Key { key: prefix.prefix, size: None });
    let before = folded_before(request);
    let wanted = |key: &Key| {
        request.after.is_none_or(|after| key.key.as_str() > after)
            && before.is_none_or(|folded| !key.key.starts_with(folded))
    };
    let mut keys: Vec<Key> = objects.chain(folded).filter(wanted).collect();
    keys.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    KeyPage { keys, more: found.is_truncated }
}

#[cfg(test)]
mod tests;
