//! A mount whose source cannot be read is an upload, whatever the source's reason.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use registry::core::{Error, ErrorCode, Repository, RepositoryMiddleware, RequestContext, Result};
use registry::prelude::*;
use tower::ServiceExt;

const HELLO: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// Refuses repositories with an error of its own.
#[derive(Debug)]
struct Quarantine(ErrorCode);

#[async_trait::async_trait]
impl RepositoryMiddleware for Quarantine {
    async fn wrap(&self, _: &Arc<RequestContext>, inner: Arc<dyn Repository>) -> Result<Arc<dyn Repository>> {
        if inner.name().as_str() == "quarantined" { Err(Error::coded(self.0)) } else { Ok(inner) }
    }
}

async fn post(service: &RegistryService, uri: &str, body: &'static str) -> StatusCode {
    let request = Request::post(uri).body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap();
    service.clone().oneshot(request).await.unwrap().status()
}

/// The status of a mount from a repository that holds the blob and refuses with `code`.
async fn mount_from_refusing(code: ErrorCode) -> StatusCode {
    let driver = MemoryDriver::new();
    let open = Registry::builder(driver.clone()).build().await.unwrap();
    let open = open.service(HttpOptions::default());
    let uri = format!("/v2/quarantined/blobs/uploads/?digest={HELLO}");
    assert_eq!(post(&open, &uri, "hello").await, StatusCode::CREATED);

    let guarded = Registry::builder(driver).repository_middleware(Quarantine(code)).build().await.unwrap();
    let guarded = guarded.service(HttpOptions::default());
    post(&guarded, &format!("/v2/other/blobs/uploads/?mount={HELLO}&from=quarantined"), "").await
}

#[tokio::test]
async fn a_source_that_refuses_with_a_code_of_its_own_means_an_upload() {
    let own = ErrorCode::custom("QUARANTINED", StatusCode::FORBIDDEN, "quarantined");
    for code in [own, ErrorCode::DENIED, ErrorCode::NAME_UNKNOWN] {
        assert_eq!(mount_from_refusing(code).await, StatusCode::ACCEPTED, "{}", code.id());
    }
}

#[tokio::test]
async fn a_source_that_fails_is_a_failure() {
    let status = mount_from_refusing(ErrorCode::UNAVAILABLE).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_source_that_is_hidden_means_an_upload() {
    let driver = MemoryDriver::new();
    let open = Registry::builder(driver.clone()).build().await.unwrap().service(HttpOptions::default());
    assert_eq!(
        post(&open, &format!("/v2/hidden/blobs/uploads/?digest={HELLO}"), "hello").await,
        StatusCode::CREATED
    );
    let select = Select::allow(["shown"]).unwrap();
    let registry = Registry::builder(driver).registry_middleware(select).build().await.unwrap();
    let service = registry.service(HttpOptions::default());
    let uri = format!("/v2/shown/blobs/uploads/?mount={HELLO}&from=hidden");
    assert_eq!(post(&service, &uri, "").await, StatusCode::ACCEPTED);
}
