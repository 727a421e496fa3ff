//! The controller against the suite that every controller runs, and in front of a registry.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use example_custom_access::{ApiKeys, Key, NAME};
use http::{Request, StatusCode};
use http_body_util::Full;
use registry::auth;
use registry::core::access::Action;
use registry::core::{Options, RepositoryName};
use registry::prelude::*;
use registry_conformance::access::{Subject, repository};
use tower::ServiceExt;

/// `printf reader-key | sha256sum`, and the same of `writer-key`.
const READER: &str = "ec4408df15da46b328f6f3246fa723d0aa6cb0f0a0dd9c4626080ab1b02aa3b2";
const WRITER: &str = "3aec1946afb01344ae0065f3b123820a2144e455c13e5816dbd439e6634f7f26";

fn keys() -> ApiKeys {
    let key = |name: &str, sha256: &str, write| Key {
        name: name.to_owned(),
        sha256: sha256.to_owned(),
        below: RepositoryName::parse("team").unwrap(),
        write,
    };
    ApiKeys::new([key("reader", READER, false), key("writer", WRITER, true)])
}

/// The name of the user is not looked at, so there is none: the suite wants every byte to count.
fn basic(key: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!(":{key}")))
}

async fn subject(header: String) -> (Subject, ()) {
    let (parts, ()) = Request::get("/v2/").header("authorization", header).body(()).unwrap().into_parts();
    let subject = Subject::new(Arc::new(keys()), parts, repository("team/app", Action::Push))
        .with_principal("writer")
        .with_may_not(repository("teams/app", Action::Pull));
    (subject, ())
}

registry_conformance::access_tests!(as_password, subject(basic("writer-key")));
registry_conformance::access_tests!(as_bearer_token, subject("Bearer writer-key".to_owned()));

async fn status(service: &RegistryService, method: &str, path: &str, header: Option<String>) -> StatusCode {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(header) = header {
        request = request.header("authorization", header);
    }
    let request = request.body(Full::new(Bytes::new())).unwrap();
    service.clone().oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn a_registry_is_guarded_by_it() {
    let registry = Registry::builder(MemoryDriver::new()).access_controller(keys()).build().await.unwrap();
    let service = registry.service(HttpOptions::default());
    let uploads = "/v2/team/app/blobs/uploads/";
    assert_eq!(status(&service, "GET", "/v2/", None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&service, "GET", "/v2/", Some(basic("reader-key"))).await, StatusCode::OK);
    assert_eq!(status(&service, "POST", uploads, Some(basic("reader-key"))).await, StatusCode::FORBIDDEN);
    assert_eq!(status(&service, "POST", uploads, Some(basic("writer-key"))).await, StatusCode::ACCEPTED);
    let elsewhere = status(&service, "GET", "/v2/other/tags/list", Some(basic("writer-key"))).await;
    assert_eq!(elsewhere, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn it_is_built_by_name() {
    let mut factories = auth::builtin();
    ApiKeys::register(&mut factories).unwrap();
    let options = serde_json::json!({"keys": [{"name": "a", "sha256": WRITER, "below": "team"}]});
    factories.build(NAME, Options::new(options.as_object().cloned().unwrap())).await.unwrap();
    let stray = serde_json::json!({"keys": [], "key": 1});
    let error = factories.build(NAME, Options::new(stray.as_object().cloned().unwrap())).await.unwrap_err();
    assert!(error.to_string().contains("unknown field `key`"), "{error}");
}
