//! What a request costs that may be answered with a URL, where each question is a round trip.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use http::Method;
use registry_conformance::calls::{Record, RecordingDriver};
use registry_core::{
    Algorithm, BlobBody, BlobStore, Digest, Error, GetBlob, Namespace, RedirectHint, RepositoryName,
    RequestContext, StartUpload, UploadStart,
};
use registry_storage::{MemoryCache, MemoryDriver, StorageNamespace};

/// Replicas over one bucket that gives no URLs, each with a memory of its own.
struct Replicas {
    driver: Arc<RecordingDriver>,
    record: Record,
    redirects: bool,
}

impl Replicas {
    fn new(redirects: bool) -> Self {
        let record = Record::default();
        let driver = Arc::new(RecordingDriver::new(Arc::new(MemoryDriver::flat()), record.clone()));
        Self { driver, record, redirects }
    }

    fn one(&self) -> StorageNamespace {
        let driver = Arc::<RecordingDriver>::clone(&self.driver);
        let builder = StorageNamespace::builder(driver).redirects(self.redirects);
        builder.descriptor_cache(Some(Arc::new(MemoryCache::default()))).build()
    }
}

async fn blobs(replica: &StorageNamespace, method: Method) -> Arc<dyn BlobStore> {
    let mut cx = RequestContext::system("test");
    cx.method = Some(method);
    replica.repository(&Arc::new(cx), &RepositoryName::parse("a/b").unwrap()).await.unwrap().blobs()
}

async fn push(replica: &StorageNamespace, content: &'static str) -> Digest {
    let digest = Algorithm::Sha256.digest(content.as_bytes());
    let blobs = blobs(replica, Method::PUT).await;
    let UploadStart::Session(mut session) = blobs.start(StartUpload::default()).await.unwrap() else {
        panic!("a session was asked for")
    };
    session.write(content.into()).await.unwrap();
    session.commit(&digest).await.unwrap();
    digest
}

fn wanted(method: Method) -> GetBlob {
    GetBlob::default().with_redirect(Some(RedirectHint::new(method, None)))
}

#[tokio::test(start_paused = true)]
async fn a_head_for_which_a_url_would_do_reads_no_content() {
    for redirects in [true, false] {
        let replicas = Replicas::new(redirects);
        let (writer, reader) = (replicas.one(), replicas.one());
        let digest = push(&writer, "0123456789").await;
        let blobs = blobs(&reader, Method::HEAD).await;
        for (asked, expected) in [("cold", "1 get, 1 head"), ("warm", "1 get")] {
            let case = format!("{asked}, redirects: {redirects}");
            replicas.record.taken();
            let blob = blobs.get(&digest, wanted(Method::HEAD)).await.unwrap();
            assert_eq!((blob.descriptor.size, blob.range), (10, 0..0), "{case}");
            assert!(matches!(blob.body, BlobBody::Bytes(bytes) if bytes.is_empty()), "{case}");
            assert_eq!(replicas.record.taken().to_string(), expected, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_for_which_a_url_would_do_sees_what_another_replica_deletes() {
    for redirects in [true, false] {
        let replicas = Replicas::new(redirects);
        let (one, other) = (replicas.one(), replicas.one());
        let digest = push(&one, "0123456789").await;
        let reader = blobs(&one, Method::HEAD).await;
        for method in [Method::GET, Method::HEAD] {
            reader.get(&digest, wanted(method)).await.unwrap();
        }
        blobs(&other, Method::DELETE).await.delete(&digest).await.unwrap();
        let gone = reader.get(&digest, wanted(Method::HEAD)).await;
        assert!(matches!(gone, Err(Error::BlobUnknown { .. })), "redirects: {redirects}: {gone:?}");
    }
}
