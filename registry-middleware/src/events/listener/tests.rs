//! Which events fire.

use registry_core::{Error, MountSource};
use tokio::sync::Semaphore;

use super::*;
use crate::ImmutableTags;
use crate::testing::{Fake, cx, digest, image, name, tag};

#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<(Action, EventTarget)>>);

#[async_trait]
impl EventSink for Recorder {
    async fn publish(&self, _cx: &RequestContext, event: Event) {
        assert_eq!(event.repository, name("a"));
        self.0.lock().unwrap().push((event.action, event.target));
    }
}

impl Recorder {
    fn take(&self) -> Vec<(Action, EventTarget)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

async fn watched(fake: &Fake, method: &'static str) -> (Arc<Recorder>, Arc<dyn Repository>) {
    let recorder = Arc::new(Recorder::default());
    let sink: Arc<dyn EventSink> = Arc::<Recorder>::clone(&recorder);
    let inner = fake.open("a").await;
    (recorder, EventListener::new(sink).wrap(&cx(method), inner).await.unwrap())
}

fn blob(descriptor: &Descriptor, from: Option<&str>) -> EventTarget {
    EventTarget::Blob { descriptor: descriptor.clone(), from: from.map(name) }
}

fn tagged(descriptor: &Descriptor, tags: &[&str]) -> EventTarget {
    EventTarget::Manifest {
        descriptor: descriptor.clone(),
        tags: tags.iter().map(|text| tag(text)).collect(),
        content: None,
    }
}

#[tokio::test]
async fn blobs_are_pushed_pulled_mounted_and_deleted() {
    let fake = Fake::new();
    let elsewhere = fake.add_blob("b", b"elsewhere");

    let (events, repository) = watched(&fake, "POST").await;
    let UploadStart::Session(mut writer) = repository.blobs().start(StartUpload::default()).await.unwrap()
    else {
        panic!("a session begins")
    };
    assert_eq!(writer.min_chunk_size(), NonZeroU64::new(7));
    writer.write("hello".into()).await.unwrap();
    assert_eq!(events.take(), [], "nothing happens before the end of an upload");
    let hello = writer.commit(&digest(b"hello")).await.unwrap();
    assert_eq!(events.take(), [(Action::Push, blob(&hello, None))]);

    let source = MountSource { from: Some(name("b")), descriptor: elsewhere.clone() };
    repository.blobs().start(StartUpload::default().with_mount(Some(source))).await.unwrap();
    assert_eq!(events.take(), [(Action::Mount, blob(&elsewhere, Some("b")))]);

    let (events, repository) = watched(&fake, "HEAD").await;
    repository.blobs().stat(&hello.digest).await.unwrap();
    repository.blobs().get(&hello.digest, GetBlob::default()).await.unwrap();
    assert_eq!(events.take(), [(Action::Pull, blob(&hello, None)), (Action::Pull, blob(&hello, None))]);

    let (events, repository) = watched(&fake, "DELETE").await;
    repository.blobs().delete(&hello.digest).await.unwrap();
    assert_eq!(events.take(), [(Action::Delete, EventTarget::BlobDigest(hello.digest.clone()))]);
}

#[tokio::test]
async fn manifests_and_tags_are_pushed_pulled_and_deleted() {
    let fake = Fake::new();
    let (events, repository) = watched(&fake, "PUT").await;
    let options = PutManifest::default().with_tags([tag("v1"), tag("v2")]);
    let stored = repository.manifests().put(&image(&[]), options).await.unwrap();
    assert_eq!(events.take(), [(Action::Push, tagged(&stored, &["v1", "v2"]))]);
    repository.tags().set(&tag("v3"), &stored, TagExpect::Any).await.unwrap();
    assert_eq!(events.take(), [(Action::Push, tagged(&stored, &["v3"]))]);

    let (events, repository) = watched(&fake, "GET").await;
    repository.manifests().stat(&stored.digest).await.unwrap();
    assert_eq!(events.take(), [(Action::Pull, tagged(&stored, &[]))]);
    let found = repository.tags().get(&tag("v2")).await.unwrap();
    repository.manifests().get(&found).await.unwrap();
    assert_eq!(events.take(), [(Action::Pull, tagged(&stored, &["v2"]))]);

    let (events, repository) = watched(&fake, "DELETE").await;
    repository.tags().delete(&tag("v2")).await.unwrap();
    assert_eq!(events.take(), [(Action::Delete, EventTarget::Tag(tag("v2")))]);
    repository.manifests().delete(&stored.digest).await.unwrap();
    let expected = [
        (Action::Delete, EventTarget::ManifestDigest(stored.digest.clone())),
        (Action::Delete, EventTarget::Tag(tag("v1"))),
        (Action::Delete, EventTarget::Tag(tag("v3"))),
    ];
    assert_eq!(events.take(), expected);
}

#[tokio::test]
async fn what_a_push_looks_at_is_not_pulled() {
    let fake = Fake::new();
    fake.add_blob("a", b"x");
    let (events, repository) = watched(&fake, "PUT").await;
    repository.blobs().stat(&digest(b"x")).await.unwrap();
    assert_eq!(events.take(), []);
}

#[tokio::test]
async fn what_fails_does_not_happen() {
    let fake = Fake::new();
    let (events, repository) = watched(&fake, "GET").await;
    assert!(matches!(repository.blobs().stat(&digest(b"x")).await, Err(Error::BlobUnknown { .. })));
    assert!(repository.manifests().get(&digest(b"x")).await.is_err());
    assert!(repository.manifests().delete(&digest(b"x")).await.is_err());
    assert!(repository.tags().delete(&tag("v1")).await.is_err());
    assert_eq!(events.take(), []);
}

#[tokio::test]
async fn an_immutable_tag_is_reported_too() {
    let fake = Fake::new();
    let (events, repository) = watched(&fake, "PUT").await;
    let repository = ImmutableTags::matching("v*").around(repository);
    let options = PutManifest::default().with_tags([tag("v1")]);
    let stored = repository.manifests().put(&image(&[]), options).await.unwrap();
    let expected = [(Action::Push, tagged(&stored, &[])), (Action::Push, tagged(&stored, &["v1"]))];
    assert_eq!(events.take(), expected);
}

/// A sink that takes its time: it says when it was called, and waits until it may go on.
#[derive(Debug)]
struct Slow {
    called: Semaphore,
    go_on: Semaphore,
    recorder: Recorder,
}

#[async_trait]
impl EventSink for Slow {
    async fn publish(&self, cx: &RequestContext, event: Event) {
        self.called.add_permits(1);
        self.go_on.acquire().await.unwrap().forget();
        self.recorder.publish(cx, event).await;
    }
}

/// What a client that goes away has done is reported all the same, for everything that changes something.
#[tokio::test]
async fn an_event_outlives_the_request_that_made_it() {
    type Change = fn(Arc<dyn Repository>, Descriptor) -> futures::future::BoxFuture<'static, ()>;
    let changes: [(&str, Change); 7] = [
        ("commit", |repository, _| {
            Box::pin(async move {
                let start = repository.blobs().start(StartUpload::default()).await.unwrap();
                let UploadStart::Session(mut writer) = start else { panic!("a session begins") };
                writer.write("hello".into()).await.unwrap();
                writer.commit(&digest(b"hello")).await.unwrap();
            })
        }),
        ("mount", |repository, blob| {
            Box::pin(async move {
                let source = MountSource { from: Some(name("b")), descriptor: blob };
                let options = StartUpload::default().with_mount(Some(source));
                repository.blobs().start(options).await.unwrap();
            })
        }),
        ("delete of a blob", |repository, blob| {
            Box::pin(async move { repository.blobs().delete(&blob.digest).await.unwrap() })
        }),
        ("put", |repository, _| {
            Box::pin(async move {
                repository.manifests().put(&image(&[]), PutManifest::default()).await.unwrap();
            })
        }),
        ("set of a tag", |repository, _| {
            Box::pin(async move {
                let target = repository.manifests().stat(image(&[b"x"]).digest()).await.unwrap();
                repository.tags().set(&tag("v9"), &target, TagExpect::Any).await.unwrap();
            })
        }),
        ("delete of a tag", |repository, _| {
            Box::pin(async move { repository.tags().delete(&tag("v1")).await.unwrap() })
        }),
        ("delete of a manifest", |repository, _| {
            Box::pin(async move {
                repository.manifests().delete(image(&[b"x"]).digest()).await.unwrap();
            })
        }),
    ];
    for (what, change) in changes {
        let fake = Fake::new();
        let blob = fake.add_blob("b", b"blob");
        fake.add_blob("a", b"blob");
        fake.add_manifest("a", &image(&[b"x"]), &["v1"]);
        let slow = Arc::new(Slow {
            called: Semaphore::new(0),
            go_on: Semaphore::new(0),
            recorder: Recorder::default(),
        });
        let sink: Arc<dyn EventSink> = Arc::<Slow>::clone(&slow);
        let repository = EventListener::new(sink).around(&cx("PUT"), fake.open("a").await);
        let request = tokio::spawn(change(repository, blob));
        slow.called.acquire().await.unwrap().forget();
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled(), "{what}: the client is gone");
        slow.go_on.add_permits(9);
        // The deletion of a manifest has a second event, for its tag.
        let expected = if what == "delete of a manifest" { 2 } else { 1 };
        for _ in 0..1000 {
            if slow.recorder.0.lock().unwrap().len() == expected {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(slow.recorder.take().len(), expected, "{what}: events that the sink has taken");
    }
}

/// The answer to a `PUT` was lost in a crash between commit and event: the same `PUT` again finds the blob there and
/// is acknowledged, so its event has to come now.
#[tokio::test]
async fn a_commit_that_was_done_before_is_reported_when_it_is_asked_for_again() {
    let fake = Fake::new();
    let blob_there = fake.add_blob("a", b"blob");
    let (events, repository) = watched(&fake, "PUT").await;
    let gone = registry_core::UploadId::parse("123e4567-e89b-42d3-a456-426614174000").unwrap();
    let blobs = repository.blobs();
    assert!(matches!(blobs.resume(&gone, None).await, Err(Error::UploadUnknown { .. })));
    blobs.stat(&blob_there.digest).await.unwrap();
    assert_eq!(events.take(), [(Action::Push, blob(&blob_there, None))]);
}
