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

async fn ask(service: &RegistryService, method: &str, uri: &str, body: Vec<u8>) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(uri).header("content-length", body.len());
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
