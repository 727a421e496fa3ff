//! `auth.token`: what is read, and what is a mistake.

use std::path::PathBuf;

use registry::auth::SigningAlgorithm;

use super::*;
use crate::config::model::{Provider, Token};

const NEEDED: &str = "realm: https://auth.example/token, service: registry, issuer: auth";

fn token(options: &str, environment: &[(&str, &str)]) -> Token {
    match clean(&format!("{BASE}auth: {{token: {{{options}}}}}\n"), environment).auth.provider {
        Provider::Token(token) => token,
        other => panic!("{other:?}"),
    }
}

#[test]
fn token_is_read() {
    let least = token(&format!("{NEEDED}, rootcertbundle: /etc/bundle.pem"), &[]);
    let expected = Token {
        realm: "https://auth.example/token".to_owned(),
        service: "registry".to_owned(),
        issuer: "auth".to_owned(),
        bundle: Some(PathBuf::from("/etc/bundle.pem")),
        jwks: None,
        redirect: None,
        algorithms: SigningAlgorithm::ALL.to_vec(),
    };
    assert_eq!(least, expected);
    let most = token(
        &format!(
            "{NEEDED}, rootcertbundle: '', jwks: ./keys.json, autoredirect: true, signingalgorithms: [ES256, EdDSA]"
        ),
        &[],
    );
    let algorithms = vec![SigningAlgorithm::Es256, SigningAlgorithm::EdDsa];
    let redirect = Some("/auth/token".to_owned());
    let jwks = Some(PathBuf::from("./keys.json"));
    assert_eq!(most, Token { bundle: None, jwks, redirect, algorithms, ..expected.clone() });
    let redirected =
        token(&format!("{NEEDED}, jwks: k, autoredirect: true, autoredirectpath: /v2/token/"), &[]);
    assert_eq!(redirected.redirect.as_deref(), Some("/v2/token/"));
    // Off is off, and an empty list is none.
    let off = token(&format!("{NEEDED}, jwks: k, autoredirect: false, signingalgorithms: []"), &[]);
    assert_eq!((off.redirect, off.algorithms), (None, SigningAlgorithm::ALL.to_vec()));
    let realm = token("realm: '', service: s, issuer: i, jwks: k", &[]);
    assert_eq!(realm.realm, "");
}

#[test]
fn token_is_read_from_the_environment() {
    let variables = [
        ("REGISTRY_AUTH", "token"),
        ("REGISTRY_AUTH_TOKEN_REALM", "https://auth.example/token"),
        ("REGISTRY_AUTH_TOKEN_SERVICE", "registry"),
        ("REGISTRY_AUTH_TOKEN_ISSUER", "auth"),
        ("REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE", "/etc/bundle.pem"),
        ("REGISTRY_AUTH_TOKEN_AUTOREDIRECT", "true"),
        ("REGISTRY_AUTH_TOKEN_AUTOREDIRECTPATH", "/t"),
        ("REGISTRY_AUTH_TOKEN_SIGNINGALGORITHMS", "[RS256]"),
    ];
    let Provider::Token(token) = clean(&format!("{BASE}auth: none\n"), &variables).auth.provider else {
        panic!()
    };
    assert_eq!(token.bundle, Some(PathBuf::from("/etc/bundle.pem")));
    assert_eq!(token.redirect.as_deref(), Some("/t"));
    assert_eq!(token.algorithms, [SigningAlgorithm::Rs256]);
}

#[test]
fn mistakes_in_token_are_told() {
    for (options, expected) in [
        (
            "jwks: k",
            &[
                "3:8: auth.token.realm: must be set for token access controller",
                "3:8: auth.token.service: must be set for token access controller",
                "3:8: auth.token.issuer: must be set for token access controller",
            ][..],
        ),
        (
            NEEDED,
            &[
                "3:8: auth.token.rootcertbundle: token auth requires at least one token signing key: set it, or auth.token.jwks, or both",
            ],
        ),
        ("realm: r, service: '', issuer: i, jwks: k", &["3:35: auth.token.service: must not be empty"]),
        ("realm: r, service: s, issuer: '', jwks: k", &["3:46: auth.token.issuer: must not be empty"]),
        (
            "realm: r, service: s, issuer: i, jwks: k, autoredirect: 'true'",
            &["3:72: auth.token.autoredirect: expected true or false; \"true\" is text, remove the quotes"],
        ),
        (
            "realm: r, service: s, issuer: i, jwks: k, autoredirect: true, autoredirectpath: '/a b?'",
            &[
                "3:96: auth.token.autoredirectpath: \"/a b?\" is not a path of a URL; percent-encode what is special",
            ],
        ),
        (
            "realm: r, service: s, issuer: i, jwks: k, signingalgorithms: [RS256, none, rs256]",
            &[
                "3:85: auth.token.signingalgorithms[1]: unsupported signing algorithm: none; there are EdDSA HS256 HS384 HS512 RS256 RS384 RS512 ES256 ES384 ES512 PS256 PS384 PS512",
                "3:91: auth.token.signingalgorithms[2]: unsupported signing algorithm: rs256; there are EdDSA HS256 HS384 HS512 RS256 RS384 RS512 ES256 ES384 ES512 PS256 PS384 PS512",
            ],
        ),
        (
            "realm: r, service: s, issuer: i, jwks: k, signingalgorithms: RS256",
            &["3:77: auth.token.signingalgorithms: expected a list such as [one, two], found a single value"],
        ),
        (
            "realm: r, service: s, issuer: i, jwks: k, rootcertbundle: [a]",
            &["3:74: auth.token.rootcertbundle: expected a single value, found a list"],
        ),
    ] {
        let expected: Vec<String> = expected.iter().map(|line| format!("c.yml:{line}")).collect();
        assert_eq!(errors(&format!("{BASE}auth: {{token: {{{options}}}}}\n"), &[]), expected, "{options}");
    }
}

#[test]
fn a_path_that_leads_nowhere_gets_a_warning() {
    let text = format!("{BASE}auth: {{token: {{{NEEDED}, jwks: k, autoredirectpath: /t}}}}\n");
    let warnings = warnings(&text, &[]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("auth.token.autoredirectpath: has no effect without autoredirect: true"));
}
