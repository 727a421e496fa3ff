//! Which upload sessions are removed, and which are not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use registry_conformance::faults::{Call, Fault, FaultyDriver};
use registry_core::{
    Batch, ListMode, Namespace, RepositoryName, RequestContext, StartUpload, StorageDriver, StorageDriverExt,
    StoragePath, UploadId, UploadStart,
};
use registry_storage::{FilesystemDriver, MemoryDriver, StorageNamespace, UploadPurge};

const AGE: Duration = Duration::from_secs(3600);

struct Store {
    dir: tempfile::TempDir,
    driver: Arc<FaultyDriver>,
    namespace: StorageNamespace,
}

impl Store {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let driver = Arc::new(FaultyDriver::new(Arc::new(FilesystemDriver::new(dir.path()))));
        let namespace = StorageNamespace::builder(Arc::clone(&driver) as Arc<dyn StorageDriver>).build();
        Self { dir, driver, namespace }
    }

    /// Begins a session with some bytes and lets go of it.
    async fn begin(&self, repository: &str, bytes: &'static str) -> UploadId {
        let cx = Arc::new(RequestContext::system("test"));
        let name = RepositoryName::parse(repository).unwrap();
        let blobs = self.namespace.repository(&cx, &name).await.unwrap().blobs();
        let UploadStart::Session(mut writer) = blobs.start(StartUpload::default()).await.unwrap() else {
            panic!("a session begins");
        };
        let id = writer.id().clone();
        writer.write(bytes.into()).await.unwrap();
        writer.close().await.unwrap();
        id
    }

    fn session(&self, repository: &str, id: &str) -> PathBuf {
        self.dir.path().join(format!("docker/registry/v2/repositories/{repository}/_uploads/{id}"))
    }

    fn purge(&self) -> UploadPurge {
        UploadPurge::new(Arc::clone(&self.driver) as Arc<dyn StorageDriver>, AGE)
    }
}

/// Makes a file or directory look as if nothing had happened to it for twice the age.
fn make_old(path: &Path) {
    File::open(path).unwrap().set_modified(SystemTime::now() - 2 * AGE).unwrap();
}

#[tokio::test]
async fn what_nobody_has_written_to_for_long_goes_in_every_repository() {
    let store = Store::new();
    let mut old = Vec::new();
    for repository in ["a", "a/b", "library/app"] {
        let id = store.begin(repository, "12345").await;
        let dir = store.session(repository, id.as_str());
        make_old(&dir.join("data"));
        make_old(&dir.join("startedat"));
        old.push(dir);
    }
    let young = store.begin("a", "new").await;
    let report = store.purge().run().await.unwrap();
    assert_eq!((report.seen, report.removed, report.bytes, report.failed), (4, 3, 15, 0));
    assert!(old.iter().all(|dir| !dir.exists()));
    assert!(store.session("a", young.as_str()).join("data").exists());
}

#[tokio::test]
async fn an_upload_that_is_slow_but_alive_stays_however_long_ago_it_began() {
    let store = Store::new();
    let id = store.begin("a", "12345").await;
    let dir = store.session("a", id.as_str());
    make_old(&dir.join("startedat"));
    std::fs::write(dir.join("startedat"), "2001-01-01T00:00:00Z").unwrap();
    make_old(&dir.join("startedat"));
    assert_eq!(store.purge().run().await.unwrap().removed, 0, "its bytes are new");
}

#[tokio::test]
async fn a_session_that_a_request_holds_stays() {
    let store = Store::new();
    let id = store.begin("a", "12345").await;
    let cx = Arc::new(RequestContext::system("test"));
    let repository = store.namespace.repository(&cx, &RepositoryName::parse("a").unwrap()).await.unwrap();
    let writer = repository.blobs().resume(&id, None).await.unwrap();
    let dir = store.session("a", id.as_str());
    make_old(&dir.join("data"));
    make_old(&dir.join("startedat"));
    assert_eq!(store.purge().run().await.unwrap().removed, 0);
    drop(writer);
    assert_eq!(store.purge().run().await.unwrap().removed, 1);
    assert!(!dir.exists());
}

/// Distribution leaves a directory with a hash state behind every cancelled upload, and its own purge
/// passes over it for ever.
#[tokio::test]
async fn what_distribution_leaves_behind_goes_too() {
    let store = Store::new();
    let dir = store.session("a", "0191b6a0-0000-7000-8000-000000000000");
    std::fs::create_dir_all(dir.join("hashstates/sha256")).unwrap();
    std::fs::write(dir.join("hashstates/sha256/0"), "state").unwrap();
    assert_eq!(store.purge().run().await.unwrap().removed, 0, "it is new");
    make_old(&dir);
    assert_eq!(store.purge().run().await.unwrap().removed, 1);
    assert!(!dir.exists());
}

#[tokio::test]
async fn a_dry_run_counts_and_removes_nothing() {
    let store = Store::new();
    let id = store.begin("a", "12345").await;
    let dir = store.session("a", id.as_str());
    make_old(&dir.join("data"));
    make_old(&dir.join("startedat"));
    let report = store.purge().dry_run(true).run().await.unwrap();
    assert_eq!((report.removed, report.bytes), (1, 5));
    assert!(dir.join("data").exists());
}

#[tokio::test]
async fn one_that_cannot_be_removed_does_not_keep_the_others() {
    let store = Store::new();
    let mut dirs = Vec::new();
    for _ in 0..3 {
        let id = store.begin("a", "12345").await;
        let dir = store.session("a", id.as_str());
        make_old(&dir.join("data"));
        make_old(&dir.join("startedat"));
        dirs.push(dir);
    }
    store.driver.faults().arm(Fault::Backend, 1, |call| call == Call::Writer);
    let report = store.purge().run().await.unwrap();
    assert_eq!((report.removed, report.failed), (2, 1));
    assert_eq!(dirs.iter().filter(|dir| dir.exists()).count(), 1);
    assert_eq!(store.purge().run().await.unwrap().removed, 1, "the next run removes it");
}

/// In a bucket a session may have no bytes yet, and what is in a repository is jumped over.
#[tokio::test]
async fn sessions_in_a_flat_store_go_too() {
    let store = MemoryDriver::flat();
    let driver = Arc::new(FaultyDriver::new(Arc::new(store.clone())));
    let root = StoragePath::parse("/docker/registry/v2/repositories").unwrap();
    let file = |name: &str| root.join(name).unwrap();
    let mut batch = Batch::new();
    for repository in ["a", "a-b", "a/b", "team/app"] {
        for n in 0..1200 {
            batch = batch.put(file(&format!("{repository}/_layers/sha256/{n:04}/link")), "");
        }
        batch = batch.put(file(&format!("{repository}/_manifests/revisions/sha256/00/link")), "");
    }
    for name in
        ["a/_uploads/1/startedat", "a-b/_uploads/2/startedat", "a-b/_uploads/2/data", "a/b/_uploads/3/data"]
    {
        batch = batch.put(file(name), "2001-01-01T00:00:00Z");
    }
    batch = batch.put(file("team/app/_uploads/4/hashstates/sha256/0"), "state");
    store.apply(batch).await.unwrap();

    let shared = Arc::clone(&driver) as Arc<dyn StorageDriver>;
    let young = UploadPurge::new(Arc::clone(&shared), AGE).run().await.unwrap();
    assert_eq!((young.seen, young.removed), (4, 0));
    let before = driver.faults().calls();
    let dry = UploadPurge::new(Arc::clone(&shared), Duration::ZERO).dry_run(true).run().await.unwrap();
    assert_eq!((dry.seen, dry.removed, dry.bytes), (4, 4, 40));
    let calls = driver.faults().calls() - before;
    assert!(calls < 40, "{calls} calls for 4 repositories and 4 sessions");
    let report = UploadPurge::new(shared, Duration::ZERO).run().await.unwrap();
    assert_eq!((report.removed, report.failed), (4, 0));
    let left = store.list_all(&root, ListMode::Recursive).await.unwrap();
    assert_eq!(left.len(), 4 * 1201);
    assert!(left.iter().all(|entry| !entry.name.contains("_uploads")));
}

/// There a session is not written down with each chunk: what it began with may be older than what happened last, which
/// is in parts that no path leads to.
#[tokio::test]
async fn a_session_in_a_flat_store_is_not_judged_by_its_beginning() {
    let store: Arc<dyn StorageDriver> = Arc::new(MemoryDriver::flat());
    let begun = StoragePath::parse("/docker/registry/v2/repositories/a/_uploads/1/startedat").unwrap();
    store.put(&begun, "2001-01-01T00:00:00Z".into()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let purged = UploadPurge::new(Arc::clone(&store), Duration::from_millis(4)).run().await.unwrap();
    assert_eq!((purged.seen, purged.removed), (1, 0));
    let all = UploadPurge::new(store, Duration::ZERO).run().await.unwrap();
    assert_eq!((all.seen, all.removed), (1, 1));
}
