//! The HTTP and the namespace suite over buckets of S3, GCS and Azure, played by emulators in this process; and
//! several replicas over one bucket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use registry::core::{Algorithm, Namespace, RedirectHint, StorageDriver, StoragePath};
use registry::http::{HttpOptions, RegistryService};
use registry::storage::bucket::{
    AzureCredentials, AzureOptions, BucketDriver, GcsCredentials, GcsOptions, OpenBucket, S3Credentials,
    S3Options, Secret,
};
use registry::storage::{MemoryCache, StorageNamespace};
use registry::{Registry, RegistryBuilder};
use registry_conformance::emulator::{
    ACCESS_KEY, ACCOUNT, ACCOUNT_KEY, AzureEmulator, BUCKET, GcsEmulator, Kind, Options, S3Emulator,
    SECRET_KEY,
};
use tower::ServiceExt;

/// A registry that sends the bytes itself: the suite's client asks the service and nobody else.
fn registry(driver: BucketDriver) -> RegistryBuilder {
    Registry::builder(driver).redirects(false).descriptor_cache(Some(Arc::new(MemoryCache::default())))
}

async fn service(driver: BucketDriver) -> RegistryService {
    let options = HttpOptions::default().with_secret(Some("of all replicas".to_owned()));
    registry(driver).build().await.expect("a registry over a bucket is built").service(options)
}

fn open_s3(emulator: &S3Emulator) -> OpenBucket {
    let mut options = S3Options::new(BUCKET, "us-east-1");
    options.endpoint = Some(emulator.endpoint());
    options.path_style = true;
    options.credentials = Some(S3Credentials {
        access_key: ACCESS_KEY.to_owned(),
        secret_key: Secret::new(SECRET_KEY),
        session_token: None,
    });
    options.bucket.root = "some/root".to_owned();
    OpenBucket::s3(&options).expect("the options are good")
}

fn s3_driver(emulator: &S3Emulator) -> BucketDriver {
    open_s3(emulator).driver()
}

fn gcs_driver(emulator: &GcsEmulator) -> BucketDriver {
    let mut options = GcsOptions::new(BUCKET);
    options.endpoint = Some(emulator.endpoint());
    options.credentials = GcsCredentials::Json(Secret::new(emulator.service_account()));
    OpenBucket::gcs(&options).expect("the options are good").driver()
}

fn azure_driver(emulator: &AzureEmulator) -> BucketDriver {
    let key = AzureCredentials::SharedKey(Secret::new(ACCOUNT_KEY));
    let mut options = AzureOptions::new(ACCOUNT, BUCKET, key);
    options.service_url = Some(emulator.endpoint());
    OpenBucket::azure(&options).expect("the options are good").driver()
}

registry_conformance::wire_tests!(s3, async {
    let emulator = S3Emulator::start().await;
    (service(s3_driver(&emulator)).await, emulator)
});

registry_conformance::wire_tests!(s3_that_lists_no_uploads, async {
    let emulator = S3Emulator::with(Options::new().without_list_uploads()).await;
    let bucket = open_s3(&emulator);
    let found = bucket.probe().await.expect("the bucket answers");
    assert!(!found.lists_uploads);
    (service(bucket.driver()).await, emulator)
});

registry_conformance::wire_tests!(gcs, async {
    let emulator = GcsEmulator::start().await;
    (service(gcs_driver(&emulator)).await, emulator)
});

registry_conformance::wire_tests!(azure, async {
    let emulator = AzureEmulator::start().await;
    (service(azure_driver(&emulator)).await, emulator)
});

async fn namespace(driver: BucketDriver) -> Arc<dyn Namespace> {
    Arc::new(StorageNamespace::builder(Arc::new(driver)).build())
}

registry_conformance::namespace_tests!(s3_namespace, async {
    let emulator = S3Emulator::start().await;
    (namespace(s3_driver(&emulator)).await, emulator)
});

registry_conformance::namespace_tests!(gcs_namespace, async {
    let emulator = GcsEmulator::start().await;
    (namespace(gcs_driver(&emulator)).await, emulator)
});

registry_conformance::namespace_tests!(azure_namespace, async {
    let emulator = AzureEmulator::start().await;
    (namespace(azure_driver(&emulator)).await, emulator)
});

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

async fn ask(service: &RegistryService, method: &str, uri: &str, body: Vec<u8>) -> (StatusCode, String) {
    let kind = if uri.contains("/manifests/") { OCI_MANIFEST } else { "application/octet-stream" };
    let request = Request::builder().method(method).uri(uri).header("content-length", body.len());
    let request = request.header("content-type", kind).header("accept", OCI_MANIFEST);
    let answer = service.clone().oneshot(request.body(Full::new(body.into())).unwrap()).await.unwrap();
    let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
    let status = answer.status();
    drop(answer.into_body().collect().await);
    (status, location.unwrap_or_default())
}

/// Chunks of one upload go to three replicas of which each comes to it for the first time; the bytes are read by
/// none of them again.
#[tokio::test]
async fn chunks_alternate_between_replicas_without_being_read_again() {
    let emulator = S3Emulator::start().await;
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(service(s3_driver(&emulator)).await);
    }
    let chunks: Vec<Vec<u8>> = (0..6_u8).map(|n| vec![n; 6 << 20]).collect();
    let (status, mut location) = ask(&replicas[0], "POST", "/v2/a/b/blobs/uploads/", Vec::new()).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    emulator.clear_requests();
    for (n, chunk) in chunks.iter().enumerate() {
        let (status, next) = ask(&replicas[(n + 1) % 3], "PATCH", &location, chunk.clone()).await;
        assert_eq!(status, StatusCode::ACCEPTED, "chunk {n}");
        location = next;
    }
    let digest = Algorithm::Sha256.digest(&chunks.concat());
    let (status, _) = ask(&replicas[1], "PUT", &format!("{location}&digest={digest}"), Vec::new()).await;
    assert_eq!(status, StatusCode::CREATED);
    let read: Vec<_> = emulator.requests().into_iter().filter(|request| request.kind == Kind::Get).collect();
    assert!(read.iter().all(|request| request.key.ends_with("/startedat")), "{read:?}");
    let (status, _) = ask(&replicas[2], "HEAD", &format!("/v2/a/b/blobs/{digest}"), Vec::new()).await;
    assert_eq!(status, StatusCode::OK);
}

/// What a redirect leads to is the blob.
#[tokio::test]
async fn a_redirect_leads_to_the_object() {
    let emulator = S3Emulator::start().await;
    let driver = s3_driver(&emulator);
    let path = StoragePath::parse("/docker/registry/v2/x").unwrap();
    driver.apply(registry::core::Batch::new().put(path.clone(), "content")).await.unwrap();
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
