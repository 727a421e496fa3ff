//! What operations cost, and where redirects lead.

use http::StatusCode;
use registry::core::{Algorithm, Batch, RedirectHint, StorageDriver, StoragePath};
use registry_conformance::emulator::{BUCKET, S3Emulator};

use super::ask::{OCI_MANIFEST, ask};
use super::{s3_driver, service};

/// What a redirect leads to is the blob.
#[tokio::test]
async fn a_redirect_leads_to_the_object() {
    let emulator = S3Emulator::start().await;
    let driver = s3_driver(&emulator);
    let path = StoragePath::parse("/docker/registry/v2/x").unwrap();
    driver.apply(Batch::new().put(path.clone(), "content")).await.unwrap();
    let url = driver.redirect_url(&path, &RedirectHint::new(http::Method::GET, None)).await.unwrap().unwrap();
    assert!(
        url.to_string().starts_with(&format!("{}/{BUCKET}/some/root/docker", emulator.endpoint())),
        "{url}"
    );
    assert!(url.query().unwrap().contains("X-Amz-Signature="), "{url}");
}

/// What each operation costs at the bucket itself; docs/storage-costs.md has the same by a count above the driver.
#[tokio::test]
async fn operations_cost_few_requests() {
    let emulator = S3Emulator::start().await;
    let service = service(s3_driver(&emulator)).await;
    let cost = |what: &str, most: usize| {
        let requests = emulator.requests();
        assert!(!requests.is_empty(), "{what} was answered without the bucket");
        let kinds: Vec<_> = requests.iter().map(|request| (request.kind, request.key.as_str())).collect();
        assert!(kinds.len() <= most, "{what} takes {} requests, more than {most}: {kinds:?}", kinds.len());
        emulator.clear_requests();
    };
    let push = async |chunks: &[Vec<u8>], last: Vec<u8>| {
        let digest = Algorithm::Sha256.digest(&[chunks.concat(), last.clone()].concat());
        let (_, mut location) = ask(&service, "POST", "/v2/a/blobs/uploads/", Vec::new()).await;
        for chunk in chunks {
            location = ask(&service, "PATCH", &location, chunk.clone()).await.1;
        }
        let (status, _) = ask(&service, "PUT", &format!("{location}&digest={digest}"), last).await;
        assert_eq!(status, StatusCode::CREATED);
        digest
    };
    let ok = async |method: &str, uri: String, body: &[u8], expected: u16| {
        let (status, _) = ask(&service, method, &uri, body.to_vec()).await;
        assert_eq!(status, expected, "{method} {uri}");
    };

    emulator.clear_requests();
    let config = push(&[], vec![1; 1 << 20]).await;
    cost("a push with POST and PUT", 6);
    let layer = push(&[vec![2; 1 << 20]], Vec::new()).await;
    cost("a push as docker does it", 7);
    push(&[vec![3; 6 << 20], vec![4; 6 << 20], vec![5; 6 << 20]], Vec::new()).await;
    cost("a push in three chunks of 6 MiB", 9);
    push(&[], vec![6; 64 << 20]).await;
    cost("a push of 64 MiB", 14);
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":1048576}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}","size":1048576}}]}}"#
    );
    let digest = Algorithm::Sha256.digest(manifest.as_bytes());
    ok("PUT", "/v2/a/manifests/one".to_owned(), manifest.as_bytes(), 201).await;
    cost("a push of a manifest with a new tag", 4);
    for (what, uri, cold, warm) in [
        ("a manifest by tag", "/v2/a/manifests/one".to_owned(), 2, 1),
        ("a manifest by digest", format!("/v2/a/manifests/{digest}"), 2, 1),
        ("a blob", format!("/v2/a/blobs/{layer}"), 2, 1),
        ("a page of tags", "/v2/a/tags/list?n=100".to_owned(), 1, 1),
        ("a page of the catalog", "/v2/_catalog?n=100".to_owned(), 1, 1),
    ] {
        ok("GET", uri.clone(), b"", 200).await;
        cost(what, cold);
        ok("GET", uri, b"", 200).await;
        cost(what, warm);
    }
    ok("HEAD", format!("/v2/a/blobs/{layer}"), b"", 200).await;
    cost("HEAD of a blob", 1);
    ok("POST", format!("/v2/b/blobs/uploads/?mount={layer}&from=a"), b"", 201).await;
    cost("a mount", 1);
    ok("DELETE", "/v2/a/manifests/one".to_owned(), b"", 202).await;
    cost("the deletion of a tag", 2);
    ok("DELETE", format!("/v2/a/manifests/{digest}"), b"", 202).await;
    cost("the deletion of a manifest", 6);
    ok("DELETE", format!("/v2/a/blobs/{layer}"), b"", 202).await;
    cost("the deletion of a blob", 2);
}
