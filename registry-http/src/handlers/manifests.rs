//! end-3, end-7a, end-7b and end-9.

use bytes::Bytes;
use futures::StreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use registry_core::manifest::detect_media_type;
use registry_core::{
    Algorithm, Descriptor, Digest, Error, ErrorCode, InvalidText, Manifest, ManifestDocument, MediaType,
    PutManifest, Reference, Repository, RepositoryName, Tag, TextKind, collect,
};

use super::{Handled, empty};
use crate::body::timed_out;
use crate::conditional::{Condition, etag, evaluate};
use crate::headers::{CONTENT_DIGEST, OCI_SUBJECT, OCI_TAG, value};
use crate::route::Route;
use crate::service::{Call, RequestBody};

/// The most tags that one request may set.
const TAGS_MAX: usize = 256;

/// `GET` and `HEAD /v2/<name>/manifests/<reference>`. A stored manifest is served whatever `Accept`
/// says: a client that cannot read it says so better than we could.
pub(super) async fn get(call: &Call, name: &RepositoryName, reference: &Reference) -> Handled {
    let repository = call.repository(name).await?;
    let digest = resolve(repository.as_ref(), reference).await.map_err(|error| match error {
        // Asked for by tag, missing by tag: also if it is the manifest that is gone.
        Error::ManifestUnknown { repository, .. } => {
            Error::ManifestUnknown { repository, reference: reference.clone() }
        }
        error => error,
    })?;
    let condition = evaluate(&call.parts.headers, &digest);
    if call.is_head() || condition != Condition::Met {
        let descriptor = repository.manifests().stat(&digest).await?;
        let mut response = empty(match condition {
            Condition::Met => StatusCode::OK,
            Condition::NotModified => StatusCode::NOT_MODIFIED,
            Condition::Failed => StatusCode::PRECONDITION_FAILED,
        });
        describe(response.headers_mut(), &descriptor);
        if condition != Condition::Met {
            response.headers_mut().remove(CONTENT_TYPE);
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        return Ok(response);
    }
    let manifest = repository.manifests().get(&digest).await?;
    let mut response = empty(StatusCode::OK);
    describe(response.headers_mut(), &manifest.descriptor());
    *response.body_mut() = manifest.payload().clone().into();
    Ok(response)
}

/// `PUT /v2/<name>/manifests/<reference>`.
pub(super) async fn put(
    call: &Call,
    name: &RepositoryName,
    reference: &Reference,
    mut tags: Vec<Tag>,
    body: RequestBody,
) -> Handled {
    if tags.len() > TAGS_MAX {
        let reason = "at most 256 tags can be set in one request";
        return Err(InvalidText::new(TextKind::Tag, "", reason).into());
    }
    let algorithm = match reference {
        Reference::Tag(_) => Algorithm::default(),
        Reference::Digest(digest) => {
            digest.algorithm().ok_or_else(|| Error::DigestUnsupported { digest: digest.clone() })?
        }
    };
    let payload = read(call, body).await?;
    let manifest = Manifest::new(media_type(call, &payload)?, algorithm, payload);
    let in_query = tags.clone();
    match reference {
        Reference::Tag(tag) if !tags.contains(tag) => tags.push(tag.clone()),
        Reference::Tag(_) => {}
        Reference::Digest(expected) if expected == manifest.digest() => {}
        Reference::Digest(expected) => {
            let actual = Some(manifest.digest().clone());
            return Err(Error::DigestMismatch { expected: expected.clone(), actual }.into());
        }
    }
    let repository = call.repository(name).await?;
    let stored = repository.manifests().put(&manifest, PutManifest::default().with_tags(tags)).await?;
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    let location =
        Route::GetManifest { name: name.clone(), reference: Reference::Digest(stored.digest.clone()) };
    headers.insert(LOCATION, call.location(&location));
    headers.insert(CONTENT_DIGEST, value(&stored.digest));
    if let Some(subject) = ManifestDocument::parse(manifest.payload())?.subject_digest() {
        headers.insert(OCI_SUBJECT, value(subject));
    }
    for tag in &in_query {
        headers.append(OCI_TAG, value(tag));
    }
    Ok(response)
}

/// `DELETE /v2/<name>/manifests/<reference>`: a tag alone, or a manifest with its tags.
pub(super) async fn delete(call: &Call, name: &RepositoryName, reference: &Reference) -> Handled {
    let repository = call.repository(name).await?;
    match reference {
        Reference::Tag(tag) => repository.tags().delete(tag).await?,
        Reference::Digest(digest) => repository.manifests().delete(digest).await?,
    }
    Ok(empty(StatusCode::ACCEPTED))
}

async fn resolve(repository: &dyn Repository, reference: &Reference) -> Result<Digest, Error> {
    match reference {
        Reference::Tag(tag) => repository.tags().get(tag).await,
        Reference::Digest(digest) => Ok(digest.clone()),
    }
}

fn describe(headers: &mut HeaderMap, descriptor: &Descriptor) {
    headers.insert(CONTENT_TYPE, value(&descriptor.media_type));
    headers.insert(CONTENT_LENGTH, value(descriptor.size.to_string()));
    headers.insert(CONTENT_DIGEST, value(&descriptor.digest));
    headers.insert(ETAG, etag(&descriptor.digest));
}

/// The body, as long as it is no longer than a manifest may be.
async fn read(call: &Call, body: RequestBody) -> Result<Bytes, Error> {
    const LIMIT: usize = Manifest::MAX_LEN;
    let too_large = || Error::ManifestTooLarge { limit: LIMIT as u64 };
    let announced = call.parts.headers.get(CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok());
    if announced.is_some_and(|len: u64| len > LIMIT as u64) {
        return Err(too_large());
    }
    let stream = body.into_data_stream().map(|piece| {
        piece.map_err(|error| match timed_out(&error) {
            true => Error::coded(ErrorCode::MANIFEST_TIMEOUT),
            false => Error::manifest_invalid(format!("the body could not be read: {error}")),
        })
    });
    collect(stream.boxed(), LIMIT).await?.ok_or_else(too_large)
}

/// The type that the manifest is pushed as; without a header, what it says itself.
fn media_type(call: &Call, payload: &[u8]) -> Result<MediaType, Error> {
    match call.parts.headers.get(CONTENT_TYPE) {
        Some(header) => {
            let pushed_as = MediaType::from_header(header.to_str().unwrap_or_default())?;
            // Letter case means nothing in a header; the bytes' own spelling counts.
            match detect_media_type(payload) {
                Some(detected) if detected.as_str().eq_ignore_ascii_case(pushed_as.as_str()) => Ok(detected),
                _ => Ok(pushed_as),
            }
        }
        None => {
            // Says what is wrong with the content, if something is, before that nothing says its type.
            ManifestDocument::parse(payload)?;
            detect_media_type(payload).ok_or_else(|| {
                Error::manifest_invalid("neither Content-Type nor mediaType says what this is")
            })
        }
    }
}
