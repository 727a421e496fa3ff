//! end-4a to end-6, end-11, end-13 and end-14.

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use registry_core::access::{Access, Action, Resource};
use registry_core::{
    BlobStore, BlobWriter, Descriptor, Digest, Error, ErrorCode, InvalidText, MountSource, RepositoryName,
    StartUpload, TextKind, UploadId, UploadStart, UploadStatus,
};

use super::{Handled, empty};
use crate::body::{Body, timed_out};
use crate::error::Failure;
use crate::headers::{CHUNK_MIN_LENGTH, CONTENT_DIGEST, UPLOAD_UUID, value};
use crate::range::{ContentRange, upload_range};
use crate::route::{Route, StartQuery};
use crate::service::{Call, RequestBody};
use crate::state::Verified;

/// `POST /v2/<name>/blobs/uploads/`: mounts a blob, takes a whole one, or begins a session.
pub(super) async fn start(
    call: &Call,
    name: &RepositoryName,
    query: StartQuery,
    body: RequestBody,
) -> Handled {
    if let Some(digest) = &query.digest
        && digest.algorithm().is_none()
    {
        return Err(Error::DigestUnsupported { digest: digest.clone() }.into());
    }
    let blobs = call.repository(name).await?.blobs();
    let mount = mount_source(call, &query).await?;
    let algorithm = query.digest.as_ref().and_then(Digest::algorithm).or(query.algorithm);
    let options = StartUpload::default().with_mount(mount).with_algorithm(algorithm);
    let mut writer = match blobs.start(options).await? {
        UploadStart::Mounted(descriptor) => return Ok(created(call, name, &descriptor.digest)),
        UploadStart::Session(writer) => writer,
    };
    match query.digest {
        Some(digest) => {
            let id = writer.id().clone();
            writer.expect(&digest);
            match take_whole(call, writer, body, &digest).await {
                Ok(()) => Ok(created(call, name, &digest)),
                Err(error) => {
                    // Nobody has been told of the session, so nobody could go on with it.
                    if let Ok(session) = blobs.resume(&id, None).await {
                        let _ = session.cancel().await;
                    }
                    Err(error.into())
                }
            }
        }
        None => {
            let min_chunk_size = writer.min_chunk_size();
            let status = writer.detach().await?;
            let mut response = progress(call, name, &status, StatusCode::ACCEPTED);
            if let Some(size) = min_chunk_size {
                response.headers_mut().insert(CHUNK_MIN_LENGTH, value(size.to_string()));
            }
            Ok(response)
        }
    }
}

/// `GET` and `HEAD` of a session: how far it has come.
pub(super) async fn status(
    call: &Call,
    name: &RepositoryName,
    id: &UploadId,
    state: Option<&str>,
) -> Handled {
    let blobs = call.repository(name).await?.blobs();
    // To ask is allowed with the id alone.
    let ticket = call.shared.signer.verify(state, name, id).ok().and_then(|state| state.ticket);
    let status = blobs.status(id, ticket.as_deref()).await?;
    Ok(progress(call, name, &status, StatusCode::NO_CONTENT))
}

/// `PATCH` of a session: appends a chunk.
pub(super) async fn patch(
    call: &Call,
    name: &RepositoryName,
    id: &UploadId,
    state: Option<&str>,
    body: RequestBody,
) -> Handled {
    let blobs = call.repository(name).await?.blobs();
    let state = call.shared.signer.verify(state, name, id)?;
    let writer = hold(call, name, blobs.as_ref(), id, &state).await?;
    let status = match append(call, writer, body).await?.detach().await {
        Ok(status) => status,
        // Where two can go on with a session at once, the second learns only at the end that it was late.
        Err(error @ Error::UploadOffset { .. }) => {
            let status = blobs.status(id, None).await?;
            return Err(misplaced(call, name, &status, error));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(progress(call, name, &status, StatusCode::ACCEPTED))
}

/// `PUT` of a session: appends what there is, and ends it.
pub(super) async fn finish(
    call: &Call,
    name: &RepositoryName,
    id: &UploadId,
    state: Option<&str>,
    digest: Option<Digest>,
    body: RequestBody,
) -> Handled {
    let blobs = call.repository(name).await?.blobs();
    let state = call.shared.signer.verify(state, name, id)?;
    // Before anything is written: a mistake in the digest costs the client nothing.
    let digest =
        digest.ok_or_else(|| InvalidText::new(TextKind::Digest, "", "digest missing from the query"))?;
    if digest.algorithm().is_none() {
        return Err(Error::DigestUnsupported { digest }.into());
    }
    let mut writer = match hold(call, name, blobs.as_ref(), id, &state).await {
        // The answer to the request that ended the session may have been lost, and this be the same
        // request again.
        Err(Failure { error: Error::UploadUnknown { .. }, .. }) if blobs.stat(&digest).await.is_ok() => {
            return Ok(created(call, name, &digest));
        }
        held => held?,
    };
    writer.expect(&digest);
    let ended = match append(call, writer, body).await {
        Ok(writer) => writer.commit(&digest).await,
        Err(error) => Err(error),
    };
    match ended {
        Ok(descriptor) => Ok(created(call, name, &descriptor.digest)),
        // Where a session is gone on with unseen, that it has ended shows only now.
        Err(Error::UploadBusy { .. } | Error::UploadUnknown { .. }) if blobs.stat(&digest).await.is_ok() => {
            Ok(created(call, name, &digest))
        }
        Err(error) => Err(error.into()),
    }
}

/// `DELETE` of a session.
pub(super) async fn cancel(
    call: &Call,
    name: &RepositoryName,
    id: &UploadId,
    state: Option<&str>,
) -> Handled {
    let blobs = call.repository(name).await?.blobs();
    let state = call.shared.signer.verify(state, name, id)?;
    blobs.resume(id, state.ticket.as_deref()).await?.cancel().await?;
    let mut response = empty(StatusCode::NO_CONTENT);
    response.headers_mut().insert(UPLOAD_UUID, value(id));
    Ok(response)
}

/// What can be mounted, if the caller may read it where it is. Resolved through the outermost
/// namespace, so that middleware of the source has a say.
async fn mount_source(call: &Call, query: &StartQuery) -> Result<Option<MountSource>, Error> {
    let Some(digest) = &query.mount else { return Ok(None) };
    let needed = match &query.from {
        Some(from) => Access::repository(from, Action::Pull),
        None => Access { resource: Resource::AnyBlob, action: Action::Pull },
    };
    if !call.granted.contains(&needed) {
        return Ok(None);
    }
    let found = match &query.from {
        Some(from) => source_blob(call, from, digest).await.map(Some),
        None => call.shared.namespace.blobs().stat(digest).await,
    };
    let descriptor = match found {
        Ok(descriptor) => descriptor,
        // Whatever the source's reason: what cannot be had from there is uploaded.
        Err(error) if error.code().status().is_client_error() => None,
        Err(error) => return Err(error),
    };
    Ok(descriptor.map(|descriptor| MountSource { from: query.from.clone(), descriptor }))
}

async fn source_blob(call: &Call, from: &RepositoryName, digest: &Digest) -> Result<Descriptor, Error> {
    call.repository(from).await?.blobs().stat(digest).await
}

/// Takes hold of a session, if it is where the request believes it to be. Otherwise the answer says
/// where it is, so that the client can go on from there.
async fn hold(
    call: &Call,
    name: &RepositoryName,
    blobs: &dyn BlobStore,
    id: &UploadId,
    state: &Verified,
) -> Result<Box<dyn BlobWriter>, Failure> {
    let offset = state.offset;
    let mut writer = blobs.resume(id, state.ticket.as_deref()).await?;
    if offset > writer.size() && blobs.status(id, state.ticket.as_deref()).await?.size == offset {
        // Another replica told the client so, and what was remembered here was old.
        drop(writer);
        writer = blobs.resume(id, state.ticket.as_deref()).await?;
    }
    let chunk = content_range(&call.parts.headers)?;
    let actual = chunk.map_or(offset, |chunk| chunk.start);
    if actual == writer.size() && offset == writer.size() {
        return Ok(writer);
    }
    // Of where it is the client's state says nothing.
    let status = UploadStatus {
        id: writer.id().clone(),
        size: writer.size(),
        started_at: writer.started_at(),
        ticket: None,
    };
    let actual = if actual == status.size { offset } else { actual };
    let error = Error::UploadOffset { id: id.clone(), expected: status.size, actual };
    Err(misplaced(call, name, &status, error))
}

/// The error of a request for another place than where the session is, with where to go on.
fn misplaced(call: &Call, name: &RepositoryName, status: &UploadStatus, error: Error) -> Failure {
    let mut headers = std::mem::take(progress(call, name, status, StatusCode::ACCEPTED).headers_mut());
    headers.remove(CONTENT_LENGTH);
    Failure::with_headers(error, headers)
}

fn content_range(headers: &HeaderMap) -> Result<Option<ContentRange>, Error> {
    let Some(header) = headers.get(CONTENT_RANGE) else { return Ok(None) };
    Ok(Some(ContentRange::parse(header.to_str().unwrap_or_default())?))
}

/// Takes a whole blob in one request.
async fn take_whole(
    call: &Call,
    mut writer: Box<dyn BlobWriter>,
    body: RequestBody,
    digest: &Digest,
) -> Result<(), Error> {
    receive(call, writer.as_mut(), body).await?;
    writer.commit(digest).await?;
    Ok(())
}

/// Appends the body of a request to a session. If that fails half-way, what came is kept, and the session
/// can be resumed.
async fn append(
    call: &Call,
    mut writer: Box<dyn BlobWriter>,
    body: RequestBody,
) -> Result<Box<dyn BlobWriter>, Error> {
    match receive(call, writer.as_mut(), body).await {
        Ok(()) => Ok(writer),
        Err(error) => {
            // The first failure is the one to report; a second one changes nothing for the client.
            if let Err(second) = writer.close().await {
                tracing::debug!(error = crate::error::chain(&second), "an upload could not be closed");
            }
            Err(error)
        }
    }
}

/// Writes the body of a request. Whatever its media type: it is the bytes of a blob.
async fn receive(call: &Call, writer: &mut dyn BlobWriter, mut body: RequestBody) -> Result<(), Error> {
    let announced = content_range(&call.parts.headers)?.map(|chunk| chunk.len);
    let length = call.parts.headers.get(CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok());
    if let (Some(expected), Some(actual)) = (announced, length)
        && expected != actual
    {
        return Err(Error::SizeMismatch { expected, actual });
    }
    let mut received = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            tracing::info!(%error, received, "a client broke off an upload");
            if timed_out(&error) {
                return Error::coded(ErrorCode::BLOB_UPLOAD_TIMEOUT);
            }
            Error::UploadInvalid { reason: "the body broke off".into() }
        })?;
        let data = frame.into_data().unwrap_or_default();
        received += data.len() as u64;
        // With chunked encoding only this tells that there is more than the chunk was said to have.
        if let Some(expected) = announced.filter(|expected| received > *expected) {
            return Err(Error::SizeMismatch { expected, actual: received });
        }
        writer.write(data).await?;
    }
    match announced.or(length).filter(|expected| received != *expected) {
        Some(expected) => Err(Error::SizeMismatch { expected, actual: received }),
        None => Ok(()),
    }
}

/// Where a session is and how far it has come.
fn progress(call: &Call, name: &RepositoryName, status: &UploadStatus, code: StatusCode) -> Response<Body> {
    let state = call.shared.signer.sign(name, status);
    let location = Route::PatchUpload { name: name.clone(), id: status.id.clone(), state: Some(state) };
    let mut response = empty(code);
    let headers = response.headers_mut();
    headers.insert(LOCATION, call.location(&location));
    headers.insert(RANGE, value(upload_range(status.size)));
    headers.insert(UPLOAD_UUID, value(&status.id));
    response
}

/// The blob is in the repository.
fn created(call: &Call, name: &RepositoryName, digest: &Digest) -> Response<Body> {
    let location = Route::GetBlob { name: name.clone(), digest: digest.clone() };
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(LOCATION, call.location(&location));
    headers.insert(CONTENT_DIGEST, value(digest));
    response
}
