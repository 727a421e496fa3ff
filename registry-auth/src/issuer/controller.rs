//! The access controller for tokens of an issuer in the same process.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use http::HeaderName;
use registry_core::{AccessController, AuthError, AuthRequest, Grant, Principal};

use super::Issuer;
use super::claims::Bearer;
use super::keys::Held;
use crate::jose::{Jws, SigningAlgorithm};
use crate::token::{Token, TokenOptions, TrustedKeys, bearer, is_host};

/// The claim that says what is known of the bearer.
const BEARER: &str = "bearer";

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Grants what tokens of an [`Issuer`] say.
///
/// The keys are those that the issuer has in memory. One that another replica has made is read from the directory when
/// a token first names it.
#[derive(Debug)]
pub struct IssuedTokens {
    issuer: Issuer,
    tokens: Token,
    /// The keys that `tokens` trusts.
    trusted: Mutex<Arc<Held>>,
}

impl IssuedTokens {
    /// A controller for the tokens of this issuer.
    pub fn new(issuer: Issuer) -> Self {
        let options = &issuer.shared.options;
        let realm = options.realm.clone().unwrap_or_else(|| options.path.clone());
        let options = TokenOptions::new(realm, issuer.shared.issuer.clone(), options.service.clone())
            .with_algorithms(algorithms());
        let held = issuer.shared.keys.held();
        let tokens = Token::new(options, trust(&held)).with_principals(principal);
        Self { issuer, tokens, trusted: Mutex::new(held) }
    }

    /// Trusts the keys that the issuer has now. Cheap if they are the same.
    fn follow(&self, held: Arc<Held>) {
        let mut trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&trusted, &held) {
            self.tokens.replace_keys(trust(&held));
            *trusted = held;
        }
    }

    /// Whether the request has a token under a key that is not known here.
    fn names_an_unknown_key(&self, request: &AuthRequest<'_>) -> bool {
        let known = || {
            let id = Jws::parse(bearer(request).ok()?).ok()?.header.kid?;
            Some(self.issuer.shared.keys.held().signing(&id).is_some())
        };
        known() == Some(false)
    }

    /// Sends the client to the endpoint.
    fn led(&self, error: AuthError, request: &AuthRequest<'_>) -> AuthError {
        let bearer = error.principal().cloned();
        let (reason, mut challenges) = match error.into_inner() {
            AuthError::Unauthorized { reason, challenges } => (reason, challenges),
            other => return other.with_principal(bearer),
        };
        let options = &self.issuer.shared.options;
        if options.realm.is_none()
            && let Some(url) = endpoint(request, &options.path)
        {
            let params = challenges.iter_mut().flat_map(|challenge| &mut challenge.params);
            for (_, value) in params.filter(|(name, _)| name == "realm") {
                value.clone_from(&url);
            }
        }
        AuthError::Unauthorized { reason, challenges }.with_principal(bearer)
    }
}

#[async_trait]
impl AccessController for IssuedTokens {
    async fn authorize(&self, request: &AuthRequest<'_>) -> Result<Grant, AuthError> {
        let keys = &self.issuer.shared.keys;
        self.follow(keys.glanced().await);
        let refused = match self.tokens.authorize(request).await {
            Ok(grant) => return Ok(grant),
            Err(refused) => refused,
        };
        if !self.names_an_unknown_key(request) {
            return Err(self.led(refused, request));
        }
        self.follow(keys.looked_for().await);
        if self.names_an_unknown_key(request) {
            return Err(self.led(refused, request));
        }
        self.tokens.authorize(request).await.map_err(|error| self.led(error, request))
    }
}

/// All but those for which whoever checks a token could make one.
fn algorithms() -> impl Iterator<Item = SigningAlgorithm> {
    use SigningAlgorithm::{Hs256, Hs384, Hs512};
    SigningAlgorithm::ALL.into_iter().filter(|algorithm| !matches!(algorithm, Hs256 | Hs384 | Hs512))
}

fn trust(held: &Held) -> TrustedKeys {
    TrustedKeys::of(held.public())
}

/// The principal as the issuer knew it, in place of the bearer of some token.
fn principal(of_token: Principal) -> Principal {
    let Principal { name, mut claims, .. } = of_token;
    let known: Option<Bearer> = claims.remove(BEARER).and_then(|bearer| serde_json::from_value(bearer).ok());
    match known {
        Some(known) => known.principal(name),
        None => Principal::new(name).with_method("token"),
    }
}

/// The URL of a path on the host that a request asked, in the way in which it was asked, as whoever is in front says
/// (`X-Forwarded-Proto`, `X-Forwarded-Host`); `None` if there is no host. The client can say what it likes: what is
/// made of it goes back to this client and nowhere else.
fn endpoint(request: &AuthRequest<'_>, path: &str) -> Option<String> {
    let first = |name: HeaderName| {
        let text = request.headers.get(name)?.to_str().ok()?;
        text.split(',').next().map(str::trim)
    };
    let host = first(X_FORWARDED_HOST).or_else(|| request.host()).filter(|host| is_host(host))?;
    let known = |scheme: &&str| ["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme));
    let scheme = first(X_FORWARDED_PROTO).filter(known).or(request.uri.scheme_str()).unwrap_or("http");
    Some(format!("{}://{host}{path}", scheme.to_ascii_lowercase()))
}
