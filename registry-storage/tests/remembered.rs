//! What is remembered about content, and what it may decide.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use http::Method;
use registry_core::{
    Algorithm, BlobStore, CacheScope, Descriptor, DescriptorCache, Digest, Error, GetBlob, MountSource,
    Namespace, RepositoryName, RequestContext, StartUpload, StorageDriverExt, StoragePath, UploadStart,
};
use registry_storage::{MemoryCache, MemoryDriver, StorageNamespace};

struct Setup {
    driver: MemoryDriver,
    cache: Arc<MemoryCache>,
    namespace: StorageNamespace,
}

impl Setup {
    fn new() -> Self {
        let (driver, cache) = (MemoryDriver::new(), Arc::new(MemoryCache::default()));
        let shared: Arc<dyn DescriptorCache> = Arc::<MemoryCache>::clone(&cache);
        let builder = StorageNamespace::builder(Arc::new(driver.clone()));
        Self { driver, cache, namespace: builder.descriptor_cache(Some(shared)).build() }
    }

    /// The blobs of a repository, for a request with this method.
    async fn blobs(&self, method: Option<Method>, name: &str) -> Arc<dyn BlobStore> {
        let mut cx = RequestContext::system("test");
        cx.method = method;
        let name = RepositoryName::parse(name).unwrap();
        self.namespace.repository(&Arc::new(cx), &name).await.unwrap().blobs()
    }

    async fn push(&self, name: &str, content: &str) -> Digest {
        let digest = Algorithm::Sha256.digest(content.as_bytes());
        let blobs = self.blobs(Some(Method::PUT), name).await;
        let UploadStart::Session(mut session) = blobs.start(StartUpload::default()).await.unwrap() else {
            panic!("a session was asked for")
        };
        session.write(content.to_owned().into()).await.unwrap();
        session.commit(&digest).await.unwrap();
        digest
    }

    /// What a collector does that knows nothing of the cache.
    async fn collect(&self, digest: &Digest) {
        let hex = digest.encoded();
        let path = format!("/docker/registry/v2/blobs/sha256/{}/{hex}", &hex[..2]);
        self.driver.delete(&StoragePath::parse(&path).unwrap()).await.unwrap();
    }

    async fn remembered(&self, digest: &Digest) -> bool {
        self.cache.get(CacheScope::Content, digest).await.is_some()
    }
}

fn is_unknown<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::BlobUnknown { .. }))
}

#[tokio::test]
async fn what_is_remembered_answers_reads_and_decides_no_write() {
    for method in [Some(Method::PUT), Some(Method::POST), None] {
        let setup = Setup::new();
        let digest = setup.push("a/b", "hello").await;
        setup.collect(&digest).await;
        assert!(setup.remembered(&digest).await);
        let reader = setup.blobs(Some(Method::HEAD), "a/b").await;
        assert!(reader.stat(&digest).await.is_ok(), "HEAD is answered from memory");
        // As the check of references asks.
        let writer = setup.blobs(method.clone(), "a/b").await;
        assert!(is_unknown(writer.stat(&digest).await), "{method:?}");
        assert!(!setup.remembered(&digest).await, "{method:?}: what is gone is forgotten");
        assert!(is_unknown(reader.stat(&digest).await), "so the client's second try uploads it");
        setup.push("a/b", "hello").await;
        assert!(writer.stat(&digest).await.is_ok());
    }
}

#[tokio::test]
async fn a_mount_asks_the_store() {
    let setup = Setup::new();
    let digest = setup.push("a/b", "hello").await;
    setup.collect(&digest).await;
    let from = Some(RepositoryName::parse("a/b").unwrap());
    let source = MountSource { descriptor: Descriptor::blob(digest.clone(), 5), from };
    // Whatever the context says: a mount is a write.
    let blobs = setup.blobs(Some(Method::GET), "c/d").await;
    let started = blobs.start(StartUpload::default().with_mount(Some(source))).await.unwrap();
    assert!(matches!(started, UploadStart::Session(_)));
    assert!(is_unknown(blobs.stat(&digest).await));
    assert!(!setup.remembered(&digest).await);
}

#[tokio::test]
async fn a_get_that_finds_content_gone_forgets_it() {
    let setup = Setup::new();
    let digest = setup.push("a/b", "hello").await;
    setup.collect(&digest).await;
    let blobs = setup.blobs(Some(Method::GET), "a/b").await;
    assert!(is_unknown(blobs.get(&digest, GetBlob::default()).await));
    assert!(!setup.remembered(&digest).await);
}

#[tokio::test]
async fn a_question_about_unknown_content_forgets_nothing_else() {
    let setup = Setup::new();
    let digest = setup.push("a/b", "hello").await;
    let other = Algorithm::Sha256.digest(b"other");
    assert!(is_unknown(setup.blobs(Some(Method::PUT), "a/b").await.stat(&other).await));
    assert!(setup.remembered(&digest).await);
    setup.namespace.blobs().delete(&digest).await.unwrap();
    assert!(!setup.remembered(&digest).await, "a collector of ours tells the cache");
}
