//! The answers of the token endpoint.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, PRAGMA};
use http::{HeaderValue, Response};
use serde::Serialize;
use serde_json::Value;

use super::request::Form;
use super::scope::Scope;

/// How long published keys may be cached. A key is published for twice as long before it is used.
const KEYS_CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// What a client gets: the members of the registry token protocol and those of RFC 6749.
#[derive(Serialize)]
pub(super) struct Issued<'a> {
    token: &'a str,
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    issued_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
}

impl<'a> Issued<'a> {
    /// A token that begins at `issued` (seconds since 1970) and holds for `expires_in` seconds.
    pub(super) fn new(form: Form, token: &'a str, issued: u64, expires_in: u64) -> Self {
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(issued);
        Self {
            token,
            access_token: token,
            token_type: "Bearer",
            expires_in,
            issued_at: humantime::format_rfc3339_seconds(at).to_string(),
            refresh_token: None,
            scope: None,
            issued_token_type: (form == Form::Exchange)
                .then_some("urn:ietf:params:oauth:token-type:access_token"),
        }
    }

    pub(super) fn with_refresh_token(self, refresh_token: Option<&'a str>) -> Self {
        Self { refresh_token, ..self }
    }

    /// Says what was granted, as RFC 6749 wants where that is not what was asked for.
    pub(super) fn with_scopes(self, scopes: &[Scope]) -> Self {
        Self { scope: Some(written(scopes)), ..self }
    }

    pub(super) fn answer(&self) -> Response<Bytes> {
        json(&serde_json::to_value(self).unwrap_or_default())
    }
}

/// Scopes as the protocol writes them.
pub(super) fn written(scopes: &[Scope]) -> String {
    let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    scopes.join(" ")
}

/// An answer that nobody keeps (RFC 6749, section 5.1).
pub(super) fn json(body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    let length = response.body().len().into();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// The public keys, which anybody may keep for a while.
pub(super) fn keys(jwks: &Value) -> Response<Bytes> {
    let mut response = json(jwks);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, KEYS_CACHED);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    headers.remove(PRAGMA);
    response
}
