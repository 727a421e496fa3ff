//! Why no token is issued, and how the client is told.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use registry_core::BoxError;
use serde_json::json;

use super::answer;
use super::request::Form;
use super::scope::TooMany;
use crate::htpasswd::Busy;

/// What may be done to the endpoint.
pub(super) const METHODS: &str = "GET, POST, OPTIONS";

/// What may be done to the keys.
pub(super) const KEYS_METHODS: &str = "GET, OPTIONS";

/// Why no token is issued. The text of a reason is for the log; the client is told what it can do something about.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// A request that makes no sense.
    #[error("{0}")]
    Request(Cow<'static, str>),
    /// Too much is asked for.
    #[error(transparent)]
    Scope(TooMany),
    /// For somebody else's service.
    #[error("the service {0:?} is not this one")]
    Service(String),
    /// A grant that is not known.
    #[error("unknown grant type")]
    GrantType,
    /// Whoever asks is not who they say. The client is not told why.
    #[error("{0}")]
    Credentials(Cow<'static, str>),
    /// More bytes than any request has.
    #[error("the request is too large")]
    TooLarge,
    /// A method that is not one of these.
    #[error("method not allowed")]
    Method(&'static str),
    /// Too many others are logging in.
    #[error(transparent)]
    Busy(Busy),
    /// Who asks cannot be found out now.
    #[error("credentials cannot be checked")]
    Unavailable(#[source] BoxError),
    /// A failure of our own.
    #[error("no token can be made")]
    Failed(#[source] BoxError),
}

impl Refusal {
    /// Why a source of users says nothing.
    pub(super) fn source_failed(error: BoxError) -> Self {
        match error.downcast::<Busy>() {
            Ok(busy) => Self::Busy(*busy),
            Err(error) => Self::Unavailable(error),
        }
    }

    /// The code of RFC 6749, section 5.2, or of RFC 8707.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Request(_) | Self::TooLarge | Self::Method(_) => "invalid_request",
            Self::Scope(_) => "invalid_scope",
            Self::Service(_) => "invalid_target",
            Self::GrantType => "unsupported_grant_type",
            Self::Credentials(_) => "invalid_grant",
            Self::Busy(_) | Self::Unavailable(_) => "temporarily_unavailable",
            Self::Failed(_) => "server_error",
        }
    }

    pub(super) fn status(&self, form: Form) -> StatusCode {
        match self {
            // RFC 6749 has 401 for credentials of clients alone; those of users are a grant.
            Self::Credentials(_) if form == Form::Registry => StatusCode::UNAUTHORIZED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    fn told(&self) -> Cow<'static, str> {
        match self {
            Self::Credentials(_) => "wrong user name, password or token".into(),
            other => other.to_string().into(),
        }
    }

    /// The answer. It has the members of RFC 6749 and those of the registry protocol, which docker shows to its user.
    pub(super) fn answer(&self, form: Form, service: &str) -> Response<Bytes> {
        let told = self.told();
        let code = match self {
            Self::Credentials(_) => "UNAUTHORIZED",
            Self::Busy(_) => "TOOMANYREQUESTS",
            Self::Unavailable(_) => "UNAVAILABLE",
            Self::Failed(_) => "UNKNOWN",
            _ => "UNSUPPORTED",
        };
        let body = json!({
            "error": self.code(),
            "error_description": told,
            "errors": [{ "code": code, "message": told }],
        });
        let mut response = answer::json(&body);
        *response.status_mut() = self.status(form);
        let headers = response.headers_mut();
        // A 401 has a challenge (RFC 9110, section 15.5.2).
        if self.status(form) == StatusCode::UNAUTHORIZED
            && let Ok(challenge) = HeaderValue::from_str(&format!("Basic realm=\"{service}\""))
        {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        match self {
            Self::Method(allowed) => {
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            // Without a time some clients try again at once, as with the API.
            Self::Busy(_) | Self::Unavailable(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
