//! What the configuration says about the store, by what a driver is asked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use registry::auth::Anonymous;
use registry::core::{
    Batch, ByteRange, Content, FileWriter, ListPage, ListRequest, Metadata, RedirectHint, Shape,
    StorageError, StoragePath, WriteMode,
};
use registry_conformance::calls::{Record, RecordingDriver};
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
        hint: &RedirectHint,
    ) -> Result<Option<Uri>, StorageError> {
        let seconds = hint.expires_in.map_or(0, |time| time.as_secs());
        let url = format!("https://objects.example{path}?expires={seconds}");
        Ok(Some(url.parse().unwrap()))
    }

    async fn sweep(&self, before: SystemTime, dry_run: bool) -> Result<u64, StorageError> {
        self.files.sweep(before, dry_run).await
    }

    fn object_key(&self, path: &StoragePath) -> Option<String> {
        Some(format!("images{path}"))
    }
}

/// A registry with these lines below `storage`, over that driver.
async fn registry(storage: &str) -> (RegistryService, Arc<Slow>) {
    let text = format!("version: 0.1\nstorage: {{inmemory: , {storage}}}\n");
    let config = load(&text, "c.yml", Vec::new(), Strictness::Usual).unwrap().config;
    let driver = Arc::new(Slow::default());
    let below = Arc::<Slow>::clone(&driver);
    let assembly = over((below as Arc<dyn StorageDriver>).into(), &config, Arc::new(Anonymous), None, None)
        .await
        .unwrap();
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

const INDEX: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
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

/// Pushes a blob of nothing.
async fn push(service: &RegistryService) {
    let pushed = ask(service, "POST", &format!("/v2/a/blobs/uploads/?digest={EMPTY}"), "").await;
    assert_eq!(pushed.status(), StatusCode::CREATED);
}

/// Where a client at that address is sent to, if it is.
async fn sent(service: &RegistryService, method: &str, client: &str) -> Option<String> {
    let client: SocketAddr = format!("{client}:5").parse().unwrap();
    let request = Request::builder().method(method).uri(format!("/v2/a/blobs/{EMPTY}")).extension(client);
    let answer = service.clone().oneshot(request.body(Full::new(Bytes::new())).unwrap()).await.unwrap();
    answer.headers().get("location").map(|url| url.to_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn redirects_are_for_whom_the_configuration_says() {
    let (inside, outside) = ("10.1.2.3", "192.0.2.1");
    for (redirect, method, client, expected) in [
        ("", "GET", inside, true),
        ("", "HEAD", inside, true),
        ("methods: [GET]", "GET", inside, true),
        ("methods: [GET]", "HEAD", inside, false),
        ("methods: [HEAD]", "GET", inside, false),
        ("networks: [10.0.0.0/8]", "GET", inside, true),
        ("networks: [10.0.0.0/8]", "GET", outside, false),
        ("exceptnetworks: [10.0.0.0/8]", "GET", inside, false),
        ("exceptnetworks: [10.0.0.0/8]", "GET", outside, true),
        ("minsize: 1", "GET", outside, false),
        ("disable: true, networks: [10.0.0.0/8]", "GET", inside, false),
    ] {
        let (service, _) = registry(&format!("redirect: {{{redirect}}}")).await;
        push(&service).await;
        assert_eq!(sent(&service, method, client).await.is_some(), expected, "{redirect} {method} {client}");
    }
    for (redirect, seconds) in [("", "1200"), ("expiry: 5m", "300")] {
        let (service, _) = registry(&format!("redirect: {{{redirect}}}")).await;
        push(&service).await;
        let url = sent(&service, "GET", inside).await.unwrap();
        assert!(url.ends_with(&format!("?expires={seconds}")), "{redirect}: {url}");
    }
}

/// The registry of these storage middleware over a bucket, or why there is none.
async fn with_middleware(middleware: &str) -> Result<RegistryService, StartError> {
    let storage = "storage: {s3: {region: eu-north-1, bucket: images}}";
    let text = format!("version: 0.1\n{storage}\nmiddleware: {{storage: [{middleware}]}}\n");
    let config = load(&text, "c.yml", Vec::new(), Strictness::Usual).unwrap().config;
    let assembly = over(
        (Arc::new(Slow::default()) as Arc<dyn StorageDriver>).into(),
        &config,
        Arc::new(Anonymous),
        None,
        None,
    )
    .await?;
    Ok(assembly.service)
}

#[tokio::test]
async fn configured_storage_middleware_decides_where_clients_are_sent() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key.pem");
    std::fs::write(&key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let cloudfront = format!(
        "{{name: cloudfront, options: {{baseurl: d111.cloudfront.net, privatekey: {}, keypairid: K1}}}}",
        key.display()
    );
    let file = "/docker/registry/v2/blobs/sha256/e3/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/data";
    let rewrite = "{name: rewrite, options: {host: clients.example, trimpathprefix: /docker}}";
    let redirect = "{name: redirect, options: {baseurl: http://cdn.example/x}}";
    for (middleware, expected) in [
        (String::new(), format!("https://objects.example{file}?expires=1200")),
        (redirect.to_owned(), format!("http://cdn.example/x{file}")),
        (rewrite.to_owned(), format!("https://clients.example{}?expires=1200", &file["/docker".len()..])),
        (format!("{rewrite}, {redirect}"), format!("http://cdn.example/x{file}")),
        (format!("{redirect}, {rewrite}"), format!("http://clients.example/x{file}")),
        (cloudfront.clone(), format!("https://d111.cloudfront.net/images{file}?Expires=")),
        (format!("{cloudfront}, {rewrite}"), format!("https://clients.example/images{file}?Expires=")),
    ] {
        let service = with_middleware(&middleware).await.unwrap();
        push(&service).await;
        let url = sent(&service, "GET", "192.0.2.1").await.unwrap();
        assert!(url.starts_with(&expected), "{middleware}\n{url}\n{expected}");
    }
}

#[tokio::test]
async fn a_key_that_cannot_sign_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).unwrap();
        directory.path().join(name)
    };
    for (path, expected) in [
        (directory.path().join("missing.pem"), "failed to read privatekey file: No such file"),
        (file("empty.pem", ""), "there is no private key in it"),
        (
            file("cut.pem", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n"),
            "failed to decode the private key",
        ),
    ] {
        let options = format!("baseurl: x, privatekey: {}, keypairid: K1", path.display());
        let error =
            with_middleware(&format!("{{name: cloudfront, options: {{{options}}}}}")).await.unwrap_err();
        let begins = format!("middleware.storage[0].options.privatekey: {}: ", path.display());
        let error = error.to_string();
        assert!(error.starts_with(&begins) && error.contains(expected), "{error}");
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
            let pushed = ask(&service, "PUT", &format!("/v2/a/manifests/t{tag}"), INDEX).await;
            assert_eq!(pushed.status(), StatusCode::CREATED);
        }
        driver.most.store(0, Ordering::SeqCst);
        let listed = ask(&service, "GET", "/v2/a/tags/list", "").await;
        assert_eq!(listed.status(), StatusCode::OK);
        assert_eq!(driver.most.load(Ordering::SeqCst), expected, "{storage}");
    }
}

/// How often a bucket is asked for the second GET of a tag, with these lines in `storage.cache`.
async fn calls_of_a_second_get(cache: &str) -> usize {
    let storage = "s3: {region: eu-north-1, bucket: images}";
    let text = format!("version: 0.1\nstorage: {{{storage}, cache: {{{cache}}}}}\n");
    let config = load(&text, "c.yml", Vec::new(), Strictness::Usual).unwrap().config;
    let record = Record::default();
    let driver = RecordingDriver::new(Arc::new(MemoryDriver::flat()), record.clone());
    let driver: Arc<dyn StorageDriver> = Arc::new(driver);
    // Another process has pushed it, so that this one has only what its first GET gave it.
    for first in [true, false] {
        let store = Store::from(Arc::clone(&driver));
        let service = over(store, &config, Arc::new(Anonymous), None, None).await.unwrap().service;
        if first {
            assert_eq!(ask(&service, "PUT", "/v2/a/manifests/v1", INDEX).await.status(), StatusCode::CREATED);
            continue;
        }
        assert_eq!(ask(&service, "GET", "/v2/a/manifests/v1", "").await.status(), StatusCode::OK);
        record.taken();
        let answer = ask(&service, "GET", "/v2/a/manifests/v1", "").await;
        assert_eq!((answer.status(), answer.body().as_ref()), (StatusCode::OK, INDEX.as_bytes()));
    }
    record.taken().total()
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_is_kept_saves_the_call_for_its_bytes() {
    // The tag is read each time.
    assert_eq!(calls_of_a_second_get("").await, 1);
    assert_eq!(calls_of_a_second_get("manifestsize: 16MiB").await, 1);
    assert_eq!(calls_of_a_second_get("manifestsize: 0").await, 2);
    // What does not fit is not kept.
    assert_eq!(calls_of_a_second_get("manifestsize: 100B").await, 2);
}
