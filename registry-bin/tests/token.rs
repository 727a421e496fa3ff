//! `auth.token` through the program as a whole: challenges, tokens, and keys that change while it runs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../registry-auth/tests/signer/mod.rs"]
mod signer;
mod support;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use signer::Signer;
use support::{ANY_PORT, Answer, Server, ask, directory_with, get, run};

const OPTIONS: &str = "realm: 'https://auth.example/token', service: registry, issuer: auth";

/// A configuration with this token server.
fn config(options: &str) -> String {
    format!("version: 0.1\nstorage: inmemory\nauth: {{token: {{{OPTIONS}, {options}}}}}\n{ANY_PORT}\n")
}

fn write_jwks(directory: &Path, keys: &[Value]) {
    std::fs::write(directory.join("keys.json"), json!({"keys": keys}).to_string()).unwrap();
}

/// A token that grants this on `a/b` for five minutes.
fn token(signer: &Signer, actions: &[&str]) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let access = json!([{"type": "repository", "name": "a/b", "actions": actions}]);
    let claims = json!({"iss": "auth", "aud": "registry", "sub": "bob", "exp": now + 300, "access": access});
    signer.token(json!({"kid": "key"}), &claims)
}

fn with(address: &str, method: &str, path: &str, token: &str) -> Answer {
    ask(address, method, path, &[&format!("authorization: Bearer {token}")], "")
}

#[test]
fn tokens_decide_what_may_be_done() {
    let directory = directory_with(&config("jwks: ./keys.json"));
    let signer = Signer::new("ES256");
    write_jwks(directory.path(), &[signer.jwk_with_id("key")]);
    let (server, address) = Server::serve(directory.path());

    let answer = get(&address, "/v2/");
    let start = "Bearer realm=\"https://auth.example/token\",service=\"registry\"";
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(start)));
    let pull = token(&signer, &["pull"]);
    assert_eq!(with(&address, "GET", "/v2/", &pull).status, 200);
    let tags = "/v2/a/b/tags/list";
    assert_eq!(
        get(&address, tags).header("www-authenticate"),
        Some(&*format!("{start},scope=\"repository:a/b:pull\""))
    );
    assert_eq!(with(&address, "GET", tags, &pull).status, 404);

    let uploads = "/v2/a/b/blobs/uploads/";
    let refused = with(&address, "POST", uploads, &pull);
    let scope = "scope=\"repository:a/b:pull,push\",error=\"insufficient_scope\"";
    assert_eq!(
        (refused.status, refused.header("www-authenticate")),
        (401, Some(&*format!("{start},{scope}")))
    );
    assert!(refused.body.contains("UNAUTHORIZED"), "{}", refused.body);
    assert_eq!(with(&address, "POST", uploads, &token(&signer, &["pull", "push"])).status, 202);
    assert_eq!(with(&address, "GET", "/v2/_catalog", &pull).status, 401);

    let stranger = token(&Signer::new("ES256"), &["pull"]);
    assert_eq!(with(&address, "GET", tags, &stranger).status, 401);
    server.stop();
}

#[test]
fn clients_are_sent_to_the_host_that_they_asked() {
    let directory = directory_with(&config("jwks: ./keys.json, autoredirect: true, autoredirectpath: /t"));
    write_jwks(directory.path(), &[Signer::new("ES256").jwk_with_id("key")]);
    let (server, address) = Server::serve(directory.path());
    let answer = get(&address, "/v2/");
    let realm = "Bearer realm=\"https://registry.test:5000/t\",service=\"registry\"";
    assert_eq!(answer.header("www-authenticate"), Some(realm));
    server.stop();
}

#[test]
fn only_the_listed_algorithms_count() {
    let directory = directory_with(&config("jwks: ./keys.json, signingalgorithms: [RS256]"));
    let signer = Signer::new("ES256");
    write_jwks(directory.path(), &[signer.jwk_with_id("key")]);
    let (server, address) = Server::serve(directory.path());
    assert_eq!(with(&address, "GET", "/v2/", &token(&signer, &["pull"])).status, 401);
    server.stop();
}

/// Asks until the answer to this token is this status.
fn reaches(address: &str, token: &str, status: u16) {
    let start = Instant::now();
    while with(address, "GET", "/v2/", token).status != status {
        assert!(start.elapsed() < Duration::from_secs(30), "still not {status}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn keys_that_change_are_read_again_and_broken_ones_are_not_taken() {
    let directory = directory_with(&config("jwks: ./keys.json"));
    let (old, new) = (Signer::new("ES256"), Signer::new("EdDSA"));
    write_jwks(directory.path(), &[old.jwk_with_id("key")]);
    let (server, address) = Server::serve(directory.path());
    let (by_old, by_new) = (token(&old, &["pull"]), token(&new, &["pull"]));
    assert_eq!(with(&address, "GET", "/v2/", &by_old).status, 200);
    assert_eq!(with(&address, "GET", "/v2/", &by_new).status, 401);

    std::fs::write(directory.path().join("keys.json"), "{\"keys\": [").unwrap();
    server.signal("HUP");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(with(&address, "GET", "/v2/", &by_old).status, 200);

    write_jwks(directory.path(), &[new.jwk_with_id("key")]);
    reaches(&address, &by_new, 200);
    assert_eq!(with(&address, "GET", "/v2/", &by_old).status, 401);
    let (_, log) = server.stop();
    assert!(log.contains("failed to parse jwks: EOF"), "{log}");
    assert!(log.contains("what was read before stays in force"), "{log}");
    assert!(log.contains("auth.token: 0 certificates, 1 keys are trusted now"), "{log}");
}

#[test]
fn nothing_is_served_without_keys() {
    for (options, file, says) in [
        ("jwks: ./keys.json", None, "auth.token.jwks: cannot read ./keys.json: No such file"),
        (
            "rootcertbundle: ./keys.json",
            None,
            "auth.token.rootcertbundle: cannot read ./keys.json: No such file",
        ),
        (
            "jwks: ./keys.json",
            Some("{}"),
            "auth.token.jwks: ./keys.json: failed to parse jwks: missing field",
        ),
        ("jwks: ./keys.json", Some("{\"keys\": []}"), "token auth requires at least one token signing key"),
        ("rootcertbundle: ./keys.json", Some(""), "token auth requires at least one token signing key"),
    ] {
        let directory = directory_with(&config(options));
        if let Some(text) = file {
            std::fs::write(directory.path().join("keys.json"), text).unwrap();
        }
        let (code, _, errors) = run(directory.path(), &["serve", "c.yml"]);
        assert_eq!(code, 1, "{errors}");
        assert!(errors.contains(says), "{errors}");
        assert!(!errors.contains("listening"), "{errors}");
    }
}
