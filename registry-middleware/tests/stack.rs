//! The usual stack of middleware over real storage.

#![allow(clippy::unwrap_used, reason = "these are tests, helpers included")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use registry_core::events::Action;
use registry_core::{
    Algorithm, Descriptor, Digest, Error, Event, EventSink, GetBlob, Manifest, MediaType, MountSource,
    Namespace, PutManifest, Repository, RepositoryMiddleware, RepositoryName, RequestContext, Result,
    StartUpload, Tag, UploadStart,
};
use registry_middleware::{
    Call, EventListener, ImmutableTags, InterceptNamespace, InterceptRepository, InterceptStorage,
    Interceptor, MiddlewareNamespace, Outcome, ReferenceCheck,
};
use registry_storage::{MemoryDriver, StorageNamespace};

/// Writes down calls.
#[derive(Debug)]
struct Recorder(&'static str, Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Interceptor for Recorder {
    async fn before(&self, call: &Call<'_>) -> Result<()> {
        self.1.lock().unwrap().push(format!("> {} {}", self.0, call.operation));
        Ok(())
    }

    fn after(&self, call: &Call<'_>, _elapsed: Duration, outcome: Outcome<'_>) {
        let failed = if outcome.is_done() { "" } else { " failed" };
        self.1.lock().unwrap().push(format!("< {} {}{failed}", self.0, call.operation));
    }
}

#[derive(Debug, Default)]
struct Sink(Mutex<Vec<Action>>);

#[async_trait]
impl EventSink for Sink {
    async fn publish(&self, _cx: &RequestContext, event: Event) {
        self.0.lock().unwrap().push(event.action);
    }
}

struct Stack {
    log: Arc<Mutex<Vec<String>>>,
    events: Arc<Sink>,
    namespace: MiddlewareNamespace,
}

/// Storage, events, a recorder, immutable tags, reference check; a recorder below and around the namespace.
fn stack() -> Stack {
    let log = Arc::default();
    let events = Arc::new(Sink::default());
    let at = |hook| Arc::new(Recorder(hook, Arc::clone(&log)));
    let driver = InterceptStorage::new(at("storage")).around(Arc::new(MemoryDriver::new()));
    let storage = StorageNamespace::builder(driver).deletes(true).build();
    let namespace = InterceptNamespace::new(at("registry")).around(Arc::new(storage));
    let sink: Arc<dyn EventSink> = Arc::<Sink>::clone(&events);
    let chain: [Arc<dyn RepositoryMiddleware>; 4] = [
        Arc::new(EventListener::new(sink)),
        Arc::new(InterceptRepository::new(at("repository"))),
        Arc::new(ImmutableTags::matching("release-*")),
        Arc::new(ReferenceCheck::default()),
    ];
    Stack { log, events, namespace: MiddlewareNamespace::new(namespace, chain) }
}

impl Stack {
    async fn open(&self, method: &'static str, name: &str) -> Arc<dyn Repository> {
        let mut cx = RequestContext::new("test");
        cx.method = method.parse().ok();
        self.namespace.repository(&Arc::new(cx), &RepositoryName::parse(name).unwrap()).await.unwrap()
    }

    /// What was called above the store since the last time, and whether the store was called.
    fn calls(&self) -> (Vec<String>, bool) {
        let all = std::mem::take(&mut *self.log.lock().unwrap());
        let (below, above): (Vec<_>, Vec<_>) = all.into_iter().partition(|line| line.contains(" storage "));
        (above, !below.is_empty())
    }

    fn events(&self) -> Vec<Action> {
        std::mem::take(&mut *self.events.0.lock().unwrap())
    }

    async fn push_blob(&self, name: &str, content: &'static [u8]) -> Descriptor {
        let repository = self.open("POST", name).await;
        match repository.blobs().start(StartUpload::default()).await.unwrap() {
            UploadStart::Session(mut writer) => {
                writer.write(Bytes::from_static(content)).await.unwrap();
                writer.commit(&Algorithm::Sha256.digest(content)).await.unwrap()
            }
            UploadStart::Mounted(_) => panic!("nothing was to be mounted"),
        }
    }
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

fn image(config: &Digest, size: u64, note: &str) -> Manifest {
    let payload = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"a/b","digest":"{config}","size":{size}}},"annotations":{{"note":"{note}"}}}}"#
    );
    Manifest::new(MediaType::parse(MediaType::OCI_IMAGE).unwrap(), Algorithm::Sha256, payload)
}

#[tokio::test]
async fn a_blob_is_pushed_pulled_mounted_and_deleted_through_every_hook() {
    let stack = stack();
    let blob = stack.push_blob("a", b"hello").await;
    let pushed = [
        "> registry namespace.repository",
        "< registry namespace.repository",
        "> repository upload.start",
        "> repository upload.write",
        "< repository upload.write",
        "> repository upload.commit",
        "< repository upload.commit",
        "< repository upload.start",
    ];
    assert_eq!(stack.calls(), (pushed.map(str::to_owned).to_vec(), true));
    assert_eq!(stack.events(), [Action::Push]);

    let repository = stack.open("GET", "a").await;
    stack.calls();
    let got = repository.blobs().get(&blob.digest, GetBlob::default()).await.unwrap();
    let content: Vec<Bytes> = got.body.into_stream().unwrap().try_collect().await.unwrap();
    assert_eq!(content.concat(), b"hello");
    let pulled = ["> repository blob.get", "< repository blob.get"];
    assert_eq!(stack.calls(), (pulled.map(str::to_owned).to_vec(), true));
    assert_eq!(stack.events(), [Action::Pull]);

    // As a handler does it: the source through the outermost namespace, then the mount.
    let source = stack.open("POST", "a").await.blobs().stat(&blob.digest).await.unwrap();
    let repository = stack.open("POST", "b").await;
    stack.calls();
    let from = Some(RepositoryName::parse("a").unwrap());
    let mount = StartUpload::default().with_mount(Some(MountSource { from, descriptor: source }));
    let started = repository.blobs().start(mount).await.unwrap();
    assert!(matches!(started, UploadStart::Mounted(_)));
    let mounted = ["> repository upload.start", "< repository upload.start"];
    assert_eq!(stack.calls(), (mounted.map(str::to_owned).to_vec(), true));
    assert_eq!(stack.events(), [Action::Mount]);

    let repository = stack.open("DELETE", "b").await;
    stack.calls();
    repository.blobs().delete(&blob.digest).await.unwrap();
    let deleted = ["> repository blob.delete", "< repository blob.delete"];
    assert_eq!(stack.calls(), (deleted.map(str::to_owned).to_vec(), true));
    assert_eq!(stack.events(), [Action::Delete]);
}

#[tokio::test]
async fn a_manifest_is_checked_guarded_and_reported() {
    let stack = stack();
    let config = stack.push_blob("a", b"{}").await;
    let repository = stack.open("PUT", "a").await;
    stack.calls();
    stack.events();

    let absent = Algorithm::Sha256.digest(b"absent");
    let refused = repository.manifests().put(&image(&absent, 6, ""), PutManifest::default()).await;
    assert!(matches!(refused, Err(Error::ManifestBlobUnknown { .. })));
    let looked = ["> repository blob.stat", "< repository blob.stat failed"];
    assert_eq!(stack.calls().0, looked);

    let tags = || PutManifest::default().with_tags([tag("release-1"), tag("latest")]);
    let first = image(&config.digest, 2, "first");
    repository.manifests().put(&first, tags()).await.unwrap();
    let published = [
        "> repository blob.stat",
        "< repository blob.stat",
        "> repository tag.get",
        "< repository tag.get failed",
        "> repository manifest.put",
        "< repository manifest.put",
        "> repository tag.set",
        "< repository tag.set",
    ];
    assert_eq!(stack.calls().0, published);
    assert_eq!(stack.events(), [Action::Push, Action::Push], "with the free tag, and with the guarded one");

    let moved = repository.manifests().put(&image(&config.digest, 2, "second"), tags()).await;
    assert!(matches!(moved, Err(Error::TagExists { .. })));
    assert_eq!(repository.tags().get(&tag("release-1")).await.unwrap(), *first.digest());
    assert_eq!(repository.tags().get(&tag("latest")).await.unwrap(), *first.digest());
    assert_eq!(stack.events(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_push_a_guarded_tag_at_once_one_wins() {
    let stack = stack();
    let config = stack.push_blob("a", b"{}").await;
    let mut pushes = Vec::new();
    for number in 0..16 {
        let repository = stack.open("PUT", "a").await;
        let manifest = image(&config.digest, 2, &number.to_string());
        pushes.push(tokio::spawn(async move {
            let options = PutManifest::default().with_tags([tag("release-1")]);
            (manifest.digest().clone(), repository.manifests().put(&manifest, options).await)
        }));
    }
    let mut winners = Vec::new();
    for push in pushes {
        match push.await.unwrap() {
            (digest, Ok(_)) => winners.push(digest),
            (_, Err(lost)) => assert!(matches!(lost, Error::TagExists { .. }), "{lost:?}"),
        }
    }
    let current = stack.open("GET", "a").await.tags().get(&tag("release-1")).await.unwrap();
    assert_eq!(winners, [current]);
}
