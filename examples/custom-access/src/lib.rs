//! An access controller that knows API keys, written against `registry-core` alone.
//!
//! A key belongs to a name and opens the repositories below a path, for reading or for writing too. Clients bring it as
//! the password of `docker login`, with any user name, or as a bearer token. Shown here:
//!
//! - how options become a controller, under a name that a configuration uses;
//! - how a caller who may not is told apart from one who is unknown: 403 and 401 with a challenge;
//! - how what the controller knows goes on to middleware of the same author, here the [`Key`] itself.
//!
//! The keys are random and long, so their plain SHA-256 is kept: nobody guesses them, and looking one up is a lookup.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};
use registry_core::access::{Access, Action, Resource};
use registry_core::{
    AccessController, AuthError, AuthRequest, BuildError, Challenge, Factories, Grant, Options, Principal,
    RepositoryName,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The name in a configuration.
pub const NAME: &str = "apikeys";

/// What one key opens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Whose it is, for logs and events.
    pub name: String,
    /// SHA-256 of the key, in hexadecimal.
    pub sha256: String,
    /// The repository that it opens, with all below it.
    pub below: RepositoryName,
    /// Whether it opens them for writing and deleting too.
    #[serde(default)]
    pub write: bool,
}

impl Key {
    fn opens(&self, access: &Access) -> bool {
        // The controller fails closed: what is not known here, such as a route of an embedder's own, stays shut.
        let Resource::Repository(name) = &access.resource else { return false };
        let rest = name.as_str().strip_prefix(self.below.as_str());
        let is_below = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        is_below
            && match access.action {
                Action::Pull | Action::List => true,
                Action::Push | Action::Delete => self.write,
                _ => false,
            }
    }
}

/// Grants what the key of a request opens.
#[derive(Debug)]
pub struct ApiKeys {
    by_sha256: HashMap<String, Key>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKeysOptions {
    keys: Vec<Key>,
}

impl ApiKeys {
    /// A controller that knows these keys.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        let by_sha256 = keys.into_iter().map(|key| (key.sha256.to_ascii_lowercase(), key)).collect();
        Self { by_sha256 }
    }

    /// Makes it known under its name.
    ///
    /// # Errors
    /// [`BuildError::Taken`] if something else has the name.
    pub fn register(factories: &mut Factories<dyn AccessController>) -> Result<(), BuildError> {
        factories.register(NAME, |options: Options| async move {
            let ApiKeysOptions { keys } =
                options.parse().map_err(|error| BuildError::options(NAME, error))?;
            Ok(Arc::new(Self::new(keys)) as Arc<dyn AccessController>)
        })?;
        Ok(())
    }

    fn key(&self, headers: &HeaderMap) -> Result<&Key, &'static str> {
        let secret = secret(headers)?;
        let digest: String = Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect();
        self.by_sha256.get(&digest).ok_or("the key is not known")
    }
}

#[async_trait]
impl AccessController for ApiKeys {
    async fn authorize(&self, request: &AuthRequest<'_>) -> Result<Grant, AuthError> {
        let key = self.key(request.headers).map_err(unauthorized)?;
        if let Some(access) = request.required.iter().find(|access| !key.opens(access)) {
            return Err(AuthError::Denied {
                reason: format!("the key of {} does not open {access}", key.name).into(),
            });
        }
        let mut extensions = Extensions::new();
        extensions.insert(key.clone());
        Ok(Grant::new(Some(Principal::new(&key.name).with_method(NAME)))
            .with_optional(request.optional.iter().filter(|access| key.opens(access)).cloned())
            .with_extensions(extensions))
    }
}

fn unauthorized(reason: &'static str) -> AuthError {
    let params = vec![("realm".into(), "API key".to_owned())];
    AuthError::Unauthorized {
        reason: reason.into(),
        challenges: vec![Challenge { scheme: "Basic".into(), params }],
    }
}

/// The key that a request brings: a bearer token, or the password of basic authentication.
fn secret(headers: &HeaderMap) -> Result<Vec<u8>, &'static str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or("there is no key")?;
    if values.next().is_some() {
        return Err("there are two keys");
    }
    let text = value.to_str().map_err(|_| "the key is no text")?;
    let (scheme, rest) = text.split_once(' ').ok_or("the header is no scheme and a key")?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(rest.as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err("the scheme is neither Basic nor Bearer");
    }
    let pair = STANDARD.decode(rest).map_err(|_| "the credentials are not base64")?;
    let colon = pair.iter().position(|byte| *byte == b':').ok_or("the credentials have no colon")?;
    Ok(pair[colon + 1..].to_vec())
}
