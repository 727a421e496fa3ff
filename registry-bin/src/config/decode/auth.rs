//! Decodes `auth`: one provider at most, and what of our own stands beside it.

mod audit;
mod certificate;
mod htpasswd;
mod issuer;
mod oidc;
pub(super) mod policy;
mod silly;
mod token;

use crate::config::model::{Auth, Http, Provider};
use crate::config::node::Entry;
use crate::config::problem::Problems;
use crate::config::reader::Reader;
use crate::config::schema::is_auth_provider;

pub(super) fn auth(reader: &Reader<'_>, problems: &Problems) -> Option<Auth> {
    let provider = provider(reader, problems);
    let has = |key: &str| reader.map().is_some_and(|map| map.get(key).is_some());
    let certificate = has("certificate").then(|| certificate::certificate(&reader.section("certificate")));
    let policy = has("policy").then(|| policy::policy(&reader.section("policy")));
    let audit = has("audit").then(|| audit::audit(&reader.section("audit")));
    Some(Auth { provider: provider?, certificate, policy: policy.flatten(), audit: audit.flatten() })
}

/// Reports what does not go together with the listener.
pub(super) fn check(reader: &Reader<'_>, http: &Http) {
    if reader.map().is_some_and(|map| map.get("certificate").is_some()) {
        certificate::check(reader, http);
    }
}

/// A provider is there as soon as it is named, whatever its section says.
fn provider(reader: &Reader<'_>, problems: &Problems) -> Option<Provider> {
    let entries = reader.map().into_iter().flat_map(|map| &map.entries);
    let named: Vec<&Entry> = entries.filter(|entry| is_auth_provider(&entry.key)).collect();
    match named.as_slice() {
        [] => Some(Provider::None),
        [one] => {
            let section = reader.section(&one.key);
            match one.key.as_str() {
                "none" => Some(Provider::None),
                "silly" => silly::silly(&section),
                "htpasswd" => htpasswd::htpasswd(&section),
                "issuer" => issuer::issuer(&section),
                "token" => token::token(&section),
                _ => None,
            }
        }
        several => {
            super::several("auth", "must provide exactly one type. Provided:", several, problems);
            None
        }
    }
}

/// Text that ends up in a challenge; `None` if it is missing.
fn challenge_text(reader: &Reader<'_>, key: &str, provider: &str) -> Option<String> {
    let Some(text) = reader.text(key) else {
        reader.missing(key, format!("must be set for {provider} access controller"));
        return None;
    };
    if text.chars().any(char::is_control) {
        reader.fail(key, "has a control character, which no header may carry");
        return None;
    }
    Some(text)
}
