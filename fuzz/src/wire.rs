//! The service over a store in memory, and what is true of every answer.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use registry::Registry;
use registry::core::{BoxError, Digest, StorageDriver};
use registry::http::{HttpOptions, RegistryService};
use serde_json::Value;
use tower_service::Service;

/// The largest answer to inputs of the size that is fuzzed with: no request may be answered with much more
/// than was sent. 256 ranges of one blob, each with its own headers, are the most.
const LARGEST: usize = 256 << 10;

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
}

/// Runs a future to its end.
pub fn block_on<F: Future>(future: F) -> F::Output {
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// A registry without a server.
#[derive(Debug, Clone)]
pub struct Wire {
    service: RegistryService,
    intact: bool,
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Wire {
    /// The registry over a store.
    pub fn new(driver: Arc<dyn StorageDriver>, options: HttpOptions) -> Self {
        let registry = block_on(Registry::builder_over(driver).build()).expect("a registry");
        Self::over(registry.service(options))
    }

    /// A service that was put together elsewhere.
    pub fn over(service: RegistryService) -> Self {
        Self { service, intact: true }
    }

    /// The same over a store that has been tampered with: content is not hashed again when it is read, so
    /// it may be handed out under another digest than its own.
    #[must_use]
    pub fn tampered_with(self) -> Self {
        Self { intact: false, ..self }
    }

    /// The answer to a request, which is held against what is true of all answers.
    pub fn send<B>(&self, request: Request<B>) -> Reply
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let method = request.method().clone();
        let asked = format!("{method} {}", request.uri());
        let root = request.uri().path() == "/";
        let mut service = self.service.clone();
        let reply = block_on(async move {
            let response = service.call(request).await.unwrap_or_else(|never: Infallible| match never {});
            let (parts, body) = response.into_parts();
            let body = body.collect().await.expect("an answer does not break off").to_bytes();
            Reply { status: parts.status, headers: parts.headers, body }
        });
        reply.check(&asked, &method, root);
        if self.intact {
            reply.check_digest(&asked, &method);
        }
        reply
    }
}

impl Reply {
    /// A header as text; empty if it is missing.
    pub fn header(&self, name: impl AsRef<str>) -> &str {
        self.headers.get(name.as_ref()).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The code of the first error, or nothing if the answer is no error envelope.
    pub fn code(&self) -> String {
        let envelope: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        envelope["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }

    fn check(&self, asked: &str, method: &Method, root: bool) {
        let status = self.status.as_u16();
        assert!(!self.status.is_server_error(), "{asked}: {self:?}");
        assert!(
            root || self.header("docker-distribution-api-version") == "registry/2.0",
            "{asked}: {self:?}"
        );
        assert!(self.body.len() <= LARGEST, "{asked}: {} bytes", self.body.len());
        if method == Method::HEAD || matches!(status, 204 | 304 | 412) {
            assert!(self.body.is_empty(), "a body: {asked}: {self:?}");
        }
        if method != Method::HEAD && status != 304 && self.headers.contains_key(CONTENT_LENGTH) {
            assert_eq!(self.header(CONTENT_LENGTH), self.body.len().to_string(), "{asked}");
        }
        for (name, value) in &self.headers {
            let visible = value.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~'));
            assert!(visible && !value.is_empty(), "the header {name}: {asked}: {self:?}");
        }
        let location = self.header("location");
        assert!(location.is_empty() || location.starts_with("/v2/"), "{asked}: {self:?}");
        if self.status.is_client_error() && status != 412 && method != Method::HEAD {
            self.check_envelope(asked);
        }
    }

    /// An error is the envelope of the specification, with codes and messages and nothing that it does
    /// not know; only a method that an endpoint does not have is answered in text.
    fn check_envelope(&self, asked: &str) {
        if self.status == StatusCode::METHOD_NOT_ALLOWED && self.headers.contains_key("allow") {
            return;
        }
        assert_eq!(self.header(CONTENT_TYPE), "application/json", "{asked}: {self:?}");
        let envelope: Value = serde_json::from_slice(&self.body).expect("an error is JSON");
        let errors = envelope["errors"].as_array().expect("an error is an envelope");
        assert!(!errors.is_empty() && envelope.as_object().is_some_and(|map| map.len() == 1), "{asked}");
        for error in errors {
            let code = error["code"].as_str().unwrap_or_default();
            assert!(!code.is_empty() && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{asked}");
            assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{asked}");
            let known = |key: &str| matches!(key, "code" | "message" | "detail");
            assert!(error.as_object().is_some_and(|entry| entry.keys().all(|key| known(key))), "{asked}");
        }
    }

    /// Whatever is handed out under a digest has that digest.
    fn check_digest(&self, asked: &str, method: &Method) {
        let name = HeaderName::from_static("docker-content-digest");
        if method != Method::GET || self.status != StatusCode::OK || !self.headers.contains_key(&name) {
            return;
        }
        let digest = Digest::parse(self.header(name)).expect("the digest in a header");
        let algorithm = digest.algorithm().expect("content is kept under digests that can be computed");
        assert_eq!(algorithm.digest(&self.body), digest, "{asked}");
    }
}
