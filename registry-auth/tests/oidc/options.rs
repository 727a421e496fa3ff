//! What the options of a provider ask for, and which cannot work.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use registry_auth::oidc::{IdentityError, KeySource, ProviderOptions};
use serde_json::json;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::server::Server;
use super::signer::Signer;
use super::{known, open, refused, try_open};

#[tokio::test]
async fn kubernetes_is_shown_a_token_and_nobody_else_is() {
    let signer = Signer::new("RS256");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "first\n").unwrap();
    let server = Server::with_keys(&[signer.jwk_with_id("key")]).await;
    let token = signer.token(json!({"kid": "key"}), &server.claims());
    let by_url = server.options().with_token_file(Some(file.clone()));
    let by_url =
        open(by_url.with_keys(KeySource::Url(format!("{}/keys", server.url))).with_refresh(Duration::ZERO));
    known(&by_url, &token).await;
    std::fs::write(&file, "second").unwrap();
    refused(&by_url, &signer.token(json!({"kid": "other"}), &server.claims()), "other").await;
    let shown = |heads: &[String]| -> Vec<Option<String>> {
        let header = |head: &String| {
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:"))?;
            Some(line.split_once(": ").unwrap().1.to_owned())
        };
        heads.iter().map(header).collect()
    };
    let (first, second) = (Some("Bearer first".to_owned()), Some("Bearer second".to_owned()));
    assert_eq!(shown(&server.heads.lock().unwrap()), [first, second.clone()]);

    // The document of the server leads elsewhere: the token stays.
    let elsewhere = Server::with_keys(&[signer.jwk_with_id("key")]).await;
    server.discover(&format!("{}/keys", elsewhere.url));
    server.heads.lock().unwrap().clear();
    known(&open(server.options().with_token_file(Some(file.clone()))), &token).await;
    assert_eq!(shown(&server.heads.lock().unwrap()), [second]);
    assert_eq!(shown(&elsewhere.heads.lock().unwrap()), [None]);

    std::fs::remove_file(&file).unwrap();
    let missing = open(server.options().with_token_file(Some(file))).verify(&token).await;
    assert!(matches!(missing, Err(IdentityError::Unavailable { .. })), "{missing:?}");
}

#[test]
fn options_that_cannot_work_are_refused() {
    let options = |issuer: &str, audience: &str| ProviderOptions::new("ci", issuer, audience);
    let good = options("https://issuer.example", "registry");
    try_open(good.clone()).unwrap();
    try_open(good.clone().with_keys(KeySource::Url("http://localhost:8001/openid/v1/jwks".to_owned())))
        .unwrap();
    try_open(good.clone().with_keys(KeySource::Url("http://[::1]:8001/keys".to_owned()))).unwrap();
    for (wrong, says) in [
        (options("", "registry"), "must not be empty"),
        (options("https://issuer.example", ""), "must not be empty"),
        (options("http://issuer.example", "registry"), "not a URL of https"),
        (options("issuer.example", "registry"), "relative URL"),
        (good.clone().with_keys(KeySource::Url("http://keys.example/".to_owned())), "not a URL of https"),
        (
            good.clone().with_keys(KeySource::Url("http://localhost.example/".to_owned())),
            "not a URL of https",
        ),
        (good.clone().with_keys(KeySource::File("/nonexistent".into())), "cannot read /nonexistent"),
        (good.with_authorities(Some(b"no certificate".to_vec())), "no certificate"),
    ] {
        let error = try_open(wrong).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn its_own_authorities_are_believed_and_no_others() {
    let authority = || {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), params, key)
    };
    let (own, params, key) = authority();
    let (other, ..) = authority();
    let server_key = KeyPair::generate().unwrap();
    let issuer = Issuer::from_params(&params, &key);
    let certificate =
        CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&server_key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(server_key.serialize_der()).unwrap(),
        )
        .unwrap();
    let server = Server::start_with(Some(TlsAcceptor::from(Arc::new(config)))).await;
    let signer = Signer::new("ES256");
    server.discover(&format!("{}/keys", server.url));
    server.publish(&[signer.jwk_with_id("key")]);
    let token = signer.token(json!({"kid": "key"}), &server.claims());
    known(&open(server.options().with_authorities(Some(own.into_bytes()))), &token).await;
    for authorities in [None, Some(other.into_bytes())] {
        let result = open(server.options().with_authorities(authorities)).verify(&token).await;
        assert!(matches!(result, Err(IdentityError::Unavailable { .. })), "{result:?}");
    }
}
