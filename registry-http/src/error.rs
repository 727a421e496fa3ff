//! The only writer of the error envelope (distribution specification, "Error Codes").

use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use registry_core::{Error, StorageError, WireError};
use serde_json::{Value, json};

use crate::body::Body;
use crate::headers::value;
use crate::request_log::Reported;

/// After how many seconds it is worth asking again.
const SOON: HeaderValue = HeaderValue::from_static("1");

/// What a handler returns instead of a response: an error, and headers that help the client go on.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) headers: HeaderMap,
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), headers: HeaderMap::new() }
    }
}

impl Failure {
    pub(crate) fn with_headers(error: Error, headers: HeaderMap) -> Self {
        Self { error, headers }
    }
}

/// The response to an error: the status of its first entry and the envelope as JSON.
///
/// Failures of our own, with a status of 500 or above, are logged with their causes, once: by the line of
/// [`RequestLog`](crate::RequestLog), or when the response goes away without one. The client is told the
/// code's fixed message and nothing else.
pub fn error_response(error: &Error) -> Response<Body> {
    let mut response = wire_response(&error.wire());
    if matches!(error, Error::Storage(StorageError::Unavailable { .. })) {
        // The driver has tried again as often as it was worth it to keep the client waiting.
        response.headers_mut().insert(RETRY_AFTER, SOON);
    }
    if !error.code().status().is_server_error() {
        tracing::debug!(%error, code = error.code().id(), "request refused");
    } else if let Some(reported) = response.extensions_mut().get_mut::<Reported>() {
        reported.caused_by(chain(error));
    }
    response
}

/// The response that consists of these entries of the envelope.
pub fn wire_response(errors: &[WireError]) -> Response<Body> {
    let entries: Vec<Value> = errors
        .iter()
        .map(|error| {
            let mut entry = json!({ "code": error.code.id(), "message": error.message });
            if let Some(detail) = &error.detail {
                entry["detail"] = detail.clone();
            }
            entry
        })
        .collect();
    let status = errors.first().map_or(StatusCode::INTERNAL_SERVER_ERROR, |error| error.code.status());
    let mut body = json!({ "errors": entries }).to_string();
    body.push('\n');
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CONTENT_LENGTH, value(body.len().to_string()));
    *response.body_mut() = body.into();
    if status == StatusCode::TOO_MANY_REQUESTS {
        // Whoever says so has let the client wait already; without a time some clients try again at once.
        response.headers_mut().insert(RETRY_AFTER, SOON);
    }
    if let Some(error) = errors.first() {
        response.extensions_mut().insert(Reported::new(error));
    }
    response
}

/// The response to a method that an endpoint does not have, as Distribution gives it: text.
pub(crate) fn method_not_allowed(allow: &'static str) -> Response<Body> {
    const TEXT: &str = "Method not allowed\n";
    let mut response = Response::new(Body::from(TEXT));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(allow));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, value(TEXT.len().to_string()));
    response
}

/// The response to `OPTIONS`.
pub(crate) fn options(allow: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// An error with all its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use registry_core::ErrorCode;

    use super::*;

    #[test]
    fn who_asks_too_often_is_told_when_to_come_again() {
        let of = |code| error_response(&Error::coded(code)).headers().get(RETRY_AFTER).cloned();
        assert_eq!(of(ErrorCode::TOOMANYREQUESTS).unwrap(), "1");
        assert_eq!(of(ErrorCode::DENIED), None);
    }

    #[test]
    fn a_store_that_is_away_for_now_is_worth_asking_again() {
        let of =
            |error: StorageError| error_response(&Error::from(error)).headers().get(RETRY_AFTER).cloned();
        assert_eq!(of(StorageError::Unavailable { driver: "s3", source: "503".into() }).unwrap(), "1");
        assert_eq!(of(StorageError::ReadOnly { driver: "s3", operation: "put", source: "no".into() }), None);
    }
}
