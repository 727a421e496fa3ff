//! Where keys come from, how often the provider is asked, and what holds while it does not answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use registry_auth::oidc::{Identity, IdentityError, KeySource, ProviderOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::server::{DISCOVERY, Server};
use super::signer::Signer;
use super::{NOW, known, open, refused, try_open};

#[tokio::test]
async fn new_keys_are_found_and_the_provider_is_asked_no_more_often_than_it_should() {
    let (old, new) = (Signer::new("ES256"), Signer::new("ES256"));
    let server = Server::with_keys(&[old.jwk_with_id("old")]).await;
    let quick = open(server.options().with_refresh(Duration::ZERO));
    let slow = open(server.options());
    let by_old = old.token(json!({"kid": "old"}), &server.claims());
    let by_new = new.token(json!({"kid": "new"}), &server.claims());
    known(&quick, &by_old).await;
    known(&slow, &by_old).await;
    server.publish(&[new.jwk_with_id("new")]);
    known(&quick, &by_new).await;
    refused(&quick, &by_old, "a key that is gone").await;

    // The other one was asked a moment ago.
    let before = server.requests();
    for _ in 0..20 {
        refused(&slow, &by_new, "not known yet").await;
    }
    known(&slow, &by_old).await;
    assert_eq!(server.requests(), before);
}

#[tokio::test]
async fn many_at_once_ask_once() {
    let signer = Signer::new("ES256");
    let server = Server::with_keys(&[signer.jwk_with_id("key")]).await;
    let provider = Arc::new(open(server.options().with_refresh(Duration::ZERO)));
    let token = signer.token(json!({"kid": "key"}), &server.claims());
    let all: Vec<_> = (0..50)
        .map(|_| {
            let (provider, token) = (Arc::clone(&provider), token.clone());
            tokio::spawn(async move { known(&provider, &token).await })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    assert_eq!(server.requests(), 2);
}

/// Whoever goes away takes nobody else's answer along.
#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_the_fetch() {
    let signer = Signer::new("ES256");
    let server = Server::with_keys(&[signer.jwk_with_id("key")]).await;
    let provider = open(server.options().with_refresh(Duration::from_secs(3600)));
    let token = signer.token(json!({"kid": "key"}), &server.claims());
    let gone = tokio::time::timeout(Duration::from_micros(1), provider.verify(&token)).await;
    assert!(gone.is_err() || server.requests() == 2, "{gone:?}");
    known(&provider, &token).await;
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn known_keys_stay_while_the_provider_is_down() {
    let signer = Signer::new("ES256");
    let server = Server::with_keys(&[signer.jwk_with_id("key")]).await;
    let provider = open(server.options().with_refresh(Duration::ZERO));
    let token = signer.token(json!({"kid": "key"}), &server.claims());
    known(&provider, &token).await;
    for answer in [
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "no json",
        "{}",
        "{\"keys\": []}",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\n{",
        "",
    ] {
        server.answer("/keys", answer);
        let unknown = signer.token(json!({"kid": "other"}), &server.claims());
        refused(&provider, &unknown, answer).await;
        known(&provider, &token).await;
    }
}

#[tokio::test]
async fn a_provider_that_cannot_be_asked_is_no_refusal() {
    let signer = Signer::new("ES256");
    let unavailable = |result: Result<Option<Identity>, IdentityError>| match result {
        Err(IdentityError::Unavailable { source, .. }) => source.to_string(),
        other => panic!("{other:?}"),
    };
    let server = Server::with_keys(&[signer.jwk_with_id("key")]).await;
    let token = signer.token(json!({"kid": "key"}), &server.claims());
    let own = format!("{{\"issuer\": \"{}\", ", server.url);
    for (path, answer, says) in [
        (
            DISCOVERY,
            "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
            "answered 500",
        ),
        (DISCOVERY, "[]".to_owned(), "an object"),
        (
            DISCOVERY,
            r#"{"issuer": "https://other.example", "jwks_uri": "https://other.example/keys"}"#.to_owned(),
            "is about \"https://other.example\"",
        ),
        (DISCOVERY, format!("{own}\"jwks_uri\": \"http://other.example/keys\"}}"), "not a URL of https"),
        (DISCOVERY, format!("{own}\"jwks_uri\": \"file:///etc/passwd\"}}"), "not a URL of https"),
        (DISCOVERY, format!("{own}\"jwks_uri\": \"http://127.0.0.1.example/\"}}"), "not a URL of https"),
        (DISCOVERY, format!("{own}\"jwks_uri\": \"{}/nothing\"}}", server.url), "answered 404"),
        (
            DISCOVERY,
            format!("{own}\"jwks_uri\": \"{}/keys\", \"padding\": \"{}\"}}", server.url, "x".repeat(2 << 20)),
            "more than",
        ),
    ] {
        server.answer(path, answer);
        let said = unavailable(open(server.options()).verify(&token).await);
        assert!(said.contains(says), "{said}");
    }
    // And is asked again, before long.
    let provider = open(server.options().with_refresh(Duration::ZERO));
    unavailable(provider.verify(&token).await);
    server.discover(&format!("{}/keys", server.url));
    known(&provider, &token).await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let signer = Signer::new("ES256");
    let claims = json!({"iss": url, "aud": "registry", "sub": "a", "exp": NOW + 300});
    let provider = open(ProviderOptions::new("slow", &url, "registry"));
    let start = Instant::now();
    let result = provider.verify(&signer.token(json!({"kid": "key"}), &claims)).await;
    assert!(matches!(result, Err(IdentityError::Unavailable { .. })), "{result:?}");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[tokio::test]
async fn keys_can_be_in_a_file() {
    let (old, new) = (Signer::new("ES256"), Signer::new("ES256"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.json");
    let write = |keys: Value| std::fs::write(&file, json!({"keys": keys}).to_string()).unwrap();
    write(json!([old.jwk_with_id("old")]));
    let options = ProviderOptions::new("file", "https://issuer.example", "registry");
    let options = options.with_keys(KeySource::File(file.clone())).with_refresh(Duration::ZERO);
    let provider = open(options.clone());
    let claims = json!({"iss": "https://issuer.example", "aud": "registry", "sub": "a", "exp": NOW + 300});
    known(&provider, &old.token(json!({"kid": "old"}), &claims)).await;
    write(json!([new.jwk_with_id("new")]));
    known(&provider, &new.token(json!({"kid": "new"}), &claims)).await;
    // Secrets are not published, so what is one is a mistake.
    for broken in [json!([]), json!([Signer::new("HS256").jwk_with_id("key")]), json!([{"kty": "RSA"}])] {
        write(broken);
        assert!(matches!(try_open(options.clone()), Err(IdentityError::Options { .. })));
    }
}
