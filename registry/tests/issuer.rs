//! The issuer in a program of one's own: its endpoint before the API, and the controller that takes its tokens.
#![cfg(feature = "auth-issuer")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use registry::TokenEndpoint;
use registry::auth::issuer::{
    IssuedTokens, Issuer, IssuerOptions, MAX_BODY, PasswordUsers, StaticUser, UserSource,
};
use registry::core::access::{Access, Action};
use registry::core::{AuditRecord, AuditSink, RepositoryName};
use registry::prelude::*;
use registry_conformance::access::Subject;
use tower::ServiceExt;

/// Of `password`, made by `crypt` of libxcrypt.
const HASH: &str = "$2y$04$TnrKPT5AYmKuw9xzSdYFPOzCUVRRrZ0v0VDymfDz58rT4kf2ePE4S";

/// alice:password
const ALICE: &str = "Basic YWxpY2U6cGFzc3dvcmQ=";

type Service = TokenEndpoint<RegistryService>;

fn issuer() -> Issuer {
    let alice = serde_json::json!({ "name": "alice", "password": HASH });
    let alice: StaticUser = serde_json::from_value(alice).unwrap();
    let users = PasswordUsers::open(None, &[alice]).unwrap();
    Issuer::open(IssuerOptions::default(), vec![Arc::new(users) as Arc<dyn UserSource>]).unwrap()
}

async fn service() -> Service {
    let issuer = issuer();
    let controller = IssuedTokens::new(issuer.clone());
    let registry =
        Registry::builder(MemoryDriver::new()).access_controller(controller).build().await.unwrap();
    TokenEndpoint::new(registry.service(HttpOptions::default()), issuer)
}

async fn send(service: &Service, request: http::request::Builder, body: impl Into<Bytes>) -> Response<Bytes> {
    let request: Request<Full<Bytes>> = request.body(Full::new(body.into())).unwrap();
    let (parts, body) = service.clone().oneshot(request).await.unwrap().into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

async fn token(service: &Service, scope: &str) -> String {
    let request = Request::get(format!("/auth/token?scope={scope}")).header(AUTHORIZATION, ALICE);
    let response = send(service, request, "").await;
    assert_eq!(response.status(), StatusCode::OK);
    let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    body["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_endpoint_is_before_the_api() {
    let service = service().await;
    assert_eq!(send(&service, Request::get("/v2/"), "").await.status(), StatusCode::UNAUTHORIZED);
    let pull = format!("Bearer {}", token(&service, "repository:a:pull").await);
    let push = format!("Bearer {}", token(&service, "repository:a:pull,push").await);
    let start = |token: &str| Request::post("/v2/a/blobs/uploads/").header(AUTHORIZATION, token);
    assert_eq!(send(&service, start(&pull), "").await.status(), StatusCode::UNAUTHORIZED);
    let session = send(&service, start(&push), "").await;
    assert_eq!(session.status(), StatusCode::ACCEPTED);
    let digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let close = format!("{}&digest={digest}", session.headers()[LOCATION].to_str().unwrap());
    let close = Request::put(close).header(AUTHORIZATION, &push);
    assert_eq!(send(&service, close, "hello").await.status(), StatusCode::CREATED);
    let blob = format!("/v2/a/blobs/{digest}");
    let read = send(&service, Request::get(&blob).header(AUTHORIZATION, &pull), "").await;
    assert_eq!(read.body(), "hello");
    let elsewhere =
        send(&service, Request::get(blob.replace("/a/", "/b/")).header(AUTHORIZATION, &pull), "").await;
    assert_eq!(elsewhere.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        send(&service, Request::get("/auth/tokens"), "").await.status(),
        StatusCode::NOT_FOUND,
        "the API's"
    );
}

#[tokio::test]
async fn a_body_is_read_up_to_its_bound() {
    let service = service().await;
    let form = || Request::post("/auth/token").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let password = "grant_type=password&username=alice&password=password&x=";
    let filled = |length: usize| format!("{password}{}", "a".repeat(length - password.len()));
    assert_eq!(send(&service, form(), filled(MAX_BODY)).await.status(), StatusCode::OK);
    assert_eq!(send(&service, form(), filled(MAX_BODY + 1)).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    // One that never ends is not waited for.
    let endless = futures::stream::repeat_with(|| {
        Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from_static(&[b'a'; 8192])))
    });
    let request = form().body(http_body_util::StreamBody::new(endless)).unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    // One that breaks off is no request.
    let broken = futures::stream::iter([
        Ok(http_body::Frame::data(Bytes::from_static(password.as_bytes()))),
        Err(std::io::Error::other("gone")),
    ]);
    let request = form().body(http_body_util::StreamBody::new(broken)).unwrap();
    assert_eq!(service.oneshot(request).await.unwrap().status(), StatusCode::BAD_REQUEST);
}

/// The ids of the requests that an audit log hears of.
#[derive(Debug, Default)]
struct Ids(Mutex<Vec<String>>);

impl AuditSink for Ids {
    fn record(&self, record: &AuditRecord<'_>) {
        self.0.lock().unwrap().push(record.request_id.to_owned());
    }
}

#[tokio::test]
async fn logins_have_the_id_of_their_request_as_anything_else_has() {
    let ids = Arc::new(Ids::default());
    let issuer = issuer().with_audit(Arc::<Ids>::clone(&ids));
    let registry = Registry::builder(MemoryDriver::new()).build().await.unwrap();
    let service = TokenEndpoint::new(registry.service(HttpOptions::default()), issuer);
    let mut told = Vec::new();
    for (sent, credentials) in [
        (None, ALICE),
        (Some("given-1"), ALICE),
        (Some("given-2"), "Basic YWxpY2U6eA=="),
        (Some("{\"a\": \"forged line\"}"), ALICE),
    ] {
        let request = Request::get("/auth/token").header(AUTHORIZATION, credentials);
        let request = sent.into_iter().fold(request, |request, id| request.header("x-request-id", id));
        let response = send(&service, request, "").await;
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let is_taken = sent.is_some_and(|sent| sent.starts_with("given"));
        assert_eq!(sent == Some(id.as_str()), is_taken, "{id} for {sent:?}");
        told.push(id);
    }
    assert_eq!(*ids.0.lock().unwrap(), told);
}

async fn subject() -> (Subject, ()) {
    let issuer = issuer();
    let request =
        Request::get("/auth/token?scope=repository:team/app:pull,push").header(AUTHORIZATION, ALICE);
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let body: serde_json::Value = serde_json::from_slice(issuer.answer(&parts, b"").await.body()).unwrap();
    let token = format!("Bearer {}", body["token"].as_str().unwrap());
    let (credentials, ()) = Request::get("/v2/").header(AUTHORIZATION, token).body(()).unwrap().into_parts();
    let name = RepositoryName::parse("team/app").unwrap();
    let subject = Subject::new(
        Arc::new(IssuedTokens::new(issuer)),
        credentials,
        Access::repository(&name, Action::Push),
    );
    (subject.with_principal("alice").with_may_not(Access::repository(&name, Action::Delete)), ())
}

registry_conformance::access_tests!(issued_tokens, subject());
