//! `auth.issuer.users.oidc`: what is read, and what is a mistake.

use std::path::PathBuf;
use std::time::Duration;

use registry::auth::oidc::{KeySource, NameTemplate};

use super::*;
use crate::config::model::{IdentityProvider, Provider};

const HOUR: Duration = Duration::from_secs(3600);

/// A configuration with these providers, in the file's sixth line and after it.
fn with(providers: &str) -> String {
    format!("{BASE}auth:\n  issuer:\n    keys: /k\n    users: {{oidc: [{providers}]}}\n")
}

fn providers(text: &str) -> Vec<IdentityProvider> {
    match clean(&with(text), &[]).auth.provider {
        Provider::Issuer(issuer) => issuer.users.oidc,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn identity_providers_are_read() {
    let github = "{name: github, issuer: 'https://token.actions.githubusercontent.com', audience: r, \
                  claims: {repository_owner: [acme]}}";
    let kubernetes = "{name: k8s, issuer: kubernetes/serviceaccount, audience: r, jwks: 'https://10.0.0.1/openid/v1/jwks', \
                      principal: '{kubernetes.io/namespace}', groups: groups, claims: {sub: ['a:*', b], x: [1]}, \
                      ca: /ca.crt, tokenfile: /token, session: 1m}";
    let file = "{name: f, issuer: x, audience: r, jwks: ./keys.json, claims: {sub: ['**']}}";
    let claim = |name: &str, patterns: &[&str]| {
        (name.to_owned(), patterns.iter().map(|pattern| (*pattern).to_owned()).collect())
    };
    let expected = [
        IdentityProvider {
            name: "github".to_owned(),
            issuer: "https://token.actions.githubusercontent.com".to_owned(),
            audience: "r".to_owned(),
            keys: KeySource::Discovery,
            principal: NameTemplate::parse("github:{sub}").unwrap(),
            groups: None,
            claims: vec![claim("repository_owner", &["acme"])],
            authorities: None,
            token_file: None,
            session: HOUR,
        },
        IdentityProvider {
            name: "k8s".to_owned(),
            issuer: "kubernetes/serviceaccount".to_owned(),
            audience: "r".to_owned(),
            keys: KeySource::Url("https://10.0.0.1/openid/v1/jwks".to_owned()),
            principal: NameTemplate::parse("{kubernetes.io/namespace}").unwrap(),
            groups: Some("groups".to_owned()),
            claims: vec![claim("sub", &["a:*", "b"]), claim("x", &["1"])],
            authorities: Some(PathBuf::from("/ca.crt")),
            token_file: Some(PathBuf::from("/token")),
            session: Duration::from_secs(60),
        },
        IdentityProvider {
            name: "f".to_owned(),
            issuer: "x".to_owned(),
            audience: "r".to_owned(),
            keys: KeySource::File(PathBuf::from("./keys.json")),
            principal: NameTemplate::parse("f:{sub}").unwrap(),
            groups: None,
            claims: vec![claim("sub", &["**"])],
            authorities: None,
            token_file: None,
            session: HOUR,
        },
    ];
    assert_eq!(providers(&format!("{github}, {kubernetes}, {file}")), expected);
}

#[test]
fn mistakes_in_identity_providers_are_told() {
    let with_name = |rest: &str| format!("{{name: ci, {rest}}}");
    let good = "issuer: 'https://i.example', audience: r, claims: {sub: [a]}";
    for (text, expected) in [
        (
            "{}".to_owned(),
            &[
                "[0].name: must be set: a word of your own, such as github",
                "[0].issuer: must be set: the iss of its tokens, such as https://token.actions.githubusercontent.com",
                "[0].audience: must be set: whom identity tokens are for, as the job asks for them; the address of this registry",
                "[0].claims: must say what tokens have to claim, such as {repository_owner: [acme]}: whoever has an account at the provider gets tokens of it",
            ][..],
        ),
        (
            format!("{{name: 'C I', {good}}}"),
            &["[0].name: \"C I\" has other characters than lower-case letters, digits and - _ ."],
        ),
        (
            with_name("issuer: 'http://i.example', audience: r, claims: {sub: [a]}"),
            &["[0].issuer: \"http://i.example\" is not a URL of https; set jwks if its keys are elsewhere"],
        ),
        (
            with_name(&format!("{good}, jwks: 'http://i.example/keys'")),
            &["[0].jwks: \"http://i.example/keys\" is neither a URL of https nor a file"],
        ),
        (
            with_name(&format!("{good}, principal: everybody")),
            &["[0].principal: \"everybody\": there is no claim in it, so everybody would have the same name"],
        ),
        (
            with_name(&format!("{good}, principal: '{{sub'")),
            &["[0].principal: \"{sub\": a brace stands alone: claims are written like {sub}"],
        ),
        (
            with_name("issuer: 'https://i.example', audience: r, claims: {sub: []}"),
            &["[0].claims.sub: lists nothing that the claim could be, so no token would do"],
        ),
        (
            with_name(&format!("{good}, session: 59s")),
            &["[0].session: is less than a minute; leave it out for 1h"],
        ),
        (
            format!("{}, {}", with_name(good), with_name(good)),
            &["[1].name: \"ci\" is the name of another provider too"],
        ),
        (
            with_name(&format!("{good}, url: x")),
            &["[0].url: unknown key; remove it (docs/configuration.md lists what there is)"],
        ),
    ] {
        let found: Vec<String> = errors(&with(&text), &[])
            .iter()
            .map(|line| line.split_once("auth.issuer.users.oidc").expect("a place").1.to_owned())
            .collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn identity_providers_are_read_from_the_environment() {
    let variables = [
        ("REGISTRY_AUTH_ISSUER_KEYS", "/k"),
        (
            "REGISTRY_AUTH_ISSUER_USERS_OIDC",
            "[{name: ci, issuer: 'https://i.example', audience: r, claims: {sub: [a]}}]",
        ),
        ("REGISTRY_AUTH_ISSUER_USERS_OIDC_0_AUDIENCE", "other"),
    ];
    let Provider::Issuer(issuer) = clean(BASE, &variables).auth.provider else { panic!() };
    assert_eq!(issuer.users.oidc[0].audience, "other");
}
