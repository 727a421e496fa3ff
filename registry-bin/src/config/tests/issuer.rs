//! `auth.issuer`: what it says, and mistakes in it.

use std::path::PathBuf;
use std::time::Duration;

use registry::auth::SigningAlgorithm;

use super::*;
use crate::config::model::{Issuer, IssuerUsers, Provider};

const HOUR: u64 = 3600;

fn issuer(text: &str, environment: &[(&str, &str)]) -> Issuer {
    match clean(&format!("{BASE}{text}\n"), environment).auth.provider {
        Provider::Issuer(issuer) => *issuer,
        other => panic!("{text}: {other:?}"),
    }
}

fn least() -> Issuer {
    Issuer {
        service: "registry".to_owned(),
        issuer: "registry".to_owned(),
        realm: None,
        path: "/auth/token".to_owned(),
        keys: Some(PathBuf::from("/k")),
        algorithm: SigningAlgorithm::Es256,
        rotation: Duration::from_secs(720 * HOUR),
        expiration: Duration::from_secs(300),
        refresh_expiration: Duration::from_secs(720 * HOUR),
        users: IssuerUsers { htpasswd: Some(PathBuf::from("/h")), file: None, oidc: Vec::new() },
    }
}

#[test]
fn an_issuer_needs_users_and_nothing_else() {
    assert_eq!(issuer("auth: {issuer: {keys: /k, users: {htpasswd: /h}}}", &[]), least());
    let of_file = IssuerUsers { htpasswd: None, file: Some(PathBuf::from("/f")), oidc: Vec::new() };
    let file = issuer("auth: {issuer: {keys: /k, users: {file: /f}}}", &[]);
    assert_eq!(file, Issuer { users: of_file, ..least() });
    let of_environment = [
        ("REGISTRY_AUTH", "issuer"),
        ("REGISTRY_AUTH_ISSUER_KEYS", "/k"),
        ("REGISTRY_AUTH_ISSUER_USERS_HTPASSWD", "/h"),
    ];
    assert_eq!(issuer("", &of_environment), least());
    assert_eq!(issuer("", &of_environment[1..]), least());
}

#[test]
fn every_key_of_the_issuer_is_read() {
    let text = "auth:
  issuer:
    service: s
    issuer: https://r.test
    realm: https://r.test/t
    path: /t
    keys: /k
    algorithm: EdDSA
    rotation: 1h
    expiration: 1m
    refreshexpiration: 24h
    users: {htpasswd: /h, file: /f}";
    let expected = Issuer {
        service: "s".to_owned(),
        issuer: "https://r.test".to_owned(),
        realm: Some("https://r.test/t".to_owned()),
        path: "/t".to_owned(),
        keys: Some(PathBuf::from("/k")),
        algorithm: SigningAlgorithm::EdDsa,
        rotation: Duration::from_secs(HOUR),
        expiration: Duration::from_secs(60),
        refresh_expiration: Duration::from_secs(24 * HOUR),
        users: IssuerUsers {
            htpasswd: Some(PathBuf::from("/h")),
            file: Some(PathBuf::from("/f")),
            oidc: Vec::new(),
        },
    };
    assert_eq!(issuer(text, &[]), expected);
    let service = issuer("auth: {issuer: {service: s, keys: /k, users: {htpasswd: /h}}}", &[]);
    assert_eq!(service.issuer, "s", "the service issues, if nobody else does");
}

#[test]
fn keys_in_memory_get_a_warning() {
    let text = format!("{BASE}auth:\n  issuer: {{users: {{htpasswd: /h}}}}\n");
    let lines = warnings(&text, &[]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("c.yml:4:3: auth.issuer.keys: is missing, so keys are kept in memory"),
        "{lines:?}"
    );
}

#[test]
fn mistakes_in_the_issuer_are_told() {
    for (value, expected) in [
        ("path: token", "path: \"token\" is not of the form /auth/token: a slash first and none last"),
        ("path: /", "path: \"/\" is not of the form /auth/token: a slash first and none last"),
        ("path: /a/", "path: \"/a/\" is not of the form /auth/token: a slash first and none last"),
        ("path: /a b", "path: \"/a b\" has other characters than letters, digits and / - . _ ~"),
        ("path: /v2/token", "path: \"/v2/token\" is taken; leave it out for /auth/token"),
        ("path: /p/v2", "path: \"/p/v2\" is taken; leave it out for /auth/token"),
        ("path: /healthz", "path: \"/healthz\" is taken; leave it out for /auth/token"),
        ("realm: /t", "realm: \"/t\" is not a URL such as https://registry.example.com/auth/token"),
        (
            "realm: ftp://a/t",
            "realm: \"ftp://a/t\" is not a URL such as https://registry.example.com/auth/token",
        ),
        (
            "service: a\\b",
            "service: \"a\\\\b\" has characters that a challenge cannot carry; use plain ASCII without quotes",
        ),
        (
            "issuer: é",
            "issuer: \"é\" has characters that a challenge cannot carry; use plain ASCII without quotes",
        ),
        (
            "algorithm: HS256",
            "algorithm: HS256: whoever can check such a token can make one, so its key cannot be published; write ES256",
        ),
        (
            "algorithm: none",
            "algorithm: unsupported signing algorithm: none; there are EdDSA RS256 RS384 RS512 ES256 ES384 ES512 PS256 PS384 PS512",
        ),
        ("rotation: 59m", "rotation: is less than an hour; leave it out for 720h"),
        (
            "expiration: 59s",
            "expiration: is less than a minute, which is what clients count on; leave it out for 5m",
        ),
        ("refreshexpiration: -1h", "refreshexpiration: is less than a minute; leave it out for 720h"),
        ("refreshexpiration: soon", "refreshexpiration: \"soon\" is not a duration such as 30s or 1h30m"),
        ("servise: s", "servise: unknown key; did you mean auth.issuer.service?"),
    ] {
        let text =
            format!("{BASE}auth:\n  issuer:\n    keys: /k\n    users: {{htpasswd: /h}}\n    {value}\n");
        let lines = errors(&text, &[]);
        let column =
            if expected.contains("unknown key") { 5 } else { 7 + value.find(':').unwrap_or_default() };
        let start = format!("c.yml:7:{column}: auth.issuer.{expected}");
        assert!(lines.len() == 1 && lines[0].starts_with(&start), "{value}: {lines:?}");
    }
    for users in ["", "users:", "users: {}", "users: {htpasswd: ''}"] {
        let lines = errors(&format!("{BASE}auth:\n  issuer:\n    keys: /k\n    {users}\n"), &[]);
        let said = "auth.issuer.users: is missing, so nobody could log in";
        assert!(lines.len() == 1 && lines[0].contains(said), "{users}: {lines:?}");
    }
    let both = format!(
        "{BASE}auth: {{issuer: {{keys: /k, users: {{file: /f}}}}, silly: {{realm: r, service: s}}}}\n"
    );
    assert!(errors(&both, &[])[0].contains("must provide exactly one type. Provided: [issuer silly]"));
}
