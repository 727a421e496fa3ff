//! Tokens that were verified, so that the same one costs a hash the next time.

use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest;
use http::Extensions;
use quick_cache::Weighter;
use quick_cache::sync::Cache as QuickCache;
use registry_core::access::Access;
use registry_core::{Grant, GrantedClasses, Principal};
use serde_json::Value;

use super::claims::Entry;
use crate::jose::{Claims, Validity, texts};

/// About how much memory remembered tokens may take, in bytes.
const CAPACITY: u64 = 16 << 20;

/// What one takes beside its text, about.
const OVERHEAD: u64 = 512;

/// A SHA-256.
pub(crate) type TokenKey = [u8; 32];

/// The tokens that were verified lately.
pub(crate) struct Cache(QuickCache<TokenKey, Arc<Verified>, Weight>);

#[derive(Clone)]
struct Weight;

impl Weighter<TokenKey, Arc<Verified>> for Weight {
    fn weight(&self, _: &TokenKey, verified: &Arc<Verified>) -> u64 {
        // What was read from a token takes about as much as the token does.
        OVERHEAD + 2 * verified.length as u64
    }
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self(QuickCache::with_weighter((CAPACITY / 2048) as usize, CAPACITY, Weight))
    }

    /// What a token is remembered under: not the token, which is as good as a password.
    pub(crate) fn key(token: &str) -> TokenKey {
        let mut key = [0; 32];
        key.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        key
    }

    pub(crate) fn get(&self, key: &TokenKey) -> Option<Arc<Verified>> {
        self.0.get(key)
    }

    pub(crate) fn insert(&self, key: TokenKey, verified: Arc<Verified>) {
        self.0.insert(key, verified);
    }
}

/// What a token says that was signed by a trusted key, for this service.
#[derive(Debug)]
pub(crate) struct Verified {
    principal: Option<Principal>,
    access: Vec<Entry>,
    classes: GrantedClasses,
    validity: Validity,
    /// Of the token, in bytes.
    length: usize,
}

impl Verified {
    /// Takes the claims of a token that is `length` bytes long, with what it grants, and whose key can be used in these
    /// times.
    pub(crate) fn new(mut claims: Claims, access: Vec<Entry>, key: Option<Validity>, length: usize) -> Self {
        let validity = Validity::of(&claims);
        let validity = key.map_or(validity, |key| validity.and(key));
        let groups = texts(claims.other.0.get("groups"));
        let repositories = access.iter().filter(|entry| entry.kind == "repository");
        let classes = repositories.map(|entry| (entry.name.clone(), entry.class.clone())).collect();
        let id = claims.jti.take().map(|id| ("jti".to_owned(), Value::String(id)));
        let named = claims.sub.take().filter(|name| !name.is_empty());
        let principal = named.map(|name| {
            let principal = Principal::new(name).with_groups(groups).with_method("token");
            principal.with_claims(claims.other.0.into_iter().chain(id))
        });
        Self { principal, access, classes: GrantedClasses(classes), validity, length }
    }

    /// Makes another principal of the bearer.
    pub(crate) fn with_principal(self, of: fn(Principal) -> Principal) -> Self {
        Self { principal: self.principal.map(of), ..self }
    }

    /// Whether the token can be used now.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn at(&self, now: SystemTime) -> Result<(), String> {
        self.validity.at(now).map_err(|why| format!("token of {:?}: {why}", self.name()))
    }

    /// Whose token it is; empty for nobody's.
    pub(crate) fn name(&self) -> &str {
        self.principal.as_ref().map_or("", |principal| principal.name.as_str())
    }

    /// Whether the token says that this may be done: the action itself, or `*`.
    pub(crate) fn grants(&self, access: &Access) -> bool {
        let (kind, name, action) = (access.resource.kind(), access.resource.name(), access.action.as_str());
        let mut entries = self.access.iter().filter(|entry| entry.kind == kind && entry.name == name);
        entries.any(|entry| entry.actions.iter().any(|granted| granted == "*" || granted == action))
    }

    /// A grant for the bearer.
    pub(crate) fn grant(&self) -> Grant {
        let mut extensions = Extensions::new();
        extensions.insert(self.classes.clone());
        Grant::new(self.principal.clone()).with_extensions(extensions)
    }
}
