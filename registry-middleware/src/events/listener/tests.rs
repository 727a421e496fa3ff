//! Which events fire.

use registry_core::{Error, MountSource};

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
