//! What an interceptor sees, when, and in which order.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt};
use registry_core::{
    BlobBody, BlobStore, GetBlob, MountSource, Namespace, PutManifest, Repository, RepositoryMiddleware,
    StartUpload, UploadStart,
};

use super::*;
use crate::MiddlewareNamespace;
use crate::testing::{Fake, Memory, cx, digest, image, name, tag};

type Log = Arc<Mutex<Vec<String>>>;

/// Writes down what it sees. `refuse` is an operation that it refuses, `stall` one that it never lets go.
#[derive(Debug, Clone)]
struct Recorder {
    hook: &'static str,
    log: Log,
    refuse: Option<Operation>,
    stall: Option<Operation>,
}

impl Recorder {
    fn new(hook: &'static str, log: &Log) -> Self {
        Self { hook, log: Arc::clone(log), refuse: None, stall: None }
    }
}

#[async_trait]
impl Interceptor for Recorder {
    async fn before(&self, call: &Call<'_>) -> Result<()> {
        if self.refuse == Some(call.operation) {
            return Err(Error::unsupported(call.operation.as_str()));
        }
        if self.stall == Some(call.operation) {
            std::future::pending::<()>().await;
        }
        self.log.lock().unwrap().push(format!("> {} {}", self.hook, call.operation));
        Ok(())
    }

    fn after(&self, call: &Call<'_>, _elapsed: Duration, outcome: Outcome<'_>) {
        let outcome = match outcome {
            Outcome::Done => "",
            Outcome::Failed(_) => " failed",
            Outcome::StorageFailed(_) => " failed in the store",
            Outcome::Abandoned => " abandoned",
        };
        self.log.lock().unwrap().push(format!("< {} {}{outcome}", self.hook, call.operation));
    }
}

fn take(log: &Log) -> Vec<String> {
    std::mem::take(&mut log.lock().unwrap())
}

/// A fake with a recorder at every hook.
fn recorded() -> (Log, Arc<Fake>, Arc<dyn Namespace>) {
    let log = Log::default();
    let at = |hook| Arc::new(Recorder::new(hook, &log));
    let fake = Fake::over(|driver| InterceptStorage::new(at("storage")).around(driver));
    let inner: Arc<dyn Namespace> = Arc::<Fake>::clone(&fake);
    let namespace = InterceptNamespace::new(at("registry")).around(inner);
    let chain: [Arc<dyn RepositoryMiddleware>; 2] =
        [Arc::new(InterceptRepository::new(at("inner"))), Arc::new(InterceptRepository::new(at("outer")))];
    (log, fake, Arc::new(MiddlewareNamespace::new(namespace, chain)))
}

async fn begin(blobs: &Arc<dyn BlobStore>) -> Box<dyn registry_core::BlobWriter> {
    match blobs.start(StartUpload::default()).await.unwrap() {
        UploadStart::Session(writer) => writer,
        UploadStart::Mounted(_) => panic!("nothing was to be mounted"),
    }
}

#[tokio::test]
async fn reading_a_blob_enters_and_leaves_in_order() {
    let (log, fake, namespace) = recorded();
    fake.add_blob("a", b"hello");
    let repository = namespace.repository(&cx("GET"), &name("a")).await.unwrap();
    let blob = repository.blobs().get(&digest(b"hello"), GetBlob::default()).await.unwrap();
    let opened = [
        "> registry namespace.repository",
        "< registry namespace.repository",
        "> outer blob.get",
        "> inner blob.get",
        "> storage driver.stat",
        "< storage driver.stat",
        "> storage driver.stat",
        "< storage driver.stat",
        "> storage driver.reader",
    ];
    assert_eq!(take(&log), opened);
    let content: Vec<Bytes> = blob.body.into_stream().unwrap().try_collect().await.unwrap();
    assert_eq!(content.concat(), b"hello");
    assert_eq!(take(&log), ["< storage driver.reader", "< inner blob.get", "< outer blob.get"]);
}

#[tokio::test]
async fn pushing_enters_and_leaves_in_order() {
    let (log, _fake, namespace) = recorded();
    let repository = namespace.repository(&cx("PUT"), &name("a")).await.unwrap();
    take(&log);
    let mut writer = begin(&repository.blobs()).await;
    assert_eq!(take(&log), ["> outer upload.start", "> inner upload.start", "> storage driver.writer"]);
    writer.write("hello".into()).await.unwrap();
    let written = [
        "> outer upload.write",
        "> inner upload.write",
        "> storage file.write",
        "< storage file.write",
        "< inner upload.write",
        "< outer upload.write",
    ];
    assert_eq!(take(&log), written);
    writer.commit(&digest(b"hello")).await.unwrap();
    let committed = [
        "> outer upload.commit",
        "> inner upload.commit",
        "> storage file.commit",
        "< storage file.commit",
        "< storage driver.writer",
        "< inner upload.commit",
        "< inner upload.start",
        "< outer upload.commit",
        "< outer upload.start",
    ];
    assert_eq!(take(&log), committed);
    let options = PutManifest::default().with_tags([tag("v1")]);
    repository.manifests().put(&image(&[]), options).await.unwrap();
    let published = [
        "> outer manifest.put",
        "> inner manifest.put",
        "> storage driver.apply",
        "< storage driver.apply",
        "< inner manifest.put",
        "< outer manifest.put",
    ];
    assert_eq!(take(&log), published);
}

#[tokio::test]
async fn mounting_enters_and_leaves_in_order() {
    let (log, fake, namespace) = recorded();
    let descriptor = fake.add_blob("b", b"x");
    let repository = namespace.repository(&cx("POST"), &name("a")).await.unwrap();
    take(&log);
    let source = MountSource { from: Some(name("b")), descriptor };
    repository.blobs().start(StartUpload::default().with_mount(Some(source))).await.unwrap();
    let mounted = [
        "> outer upload.start",
        "> inner upload.start",
        "> storage driver.apply",
        "< storage driver.apply",
        "< inner upload.start",
        "< outer upload.start",
    ];
    assert_eq!(take(&log), mounted);
}

#[tokio::test]
async fn deleting_enters_and_leaves_in_order() {
    let (log, fake, namespace) = recorded();
    fake.add_manifest("a", &image(&[]), &["v1"]);
    let repository = namespace.repository(&cx("DELETE"), &name("a")).await.unwrap();
    take(&log);
    repository.tags().delete(&tag("v1")).await.unwrap();
    let deleted = [
        "> outer tag.delete",
        "> inner tag.delete",
        "> storage driver.get",
        "< storage driver.get",
        "> storage driver.apply",
        "< storage driver.apply",
        "< inner tag.delete",
        "< outer tag.delete",
    ];
    assert_eq!(take(&log), deleted);
    let error = repository.tags().delete(&tag("v1")).await.unwrap_err();
    assert!(matches!(error, Error::ManifestUnknown { .. }), "the error passes as it is");
    let failed = [
        "> outer tag.delete",
        "> inner tag.delete",
        "> storage driver.get",
        "< storage driver.get failed in the store",
        "< inner tag.delete failed",
        "< outer tag.delete failed",
    ];
    assert_eq!(take(&log), failed);
}

async fn around(recorder: Recorder) -> Arc<dyn Repository> {
    let fake = Fake::new();
    fake.add_blob("a", b"hello");
    InterceptRepository::new(Arc::new(recorder)).around(&cx("GET"), fake.open("a").await)
}

#[tokio::test]
async fn a_body_that_is_dropped_early_is_abandoned() {
    let log = Log::default();
    let blobs = around(Recorder::new("r", &log)).await.blobs();
    let hello = digest(b"hello");
    let mut body = blobs.get(&hello, GetBlob::default()).await.unwrap().body.into_stream().unwrap();
    body.next().await.unwrap().unwrap();
    assert_eq!(take(&log), ["> r blob.get"]);
    drop(body);
    assert_eq!(take(&log), ["< r blob.get abandoned"]);
}

#[tokio::test]
async fn a_body_that_is_dropped_after_its_last_byte_is_done() {
    let log = Log::default();
    let blobs = around(Recorder::new("r", &log)).await.blobs();
    let hello = digest(b"hello");
    let mut body = blobs.get(&hello, GetBlob::default()).await.unwrap().body.into_stream().unwrap();
    for _ in 0..3 {
        body.next().await.unwrap().unwrap();
    }
    drop(body);
    assert_eq!(take(&log), ["> r blob.get", "< r blob.get"]);
}

#[tokio::test]
async fn a_body_that_fails_ends_its_call_with_the_error() {
    let log = Log::default();
    let recorder = Recorder::new("r", &log);
    let site = Site::new(Arc::new(recorder));
    let call = site.enter(Operation::BlobGet, Target::None).await.unwrap();
    let failing = futures::stream::iter([Ok(Bytes::from("he")), Err(Error::unsupported("more"))]).boxed();
    let descriptor = registry_core::Descriptor::blob(digest(b"hello"), 5);
    let blob = registry_core::Blob { descriptor, range: 0..5, body: BlobBody::Stream(failing) };
    let body = call.follow_blob(blob).body.into_stream().unwrap();
    assert!(body.try_collect::<Vec<Bytes>>().await.is_err());
    assert_eq!(take(&log), ["> r blob.get", "< r blob.get failed"]);
}

#[tokio::test]
async fn a_body_at_hand_stays_what_it_is() {
    let log = Log::default();
    let site = Site::new(Arc::new(Recorder::new("r", &log)));
    let file = Arc::new(tempfile());
    let slice = registry_core::FileSlice::new(Arc::clone(&file), 0..5, futures::stream::empty().boxed());
    for (body, expected) in [
        (BlobBody::File(slice), "FileSlice"),
        (BlobBody::Bytes("hello".into()), "Bytes"),
        (BlobBody::Redirect("https://cdn/".parse().unwrap()), "Redirect"),
    ] {
        let descriptor = registry_core::Descriptor::blob(digest(b"hello"), 5);
        let call = site.enter(Operation::BlobGet, Target::None).await.unwrap();
        let blob = call.follow_blob(registry_core::Blob { descriptor, range: 0..5, body });
        assert_eq!(take(&log), ["> r blob.get", "< r blob.get"]);
        assert!(format!("{:?}", blob.body).starts_with(expected));
    }
}

/// Any open file; nobody reads it.
fn tempfile() -> std::fs::File {
    std::fs::File::open(std::env::current_exe().unwrap()).unwrap()
}

#[tokio::test]
async fn a_writer_that_is_dropped_abandons_the_call_that_opened_it() {
    let log = Log::default();
    let repository = around(Recorder::new("r", &log)).await;
    let writer = begin(&repository.blobs()).await;
    drop(writer);
    assert_eq!(take(&log), ["> r upload.start", "< r upload.start abandoned"]);
}

#[tokio::test]
async fn a_refused_call_is_not_made_and_has_no_end() {
    let log = Log::default();
    let refuse = |operation| Recorder { refuse: Some(operation), ..Recorder::new("r", &log) };
    let repository = around(refuse(Operation::BlobDelete)).await;
    let refused = repository.blobs().delete(&digest(b"hello")).await.unwrap_err();
    assert!(matches!(refused, Error::Unsupported { .. }));
    assert_eq!(take(&log), [""; 0]);
    assert!(repository.blobs().stat(&digest(b"hello")).await.is_ok());
    take(&log);

    let repository = around(refuse(Operation::UploadCommit)).await;
    let writer = begin(&repository.blobs()).await;
    assert!(writer.commit(&digest(b"")).await.is_err());
    assert_eq!(take(&log), ["> r upload.start", "< r upload.start abandoned"]);
}

#[tokio::test]
async fn a_refusal_at_the_storage_hook_is_a_storage_error_with_its_cause() {
    let log = Log::default();
    let recorder = Recorder { refuse: Some(Operation::DriverApply), ..Recorder::new("r", &log) };
    let driver = InterceptStorage::new(Arc::new(recorder)).around(Arc::new(Memory::default()));
    let refused = driver.apply(Batch::new()).await.unwrap_err();
    assert!(matches!(refused, StorageError::Backend { driver: "fake", operation: "driver.apply", .. }));
    let cause = std::error::Error::source(&refused).unwrap();
    assert!(cause.downcast_ref::<Error>().is_some());
}

#[tokio::test]
async fn a_call_that_is_dropped_before_it_was_let_through_has_no_end() {
    let log = Log::default();
    let stalling = Recorder { stall: Some(Operation::BlobStat), ..Recorder::new("r", &log) };
    let blobs = around(stalling).await.blobs();
    assert!(blobs.stat(&digest(b"hello")).now_or_never().is_none());
    assert_eq!(take(&log), [""; 0]);
}

#[tokio::test]
async fn a_call_that_is_dropped_while_it_is_made_is_abandoned() {
    let log = Log::default();
    let stalling = Recorder { stall: Some(Operation::BlobStat), ..Recorder::new("inner", &log) };
    let inner = around(stalling).await;
    let outer = InterceptRepository::new(Arc::new(Recorder::new("outer", &log))).around(&cx("GET"), inner);
    assert!(outer.blobs().stat(&digest(b"hello")).now_or_never().is_none());
    assert_eq!(take(&log), ["> outer blob.stat", "< outer blob.stat abandoned"]);
}

/// Checks what a call is said to be about.
#[derive(Debug)]
struct Inspector;

#[async_trait]
impl Interceptor for Inspector {
    async fn before(&self, call: &Call<'_>) -> Result<()> {
        assert_eq!(call.repository, Some(&name("a")));
        assert_eq!(call.context.map(|cx| cx.request_id.as_str()), Some("test"));
        match call.operation {
            Operation::TagGet => assert_eq!(*call.target, Target::Tag(tag("v1"))),
            Operation::BlobStat => assert_eq!(*call.target, Target::Digest(digest(b"hello"))),
            Operation::UploadWrite => assert!(matches!(call.target, Target::Upload(_))),
            _ => {}
        }
        Ok(())
    }

    fn after(&self, call: &Call<'_>, _elapsed: Duration, outcome: Outcome<'_>) {
        if call.operation == Operation::TagGet {
            assert!(!outcome.is_done() && outcome.error().is_some());
        }
    }
}

#[tokio::test]
async fn a_call_says_where_and_for_whom_it_is_made_and_to_what() {
    let fake = Fake::new();
    fake.add_blob("a", b"hello");
    let repository = InterceptRepository::new(Arc::new(Inspector)).around(&cx("GET"), fake.open("a").await);
    repository.blobs().stat(&digest(b"hello")).await.unwrap();
    repository.tags().get(&tag("v1")).await.unwrap_err();
    begin(&repository.blobs()).await.write("x".into()).await.unwrap();
}

#[tokio::test]
async fn pass_through_changes_nothing() {
    let fake = Fake::over(|driver| InterceptStorage::new(Arc::new(PassThrough)).around(driver));
    fake.add_blob("a", b"hello");
    let chain: [Arc<dyn RepositoryMiddleware>; 1] =
        [Arc::new(InterceptRepository::new(Arc::new(PassThrough)))];
    let namespace = InterceptNamespace::new(Arc::new(PassThrough)).around(fake);
    let namespace = MiddlewareNamespace::new(namespace, chain);
    let repository = namespace.repository(&cx("GET"), &name("a")).await.unwrap();
    assert_eq!(repository.name(), &name("a"));
    let blob = repository.blobs().get(&digest(b"hello"), GetBlob::default()).await.unwrap();
    let content: Vec<Bytes> = blob.body.into_stream().unwrap().try_collect().await.unwrap();
    assert_eq!(content.concat(), b"hello");
    let writer = begin(&repository.blobs()).await;
    assert_eq!(writer.min_chunk_size().map(|size| size.get()), Some(7));
    writer.cancel().await.unwrap();
    assert!(namespace.blobs().stat(&digest(b"hello")).await.unwrap().is_some());
    assert!(namespace.remover().is_some());
}
