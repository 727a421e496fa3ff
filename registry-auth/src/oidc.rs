//! Identity tokens of OpenID Connect providers: GitHub Actions, GitLab CI, Kubernetes, Google, and any other with a
//! discovery document. A machine that has one logs in without a stored password.
//!
//! Nothing here is a whole login: [`IdentityProvider::verify`] says whose token it is, and somebody else what they may
//! do.

mod fetch;
mod keys;
mod template;
#[cfg(feature = "issuer")]
mod users;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use registry_core::{BoxError, Glob, Principal};
use serde_json::Value;

use crate::jose::{Claims, Jws, SigningAlgorithm, Validity, texts};
use fetch::Fetch;
use keys::Keys;
use template::text_of;

pub use template::{NameTemplate, TemplateError};

/// How often an unknown key makes us ask the provider at most.
const REFRESH: Duration = Duration::from_secs(30);

/// Where the keys of a provider are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySource {
    /// Where the discovery document of the issuer says: `<issuer>/.well-known/openid-configuration`.
    Discovery,
    /// At this URL.
    Url(String),
    /// In this file.
    File(PathBuf),
}

/// A provider, and what its tokens have to say.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProviderOptions {
    /// What we call it. Names of principals begin with it, unless [`principal`](Self::principal) says otherwise.
    pub name: String,
    /// What it calls itself: the `iss` of its tokens.
    pub issuer: String,
    /// What it calls us: one of the `aud` of its tokens.
    pub audience: String,
    /// Where its keys are.
    pub keys: KeySource,
    /// The name of a principal, made of claims.
    pub principal: NameTemplate,
    /// The claim with the groups, a list or a single one; nested ones with `/` between.
    pub groups: Option<String>,
    /// Claims that a token must have, and what they have to match, any of them.
    pub required: Vec<(String, Vec<Glob>)>,
    /// Certificates (PEM) of the authorities of its server, in place of those of the system.
    pub authorities: Option<Vec<u8>>,
    /// A file with a token to show to its server: Kubernetes wants one.
    pub token_file: Option<PathBuf>,
    /// How often its keys are asked for at most because a token names one that is not known.
    pub refresh: Duration,
    /// How long a login with one of its tokens lasts; `None` for as long as the token.
    pub session: Option<Duration>,
}

impl ProviderOptions {
    /// A provider whose keys are found by discovery, and principals called `<name>:<sub>`.
    ///
    /// Whoever has an account at a public provider gets tokens of it for any audience:
    /// [`with_required`](Self::with_required) says which are meant.
    pub fn new(name: impl Into<String>, issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            principal: NameTemplate::subject_of(&name),
            name,
            issuer: issuer.into(),
            audience: audience.into(),
            keys: KeySource::Discovery,
            groups: None,
            required: Vec::new(),
            authorities: None,
            token_file: None,
            refresh: REFRESH,
            session: None,
        }
    }

    /// Gets keys from elsewhere.
    #[must_use]
    pub fn with_keys(mut self, keys: KeySource) -> Self {
        self.keys = keys;
        self
    }

    /// Names principals by this template.
    #[must_use]
    pub fn with_principal(mut self, principal: NameTemplate) -> Self {
        self.principal = principal;
        self
    }

    /// Takes groups from this claim.
    #[must_use]
    pub fn with_groups(mut self, claim: Option<String>) -> Self {
        self.groups = claim;
        self
    }

    /// Takes only tokens with this claim, whose value, or one of them if it is a list, matches one of the patterns.
    #[must_use]
    pub fn with_required(
        mut self,
        claim: impl Into<String>,
        patterns: impl IntoIterator<Item = Glob>,
    ) -> Self {
        self.required.push((claim.into(), patterns.into_iter().collect()));
        self
    }

    /// Believes these authorities, and no others, when keys are fetched.
    #[must_use]
    pub fn with_authorities(mut self, pem: Option<Vec<u8>>) -> Self {
        self.authorities = pem;
        self
    }

    /// Shows the token in this file when keys are fetched. It is read each time.
    #[must_use]
    pub fn with_token_file(mut self, path: Option<PathBuf>) -> Self {
        self.token_file = path;
        self
    }

    /// Lets a login last so long, whenever the token expires: those of CI jobs hold for minutes, the jobs run for
    /// longer.
    #[must_use]
    pub fn with_session(mut self, session: Option<Duration>) -> Self {
        self.session = session;
        self
    }

    /// Asks for keys at most this often because a token names an unknown one.
    #[must_use]
    pub fn with_refresh(mut self, refresh: Duration) -> Self {
        self.refresh = refresh;
        self
    }
}

/// Says whose identity token it is.
pub struct IdentityProvider {
    options: ProviderOptions,
    /// Its name among the sources of users.
    #[cfg(feature = "issuer")]
    source: String,
    keys: Keys,
    clock: Clock,
}

type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Who has shown an identity token.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Identity {
    /// Who, with all claims of the token.
    pub principal: Principal,
    /// When the token expires.
    pub expires: SystemTime,
}

/// Why nobody is known by a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The token is no good.
    #[error("identity token of {provider:?} refused: {reason}")]
    Refused {
        /// Whose token it says it is.
        provider: String,
        /// Why, for the log.
        reason: String,
    },
    /// The keys of the provider are not known, and cannot be fetched now.
    #[error("keys of {provider:?} cannot be fetched")]
    Unavailable {
        /// Whose.
        provider: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The options cannot work.
    #[error("identity provider {provider:?}: {reason}")]
    Options {
        /// Whose.
        provider: String,
        /// What is wrong.
        reason: String,
    },
}

impl IdentityProvider {
    /// A provider as the options have it, whose server is asked by this client. Nothing is fetched yet; a file with
    /// keys is read.
    ///
    /// # Errors
    /// [`IdentityError::Options`], for a URL that is neither `https` nor on this machine, a file without keys, or
    /// certificates that are none.
    pub fn open(options: ProviderOptions, client: reqwest::ClientBuilder) -> Result<Self, IdentityError> {
        let wrong = |reason: String| IdentityError::Options { provider: options.name.clone(), reason };
        if options.issuer.is_empty() || options.audience.is_empty() {
            return Err(wrong("issuer and audience must not be empty".to_owned()));
        }
        let fetch = Fetch::new(&options, client).map_err(wrong)?;
        let keys = Keys::new(fetch, options.refresh).map_err(wrong)?;
        Ok(Self {
            #[cfg(feature = "issuer")]
            source: format!("oidc:{}", options.name),
            options,
            keys,
            clock: Arc::new(SystemTime::now),
        })
    }

    /// Tells the time by another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// What we call the provider.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Who has this token; `None` if it is no token, or that of another issuer.
    ///
    /// # Errors
    /// [`IdentityError::Refused`] for a token of this issuer that is no good, [`IdentityError::Unavailable`] if that
    /// cannot be found out now.
    pub async fn verify(&self, token: &str) -> Result<Option<Identity>, IdentityError> {
        let Ok(jws) = Jws::parse(token) else { return Ok(None) };
        // Says whom to ask. Nothing of it is believed before the signature is checked.
        let Ok(claimed) = Claims::parse(jws.unverified_payload()) else { return Ok(None) };
        if claimed.issuer() != self.options.issuer {
            return Ok(None);
        }
        let refused = |reason: String| IdentityError::Refused { provider: self.options.name.clone(), reason };
        let algorithm = jws.header.alg;
        if is_shared(algorithm) {
            return Err(refused(format!("signed with {algorithm}, for which there is no public key")));
        }
        // Only an id finds a key: certificates and keys that come with the token say nothing about who signed it.
        let key = self
            .keys
            .find(jws.header.kid.as_deref())
            .await
            .map_err(|source| IdentityError::Unavailable { provider: self.options.name.clone(), source })?;
        let key = key.ok_or_else(|| refused(format!("no key with the ID {:?}", jws.header.kid)))?;
        let payload = jws.verify(&key).map_err(|bad| refused(bad.to_string()))?;
        let claims = Claims::parse(payload).map_err(|error| refused(error.to_string()))?;
        self.identity(claims).map(Some).map_err(refused)
    }

    /// Who a token is for, that this provider has signed.
    fn identity(&self, mut claims: Claims) -> Result<Identity, String> {
        claims.check(&self.options.issuer, &self.options.audience)?;
        Validity::of(&claims).at((self.clock)()).map_err(str::to_owned)?;
        let expires = claims.exp.and_then(|exp| u64::try_from(exp).ok()).unwrap_or(0);
        let expires = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(expires));
        let expires = expires.ok_or("exp is out of range")?;
        let named = [("sub", claims.sub.take()), ("jti", claims.jti.take())];
        let named =
            named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))));
        let mut all = std::mem::take(&mut claims.other.0);
        all.extend(named);
        for (claim, patterns) in &self.options.required {
            let value = template::lookup(&all, claim).ok_or_else(|| format!("no claim {claim:?}"))?;
            let values: Vec<String> = match value {
                Value::Array(values) => values.iter().filter_map(text_of).collect(),
                value => text_of(value).into_iter().collect(),
            };
            let matches = |value: &String| patterns.iter().any(|pattern| pattern.matches(value));
            if !values.iter().any(matches) {
                return Err(format!("claim {claim:?} is {value}, which does not match"));
            }
        }
        let name = self.options.principal.name(&all)?;
        let groups = self.options.groups.as_deref().map(|claim| texts(template::lookup(&all, claim)));
        let principal = Principal::new(name).with_groups(groups.unwrap_or_default()).with_claims(all);
        Ok(Identity { principal: principal.with_method("oidc"), expires })
    }
}

/// Whether whoever can check such a signature can make one.
fn is_shared(algorithm: SigningAlgorithm) -> bool {
    matches!(algorithm, SigningAlgorithm::Hs256 | SigningAlgorithm::Hs384 | SigningAlgorithm::Hs512)
}

impl fmt::Debug for IdentityProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityProvider").field("options", &self.options).finish_non_exhaustive()
    }
}
