//! Tokens that a token server signs: Distribution's `token` provider.
//!
//! A client without a token is told where to get one; what the token says is what the client may do. Nothing is
//! asked of the token server here: its signature is enough.

mod cache;
mod certificate;
mod challenge;
mod claims;
mod keys;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use registry_core::access::Access;
use registry_core::{AccessController, AuthError, AuthRequest, Grant, Principal};

use crate::jose::{Claims, Jws, SigningAlgorithm};
use cache::{Cache, Verified};
use challenge::Refusal;
#[cfg(feature = "issuer")]
pub(crate) use challenge::is_host;

pub use keys::{KeysError, TrustedKeys};

/// Where tokens come from and what they have to say.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TokenOptions {
    /// The URL of the token server, as challenges name it.
    pub realm: String,
    /// Who signs tokens: their `iss`.
    pub issuer: String,
    /// Whom they are for: one of their `aud`, and the `service` of challenges.
    pub service: String,
    /// The path of the token server on the host that the client asked, in place of `realm`.
    pub redirect: Option<String>,
    /// The algorithms that may sign.
    pub algorithms: Vec<SigningAlgorithm>,
}

impl TokenOptions {
    /// Tokens of `issuer` for `service`, to be had at `realm`, signed with any algorithm.
    pub fn new(realm: impl Into<String>, issuer: impl Into<String>, service: impl Into<String>) -> Self {
        Self {
            realm: realm.into(),
            issuer: issuer.into(),
            service: service.into(),
            redirect: None,
            algorithms: SigningAlgorithm::ALL.to_vec(),
        }
    }

    /// Sends clients to this path on the host that they asked. The host is what the client says, and the scheme what
    /// `X-Forwarded-Proto` says if that is `http` or `https`, otherwise `https`; `realm` stands in where there is
    /// no host.
    #[must_use]
    pub fn with_redirect(mut self, path: Option<String>) -> Self {
        self.redirect = path;
        self
    }

    /// Takes only these algorithms.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: impl IntoIterator<Item = SigningAlgorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }
}

/// Grants what the bearer token of a request says.
///
/// The key that has signed is found as Distribution finds it: by the certificates in the token's header (`x5c`), which
/// have to lead to one of the trusted certificates; by the id of the key that the header has (`jwk`), which is looked
/// up among the trusted keys and otherwise not looked at; by `kid`. A token that was verified is remembered under
/// its SHA-256 until it or one of its certificates expires, or the keys change; what it grants is looked at for each
/// request.
///
/// The name of the principal is the token's `sub`, and there is none if that is empty or missing. Its groups are
/// those of `groups`, a list or a single one. What else the token claims is among the claims.
pub struct Token {
    options: TokenOptions,
    trust: RwLock<Arc<Trust>>,
    clock: Clock,
    principals: fn(Principal) -> Principal,
}

type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Keys and what they have verified, which go together.
struct Trust {
    keys: TrustedKeys,
    cache: Cache,
}

impl Token {
    /// A controller that trusts these keys.
    pub fn new(options: TokenOptions, keys: TrustedKeys) -> Self {
        let trust = Trust { keys, cache: Cache::new() };
        Self {
            options,
            trust: RwLock::new(Arc::new(trust)),
            clock: Arc::new(SystemTime::now),
            principals: |bearer| bearer,
        }
    }

    /// Makes another principal of what a token says of its bearer, once for each token.
    #[cfg(feature = "issuer")]
    pub(crate) fn with_principals(mut self, principals: fn(Principal) -> Principal) -> Self {
        self.principals = principals;
        self
    }

    /// Tells the time by another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Trusts these keys from now on, and no other. Requests that are being looked at finish with the old ones.
    pub fn replace_keys(&self, keys: TrustedKeys) {
        let trust = Arc::new(Trust { keys, cache: Cache::new() });
        *self.trust.write().unwrap_or_else(PoisonError::into_inner) = trust;
    }

    /// What the token of the request says, if it can be believed.
    fn verified(&self, request: &AuthRequest<'_>) -> Result<Arc<Verified>, Refusal> {
        let token = bearer(request)?;
        let now = (self.clock)();
        let trust = Arc::clone(&self.trust.read().unwrap_or_else(PoisonError::into_inner));
        let key = Cache::key(token);
        let verified = match trust.cache.get(&key) {
            Some(verified) => verified,
            None => {
                let verified = Arc::new(self.verify(token, &trust.keys, now)?);
                trust.cache.insert(key, Arc::clone(&verified));
                verified
            }
        };
        verified.at(now).map_err(Refusal::invalid)?;
        Ok(verified)
    }

    /// In the order of Distribution, which decides what the challenge says.
    fn verify(&self, token: &str, keys: &TrustedKeys, now: SystemTime) -> Result<Verified, Refusal> {
        let jws = Jws::parse(token).map_err(|malformed| Refusal::invalid(malformed.to_string()))?;
        let algorithm = jws.header.alg;
        if !self.options.algorithms.contains(&algorithm) {
            return Err(Refusal::invalid(format!("token signed with {algorithm}, which is not listed")));
        }
        let (key, until) = keys.find(&jws.header, now).map_err(Refusal::invalid)?;
        let payload = jws.verify(key.as_ref()).map_err(|bad| Refusal::unsigned(bad.to_string()))?;
        let unreadable = |_| Refusal::unsigned("claims cannot be read");
        let mut claims = Claims::parse(payload).map_err(unreadable)?;
        let access = claims::access(&mut claims).map_err(unreadable)?;
        claims.check(&self.options.issuer, &self.options.service).map_err(Refusal::invalid)?;
        Ok(Verified::new(claims, access, until, token.len()).with_principal(self.principals))
    }

    fn grant(&self, request: &AuthRequest<'_>) -> Result<Grant, Refusal> {
        let verified = self.verified(request)?;
        if let Some(access) = request.required.iter().find(|access| !verified.grants(access)) {
            let reason = format!("token of {:?} does not grant {access}", verified.name());
            return Err(Refusal::insufficient(reason, verified.grant().principal));
        }
        let optional = request.optional.iter().filter(|access| verified.grants(access)).cloned();
        let optional: Vec<Access> = optional.collect();
        Ok(verified.grant().with_optional(optional))
    }
}

#[async_trait]
impl AccessController for Token {
    async fn authorize(&self, request: &AuthRequest<'_>) -> Result<Grant, AuthError> {
        self.grant(request).map_err(|refusal| refusal.into_error(&self.options, request))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, trust, .. } = self;
        let trust = Arc::clone(&trust.read().unwrap_or_else(PoisonError::into_inner));
        f.debug_struct("Token").field("options", options).field("keys", &trust.keys).finish_non_exhaustive()
    }
}

/// The token of a request, whose scheme is `Bearer` in any case.
///
/// More than one `Authorization` is refused: which of them somebody in front has looked at is not known.
pub(crate) fn bearer<'a>(request: &AuthRequest<'a>) -> Result<&'a str, Refusal> {
    let mut values = request.headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Err(Refusal::required("no token")) };
    if values.next().is_some() {
        return Err(Refusal::invalid("more than one Authorization"));
    }
    let value = value.as_bytes();
    let space = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, token) = (&value[..space], value.get(space + 1..).unwrap_or_default());
    if token.is_empty() || !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(Refusal::required("no token in Authorization"));
    }
    std::str::from_utf8(token).map_err(|_| Refusal::invalid("malformed token: not UTF-8"))
}
