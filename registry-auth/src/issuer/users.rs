//! Where the users of an issuer come from.

mod passwords;

use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use async_trait::async_trait;
use registry_core::{BoxError, Principal};

pub use passwords::{PasswordUsers, StaticUser, UsersError};

/// What somebody shows to prove who they are. Its `Debug` shows none of it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Credential<'a> {
    /// A user name and a password.
    Password {
        /// The name.
        user: &'a str,
        /// The password.
        password: &'a str,
    },
    /// A token that says who its bearer is, from somebody whom the source believes. The user name that came with it,
    /// if there was one, says nothing.
    IdentityToken(&'a str),
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password(..)",
            Self::IdentityToken(_) => "IdentityToken(..)",
        })
    }
}

/// Somebody who has proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Login {
    /// Who.
    pub principal: Principal,
    /// What changes when the credential does, and says nothing about it: goes into refresh tokens, which end with it.
    pub fingerprint: String,
    /// Until when they may go on without proving it again; `None` for as long as refresh tokens hold.
    pub until: Option<SystemTime>,
}

impl Login {
    /// A login that holds until the credential with this fingerprint changes.
    pub fn new(principal: Principal, fingerprint: impl Into<String>) -> Self {
        Self { principal, fingerprint: fingerprint.into(), until: None }
    }

    /// Lets the login end at this moment.
    #[must_use]
    pub fn with_until(mut self, until: SystemTime) -> Self {
        self.until = Some(until);
        self
    }
}

/// Knows users.
#[async_trait]
pub trait UserSource: fmt::Debug + Send + Sync + 'static {
    /// The name of the source. Refresh tokens have it, so it has to stay the same, and to be another for each source
    /// of an issuer.
    fn name(&self) -> &str;

    /// Who shows this; `None` if it is nobody whom this source knows, or if the credential is wrong. Takes the same
    /// time for both. The address is for sharing out what costs time, and proves nothing.
    ///
    /// # Errors
    /// If that cannot be found out now.
    async fn authenticate(
        &self,
        credential: Credential<'_>,
        from: Option<IpAddr>,
    ) -> Result<Option<Login>, BoxError>;

    /// As whom somebody goes on who logged in before, with their groups as they are now; `None` if they are gone or
    /// if their credential is another by now.
    ///
    /// # Errors
    /// If that cannot be found out now.
    async fn resume(&self, login: &Login) -> Result<Option<Principal>, BoxError>;
}
