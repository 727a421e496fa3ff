//! What is in the store after an operation, file by file, and what is read from stores of others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
//!
//! Paths and contents are literal text: they are a contract with Distribution.

use std::sync::Arc;

use registry_core::{
    Algorithm, Batch, Digest, Error, GetBlob, ListMode, Manifest, MediaType, MountSource, Namespace,
    PageRequest, PutManifest, ReferrerFilter, Repository, RepositoryName, RequestContext, StartUpload,
    StorageDriver, StorageDriverExt, StoragePath, Tag, UploadId, UploadStart,
};
use registry_storage::{MemoryDriver, StorageNamespace};

const ROOT: &str = "/docker/registry/v2";
/// SHA-256 of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

struct Store {
    driver: MemoryDriver,
    namespace: StorageNamespace,
}

impl Store {
    fn new() -> Self {
        Self::over(MemoryDriver::new())
    }

    /// A process over a store, as another process would see it.
    fn over(driver: MemoryDriver) -> Self {
        let namespace = StorageNamespace::builder(Arc::new(driver.clone())).build();
        Self { driver, namespace }
    }

    async fn repository(&self, name: &str) -> Arc<dyn Repository> {
        let cx = Arc::new(RequestContext::system("test"));
        self.namespace.repository(&cx, &RepositoryName::parse(name).unwrap()).await.unwrap()
    }

    async fn put(&self, path: &str, content: impl Into<bytes::Bytes>) {
        let path = StoragePath::parse(&format!("{ROOT}{path}")).unwrap();
        self.driver.apply(Batch::new().put(path, content)).await.unwrap();
    }

    async fn text(&self, path: &str) -> String {
        let path = StoragePath::parse(&format!("{ROOT}{path}")).unwrap();
        let content = self.driver.get(&path, 1 << 20).await.unwrap();
        String::from_utf8_lossy(&content).into_owned()
    }

    /// All files below a directory of the layout, relative to its root.
    async fn files(&self, dir: &str) -> Vec<String> {
        let path = StoragePath::parse(&format!("{ROOT}{dir}")).unwrap();
        let entries = self.driver.list_all(&path, ListMode::Recursive).await.unwrap();
        entries.into_iter().map(|entry| format!("{dir}/{}", entry.name)).collect()
    }

    async fn upload(&self, name: &str, content: &str) -> Digest {
        let digest = Algorithm::Sha256.digest(content.as_bytes());
        let blobs = self.repository(name).await.blobs();
        let UploadStart::Session(mut writer) = blobs.start(StartUpload::default()).await.unwrap() else {
            panic!("a session begins");
        };
        writer.write(content.to_owned().into()).await.unwrap();
        writer.commit(&digest).await.unwrap();
        digest
    }

    async fn read(&self, name: &str, digest: &Digest) -> String {
        let blob = self.repository(name).await.blobs().get(digest, GetBlob::default()).await.unwrap();
        let content = registry_core::collect(blob.body.into_stream().unwrap(), 1 << 20).await.unwrap();
        String::from_utf8(content.unwrap().to_vec()).unwrap()
    }
}

fn image(text: &str) -> Manifest {
    Manifest::new(MediaType::parse(MediaType::OCI_IMAGE).unwrap(), Algorithm::Sha256, text.to_owned())
}

#[tokio::test]
async fn a_pushed_blob_is_data_and_a_link() {
    let store = Store::new();
    store.upload("library/app", "hello").await;
    let data = format!("/blobs/sha256/2c/{HELLO}/data");
    let link = format!("/repositories/library/app/_layers/sha256/{HELLO}/link");
    assert_eq!(store.files("").await, [data.clone(), link.clone()], "and the session is gone");
    assert_eq!(store.text(&data).await, "hello");
    assert_eq!(store.text(&link).await, format!("sha256:{HELLO}"), "no newline");
}

#[tokio::test]
async fn a_tagged_manifest_is_data_a_revision_and_two_tag_links() {
    let store = Store::new();
    let manifest = image(r#"{"schemaVersion":2}"#);
    let hex = manifest.digest().encoded().to_owned();
    let options = PutManifest::default().with_tags([Tag::parse("v1").unwrap()]);
    store.repository("a").await.manifests().put(&manifest, options).await.unwrap();
    let shard = &hex[..2];
    let expected = [
        format!("/blobs/sha256/{shard}/{hex}/data"),
        format!("/repositories/a/_manifests/revisions/sha256/{hex}/link"),
        format!("/repositories/a/_manifests/revisions/sha256/{hex}/tags.v1"),
        "/repositories/a/_manifests/tags/v1/current/link".to_owned(),
        format!("/repositories/a/_manifests/tags/v1/index/sha256/{hex}/link"),
    ];
    assert_eq!(store.files("").await, expected);
    for file in &expected[1..] {
        let content = if file.ends_with("/link") { format!("sha256:{hex}") } else { String::new() };
        assert_eq!(store.text(file).await, content, "{file}");
    }
}

#[tokio::test]
async fn an_upload_is_where_distribution_keeps_it_with_the_state_of_its_hash() {
    let store = Store::new();
    let blobs = store.repository("a").await.blobs();
    let UploadStart::Session(mut writer) = blobs.start(StartUpload::default()).await.unwrap() else {
        panic!("a session begins");
    };
    let id = writer.id().clone();
    writer.write("hel".into()).await.unwrap();
    writer.close().await.unwrap();
    let dir = format!("/repositories/a/_uploads/{id}");
    let expected = [format!("{dir}/data"), format!("{dir}/hashstates/sha256/3"), format!("{dir}/startedat")];
    assert_eq!(store.files("").await, expected);
    let started_at = store.text(&expected[2]).await;
    assert_eq!(started_at.len(), "2026-11-21T03:04:00Z".len(), "{started_at}");
    assert!(started_at.ends_with('Z'));
}

#[tokio::test]
async fn a_resumed_upload_continues_from_the_saved_state_and_reads_nothing_again() {
    let store = Store::new();
    let blobs = store.repository("a").await.blobs();
    let UploadStart::Session(mut writer) = blobs.start(StartUpload::default()).await.unwrap() else {
        panic!("a session begins");
    };
    let id = writer.id().clone();
    writer.write("hel".into()).await.unwrap();
    writer.close().await.unwrap();
    // If the bytes were read again, these would give another digest.
    store.put(&format!("/repositories/a/_uploads/{id}/data"), "HEL").await;
    let other = Store::over(store.driver.clone());
    let mut writer = other.repository("a").await.blobs().resume(&id, None).await.unwrap();
    assert_eq!(writer.size(), 3);
    writer.write("lo".into()).await.unwrap();
    writer.commit(&Digest::parse(&format!("sha256:{HELLO}")).unwrap()).await.unwrap();
}

#[tokio::test]
async fn an_upload_without_a_saved_state_is_read_again() {
    let store = Store::new();
    let id = UploadId::parse("0191b6a0-0000-7000-8000-000000000000").unwrap();
    let dir = format!("/repositories/a/_uploads/{id}");
    store.put(&format!("{dir}/startedat"), "2026-11-21T03:04:00Z").await;
    store.put(&format!("{dir}/data"), "hel").await;
    store.put(&format!("{dir}/hashstates/sha256/3"), "no state at all").await;
    let mut writer = store.repository("a").await.blobs().resume(&id, None).await.unwrap();
    writer.write("lo".into()).await.unwrap();
    let digest = Digest::parse(&format!("sha256:{HELLO}")).unwrap();
    writer.commit(&digest).await.unwrap();
    assert_eq!(store.read("a", &digest).await, "hello");
}

#[tokio::test]
async fn files_of_a_session_that_are_too_long_count_as_damaged() {
    let store = Store::new();
    let id = UploadId::parse("0191b6a0-0000-7000-8000-000000000000").unwrap();
    let dir = format!("/repositories/a/_uploads/{id}");
    store.put(&format!("{dir}/startedat"), "2".repeat(257)).await;
    store.put(&format!("{dir}/data"), "hel").await;
    store.put(&format!("{dir}/hashstates/sha256/3"), "s".repeat(5000)).await;
    let mut writer = store.repository("a").await.blobs().resume(&id, None).await.unwrap();
    writer.write("lo".into()).await.unwrap();
    let digest = Digest::parse(&format!("sha256:{HELLO}")).unwrap();
    writer.commit(&digest).await.unwrap();
    assert_eq!(store.read("a", &digest).await, "hello");
}

#[tokio::test]
async fn sha512_has_its_own_tree_and_aliases_of_distribution_are_followed() {
    let store = Store::new();
    let sha512 = Algorithm::Sha512.digest(b"hello");
    let blobs = store.repository("a").await.blobs();
    let options = StartUpload::default().with_algorithm(Some(Algorithm::Sha512));
    let UploadStart::Session(mut writer) = blobs.start(options).await.unwrap() else {
        panic!("a session begins");
    };
    writer.write("hello".into()).await.unwrap();
    writer.commit(&sha512).await.unwrap();
    let hex = sha512.encoded();
    assert_eq!(store.text(&format!("/blobs/sha512/{}/{hex}/data", &hex[..2])).await, "hello");

    // Distribution keeps the bytes under SHA-256 and a link under SHA-512.
    let foreign = Store::new();
    foreign.put(&format!("/blobs/sha256/2c/{HELLO}/data"), "hello").await;
    foreign.put(&format!("/repositories/a/_layers/sha512/{hex}/link"), format!("sha256:{HELLO}")).await;
    assert_eq!(foreign.read("a", &sha512).await, "hello");
    let descriptor = foreign.repository("a").await.blobs().stat(&sha512).await.unwrap();
    assert_eq!(descriptor.digest, sha512, "the digest that was asked for");
    // Mounted under its alias, it is found under its alias.
    let source = MountSource { from: Some(RepositoryName::parse("a").unwrap()), descriptor };
    let mounted = foreign.repository("b").await.blobs();
    mounted.start(StartUpload::default().with_mount(Some(source))).await.unwrap();
    assert_eq!(foreign.read("b", &sha512).await, "hello");
}

#[tokio::test]
async fn links_with_white_space_are_followed_and_torn_ones_count_as_none() {
    let store = Store::new();
    store.put(&format!("/blobs/sha256/2c/{HELLO}/data"), "hello").await;
    let digest = Digest::parse(&format!("sha256:{HELLO}")).unwrap();
    store.put(&format!("/repositories/a/_layers/sha256/{HELLO}/link"), format!("sha256:{HELLO}\n")).await;
    assert_eq!(store.read("a", &digest).await, "hello");
    let longer = "x".repeat(5000);
    for torn in ["", "sha256:2cf2", "\0\0\0\0", &longer] {
        store.put(&format!("/repositories/a/_layers/sha256/{HELLO}/link"), torn.to_owned()).await;
        let result = store.repository("a").await.blobs().stat(&digest).await;
        assert!(matches!(result, Err(Error::BlobUnknown { .. })), "{torn:?}: {result:?}");
    }
}

/// What a copy of a store that went wrong may have made of it.
#[tokio::test]
async fn a_directory_is_no_content() {
    let store = Store::new();
    store.put(&format!("/blobs/sha256/2c/{HELLO}/data/stray"), "hello").await;
    for name in ["a", "b"] {
        let link = format!("/repositories/{name}/_layers/sha256/{HELLO}/link");
        store.put(&link, format!("sha256:{HELLO}")).await;
    }
    let digest = Digest::parse(&format!("sha256:{HELLO}")).unwrap();
    let blobs = store.repository("a").await.blobs();
    assert!(matches!(blobs.stat(&digest).await, Err(Error::BlobUnknown { .. })));
    assert!(matches!(blobs.get(&digest, GetBlob::default()).await, Err(Error::BlobUnknown { .. })));
    let from = Some(RepositoryName::parse("b").unwrap());
    let source = MountSource { from, descriptor: registry_core::Descriptor::blob(digest, 5) };
    let started = blobs.start(StartUpload::default().with_mount(Some(source))).await.unwrap();
    assert!(matches!(started, UploadStart::Session(_)), "there is nothing to mount");
}

#[tokio::test]
async fn a_manifest_of_dockers_first_format_is_listed_served_and_deleted() {
    let store = Store::new();
    let payload = r#"{"schemaVersion":1,"name":"a","tag":"old","fsLayers":[],"history":[]}"#;
    let digest = Algorithm::Sha256.digest(payload.as_bytes());
    let hex = digest.encoded();
    store.put(&format!("/blobs/sha256/{}/{hex}/data", &hex[..2]), payload).await;
    let revision = format!("/repositories/a/_manifests/revisions/sha256/{hex}");
    store.put(&format!("{revision}/link"), digest.to_string()).await;
    store.put(&format!("{revision}/signatures/sha256/{HELLO}/link"), format!("sha256:{HELLO}")).await;
    store.put("/repositories/a/_manifests/tags/old/current/link", digest.to_string()).await;

    let repository = store.repository("a").await;
    let manifests = repository.manifests();
    assert_eq!(manifests.list(&PageRequest::first(10)).await.unwrap().items, std::slice::from_ref(&digest));
    let manifest = manifests.get(&digest).await.unwrap();
    assert_eq!(manifest.payload(), payload);
    assert_eq!(manifest.media_type().as_str(), "application/vnd.docker.distribution.manifest.v1+json");
    assert!(manifests.referrers(&digest, &ReferrerFilter::default(), &PageRequest::first(1)).await.is_ok());
    manifests.delete(&digest).await.unwrap();
    assert!(repository.tags().list(&PageRequest::first(10)).await.is_err(), "nothing is left here");
}

#[tokio::test]
async fn referrers_that_another_registry_took_in_are_found() {
    let store = Store::new();
    let subject = Algorithm::Sha256.digest(b"subject");
    let payload = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"a/config","digest":"sha256:{HELLO}","size":5}},"subject":{{"mediaType":"a/b","digest":"{subject}","size":1}}}}"#
    );
    let digest = Algorithm::Sha256.digest(payload.as_bytes());
    let hex = digest.encoded();
    store.put(&format!("/blobs/sha256/{}/{hex}/data", &hex[..2]), payload).await;
    store.put(&format!("/repositories/a/_manifests/revisions/sha256/{hex}/link"), digest.to_string()).await;
    let list = async |store: &Store| {
        let manifests = store.repository("a").await.manifests();
        manifests
            .referrers(&subject, &ReferrerFilter::default(), &PageRequest::first(10))
            .await
            .unwrap()
            .items
    };
    let found = list(&store).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].digest, digest);
    assert_eq!(found[0].artifact_type.as_deref(), Some("a/config"));
    assert_eq!(store.text("/repositories/a/_referrers/scanned").await, digest.to_string());

    // Deleted by another registry, it is not listed; pushed again by it, it is.
    let revision = StoragePath::parse(&format!("{ROOT}/repositories/a/_manifests/revisions")).unwrap();
    store.driver.delete(&revision).await.unwrap();
    assert!(list(&store).await.is_empty());
    store.put(&format!("/repositories/a/_manifests/revisions/sha256/{hex}/link"), digest.to_string()).await;
    assert_eq!(list(&Store::over(store.driver.clone())).await.len(), 1);
}

#[tokio::test]
async fn a_store_that_is_only_read_is_scanned_without_writing() {
    let driver = MemoryDriver::new();
    let builder = StorageNamespace::builder(Arc::new(driver.clone())).read_only(true);
    let store = Store { driver, namespace: builder.build() };
    let subject = Algorithm::Sha256.digest(b"subject");
    let mut expected = Vec::new();
    for n in 0..5 {
        let payload = format!(
            r#"{{"schemaVersion":2,"artifactType":"a/{}","n":{n},"subject":{{"digest":"{subject}"}}}}"#,
            n % 2
        );
        let digest = Algorithm::Sha256.digest(payload.as_bytes());
        let hex = digest.encoded();
        store.put(&format!("/blobs/sha256/{}/{hex}/data", &hex[..2]), payload).await;
        let link = format!("/repositories/a/_manifests/revisions/sha256/{hex}/link");
        store.put(&link, digest.to_string()).await;
        expected.push(digest);
    }
    expected.sort();
    let before = store.files("").await;
    let manifests = store.repository("a").await.manifests();
    let mut found = Vec::new();
    let mut page = PageRequest::first(2);
    loop {
        let part = manifests.referrers(&subject, &ReferrerFilter::default(), &page).await.unwrap();
        assert!(part.items.len() <= 2);
        found.extend(part.items.into_iter().map(|item| item.digest));
        if !part.more {
            break;
        }
        page = PageRequest::after(2, found.last().map(ToString::to_string).unwrap());
    }
    assert_eq!(found, expected);
    let filter = ReferrerFilter { artifact_type: Some("a/1".to_owned()) };
    let filtered = manifests.referrers(&subject, &filter, &PageRequest::first(10)).await.unwrap();
    assert_eq!(filtered.items.len(), 2);
    assert_eq!(store.files("").await, before, "nothing was written");
}

#[tokio::test]
async fn a_repository_is_removed_without_those_below_it() {
    let store = Store::new();
    for name in ["a", "a/b"] {
        store.upload(name, "hello").await;
        let manifest = image(r#"{"schemaVersion":2}"#);
        store.repository(name).await.manifests().put(&manifest, PutManifest::default()).await.unwrap();
    }
    let remover = store.namespace.remover().unwrap();
    remover.remove(&RepositoryName::parse("a").unwrap()).await.unwrap();
    let left = store.files("/repositories").await;
    assert!(!left.is_empty() && left.iter().all(|file| file.starts_with("/repositories/a/b/")), "{left:?}");
    let again = remover.remove(&RepositoryName::parse("a").unwrap()).await;
    assert!(matches!(again, Err(Error::NameUnknown { .. })), "{again:?}");
}

#[tokio::test]
async fn all_content_is_listed_page_by_page() {
    let store = Store::new();
    let mut expected = Vec::new();
    for n in 0..25 {
        expected.push(store.upload("a", &format!("blob {n}")).await);
    }
    expected.sort();
    let blobs = store.namespace.blobs();
    let mut found = Vec::new();
    let mut page = PageRequest::first(7);
    loop {
        let part = blobs.list(&page).await.unwrap();
        found.extend(part.items);
        if !part.more {
            break;
        }
        page = PageRequest::after(7, found.last().map(ToString::to_string).unwrap());
    }
    assert_eq!(found, expected);
    blobs.delete(&expected[0]).await.unwrap();
    assert!(blobs.stat(&expected[0]).await.unwrap().is_none());
}

/// Distribution's collector removes content and leaves the link, where a repository has no tags.
#[tokio::test]
async fn a_referrer_whose_content_was_collected_is_not_listed() {
    let store = Store::new();
    let subject = Algorithm::Sha256.digest(b"subject");
    let referrer = image(&format!(r#"{{"schemaVersion":2,"layers":[],"subject":{{"digest":"{subject}"}}}}"#));
    let manifests = store.repository("a").await.manifests();
    manifests.put(&referrer, PutManifest::default()).await.unwrap();
    let list = async || {
        let page = manifests.referrers(&subject, &ReferrerFilter::default(), &PageRequest::first(10)).await;
        page.unwrap().items.len()
    };
    assert_eq!(list().await, 1);
    let hex = referrer.digest().encoded();
    let data = StoragePath::parse(&format!("{ROOT}/blobs/sha256/{}/{hex}", &hex[..2])).unwrap();
    store.driver.delete(&data).await.unwrap();
    assert!(matches!(manifests.get(referrer.digest()).await, Err(Error::ManifestUnknown { .. })));
    assert_eq!(list().await, 0);
    manifests.put(&referrer, PutManifest::default()).await.unwrap();
    assert_eq!(list().await, 1);
}
