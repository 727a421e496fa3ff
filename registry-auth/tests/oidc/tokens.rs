//! Which tokens are believed, and who presents them.

use std::time::{Duration, SystemTime};

use registry_auth::oidc::NameTemplate;
use registry_core::Glob;
use serde_json::json;

use super::server::Server;
use super::signer::Signer;
use super::{NOW, known, open, refused};

#[tokio::test]
async fn a_machine_is_known_by_its_identity_token() {
    let signer = Signer::new("RS256");
    let server = Server::with_keys(&[signer.jwk_with_id("key")]).await;
    let provider = open(server.options().with_groups(Some("groups".to_owned())));
    let token = signer.token(json!({"kid": "key", "typ": "JWT"}), &server.claims());
    let identity = known(&provider, &token).await;
    assert_eq!(identity.expires, SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + 300));
    let principal = identity.principal;
    assert_eq!(principal.name, "ci:repo:acme/app:ref:refs/heads/main");
    assert_eq!(principal.method, "oidc");
    assert_eq!(principal.groups, ["builders", "acme"]);
    assert_eq!(principal.claims["repository"], "acme/app");
    assert_eq!(principal.claims["sub"], "repo:acme/app:ref:refs/heads/main");
    // Two requests for the first token, none for the next.
    known(&provider, &token).await;
    assert_eq!(server.requests(), 2);
}

#[cfg(feature = "issuer")]
#[tokio::test]
async fn a_login_lasts_for_a_session_or_as_long_as_the_token() {
    use registry_auth::issuer::{Credential, UserSource};

    let signer = Signer::new("ES256");
    let server = Server::with_keys(&[signer.jwk_with_id("key")]).await;
    let token = signer.token(json!({"kid": "key"}), &server.claims());
    for (session, seconds) in [(None, 300), (Some(60), 60), (Some(3600), 3600)] {
        let provider = open(server.options().with_session(session.map(Duration::from_secs)));
        let login = provider.authenticate(Credential::IdentityToken(&token), None).await.unwrap().unwrap();
        assert_eq!(login.until, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + seconds)));
        assert_eq!(provider.resume(&login).await.unwrap(), Some(login.principal));
        let password = Credential::Password { user: "x", password: &token };
        assert_eq!(provider.authenticate(password, None).await.unwrap(), None);
        assert_eq!(provider.authenticate(Credential::IdentityToken("x.y.z"), None).await.unwrap(), None);
    }
}

#[tokio::test]
async fn names_and_groups_are_made_of_claims() {
    let signer = Signer::new("ES256");
    let server = Server::with_keys(&[signer.jwk_with_id("key")]).await;
    let token = signer.token(json!({"kid": "key"}), &server.claims());
    let template = NameTemplate::parse("k8s:{kubernetes.io/namespace}:{repository}#{run_attempt}").unwrap();
    let options = server.options().with_principal(template).with_groups(Some("repository_owner".to_owned()));
    let identity = known(&open(options), &token).await;
    assert_eq!(identity.principal.name, "k8s:ci:acme/app#1");
    assert_eq!(identity.principal.groups, ["acme"]);
    let template = NameTemplate::parse("{missing}").unwrap();
    let reason = refused(&open(server.options().with_principal(template)), &token, "missing").await;
    assert!(reason.contains("\"missing\""), "{reason}");
}

#[tokio::test]
async fn tokens_of_others_are_for_others_to_look_at() {
    let signer = Signer::new("ES256");
    let server = Server::with_keys(&[signer.jwk_with_id("key")]).await;
    let provider = open(server.options());
    for token in [
        signer.token(json!({"kid": "key"}), &server.claims_with(json!({"iss": "https://other.example"}))),
        signer.token(json!({"kid": "key"}), &server.claims_with(json!({"iss": null}))),
        signer.token(json!({"kid": "key"}), &server.claims_with(json!({"iss": format!("{}/", server.url)}))),
        "a password".to_owned(),
        "a.b.c".to_owned(),
        String::new(),
    ] {
        assert_eq!(provider.verify(&token).await.unwrap(), None, "{token}");
    }
    assert_eq!(server.requests(), 0, "nobody makes us ask for a token of somebody else");
}

#[tokio::test]
async fn bad_tokens_are_refused() {
    let signer = Signer::new("RS256");
    let stranger = Signer::new("RS256");
    let server = Server::with_keys(&[signer.jwk_with_id("key")]).await;
    let provider = open(server.options());
    for changes in [
        json!({"aud": "other"}),
        json!({"aud": ["a", "b"]}),
        json!({"aud": null}),
        json!({"exp": NOW - 61}),
        json!({"exp": null}),
        json!({"nbf": NOW + 61}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": "a\nb"}),
    ] {
        let token = signer.token(json!({"kid": "key"}), &server.claims_with(changes.clone()));
        refused(&provider, &token, &changes.to_string()).await;
    }
    let claims = server.claims();
    for (what, token) in [
        ("another's signature", stranger.token(json!({"kid": "key"}), &claims)),
        ("another's key", stranger.token(json!({"kid": "other"}), &claims)),
        ("an embedded key", stranger.token(json!({"jwk": stranger.jwk_with_id("other")}), &claims)),
        (
            "an embedded key under a known id",
            stranger.token(json!({"jwk": stranger.jwk_with_id("key"), "kid": "key"}), &claims),
        ),
        ("a key elsewhere", stranger.token(json!({"jku": "http://127.0.0.1:1/", "kid": "other"}), &claims)),
        ("a critical extension", signer.token(json!({"kid": "key", "crit": ["x"], "x": 1}), &claims)),
        (
            "the public key as a secret",
            Signer::secret("HS256", &signer.public_key()).token(json!({"kid": "key"}), &claims),
        ),
        ("another algorithm", signer.token(json!({"kid": "key", "alg": "PS256"}), &claims)),
    ] {
        refused(&provider, &token, what).await;
    }
    // `none` is no token at all.
    let unsigned = signer.raw(r#"{"alg":"none","kid":"key"}"#, &claims.to_string());
    assert_eq!(provider.verify(&unsigned).await.unwrap(), None);
    known(
        &provider,
        &signer.token(json!({"kid": "key"}), &server.claims_with(json!({"aud": ["x", "registry"]}))),
    )
    .await;
    // One key and no id: it must be that one.
    known(&provider, &signer.token(json!({}), &claims)).await;
}

#[tokio::test]
async fn required_claims_have_to_match() {
    let signer = Signer::new("ES256");
    let server = Server::with_keys(&[signer.jwk_with_id("key")]).await;
    let token = signer.token(json!({"kid": "key"}), &server.claims());
    for (claim, patterns, good) in [
        ("repository_owner", &["acme"][..], true),
        ("repository_owner", &["other", "acme"], true),
        ("repository", &["acme/*"], true),
        ("run_attempt", &["1"], true),
        ("groups", &["acme"], true),
        ("kubernetes.io/namespace", &["ci"], true),
        ("repository_owner", &["Acme"], false),
        ("repository_owner", &["acm"], false),
        ("repository_owner", &[], false),
        ("repository", &["*"], false),
        ("groups", &["admins"], false),
        ("missing", &["**"], false),
        ("kubernetes.io", &["**"], false),
    ] {
        let options = server.options().with_required(claim, patterns.iter().map(|text| Glob::new(*text)));
        let verified = open(options).verify(&token).await;
        assert_eq!(verified.is_ok(), good, "{claim} {patterns:?}: {verified:?}");
    }
    // All of them, not one of them.
    let both = server.options().with_required("repository_owner", [Glob::new("acme")]);
    let both = open(both.with_required("ref", [Glob::new("refs/heads/main")]));
    assert!(refused(&both, &token, "ref").await.contains("\"ref\""));
}
