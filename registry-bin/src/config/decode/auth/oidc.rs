//! Decodes `auth.issuer.users.oidc`: providers of identity tokens.

use std::path::PathBuf;

use http::Uri;
use registry::auth::oidc::{KeySource, NameTemplate};

use super::issuer::{HOUR, MINUTE, time};
use crate::config::model::IdentityProvider;
use crate::config::reader::Reader;

/// The providers that are right; the others have been reported.
pub(super) fn providers(reader: &Reader<'_>) -> Vec<IdentityProvider> {
    let mut providers: Vec<IdentityProvider> = Vec::new();
    for section in reader.sections("oidc") {
        let Some(provider) = provider(&section) else { continue };
        if providers.iter().any(|other| other.name == provider.name) {
            section.fail("name", format!("{:?} is the name of another provider too", provider.name));
        }
        providers.push(provider);
    }
    providers
}

fn provider(reader: &Reader<'_>) -> Option<IdentityProvider> {
    let name = name(reader);
    let keys = keys(reader);
    let issuer = issuer(reader, keys.as_ref());
    let audience = reader.filled("audience");
    if audience.is_none() {
        let text = "must be set: whom identity tokens are for, as the job asks for them; the address of this registry";
        reader.missing("audience", text);
    }
    let claims = claims(reader);
    let principal = principal(reader, name.as_deref());
    let session = time(reader, "session", HOUR, MINUTE, "a minute; leave it out for 1h");
    Some(IdentityProvider {
        name: name?,
        issuer: issuer?,
        audience: audience?,
        keys: keys?,
        principal: principal?,
        groups: reader.filled("groups"),
        claims: claims?,
        authorities: reader.filled("ca").map(PathBuf::from),
        token_file: reader.filled("tokenfile").map(PathBuf::from),
        session: session?,
    })
}

fn name(reader: &Reader<'_>) -> Option<String> {
    let Some(name) = reader.filled("name") else {
        reader.missing("name", "must be set: a word of your own, such as github");
        return None;
    };
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    if !name.bytes().all(word) {
        reader
            .fail("name", format!("{name:?} has other characters than lower-case letters, digits and - _ ."));
        return None;
    }
    Some(name)
}

/// A URL whose answer can be believed. Whoever opens the provider looks more closely.
fn is_url(text: &str) -> bool {
    let uri = text.parse::<Uri>().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let here = host == "localhost" || host == "[::1]" || host.starts_with("127.");
    match uri.as_ref().and_then(Uri::scheme_str) {
        Some("https") => !host.is_empty(),
        Some("http") => here,
        _ => false,
    }
}

/// `None` if it is wrong.
fn keys(reader: &Reader<'_>) -> Option<KeySource> {
    let Some(text) = reader.filled("jwks") else { return Some(KeySource::Discovery) };
    if !text.contains("://") {
        return Some(KeySource::File(PathBuf::from(text)));
    }
    if !is_url(&text) {
        reader.fail("jwks", format!("{text:?} is neither a URL of https nor a file"));
        return None;
    }
    Some(KeySource::Url(text))
}

fn issuer(reader: &Reader<'_>, keys: Option<&KeySource>) -> Option<String> {
    let Some(issuer) = reader.filled("issuer") else {
        let text = "must be set: the iss of its tokens, such as https://token.actions.githubusercontent.com";
        reader.missing("issuer", text);
        return None;
    };
    if keys == Some(&KeySource::Discovery) && !is_url(&issuer) {
        reader
            .fail("issuer", format!("{issuer:?} is not a URL of https; set jwks if its keys are elsewhere"));
        return None;
    }
    Some(issuer)
}

/// `None` if it is wrong.
fn principal(reader: &Reader<'_>, name: Option<&str>) -> Option<NameTemplate> {
    let text = match reader.filled("principal") {
        Some(text) => text,
        None => format!("{}:{{sub}}", name.unwrap_or_default()),
    };
    match NameTemplate::parse(&text) {
        Ok(template) => Some(template),
        Err(error) => {
            reader.fail("principal", format!("{text:?}: {error}"));
            None
        }
    }
}

/// `None` if there are none: that would let in everybody who has an account at the provider.
fn claims(reader: &Reader<'_>) -> Option<Vec<(String, Vec<String>)>> {
    let section = reader.section("claims");
    let names = section.map().into_iter().flat_map(|map| &map.entries).map(|entry| entry.key.clone());
    let claims: Vec<(String, Vec<String>)> = names.map(|name| (name.clone(), section.texts(&name))).collect();
    if claims.is_empty() {
        let text = "must say what tokens have to claim, such as {repository_owner: [acme]}: whoever has an account at \
                    the provider gets tokens of it";
        reader.missing("claims", text);
        return None;
    }
    for (name, patterns) in &claims {
        if patterns.is_empty() {
            section.fail(name, "lists nothing that the claim could be, so no token would do");
        }
    }
    Some(claims)
}
