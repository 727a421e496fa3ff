//! What the configuration says about the store, by what a driver is asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use registry::auth::Anonymous;
use registry::core::{
    Batch, ByteRange, Content, FileWriter, ListPage, ListRequest, Metadata, RedirectHint, Shape, StorageError,
    StoragePath, WriteMode,
};
use tower::ServiceExt;

use super::*;
use crate::config::{Strictness, load};

/// Memory that hands out URLs, takes its time to look for files, and counts how often it does so at once.
#[derive(Debug, Default)]
struct Slow {
    files: MemoryDriver,
    looking: AtomicUsize,
    most: AtomicUsize,
}

impl Slow {
    async fn look(&self) {
        let looking = self.looking.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(looking, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.looking.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl StorageDriver for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn shape(&self) -> Shape {
        Shape::Tree
    }

    async fn get(&self, path: &StoragePath, limit: u64) -> Result<Bytes, StorageError> {
        self.look().await;
        self.files.get(path, limit).await
    }

    async fn reader(&self, path: &StoragePath, range: Option<ByteRange>) -> Result<Content, StorageError> {
        self.files.reader(path, range).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata, StorageError> {
        self.look().await;
        self.files.stat(path).await
    }

    async fn list(&self, dir: &StoragePath, request: &ListRequest) -> Result<ListPage, StorageError> {
        self.files.list(dir, request).await
    }

    async fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        self.files.apply(batch).await
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>, StorageError> {
        self.files.writer(path, mode).await
    }

    async fn redirect_url(
        &self,
        path: &StoragePath,
        _hint: &RedirectHint,
    ) -> Result<Option<Uri>, StorageError> {
        let url = format!("https://objects.example{path}");
        Ok(Some(url.parse().unwrap()))
    }

    fn object_key(&self, path: &StoragePath) -> Option<String> {
        self.files.object_key(path)
    }
}

/// A registry with these lines below `storage`, over that driver.
async fn registry(storage: &str) -> (RegistryService, Arc<Slow>) {
    let text = format!("version: 0.1\nstorage: {{inmemory: , {storage}}}\n");
    let config = load(&text, "c.yml", Vec::new(), Strictness::Usual).unwrap().config;
    let driver = Arc::new(Slow::default());
    let below = Arc::<Slow>::clone(&driver);
    let assembly = over(below, &config, Arc::new(Anonymous), None, None).await.unwrap();
    (assembly.service, driver)
}

async fn ask(service: &RegistryService, method: &str, path: &str, body: &str) -> Response<Bytes> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/vnd.oci.image.index.v1+json")
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .unwrap();
    let (parts, body) = service.clone().oneshot(request).await.unwrap().into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[tokio::test(start_paused = true)]
async fn redirect_disable_keeps_clients_away_from_the_storage() {
    for (storage, expected) in [
        ("", StatusCode::TEMPORARY_REDIRECT),
        ("redirect: {disable: false}", StatusCode::TEMPORARY_REDIRECT),
        ("redirect: {disable: true}", StatusCode::OK),
    ] {
        let (service, _) = registry(storage).await;
        let pushed = ask(&service, "POST", &format!("/v2/a/blobs/uploads/?digest={EMPTY}"), "").await;
        assert_eq!(pushed.status(), StatusCode::CREATED);
        let answer = ask(&service, "GET", &format!("/v2/a/blobs/{EMPTY}"), "").await;
        assert_eq!(answer.status(), expected, "{storage}");
        let away = answer.headers().get("location").map(|url| url.to_str().unwrap().to_owned());
        let redirected = expected != StatusCode::OK;
        assert_eq!(
            away.is_some_and(|url| url.starts_with("https://objects.example/docker/")),
            redirected,
            "{storage}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_tags_are_read_at_once_as_the_limit_says() {
    // Where nothing is said: the usable CPUs, and at least 8.
    let usual = std::thread::available_parallelism().map_or(8, usize::from).max(8);
    for (storage, expected) in [
        ("tag: {concurrencylimit: 1}", 1),
        ("tag: {concurrencylimit: 3}", 3),
        ("tag: {concurrencylimit: 12}", 12),
        ("tag: {concurrencylimit: 0}", usual.min(40)),
        ("delete: {enabled: false}", usual.min(40)),
    ] {
        let (service, driver) = registry(storage).await;
        for tag in 0..40 {
            let index =
                r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
            let pushed = ask(&service, "PUT", &format!("/v2/a/manifests/t{tag}"), index).await;
            assert_eq!(pushed.status(), StatusCode::CREATED);
        }
        driver.most.store(0, Ordering::SeqCst);
        let listed = ask(&service, "GET", "/v2/a/tags/list", "").await;
        assert_eq!(listed.status(), StatusCode::OK);
        assert_eq!(driver.most.load(Ordering::SeqCst), expected, "{storage}");
    }
}
