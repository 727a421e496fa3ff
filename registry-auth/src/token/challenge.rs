//! What a client without a good token is told (RFC 6750, section 3, and Distribution's token specification).

use std::borrow::Cow;

use http::HeaderName;
use registry_core::access::{Access, Resource};
use registry_core::{AuthError, AuthRequest, Challenge, Principal};

use super::TokenOptions;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Why a request is not granted.
#[derive(Debug)]
pub(crate) struct Refusal {
    reason: Cow<'static, str>,
    /// The `error` of the challenge, if it has one.
    error: Option<&'static str>,
    /// Whose token it was, if it is good.
    bearer: Option<Box<Principal>>,
}

impl Refusal {
    /// There is no token.
    pub(crate) fn required(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), error: None, bearer: None }
    }

    /// The token was not signed by the key that it names, or is no token inside. Distribution's challenge has no
    /// `error` then.
    pub(crate) fn unsigned(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), error: None, bearer: None }
    }

    /// The token is no good here, or not now.
    pub(crate) fn invalid(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), error: Some("invalid_token"), bearer: None }
    }

    /// The token is good and does not say what it would have to.
    pub(crate) fn insufficient(reason: impl Into<Cow<'static, str>>, bearer: Option<Principal>) -> Self {
        Self { reason: reason.into(), error: Some("insufficient_scope"), bearer: bearer.map(Box::new) }
    }

    /// The refusal with its challenge: realm, service, the scope to ask for, and what was wrong, in this order.
    pub(crate) fn into_error(self, options: &TokenOptions, request: &AuthRequest<'_>) -> AuthError {
        let realm = options.redirect.as_deref().and_then(|path| on_host(path, request));
        let mut params = vec![
            ("realm".into(), realm.unwrap_or_else(|| options.realm.clone())),
            ("service".into(), options.service.clone()),
        ];
        let scope = scope(request);
        if !scope.is_empty() {
            params.push(("scope".into(), scope));
        }
        if let Some(error) = self.error {
            params.push(("error".into(), error.to_owned()));
        }
        let challenge = Challenge { scheme: "Bearer".into(), params };
        AuthError::Unauthorized { reason: self.reason, challenges: vec![challenge] }
            .with_principal(self.bearer.map(|bearer| *bearer))
    }
}

/// The scope to ask a token for: `type:name:action,action`, with spaces between. Things and actions are in the order
/// of the request's accesses, so the same request gets the same scope; in Distribution the order is random.
///
/// The source of a mount is asked for too, so that the next token has it. `registry:blobs` is not: token servers
/// do not know it.
fn scope(request: &AuthRequest<'_>) -> String {
    let known = request.optional.iter().filter(|access| access.resource != Resource::AnyBlob);
    let mut things: Vec<(&Resource, Vec<&str>)> = Vec::new();
    for Access { resource, action } in request.required.iter().chain(known) {
        let action = action.as_str();
        match things.iter_mut().find(|(thing, _)| *thing == resource) {
            Some((_, actions)) if actions.contains(&action) => {}
            Some((_, actions)) => actions.push(action),
            None => things.push((resource, vec![action])),
        }
    }
    let scopes = things
        .iter()
        .map(|(thing, actions)| format!("{}:{}:{}", thing.kind(), thing.name(), actions.join(",")));
    scopes.collect::<Vec<_>>().join(" ")
}

/// Whether a text can stand for a host, with its port if it has one, in a URL and in a challenge.
pub(crate) fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

/// The URL of `path` on the host that the client asked; `None` if it named none, or one that is none.
fn on_host(path: &str, request: &AuthRequest<'_>) -> Option<String> {
    let host = request.host().filter(|host| is_host(host))?;
    let forwarded = request.headers.get(X_FORWARDED_PROTO).map(|scheme| scheme.as_bytes());
    let http = forwarded.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"http"));
    let scheme = if http { "http" } else { "https" };
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some(format!("{scheme}://{host}{slash}{path}"))
}
