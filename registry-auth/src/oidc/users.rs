//! Machines as users of the issuer.

use std::net::IpAddr;

use async_trait::async_trait;
use registry_core::{BoxError, Principal};
use tracing::info;

use super::{IdentityError, IdentityProvider};
use crate::issuer::{Credential, Login, UserSource};

#[async_trait]
impl UserSource for IdentityProvider {
    /// `oidc:` and what we call the provider.
    fn name(&self) -> &str {
        &self.source
    }

    /// Knows whoever shows an identity token of the provider, for as long as that is valid or for a session.
    async fn authenticate(
        &self,
        credential: Credential<'_>,
        _: Option<IpAddr>,
    ) -> Result<Option<Login>, BoxError> {
        let Credential::IdentityToken(token) = credential else { return Ok(None) };
        match self.verify(token).await {
            Ok(identity) => Ok(identity.map(|identity| {
                // Nothing can be taken back, only expire.
                let session = self.options.session.map(|session| (self.clock)() + session);
                Login::new(identity.principal, "").with_until(session.unwrap_or(identity.expires))
            })),
            Err(error @ IdentityError::Refused { .. }) => {
                info!("{error}");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// As the same, since nobody is asked again.
    async fn resume(&self, login: &Login) -> Result<Option<Principal>, BoxError> {
        Ok(Some(login.principal.clone()))
    }
}
