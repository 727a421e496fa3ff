//! end-2 and end-10.

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LOCATION, RANGE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use registry_core::{
    Blob, BlobBody, BlobStore, ByteRange, Digest, Error, GetBlob, MediaType, RepositoryName,
};

use super::{Handled, empty};
use crate::body::Body;
use crate::conditional::{Condition, etag, evaluate, range_counts};
use crate::error::Failure;
use crate::headers::{CONTENT_DIGEST, value};
use crate::multipart::Multipart;
use crate::range::{RangeHeader, content_range, unsatisfied_range};
use crate::service::Call;

/// `GET` and `HEAD /v2/<name>/blobs/<digest>`, with ranges and conditions.
pub(super) async fn get(call: &Call, name: &RepositoryName, digest: &Digest) -> Handled {
    let blobs = call.repository(name).await?.blobs();
    match evaluate(&call.parts.headers, digest) {
        Condition::Met => {}
        not_met => {
            blobs.stat(digest).await?;
            let mut response = empty(match not_met {
                Condition::NotModified => StatusCode::NOT_MODIFIED,
                Condition::Met | Condition::Failed => StatusCode::PRECONDITION_FAILED,
            });
            describe(response.headers_mut(), digest);
            return Ok(response);
        }
    }
    let wanted = call.shared.options.redirects.wanted(&call.parts, call.context.client_addr);
    if call.is_head() {
        return head(blobs.as_ref(), digest, wanted).await;
    }
    match range(call, digest) {
        RangeHeader::Ignored => whole(blobs.as_ref(), digest, wanted).await,
        RangeHeader::Inverted => Err(unsatisfied(blobs.stat(digest).await?.size)),
        RangeHeader::Ranges(ranges) => match ranges.as_slice() {
            [range] => part(blobs.as_ref(), digest, wanted.with_range(Some(*range))).await,
            ranges => {
                let size = blobs.stat(digest).await?.size;
                let parts = RangeHeader::parts(ranges, size);
                match parts.as_slice() {
                    [] => Err(unsatisfied(size)),
                    [only] => match ByteRange::bounded(only.start, only.end) {
                        Some(range) => {
                            part(blobs.as_ref(), digest, GetBlob::default().with_range(Some(range))).await
                        }
                        None => Err(unsatisfied(size)),
                    },
                    _ => {
                        let multipart = Multipart::new(blobs, digest.clone(), size, parts);
                        let mut response = empty(StatusCode::PARTIAL_CONTENT);
                        describe(response.headers_mut(), digest);
                        sized(response.headers_mut(), &multipart.content_type, multipart.len);
                        *response.body_mut() = Body::stream(multipart.stream, multipart.len);
                        Ok(response)
                    }
                }
            }
        },
    }
}

/// `DELETE /v2/<name>/blobs/<digest>`.
pub(super) async fn delete(call: &Call, name: &RepositoryName, digest: &Digest) -> Handled {
    call.repository(name).await?.blobs().delete(digest).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

fn range(call: &Call, digest: &Digest) -> RangeHeader {
    let headers = &call.parts.headers;
    match headers.get(RANGE).and_then(|range| range.to_str().ok()) {
        Some(text) if range_counts(headers, digest) => RangeHeader::parse(text),
        _ => RangeHeader::Ignored,
    }
}

/// A range means something for GET alone (RFC 9110, section 14.2).
async fn head(blobs: &dyn BlobStore, digest: &Digest, wanted: GetBlob) -> Handled {
    let size = if wanted.redirect.is_none() {
        blobs.stat(digest).await?.size
    } else {
        let blob = blobs.get(digest, wanted).await?;
        if let BlobBody::Redirect(uri) = &blob.body {
            return Ok(elsewhere(digest, uri));
        }
        blob.descriptor.size
    };
    let mut response = empty(StatusCode::OK);
    describe(response.headers_mut(), digest);
    sized(response.headers_mut(), MediaType::OCTET_STREAM, size);
    Ok(response)
}

async fn whole(blobs: &dyn BlobStore, digest: &Digest, wanted: GetBlob) -> Handled {
    let blob = blobs.get(digest, wanted).await?;
    if let BlobBody::Redirect(uri) = &blob.body {
        return Ok(elsewhere(digest, uri));
    }
    let mut response = empty(StatusCode::OK);
    describe(response.headers_mut(), digest);
    Ok(with_blob(response, blob))
}

async fn part(blobs: &dyn BlobStore, digest: &Digest, wanted: GetBlob) -> Handled {
    let blob = match blobs.get(digest, wanted).await {
        Err(Error::RangeNotSatisfiable { len }) => return Err(unsatisfied(len)),
        result => result?,
    };
    if let BlobBody::Redirect(uri) = &blob.body {
        return Ok(elsewhere(digest, uri));
    }
    let mut response = empty(StatusCode::PARTIAL_CONTENT);
    describe(response.headers_mut(), digest);
    let content_range = content_range(&blob.range, blob.descriptor.size);
    response.headers_mut().insert(CONTENT_RANGE, value(content_range));
    Ok(with_blob(response, blob))
}

/// Sends the client on, whose range goes with it.
fn elsewhere(digest: &Digest, uri: &Uri) -> Response<Body> {
    let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
    describe(response.headers_mut(), digest);
    response.headers_mut().insert(LOCATION, value(uri.to_string()));
    // The URL may be short-lived, unlike the content.
    response.headers_mut().remove(CACHE_CONTROL);
    response
}

fn unsatisfied(len: u64) -> Failure {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_RANGE, value(unsatisfied_range(len)));
    Failure::with_headers(Error::RangeNotSatisfiable { len }, headers)
}

/// What is true of the content whatever part of it is sent.
fn describe(headers: &mut HeaderMap, digest: &Digest) {
    headers.insert(CONTENT_DIGEST, value(digest));
    headers.insert(ETAG, etag(digest));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Content under a digest never changes.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=31536000"));
}

fn sized(headers: &mut HeaderMap, content_type: &str, len: u64) {
    headers.insert(CONTENT_TYPE, value(content_type));
    headers.insert(CONTENT_LENGTH, value(len.to_string()));
}

fn with_blob(mut response: Response<Body>, blob: Blob) -> Response<Body> {
    let len = blob.range.end - blob.range.start;
    sized(response.headers_mut(), MediaType::OCTET_STREAM, len);
    *response.body_mut() = Body::blob(blob.body, len);
    response
}
