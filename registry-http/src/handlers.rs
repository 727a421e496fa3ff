//! What each route does. One file for each slice of the API; no policy in any of them.

mod base;
mod blobs;
mod catalog;
mod manifests;
mod referrers;
mod tags;
mod uploads;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use crate::body::Body;
use crate::error::Failure;
use crate::headers::value;
use crate::route::Route;
use crate::service::{Call, RequestBody};

type Handled = Result<Response<Body>, Failure>;

/// As many headers as answers have, or about.
const HEADERS: usize = 12;

/// Hands a request to its handler.
pub(crate) async fn dispatch(call: Call, route: Route, body: RequestBody) -> Handled {
    match route {
        Route::Base => Ok(base::get()),
        Route::Catalog { page } => catalog::list(&call, &page).await,
        Route::Tags { name, page } => tags::list(&call, &name, &page).await,
        Route::GetManifest { name, reference } => manifests::get(&call, &name, &reference).await,
        Route::PutManifest { name, reference, tags } => {
            manifests::put(&call, &name, &reference, tags, body).await
        }
        Route::DeleteManifest { name, reference } => manifests::delete(&call, &name, &reference).await,
        Route::Referrers { name, digest, artifact_type, page } => {
            referrers::list(&call, &name, &digest, artifact_type, &page).await
        }
        Route::GetBlob { name, digest } => blobs::get(&call, &name, &digest).await,
        Route::DeleteBlob { name, digest } => blobs::delete(&call, &name, &digest).await,
        Route::StartUpload { name, start } => uploads::start(&call, &name, start, body).await,
        Route::UploadStatus { name, id, state } => uploads::status(&call, &name, &id, state.as_deref()).await,
        Route::PatchUpload { name, id, state } => {
            uploads::patch(&call, &name, &id, state.as_deref(), body).await
        }
        Route::FinishUpload { name, id, state, digest } => {
            uploads::finish(&call, &name, &id, state.as_deref(), digest, body).await
        }
        Route::CancelUpload { name, id, state } => uploads::cancel(&call, &name, &id, state.as_deref()).await,
    }
}

/// A response without content.
fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.headers_mut().reserve(HEADERS);
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    response
}

/// A response with content of a type and known length.
fn content(media_type: &str, body: impl Into<Body>) -> Response<Body> {
    let body = body.into();
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(CONTENT_TYPE, value(media_type));
    response.headers_mut().insert(CONTENT_LENGTH, value(body.len().to_string()));
    *response.body_mut() = body;
    response
}

/// A JSON document, with the newline at its end that Distribution sends.
fn json(document: &serde_json::Value) -> Response<Body> {
    content("application/json", format!("{document}\n"))
}
