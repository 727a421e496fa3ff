//! The middleware as clients see it.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use bytes::Bytes;
use example_custom_middleware::{NAME, SignedTags};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use registry::core::{Algorithm, BuildError, Digest, MediaType, Options};
use registry::middleware::Middlewares;
use registry::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt;

const SIGNATURE: &str = "application/vnd.example.signature";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

async fn build(options: Value) -> Result<RegistryService, BuildError> {
    let mut middlewares = Middlewares::builtin();
    SignedTags::register(&mut middlewares.repository)?;
    let options = Options::new(options.as_object().unwrap().clone());
    let signed = middlewares.repository.build(NAME, options).await?;
    let registry = Registry::builder(MemoryDriver::new()).repository_middleware_over(signed).build().await?;
    Ok(registry.service(HttpOptions::default()))
}

async fn send(service: &RegistryService, method: Method, uri: &str, body: String) -> (StatusCode, Bytes) {
    let request = Request::builder().method(method).uri(uri);
    let request = request.header(header::CONTENT_TYPE, MediaType::OCI_IMAGE);
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    (response.status(), response.into_body().collect().await.unwrap().to_bytes())
}

/// Pushes an image, or something that refers to one.
async fn push(service: &RegistryService, name: &str, tag: Option<&str>, more: Value) -> (Digest, usize) {
    let config = Algorithm::Sha256.digest(b"{}");
    let uri = format!("/v2/{name}/blobs/uploads/?digest={config}");
    assert_eq!(send(service, Method::POST, &uri, "{}".to_owned()).await.0, StatusCode::CREATED);
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_IMAGE,
        "config": { "mediaType": EMPTY, "digest": config, "size": 2 },
        "layers": [],
    });
    manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let manifest = manifest.to_string();
    let (digest, len) = (Algorithm::Sha256.digest(manifest.as_bytes()), manifest.len());
    let reference = tag.map_or(digest.to_string(), str::to_owned);
    let uri = format!("/v2/{name}/manifests/{reference}");
    let (status, body) = send(service, Method::PUT, &uri, manifest).await;
    assert_eq!(status, StatusCode::CREATED, "{body:?}");
    (digest, len)
}

async fn pull(service: &RegistryService, name: &str, reference: &str) -> (StatusCode, Bytes) {
    send(service, Method::GET, &format!("/v2/{name}/manifests/{reference}"), String::new()).await
}

#[tokio::test]
async fn a_tag_leads_nowhere_until_there_is_a_signature_of_the_right_type() {
    let service = build(json!({ "artifactType": SIGNATURE })).await.unwrap();
    let (image, size) = push(&service, "app", Some("latest"), json!({})).await;
    let subject = json!({ "mediaType": MediaType::OCI_IMAGE, "digest": image, "size": size });

    let (status, body) = pull(&service, "app", "latest").await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &body["errors"][0]["code"]), (StatusCode::FORBIDDEN, &json!("UNSIGNED")));
    assert_eq!(pull(&service, "app", image.as_str()).await.0, StatusCode::OK, "to verify, one needs it");

    let other = json!({ "artifactType": "application/spdx+json", "subject": subject });
    push(&service, "app", None, other).await;
    assert_eq!(pull(&service, "app", "latest").await.0, StatusCode::FORBIDDEN, "no signature");

    push(&service, "app", None, json!({ "artifactType": SIGNATURE, "subject": subject })).await;
    assert_eq!(pull(&service, "app", "latest").await.0, StatusCode::OK);

    push(&service, "app", Some("latest"), json!({ "annotations": { "version": "2" } })).await;
    assert_eq!(pull(&service, "app", "latest").await.0, StatusCode::FORBIDDEN, "the tag moved on");
}

#[tokio::test]
async fn only_chosen_repositories_need_signatures() {
    let service = build(json!({ "artifactType": SIGNATURE, "below": ["prod"] })).await.unwrap();
    for (name, expected) in [
        ("dev/app", StatusCode::OK),
        ("production", StatusCode::OK),
        ("prod", StatusCode::FORBIDDEN),
        ("prod/a/b", StatusCode::FORBIDDEN),
    ] {
        push(&service, name, Some("latest"), json!({})).await;
        assert_eq!(pull(&service, name, "latest").await.0, expected, "{name}");
    }
}

#[tokio::test]
async fn an_unknown_tag_is_unknown_and_a_tag_can_be_listed_and_deleted_unsigned() {
    let service = build(json!({ "artifactType": SIGNATURE })).await.unwrap();
    push(&service, "app", Some("latest"), json!({})).await;
    assert_eq!(pull(&service, "app", "absent").await.0, StatusCode::NOT_FOUND);
    let (_, tags) = send(&service, Method::GET, "/v2/app/tags/list", String::new()).await;
    assert!(std::str::from_utf8(&tags).unwrap().contains("latest"), "{tags:?}");
    let deleted = send(&service, Method::DELETE, "/v2/app/manifests/latest", String::new()).await;
    assert_eq!(deleted.0, StatusCode::ACCEPTED);
    assert_eq!(pull(&service, "app", "latest").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_mistake_in_the_options_stops_the_start() {
    for (options, complaint) in [
        (json!({}), "missing field `artifactType`"),
        (json!({ "artifactType": "signature" }), "type/subtype"),
        (json!({ "artifactType": SIGNATURE, "below": ["Prod"] }), "repository name"),
        (json!({ "artifactType": SIGNATURE, "above": [] }), "unknown field `above`"),
    ] {
        let error = build(options).await.unwrap_err().to_string();
        assert!(error.contains("signedtags") && error.contains(complaint), "{error}");
    }
}
