//! Decodes `auth.issuer`.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use registry::auth::SigningAlgorithm;

use super::oidc;
use crate::config::model::{Issuer, IssuerUsers, Provider};
use crate::config::reader::Reader;

/// What clients take for the least time a token holds.
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Paths that are answered before the issuer.
const TAKEN: [&str; 2] = ["/healthz", "/readyz"];

pub(super) fn issuer(reader: &Reader<'_>) -> Option<Provider> {
    let service = name(reader, "service", "registry");
    let issuer = service.as_ref().and_then(|service| name(reader, "issuer", service));
    let realm = realm(reader);
    let path = path(reader);
    let keys = reader.filled("keys").map(PathBuf::from);
    if keys.is_none() {
        reader.missing_warning(
            "keys",
            "is missing, so keys are kept in memory: tokens and logins end with the process, and other replicas do not take them",
        );
    }
    let algorithm = algorithm(reader);
    let rotation = time(reader, "rotation", 30 * DAY, HOUR, "an hour; leave it out for 720h");
    let expiration = time(
        reader,
        "expiration",
        5 * MINUTE,
        MINUTE,
        "a minute, which is what clients count on; leave it out for 5m",
    );
    let refresh = time(reader, "refreshexpiration", 30 * DAY, MINUTE, "a minute; leave it out for 720h");
    let users = users(&reader.section("users"), reader);
    Some(Provider::Issuer(Box::new(Issuer {
        service: service?,
        issuer: issuer?,
        realm: realm?,
        path: path?,
        keys,
        algorithm: algorithm?,
        rotation: rotation?,
        expiration: expiration?,
        refresh_expiration: refresh?,
        users: users?,
    })))
}

/// Text that ends up in challenges and tokens.
fn name(reader: &Reader<'_>, key: &str, default: &str) -> Option<String> {
    let text = reader.filled(key).unwrap_or_else(|| default.to_owned());
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte)) {
        return Some(text);
    }
    reader.fail(
        key,
        format!("{text:?} has characters that a challenge cannot carry; use plain ASCII without quotes"),
    );
    None
}

/// `None` if it is wrong.
#[allow(clippy::option_option, reason = "wrong, missing, or there")]
fn realm(reader: &Reader<'_>) -> Option<Option<String>> {
    let Some(text) = reader.filled("realm") else { return Some(None) };
    let uri = text.parse::<Uri>().ok().filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some()
            && !text.contains(['"', '\\'])
    });
    if uri.is_none() {
        reader
            .fail("realm", format!("{text:?} is not a URL such as https://registry.example.com/auth/token"));
        return None;
    }
    Some(Some(text))
}

fn path(reader: &Reader<'_>) -> Option<String> {
    let path = reader.filled("path").unwrap_or_else(|| "/auth/token".to_owned());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let fault = if !path.starts_with('/') || path.ends_with('/') || path.contains("//") {
        "is not of the form /auth/token: a slash first and none last"
    } else if !path.bytes().all(plain) {
        "has other characters than letters, digits and / - . _ ~"
    } else if TAKEN.contains(&path.as_str()) || path.split('/').any(|part| part == "v2") {
        "is taken; leave it out for /auth/token"
    } else {
        return Some(path);
    };
    reader.fail("path", format!("{path:?} {fault}"));
    None
}

fn algorithm(reader: &Reader<'_>) -> Option<SigningAlgorithm> {
    let Some(name) = reader.filled("algorithm") else { return Some(SigningAlgorithm::Es256) };
    let shared = |algorithm: &SigningAlgorithm| algorithm.as_str().starts_with("HS");
    match SigningAlgorithm::parse(&name) {
        Some(algorithm) if !shared(&algorithm) => Some(algorithm),
        Some(_) => {
            let why =
                "whoever can check such a token can make one, so its key cannot be published; write ES256";
            reader.fail("algorithm", format!("{name}: {why}"));
            None
        }
        None => {
            let known = SigningAlgorithm::ALL.into_iter().filter(|algorithm| !shared(algorithm));
            let known = known.map(SigningAlgorithm::as_str).collect::<Vec<_>>().join(" ");
            reader.fail("algorithm", format!("unsupported signing algorithm: {name}; there are {known}"));
            None
        }
    }
}

/// `None` if it is wrong.
pub(super) fn time(
    reader: &Reader<'_>,
    key: &str,
    default: Duration,
    least: Duration,
    said: &str,
) -> Option<Duration> {
    if reader.node(key).is_none() {
        return Some(default);
    }
    let nanoseconds = reader.duration(key)?;
    let time = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
    if time < least {
        reader.fail(key, format!("is less than {said}"));
        return None;
    }
    Some(time)
}

fn users(reader: &Reader<'_>, issuer: &Reader<'_>) -> Option<IssuerUsers> {
    let htpasswd = reader.filled("htpasswd").map(PathBuf::from);
    let file = reader.filled("file").map(PathBuf::from);
    let oidc = oidc::providers(reader);
    if htpasswd.is_none() && file.is_none() && reader.sections("oidc").is_empty() {
        issuer.missing(
            "users",
            "is missing, so nobody could log in: set auth.issuer.users.htpasswd, .file or .oidc",
        );
        return None;
    }
    Some(IssuerUsers { htpasswd, file, oidc })
}
