//! What a refresh token remembers of a login.

use std::time::{Duration, UNIX_EPOCH};

use registry_core::Principal;
use serde::{Deserialize, Serialize};

use super::claims::Bearer;
use super::seal::SealingKey;
use super::users::Login;
use crate::jose::SigningError;

/// The login of a user, in short names because clients keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    #[serde(rename = "u")]
    user: String,
    /// The source that knows the user.
    #[serde(rename = "s")]
    source: String,
    /// What changes when the credential does.
    #[serde(rename = "f")]
    fingerprint: String,
    #[serde(rename = "a")]
    service: String,
    /// The program that logged in, by its own account. Others may use the token: `docker login` leaves it where
    /// skopeo, crane and the rest find it, and each of them has a name of its own.
    #[serde(rename = "c")]
    client: String,
    #[serde(rename = "i")]
    issued: u64,
    #[serde(rename = "e")]
    expires: u64,
    /// The principal as it was, for sources that know nobody by name.
    #[serde(rename = "b")]
    bearer: Bearer,
}

impl Remembered {
    /// A login at `now` (seconds since 1970), which holds for `lifetime` seconds or less.
    pub(super) fn new(
        login: Login,
        source: &str,
        service: &str,
        client: &str,
        now: u64,
        lifetime: u64,
    ) -> Self {
        let until = login.until.map(|until| until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
        let expires = now.saturating_add(lifetime);
        Self {
            source: source.to_owned(),
            fingerprint: login.fingerprint,
            service: service.to_owned(),
            client: client.to_owned(),
            issued: now,
            expires: until.map_or(expires, |until| until.min(expires)),
            bearer: Bearer::from(&login.principal),
            user: login.principal.name,
        }
    }

    pub(super) fn read(claims: &[u8]) -> Option<Self> {
        serde_json::from_slice(claims).ok()
    }

    pub(super) fn sealed(&self, key: &SealingKey) -> Result<String, SigningError> {
        key.seal(&serde_json::to_vec(self).map_err(SigningError::Claims)?)
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn service(&self) -> &str {
        &self.service
    }

    pub(super) fn has_expired(&self, now: u64) -> bool {
        self.expires <= now
    }

    /// The login as the source gave it.
    pub(super) fn login(&self) -> Login {
        let principal: Principal = self.bearer.clone().principal(self.user.clone());
        Login::new(principal, self.fingerprint.clone())
            .with_until(UNIX_EPOCH + Duration::from_secs(self.expires))
    }
}
