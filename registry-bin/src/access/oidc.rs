//! `auth.issuer.users.oidc`: machines that log in with identity tokens.

use registry::auth::oidc::{IdentityProvider, ProviderOptions};
use registry::core::Glob;

use super::AccessError;
use crate::config::model;
use crate::outside;

/// Builds a provider. Its keys are fetched when they are first needed, so that a provider that is down does not keep
/// the registry from starting.
///
/// # Errors
/// A file that cannot be used.
pub(super) fn open(settings: &model::IdentityProvider) -> Result<IdentityProvider, AccessError> {
    let key = format!("auth.issuer.users.oidc ({})", settings.name);
    let failed = |text: String| AccessError(format!("{key}: {text}"));
    let authorities = match &settings.authorities {
        Some(path) => {
            let read = std::fs::read(path);
            Some(read.map_err(|error| failed(format!("ca: cannot read {}: {error}", path.display())))?)
        }
        None => None,
    };
    let options = ProviderOptions::new(&settings.name, &settings.issuer, &settings.audience)
        .with_keys(settings.keys.clone())
        .with_principal(settings.principal.clone())
        .with_groups(settings.groups.clone())
        .with_authorities(authorities)
        .with_token_file(settings.token_file.clone())
        .with_session(Some(settings.session));
    let options = settings.claims.iter().fold(options, |options, (claim, patterns)| {
        options.with_required(claim, patterns.iter().map(Glob::new))
    });
    let client = outside::client().map_err(|error| failed(error.to_string()))?;
    IdentityProvider::open(options, client).map_err(|error| failed(error.to_string()))
}
