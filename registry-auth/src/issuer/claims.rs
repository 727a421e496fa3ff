//! What access tokens say.

use std::collections::BTreeMap;

use registry_core::Principal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::scope::Scope;

/// What an access token says: the claims that registries look at, and those of ours.
#[derive(Debug, Serialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    /// Empty for anybody.
    pub(super) sub: String,
    pub(super) aud: String,
    pub(super) exp: u64,
    pub(super) nbf: u64,
    pub(super) iat: u64,
    pub(super) jti: String,
    pub(super) access: Vec<Entry>,
    /// Ours: what a policy needs to know of the bearer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bearer: Option<Bearer>,
}

/// An entry of `access`.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    class: String,
    name: String,
    actions: Vec<String>,
}

impl From<&Scope> for Entry {
    fn from(scope: &Scope) -> Self {
        Self {
            kind: scope.resource.kind().to_owned(),
            class: scope.class.clone(),
            name: scope.resource.name().to_owned(),
            actions: scope.actions.iter().map(|action| action.as_str().to_owned()).collect(),
        }
    }
}

/// What is known of a principal besides its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bearer {
    method: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    claims: BTreeMap<String, Value>,
}

impl From<&Principal> for Bearer {
    fn from(principal: &Principal) -> Self {
        Self {
            method: principal.method.clone().into_owned(),
            groups: principal.groups.clone(),
            claims: principal.claims.clone(),
        }
    }
}

impl Bearer {
    /// The principal of this name.
    pub(super) fn principal(self, name: String) -> Principal {
        Principal::new(name).with_groups(self.groups).with_claims(self.claims).with_method(self.method)
    }
}
