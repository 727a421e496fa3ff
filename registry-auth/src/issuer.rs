//! A token server of our own: whoever runs it needs no second product.
//!
//! An [`Issuer`] answers the token endpoint that a challenge of the registry leads clients to, in both forms that
//! clients speak: the registry token protocol (GET with Basic credentials or none) and OAuth 2.0 (POST; RFC 6749,
//! RFC 7523, RFC 8693). It knows no HTTP server: [`answer`](Issuer::answer) makes a response of a request.
//!
//! | a client shows | it gets |
//! |---|---|
//! | nothing | a token with what anybody may do |
//! | user name and password | a token, and a refresh token if it asks for one |
//! | an identity token as password, or by RFC 7523 or RFC 8693 | the same, for as long as the source lets the login last |
//! | a refresh token of ours | a token for other scopes |
//!
//! Users come from [`UserSource`]s, what they are granted is decided by [`Grants`]. [`IssuedTokens`] is the access
//! controller that takes the tokens, in the same process and with no request to the issuer.

mod answer;
mod audit;
mod claims;
mod controller;
mod grants;
mod issue;
mod keys;
mod refresh;
mod refusal;
mod request;
pub mod scope;
mod seal;
mod users;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::ALLOW;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use registry_core::AuditSink;
use tracing::warn;

use self::keys::{KeySettings, Keys};
use self::refusal::Refusal;
use self::request::Form;
use crate::jose::SigningAlgorithm;

pub use self::controller::IssuedTokens;
pub use self::grants::{EverythingToUsers, Grants};
pub use self::users::{Credential, Login, PasswordUsers, StaticUser, UserSource, UsersError};

/// The longest body of a request, in bytes.
pub const MAX_BODY: usize = 64 << 10;

/// What an issuer is to be. [`IssuerOptions::default`] is what a configuration without any key means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuerOptions {
    /// Whom tokens are for: their `aud`, and the `service` of challenges. `registry` by default.
    pub service: String,
    /// Whose tokens they are: their `iss`. The service by default.
    pub issuer: Option<String>,
    /// The path of the endpoint, `/auth/token` by default.
    pub path: String,
    /// The URL of the endpoint in challenges. By default it is at the host that a request asked.
    pub realm: Option<String>,
    /// The directory of the keys. Without one they end with the process, and all tokens with them.
    pub keys: Option<PathBuf>,
    /// What signs: ES256 by default, and none of the HS algorithms.
    pub algorithm: SigningAlgorithm,
    /// How long a key signs: 30 days by default.
    pub rotation: Duration,
    /// How long a token holds: 5 minutes by default, and a minute at least, which is what clients expect.
    pub expiration: Duration,
    /// How long a refresh token holds: 30 days by default.
    pub refresh_expiration: Duration,
}

impl Default for IssuerOptions {
    fn default() -> Self {
        const DAY: u64 = 86_400;
        Self {
            service: "registry".to_owned(),
            issuer: None,
            path: "/auth/token".to_owned(),
            realm: None,
            keys: None,
            algorithm: SigningAlgorithm::Es256,
            rotation: Duration::from_secs(30 * DAY),
            expiration: Duration::from_secs(300),
            refresh_expiration: Duration::from_secs(30 * DAY),
        }
    }
}

/// Why there is no issuer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct IssuerError(String);

/// A token server. Cheap to clone; clones share their keys.
#[derive(Debug, Clone)]
pub struct Issuer {
    shared: Arc<Shared>,
}

#[derive(Debug, Clone)]
struct Shared {
    options: IssuerOptions,
    issuer: String,
    keys: Arc<Keys>,
    users: Vec<Arc<dyn UserSource>>,
    grants: Arc<dyn Grants>,
    audit: Option<Arc<dyn AuditSink>>,
}

/// How far the clocks of whoever issues and whoever verifies may be apart.
const LEEWAY: Duration = Duration::from_secs(60);

impl Issuer {
    /// An issuer for these users, which grants each of them everything. Reads its keys, or makes the first; waits
    /// for the disk.
    ///
    /// # Errors
    /// Options that make no sense, or keys that cannot be read or kept.
    pub fn open(options: IssuerOptions, users: Vec<Arc<dyn UserSource>>) -> Result<Self, IssuerError> {
        if !options.path.starts_with('/') || options.path.ends_with('/') {
            return Err(IssuerError(format!("path {:?} is not of the form /auth/token", options.path)));
        }
        let text = [Some(&options.service), options.issuer.as_ref(), options.realm.as_ref()];
        if text
            .into_iter()
            .flatten()
            .any(|text| text.is_empty() || text.contains(['"', '\\']) || !printable(text))
        {
            return Err(IssuerError("service, issuer and realm are text without quotes".to_owned()));
        }
        if options.expiration < Duration::from_secs(60) || options.rotation < Duration::from_secs(1) {
            return Err(IssuerError("tokens hold for a minute at least, and keys for a second".to_owned()));
        }
        let names: BTreeSet<&str> = users.iter().map(|source| source.name()).collect();
        if names.len() < users.len() {
            return Err(IssuerError("two sources of users have the same name".to_owned()));
        }
        let settings = KeySettings {
            algorithm: options.algorithm,
            directory: options.keys.clone(),
            rotation: options.rotation,
            access: options.expiration + LEEWAY,
            refresh: options.refresh_expiration + LEEWAY,
        };
        let keys = Keys::open(&settings).map_err(|error| IssuerError(error.to_string()))?;
        let issuer = options.issuer.clone().unwrap_or_else(|| options.service.clone());
        let (keys, grants) = (Arc::new(keys), Arc::new(EverythingToUsers));
        let shared = Shared { options, issuer, keys, users, grants, audit: None };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The same issuer, which grants what these say instead of everything to every user.
    #[must_use]
    pub fn with_grants(self, grants: Arc<dyn Grants>) -> Self {
        Self { shared: Arc::new(Shared { grants, ..Shared::clone(&self.shared) }) }
    }

    /// The same issuer, which tells `sink` of every token that is issued or refused.
    #[must_use]
    pub fn with_audit(self, sink: Arc<dyn AuditSink>) -> Self {
        Self { shared: Arc::new(Shared { audit: Some(sink), ..Shared::clone(&self.shared) }) }
    }

    /// Whether a request for this path is for the issuer: the endpoint itself, and the public keys below it.
    pub fn serves(&self, path: &str) -> bool {
        self.place(path).is_some()
    }

    fn place(&self, path: &str) -> Option<Place> {
        match path.strip_prefix(self.shared.options.path.as_str())? {
            "" | "/" => Some(Place::Tokens),
            "/jwks" => Some(Place::Keys),
            _ => None,
        }
    }

    /// The answer to a request. The body may be cut off after [`MAX_BODY`] bytes and one more.
    ///
    /// The address of the client is the [`SocketAddr`] among the extensions of the request, if there is one.
    pub async fn answer(&self, parts: &Parts, body: &[u8]) -> Response<Bytes> {
        let of_keys = self.place(parts.uri.path()) == Some(Place::Keys);
        let allowed = if of_keys { refusal::KEYS_METHODS } else { refusal::METHODS };
        if parts.method == Method::OPTIONS {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            return response;
        }
        if of_keys {
            return match parts.method {
                Method::GET => answer::keys(&self.shared.keys.fresh().await.jwks()),
                _ => self.refused(&Refusal::Method(allowed), Form::Registry, parts),
            };
        }
        let form = match parts.method {
            Method::GET => Form::Registry,
            Method::POST => Form::OAuth,
            _ => return self.refused(&Refusal::Method(allowed), Form::Registry, parts),
        };
        if body.len() > MAX_BODY {
            return self.refused(&Refusal::TooLarge, form, parts);
        }
        match self.shared.token(parts, body).await {
            Ok(response) => response,
            Err(refusal) => self.refused(&refusal, form, parts),
        }
    }

    fn refused(&self, refusal: &Refusal, form: Form, parts: &Parts) -> Response<Bytes> {
        let client = Address(client_addr(parts));
        match std::error::Error::source(refusal) {
            Some(cause) => warn!(%client, %cause, "no token issued: {refusal}"),
            None => warn!(%client, "no token issued: {refusal}"),
        }
        audit::refused(self.shared.audit.as_deref(), parts, refusal, form);
        refusal.answer(form, &self.shared.options.service)
    }
}

/// What there is below the path of an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Tokens,
    Keys,
}

fn printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn client_addr(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<SocketAddr>().map(|peer| peer.ip().to_canonical())
}

/// An address for the log.
struct Address(Option<IpAddr>);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(addr) => addr.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests;
