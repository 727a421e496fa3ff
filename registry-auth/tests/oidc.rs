//! Identity tokens, with a provider in this process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod signer;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use registry_auth::oidc::{
    Identity, IdentityError, IdentityProvider, KeySource, NameTemplate, ProviderOptions,
};
use registry_core::Glob;
use serde_json::{Value, json};
use signer::Signer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// In January 2027.
const NOW: u64 = 1_800_000_000;
const DISCOVERY: &str = "/.well-known/openid-configuration";

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A provider on this machine: what it answers for each path, and what it was asked.
#[derive(Clone)]
struct Server {
    url: String,
    answers: Arc<Mutex<HashMap<String, String>>>,
    heads: Arc<Mutex<Vec<String>>>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Over TLS, if it has a certificate.
    async fn start_with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = if tls.is_some() {
            format!("https://localhost:{port}")
        } else {
            format!("http://127.0.0.1:{port}")
        };
        let server = Self { url, answers: Arc::default(), heads: Arc::default(), requests: Arc::default() };
        let this = server.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (this, tls) = (this.clone(), tls.clone());
                tokio::spawn(async move {
                    let mut socket: Box<dyn Stream> = match tls {
                        None => Box::new(socket),
                        Some(tls) => match tls.accept(socket).await {
                            Ok(socket) => Box::new(socket),
                            Err(_) => return,
                        },
                    };
                    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
                    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                        let read = socket.read(&mut buffer).await.unwrap_or(0);
                        if read == 0 {
                            return;
                        }
                        head.extend_from_slice(&buffer[..read]);
                    }
                    let head = String::from_utf8(head).unwrap();
                    let path = head.split(' ').nth(1).unwrap().to_owned();
                    this.requests.fetch_add(1, Ordering::SeqCst);
                    this.heads.lock().unwrap().push(head);
                    let answer = this.answers.lock().unwrap().get(&path).cloned();
                    // An answer is a whole one, or the body of one.
                    let text = match answer {
                        Some(answer) if answer.starts_with("HTTP/") => answer,
                        Some(body) => format!(
                            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                            body.len()
                        ),
                        None => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                            .to_owned(),
                    };
                    let _ = socket.write_all(text.as_bytes()).await;
                    let _ = socket.shutdown().await;
                });
            }
        });
        server
    }

    /// A server with a discovery document that leads to these keys.
    async fn with_keys(keys: &[Value]) -> Self {
        let server = Self::start().await;
        server.discover(&format!("{}/keys", server.url));
        server.publish(keys);
        server
    }

    fn answer(&self, path: &str, text: impl Into<String>) {
        self.answers.lock().unwrap().insert(path.to_owned(), text.into());
    }

    fn discover(&self, keys: &str) {
        self.answer(DISCOVERY, json!({"issuer": self.url, "jwks_uri": keys}).to_string());
    }

    fn publish(&self, keys: &[Value]) {
        self.answer("/keys", json!({"keys": keys}).to_string());
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn options(&self) -> ProviderOptions {
        ProviderOptions::new("ci", &self.url, "registry")
    }

    /// Claims of the kind of GitHub's.
    fn claims(&self) -> Value {
        json!({
            "iss": self.url,
            "aud": "registry",
            "sub": "repo:acme/app:ref:refs/heads/main",
            "exp": NOW + 300,
            "nbf": NOW,
            "iat": NOW,
            "jti": "1",
            "repository": "acme/app",
            "repository_owner": "acme",
            "run_attempt": 1,
            "groups": ["builders", "acme"],
            "kubernetes.io": {"namespace": "ci"},
        })
    }

    fn claims_with(&self, changes: Value) -> Value {
        let mut claims = self.claims();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            }
        }
        claims
    }
}

fn open(options: ProviderOptions) -> IdentityProvider {
    try_open(options).unwrap().with_clock(|| SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
}

fn try_open(options: ProviderOptions) -> Result<IdentityProvider, IdentityError> {
    // reqwest takes the crypto provider of its own feature.
    IdentityProvider::open(options, reqwest::Client::builder().no_proxy())
}

async fn known(provider: &IdentityProvider, token: &str) -> Identity {
    provider.verify(token).await.unwrap().expect("a token of this provider")
}

async fn refused(provider: &IdentityProvider, token: &str, what: &str) -> String {
    match provider.verify(token).await {
        Err(IdentityError::Refused { reason, .. }) => reason,
        other => panic!("{what}: {other:?}"),
    }
}

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
