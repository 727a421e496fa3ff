//! What this crate puts around drivers and services, against the suites and routes of the others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use registry_core::{Digest, Reference, RepositoryName, StorageDriver, UploadId};
use registry_http::{Body, Route};
use registry_metrics::Metrics;
use registry_storage::MemoryDriver;
use tower_layer::Layer;
use tower_service::Service;

registry_conformance::driver_tests!(counted_memory, async {
    let driver: Arc<dyn StorageDriver> = Arc::new(MemoryDriver::new());
    (Metrics::new().storage().around(driver), ())
});

/// Every route counts under the handler that Distribution would have for it.
#[test]
fn routes_and_handlers_agree() {
    let name = RepositoryName::parse("library/tags").unwrap();
    let digest = Digest::parse(&format!("sha256:{}", "0".repeat(64))).unwrap();
    let reference = Reference::parse("v1").unwrap();
    let id = UploadId::parse("0190163d-8694-739b-aea5-966c26f8ad90").unwrap();
    let page = Default::default;
    for (route, handler) in [
        (Route::Base, "base"),
        (Route::Catalog { page: page() }, "catalog"),
        (Route::Tags { name: name.clone(), page: page() }, "tags"),
        (Route::GetManifest { name: name.clone(), reference }, "manifest"),
        (Route::GetBlob { name: name.clone(), digest: digest.clone() }, "blob"),
        (Route::StartUpload { name: name.clone(), start: Default::default() }, "blob_upload"),
        (Route::UploadStatus { name: name.clone(), id, state: None }, "blob_upload_chunk"),
        (Route::Referrers { name, digest, artifact_type: None, page: page() }, "referrers"),
    ] {
        let metrics = Metrics::new();
        let mut service = metrics.http("/registry").layer(Never);
        let request =
            Request::get(format!("/registry{}", route.build())).body(Empty::<Bytes>::new()).unwrap();
        let running = service.call(request);
        let line = format!("registry_http_in_flight_requests{{handler=\"{handler}\"}} 1\n");
        assert!(metrics.text().contains(&line), "{route:?}");
        drop(running);
    }
}

/// A service that never answers.
struct Never;

impl<B> Service<Request<B>> for Never {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = std::future::Pending<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        std::future::pending()
    }
}
