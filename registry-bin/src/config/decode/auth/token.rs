//! Decodes `auth.token`.

use std::path::PathBuf;

use registry::auth::SigningAlgorithm;

use super::challenge_text;
use crate::config::model::{Provider, Token};
use crate::config::reader::Reader;

/// Where a token server is on the host of the registry, if the file does not say.
const REDIRECT: &str = "/auth/token";

pub(super) fn token(reader: &Reader<'_>) -> Option<Provider> {
    let realm = challenge_text(reader, "realm", "token");
    let service = filled(reader, "service");
    let issuer = filled(reader, "issuer");
    let bundle = reader.filled("rootcertbundle").map(PathBuf::from);
    let jwks = reader.filled("jwks").map(PathBuf::from);
    if bundle.is_none() && jwks.is_none() {
        let text = "token auth requires at least one token signing key: set it, or auth.token.jwks, or both";
        reader.missing("rootcertbundle", text);
        return None;
    }
    let redirect = redirect(reader);
    let algorithms = algorithms(reader);
    Some(Provider::Token(Token {
        realm: realm?,
        service: service?,
        issuer: issuer?,
        bundle,
        jwks,
        redirect: redirect?,
        algorithms: algorithms?,
    }))
}

/// What tokens have to say. Empty text would be what a token says that says nothing.
fn filled(reader: &Reader<'_>, key: &str) -> Option<String> {
    let text = challenge_text(reader, key, "token")?;
    if text.is_empty() {
        reader.fail(key, "must not be empty");
        return None;
    }
    Some(text)
}

/// `None` if it is wrong.
#[allow(clippy::option_option, reason = "wrong, off, or on")]
fn redirect(reader: &Reader<'_>) -> Option<Option<String>> {
    if !reader.flag("autoredirect").unwrap_or(false) {
        if reader.filled("autoredirectpath").is_some() {
            reader.warn("autoredirectpath", "has no effect without autoredirect: true");
        }
        return Some(None);
    }
    let path = reader.filled("autoredirectpath").unwrap_or_else(|| REDIRECT.to_owned());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte);
    if !path.bytes().all(plain) {
        reader.fail(
            "autoredirectpath",
            format!("{path:?} is not a path of a URL; percent-encode what is special"),
        );
        return None;
    }
    Some(Some(path))
}

/// All if none are listed; `None` if one of them is not known.
fn algorithms(reader: &Reader<'_>) -> Option<Vec<SigningAlgorithm>> {
    let names = reader.texts("signingalgorithms");
    let mut algorithms = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let Some(algorithm) = SigningAlgorithm::parse(name) else {
            let known = SigningAlgorithm::ALL.map(SigningAlgorithm::as_str).join(" ");
            reader.fail_at(
                "signingalgorithms",
                at,
                format!("unsupported signing algorithm: {name}; there are {known}"),
            );
            continue;
        };
        algorithms.push(algorithm);
    }
    if algorithms.len() < names.len() {
        return None;
    }
    Some(if algorithms.is_empty() { SigningAlgorithm::ALL.to_vec() } else { algorithms })
}
