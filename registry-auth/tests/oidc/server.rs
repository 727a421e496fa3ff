//! A provider in this process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use registry_auth::oidc::ProviderOptions;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::NOW;

pub(crate) const DISCOVERY: &str = "/.well-known/openid-configuration";

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A provider on this machine: what it answers for each path, and what it was asked.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    answers: Arc<Mutex<HashMap<String, String>>>,
    /// The heads of the requests, in order.
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Over TLS, if it has a certificate.
    pub(crate) async fn start_with(tls: Option<TlsAcceptor>) -> Self {
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
    pub(crate) async fn with_keys(keys: &[Value]) -> Self {
        let server = Self::start().await;
        server.discover(&format!("{}/keys", server.url));
        server.publish(keys);
        server
    }

    pub(crate) fn answer(&self, path: &str, text: impl Into<String>) {
        self.answers.lock().unwrap().insert(path.to_owned(), text.into());
    }

    pub(crate) fn discover(&self, keys: &str) {
        self.answer(DISCOVERY, json!({"issuer": self.url, "jwks_uri": keys}).to_string());
    }

    pub(crate) fn publish(&self, keys: &[Value]) {
        self.answer("/keys", json!({"keys": keys}).to_string());
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn options(&self) -> ProviderOptions {
        ProviderOptions::new("ci", &self.url, "registry")
    }

    /// Claims of the kind of GitHub's.
    pub(crate) fn claims(&self) -> Value {
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

    pub(crate) fn claims_with(&self, changes: Value) -> Value {
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
