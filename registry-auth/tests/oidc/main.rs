//! Identity tokens, with a provider in this process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod keys;
mod options;
mod server;
#[path = "../signer/mod.rs"]
mod signer;
mod tokens;

use std::time::{Duration, SystemTime};

use registry_auth::oidc::{Identity, IdentityError, IdentityProvider, ProviderOptions};

/// In January 2027.
const NOW: u64 = 1_800_000_000;

fn open(options: ProviderOptions) -> IdentityProvider {
    try_open(options).unwrap().with_clock(|| SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
}

fn try_open(options: ProviderOptions) -> Result<IdentityProvider, IdentityError> {
    // reqwest takes the crypto provider of its own feature.
    IdentityProvider::open(options, reqwest::Client::builder().no_proxy())
}

async fn known(provider: &IdentityProvider, token: &str) -> Identity {
    provider.verify(token).await.unwrap().expect("a token of this provider")
}

async fn refused(provider: &IdentityProvider, token: &str, what: &str) -> String {
    match provider.verify(token).await {
        Err(IdentityError::Refused { reason, .. }) => reason,
        other => panic!("{what}: {other:?}"),
    }
}
