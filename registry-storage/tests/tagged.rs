//! Deleting a manifest finds the tags that point at it, without reading the others where it can.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use registry_conformance::faults::FaultyDriver;
use registry_core::{
    Algorithm, Batch, Digest, ListMode, Manifest, MediaType, Namespace, PageRequest, PutManifest, Repository,
    RepositoryName, RequestContext, StorageDriver, StorageDriverExt, StoragePath, Tag, TagExpect,
};
use registry_storage::{FilesystemDriver, StorageNamespace};

const REPOSITORY: &str = "/docker/registry/v2/repositories/a/_manifests";

/// A store in a directory whose calls are counted.
struct Store {
    driver: Arc<FaultyDriver>,
    namespace: StorageNamespace,
    _dir: tempfile::TempDir,
}

impl Store {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let driver = Arc::new(FaultyDriver::new(Arc::new(FilesystemDriver::new(dir.path()))));
        let namespace = StorageNamespace::builder(Arc::clone(&driver) as Arc<dyn StorageDriver>).build();
        Self { driver, namespace, _dir: dir }
    }

    async fn repository(&self) -> Arc<dyn Repository> {
        let cx = Arc::new(RequestContext::system("test"));
        self.namespace.repository(&cx, &RepositoryName::parse("a").unwrap()).await.unwrap()
    }

    async fn push(&self, n: usize, tags: &[&str]) -> Digest {
        let tags: Vec<Tag> = tags.iter().map(|tag| Tag::parse(tag).unwrap()).collect();
        let manifest = image(n);
        let options = PutManifest::default().with_tags(tags);
        self.repository().await.manifests().put(&manifest, options).await.unwrap();
        manifest.digest().clone()
    }

    /// What Distribution does: content, link, index, tag, each written anew and nothing else.
    async fn push_as_distribution(&self, n: usize, tag: &str) -> Digest {
        let manifest = image(n);
        let digest = manifest.digest().clone();
        let hex = digest.encoded();
        let revision = path(&format!("{REPOSITORY}/revisions/sha256/{hex}/link"));
        self.driver.delete(&revision).await.unwrap();
        let data = path(&format!("/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]));
        for (path, content) in [
            (data, manifest.payload().clone()),
            (revision, digest.to_string().into()),
            (path(&format!("{REPOSITORY}/tags/{tag}/index/sha256/{hex}/link")), digest.to_string().into()),
            (path(&format!("{REPOSITORY}/tags/{tag}/current/link")), digest.to_string().into()),
        ] {
            self.driver.apply(Batch::new().put(path, content)).await.unwrap();
        }
        digest
    }

    /// Deletes a manifest; how many calls to the store that took.
    async fn delete(&self, digest: &Digest) -> usize {
        let before = self.driver.faults().calls();
        self.repository().await.manifests().delete(digest).await.unwrap();
        self.driver.faults().calls() - before
    }

    async fn tags(&self) -> Vec<String> {
        let page = self.repository().await.tags().list(&PageRequest::first(10_000)).await;
        page.unwrap().items.into_iter().map(|tag| tag.to_string()).collect()
    }

    async fn lookup(&self, digest: &Digest) -> Vec<String> {
        let tags = self.repository().await.tags().lookup(digest).await.unwrap();
        tags.iter().map(ToString::to_string).collect()
    }
}

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

fn image(n: usize) -> Manifest {
    let text = format!(r#"{{"schemaVersion":2,"annotations":{{"n":"{n}"}}}}"#);
    Manifest::new(MediaType::parse(MediaType::OCI_IMAGE).unwrap(), Algorithm::Sha256, text)
}

const OTHERS: usize = 300;

/// A store with other tags: enough to see whether they are read.
async fn with_others() -> Store {
    let store = Store::new();
    for n in 0..OTHERS {
        store.push(1000, &[&format!("other-{n:03}")]).await;
    }
    store
}

#[tokio::test]
async fn a_manifest_goes_with_its_tags_and_no_other_tag_is_read() {
    let store = with_others().await;
    let digest = store.push(1, &["v1", "v2"]).await;
    store.push(1, &["v3"]).await;
    let descriptor = image(1).descriptor();
    let set = Tag::parse("v4").unwrap();
    store.repository().await.tags().set(&set, &descriptor, TagExpect::Any).await.unwrap();
    assert_eq!(store.lookup(&digest).await, ["v1", "v2", "v3", "v4"]);
    let calls = store.delete(&digest).await;
    assert!(calls < 20, "{calls} calls with {OTHERS} other tags");
    assert_eq!(store.tags().await.len(), OTHERS);
    let left =
        store.driver.exists(&path(&format!("{REPOSITORY}/revisions/sha256/{}", digest.encoded()))).await;
    assert!(!left.unwrap(), "the notes went with the manifest");
}

#[tokio::test]
async fn a_tag_that_has_moved_away_or_was_deleted_stays_as_it_is() {
    let store = Store::new();
    let digest = store.push(1, &["moved", "deleted", "stays"]).await;
    let other = store.push(2, &["moved"]).await;
    store.repository().await.tags().delete(&Tag::parse("deleted").unwrap()).await.unwrap();
    assert_eq!(store.lookup(&digest).await, ["stays"]);
    store.delete(&digest).await;
    assert_eq!(store.tags().await, ["moved"]);
    assert_eq!(store.lookup(&other).await, ["moved"]);
    // Pushed again, it has the tags of that push and none of before.
    store.push(1, &["back"]).await;
    assert_eq!(store.lookup(&digest).await, ["back"]);
}

#[tokio::test]
async fn a_manifest_pushed_by_digest_is_deleted_without_reading_tags() {
    let store = with_others().await;
    let digest = store.push(1, &[]).await;
    let calls = store.delete(&digest).await;
    assert!(calls < 10, "{calls} calls with {OTHERS} other tags");
}

#[tokio::test]
async fn tags_that_distribution_set_are_found_whoever_came_first() {
    // Distribution only.
    let store = with_others().await;
    let digest = store.push_as_distribution(1, "theirs").await;
    assert_eq!(store.lookup(&digest).await, ["theirs"]);
    // Then ours: its note is not all there is.
    store.push(1, &["ours"]).await;
    assert_eq!(store.lookup(&digest).await, ["ours", "theirs"]);
    let calls = store.delete(&digest).await;
    assert!(calls > OTHERS, "the notes are not complete, so all tags have to be read: {calls} calls");
    assert_eq!(store.tags().await.len(), OTHERS);

    // Ours, then Distribution, then ours again.
    let digest = store.push(2, &["ours"]).await;
    std::thread::sleep(std::time::Duration::from_millis(20)); // A step of the file system's clock.
    store.push_as_distribution(2, "theirs").await;
    store.push(2, &["ours-again"]).await;
    assert_eq!(store.lookup(&digest).await, ["ours", "ours-again", "theirs"]);
    store.delete(&digest).await;
    assert_eq!(store.tags().await.len(), OTHERS);

    // Deleted by Distribution, which leaves our notes, and pushed by it.
    let digest = store.push(3, &["ours"]).await;
    let link = path(&format!("{REPOSITORY}/revisions/sha256/{}/link", digest.encoded()));
    store.driver.delete(&link).await.unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    store.push_as_distribution(3, "theirs").await;
    assert_eq!(store.lookup(&digest).await, ["ours", "theirs"]);
}

#[tokio::test]
async fn notes_are_empty_files_beside_the_link() {
    let store = Store::new();
    let digest = store.push(1, &["v1", "link"]).await;
    store.push(1, &["tags"]).await;
    store.push(1, &["v1"]).await;
    let dir = path(&format!("{REPOSITORY}/revisions/sha256/{}", digest.encoded()));
    let files = store.driver.list_all(&dir, ListMode::Children).await.unwrap();
    let names: Vec<String> = files.into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["link", "tag.link", "tag.tags", "tag.v1", "tags.v1"]);
    for name in &names[1..] {
        assert_eq!(store.driver.stat(&dir.join(name).unwrap()).await.unwrap().size, 0, "{name}");
    }
}
