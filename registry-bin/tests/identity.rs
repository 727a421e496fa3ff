//! `auth.issuer.users.oidc` through the program as a whole: machines that log in without a password.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../registry-auth/tests/signer/mod.rs"]
mod signer;
mod support;

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use signer::Signer;
use support::{ANY_PORT, Answer, Server, ask, directory_with, run};

const CONFIG: &str = "version: 0.1
storage: inmemory
auth:
  issuer:
    keys: ./keys
    users:
      oidc:
        - name: github
          issuer: https://token.actions.githubusercontent.com
          audience: registry.example.com
          jwks: ./provider.json
          principal: 'github:{repository}'
          groups: repository_owner
          claims: {repository_owner: [acme]}
  policy:
    rules:
      - allow: [push]
        repositories: ['{claim.repository}/**']
        who: [[\"method:oidc\", \"claim:ref=refs/heads/main\"]]
      - allow: [pull]
        repositories: ['**']
        who: ['group:acme']
";

/// An identity token of a job of this repository.
fn identity(signer: &Signer, repository: &str, changes: &Value) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let mut claims = json!({
        "iss": "https://token.actions.githubusercontent.com",
        "aud": "registry.example.com",
        "sub": format!("repo:{repository}:ref:refs/heads/main"),
        "exp": now + 300,
        "repository": repository,
        "repository_owner": repository.split('/').next(),
        "ref": "refs/heads/main",
    });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    signer.token(json!({"kid": "key", "typ": "JWT"}), &claims)
}

fn login(address: &str, identity: &str, scope: &str) -> Answer {
    let credentials = STANDARD.encode(format!("oidc:{identity}"));
    let path = format!("/auth/token?service=registry&scope={scope}");
    ask(address, "GET", &path, &[&format!("authorization: Basic {credentials}")], "")
}

#[test]
fn a_machine_logs_in_with_the_identity_token_of_its_provider() {
    let signer = Signer::new("RS256");
    let directory = directory_with(&format!("{CONFIG}{ANY_PORT}\n"));
    let keys = json!({"keys": [signer.jwk_with_id("key")]}).to_string();
    std::fs::write(directory.path().join("provider.json"), keys).unwrap();
    let (server, address) = Server::serve(directory.path());

    let upload = |token: &str, repository: &str| {
        let header = format!("authorization: Bearer {token}");
        ask(&address, "POST", &format!("/v2/{repository}/blobs/uploads/"), &[&header], "").status
    };
    let token = |answer: &Answer| {
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str::<Value>(&answer.body).unwrap()["token"].as_str().unwrap().to_owned()
    };
    let own = identity(&signer, "acme/app", &json!({}));
    let pushes = token(&login(&address, &own, "repository:acme/app/image:pull,push"));
    assert_eq!(upload(&pushes, "acme/app/image"), 202);
    let elsewhere = token(&login(&address, &own, "repository:acme/other/image:pull,push"));
    assert_ne!(upload(&elsewhere, "acme/other/image"), 202);
    let branch = identity(&signer, "acme/app", &json!({"ref": "refs/heads/fix"}));
    let reads = token(&login(&address, &branch, "repository:acme/app/image:pull,push"));
    assert_ne!(upload(&reads, "acme/app/image"), 202);

    // Of somebody else at the same provider; for somebody else; by somebody else; expired.
    for bad in [
        identity(&signer, "evil/app", &json!({})),
        identity(&signer, "acme/app", &json!({"aud": "other.example.com"})),
        identity(&Signer::new("RS256"), "acme/app", &json!({})),
        identity(&signer, "acme/app", &json!({"exp": 1_700_000_000})),
    ] {
        assert_eq!(login(&address, &bad, "repository:acme/app/image:pull,push").status, 401);
    }
    let (_, log) = server.stop();
    assert!(log.contains("claim \\\"repository_owner\\\" is"), "{log}");
    assert!(!log.contains(&own), "a token is in the log");
}

#[test]
fn nothing_is_served_with_a_provider_that_cannot_work() {
    for (change, says) in [
        (("jwks: ./provider.json", "jwks: ./missing.json"), "auth.issuer.users.oidc (github): "),
        (
            ("jwks: ./provider.json", "ca: ./missing.pem"),
            "auth.issuer.users.oidc (github): ca: cannot read ./missing.pem",
        ),
        (("jwks: ./provider.json", "ca: ./c.yml"), "auth.issuer.users.oidc (github): "),
    ] {
        let directory = directory_with(&format!("{}{ANY_PORT}\n", CONFIG.replace(change.0, change.1)));
        let (code, _, errors) = run(directory.path(), &["serve", "c.yml"]);
        assert_eq!(code, 1, "{errors}");
        assert!(errors.contains(says), "{errors}");
    }
}
