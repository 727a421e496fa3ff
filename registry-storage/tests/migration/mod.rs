//! Pairs of stores, what is in them, and whether it is sound.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use registry_conformance::content::Content;
use registry_conformance::data::random;
use registry_conformance::faults::{Fault, Faults, FaultyDriver};
use registry_core::{
    Algorithm, Batch, Digest, ListMode, ManifestDocument, Namespace, PageRequest, ReferrerFilter, Repository,
    RepositoryName, RequestContext, Shape, StartUpload, StorageDriver, StorageDriverExt, StoragePath, Tag,
    UploadStart,
};
use registry_storage::{FilesystemDriver, MemoryDriver, Migration, MigrationReport, StorageNamespace};

/// What is larger streams.
const WHOLE: u64 = 24_000;

const ROOT: &str = "/docker/registry/v2";

/// Files by their path below the root of the layout.
pub(crate) type Tree = BTreeMap<String, Bytes>;

/// A store and the switch of its faults. What is done to it other than by a migration does not fail.
pub(crate) struct Place {
    name: &'static str,
    pub(crate) inner: Arc<dyn StorageDriver>,
    driver: Arc<FaultyDriver>,
    pub(crate) faults: Faults,
    namespace: StorageNamespace,
    dir: Option<tempfile::TempDir>,
}

impl Place {
    fn new(name: &'static str, inner: Arc<dyn StorageDriver>, dir: Option<tempfile::TempDir>) -> Self {
        let driver = Arc::new(FaultyDriver::new(Arc::clone(&inner)));
        let namespace = StorageNamespace::builder(Arc::clone(&inner)).build();
        Self { name, faults: driver.faults(), driver, inner, namespace, dir }
    }

    pub(crate) fn memory() -> Self {
        Self::new("memory", Arc::new(MemoryDriver::new()), None)
    }

    pub(crate) fn flat() -> Self {
        Self::new("flat", Arc::new(MemoryDriver::flat()), None)
    }

    pub(crate) fn filesystem() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self::new("filesystem", Arc::new(FilesystemDriver::new(dir.path())), Some(dir))
    }

    pub(crate) fn is_tree(&self) -> bool {
        self.inner.shape() == Shape::Tree
    }

    /// The file on the disk.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.as_ref().unwrap().path().join(format!("docker/registry/v2/{name}"))
    }

    pub(crate) async fn put(&self, name: &str, content: &str) {
        let path = StoragePath::parse(&format!("{ROOT}/{name}")).unwrap();
        self.inner.put(&path, Bytes::copy_from_slice(content.as_bytes())).await.unwrap();
    }

    async fn age(&self, name: &str) -> Duration {
        let path = StoragePath::parse(&format!("{ROOT}/{name}")).unwrap();
        self.inner.stat(&path).await.unwrap().modified.elapsed().unwrap_or_default()
    }

    pub(crate) async fn repository(&self, name: &str) -> Arc<dyn Repository> {
        let cx = Arc::new(RequestContext::system("test"));
        self.namespace.repository(&cx, &RepositoryName::parse(name).unwrap()).await.unwrap()
    }

    pub(crate) async fn push(&self, name: &str, content: &Content) {
        content.push(&*self.repository(name).await).await.unwrap();
    }

    fn content(digest: &Digest) -> StoragePath {
        let hex = digest.encoded();
        let path = format!("{ROOT}/blobs/{}/{}/{hex}/data", digest.algorithm_name(), &hex[..2]);
        StoragePath::parse(&path).unwrap()
    }

    pub(crate) async fn overwrite(&self, digest: &Digest, content: impl Into<Bytes>) {
        self.inner.put(&Self::content(digest), content.into()).await.unwrap();
    }

    pub(crate) async fn lose_content(&self, digest: &Digest) {
        let dir = Self::content(digest).parent().unwrap();
        self.inner.apply(Batch::new().delete(dir)).await.unwrap();
    }

    pub(crate) async fn has_content(&self, digest: &Digest) -> bool {
        self.inner.exists(&Self::content(digest)).await.unwrap()
    }

    /// Asserts that an image under a tag can be read with everything that belongs to it.
    pub(crate) async fn serves(&self, name: &str, content: &Content, tag: &str) {
        // A process that has seen nothing of the migration.
        let namespace = StorageNamespace::builder(Arc::clone(&self.inner)).build();
        let cx = Arc::new(RequestContext::system("test"));
        let repository = namespace.repository(&cx, &RepositoryName::parse(name).unwrap()).await.unwrap();
        let target = repository.tags().get(&Tag::parse(tag).unwrap()).await.unwrap();
        assert_eq!(&target, content.digest("index"), "{tag} of {name}");
        for (manifest, _) in content.manifests() {
            let found = repository.manifests().get(manifest.digest()).await.unwrap();
            assert_eq!(found.payload(), manifest.payload());
        }
        for (digest, bytes) in content.blobs() {
            assert_eq!(repository.blobs().stat(digest).await.unwrap().size, bytes.len() as u64);
        }
        let (filter, page) = (ReferrerFilter::default(), PageRequest::first(10));
        let referrers = repository.manifests().referrers(&target, &filter, &page).await.unwrap().items;
        assert_eq!(referrers.len(), 1, "the signature of {name}:{tag}");
    }

    pub(crate) async fn tags_of(&self, name: &str, digest: &Digest) -> Vec<String> {
        let repository = self.repository(name).await;
        let mut found = Vec::new();
        for tag in
            repository.tags().list(&PageRequest::first(100)).await.map(|page| page.items).unwrap_or_default()
        {
            if repository.tags().get(&tag).await.is_ok_and(|target| target == *digest) {
                found.push(tag.as_str().to_owned());
            }
        }
        found
    }
}

/// Two stores.
pub(crate) struct Pair {
    pub(crate) from: Place,
    pub(crate) to: Place,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from.name, self.to.name)
    }
}

/// Every direction between a disk, a tree in memory and a bucket.
pub(crate) fn pairs() -> Vec<Pair> {
    let places: [fn() -> Place; 3] = [Place::memory, Place::flat, Place::filesystem];
    places.iter().flat_map(|from| places.iter().map(|to| Pair::new(from(), to()))).collect()
}

impl Pair {
    pub(crate) fn new(from: Place, to: Place) -> Self {
        Self { from, to }
    }

    /// Several repositories with history, a large blob, SHA-512, a type beside its manifest, and an upload that
    /// is in progress.
    pub(crate) async fn fill(&self) {
        let from = &self.from;
        from.push("library/app", &image("old").tag("v1", "index").tag("v1-1", "image")).await;
        from.push("library/app", &image("new").tag("v2", "index")).await;
        from.push("a/b/c", &image("other")).await;
        from.push("a", &image("new")).await;
        from.push("gone", &image("old")).await;
        from.push("odd", &untyped()).await;
        let blobs = from.repository("a").await.blobs();
        for digest in [Some(Algorithm::Sha512.digest(b"x")), None] {
            let UploadStart::Session(mut writer) = blobs.start(StartUpload::default()).await.unwrap() else {
                panic!("a session begins");
            };
            writer.write("x".into()).await.unwrap();
            match digest {
                Some(digest) => drop(writer.commit(&digest).await.unwrap()),
                None => drop(writer.close().await.unwrap()),
            }
        }
        let (filter, page) = (ReferrerFilter::default(), PageRequest::first(10));
        let manifests = from.repository("library/app").await.manifests();
        manifests.referrers(image("new").digest("index"), &filter, &page).await.unwrap();
    }

    /// As little as has everything in it, for tests that go through all calls.
    pub(crate) async fn fill_little(&self) {
        self.from.push("library/app", &image("little")).await;
        let (filter, page) = (ReferrerFilter::default(), PageRequest::first(10));
        let manifests = self.from.repository("library/app").await.manifests();
        manifests.referrers(image("little").digest("index"), &filter, &page).await.unwrap();
    }

    pub(crate) fn migrate(&self) -> Migration {
        let (from, to) = (Arc::clone(&self.from.driver), Arc::clone(&self.to.driver));
        Migration::new(from, to).jobs(3).whole(WHOLE).patience(4, Duration::from_millis(1))
    }

    /// What is at the destination.
    pub(crate) async fn target(&self) -> Tree {
        tree(self.to.inner.as_ref(), ROOT).await
    }

    /// What should be there. Notes of tags are only between disks, and the first of them only while it counts.
    pub(crate) async fn wanted(&self) -> Tree {
        let mut files = tree(self.from.inner.as_ref(), ROOT).await;
        let disks = self.from.is_tree() && self.to.is_tree();
        let mut stale = Vec::new();
        for name in files.keys().filter(|name| disks && is_note(name)) {
            let (dir, file) = name.rsplit_once('/').unwrap();
            if file.starts_with("tags")
                && self.from.age(name).await > self.from.age(&format!("{dir}/link")).await
            {
                stale.push(name.clone());
            }
        }
        files.retain(|name, _| {
            !name.contains("/_uploads/") && !stale.contains(name) && (disks || !is_note(name))
        });
        files
    }

    /// Runs a migration until it ends (true) or until a call stalls.
    pub(crate) async fn run_or_stall(&self, faults: &Faults) -> bool {
        self.or_stall(faults, self.migrate().run()).await.is_some()
    }

    pub(crate) async fn or_stall<T>(&self, faults: &Faults, run: impl Future<Output = T>) -> Option<T> {
        let outcome = match select(Box::pin(run), Box::pin(faults.stalled())).await {
            Either::Left((outcome, _)) => Some(outcome),
            Either::Right(_) => None,
        };
        // Tasks of the run that were told to end do so here.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        outcome
    }

    /// Runs a migration and does something at the nth call of the source, which is asked again after it.
    /// Whether there was such a call.
    pub(crate) async fn meanwhile(&self, nth: usize, act: impl AsyncFn()) -> bool {
        let faults = &self.from.faults;
        faults.arm(Fault::Stall, nth, |_| true);
        let run = Box::pin(self.migrate().run());
        let report: MigrationReport = match select(run, Box::pin(faults.stalled())).await {
            Either::Left((report, _)) => {
                faults.disarm();
                assert!(report.is_complete(), "{report:#?}");
                return false;
            }
            Either::Right(((), run)) => {
                act().await;
                faults.disarm();
                run.await
            }
        };
        assert!(report.is_complete(), "call {nth}: {report:#?}");
        true
    }
}

fn is_note(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap();
    name.contains("/revisions/") && (file.starts_with("tag.") || file.starts_with("tags"))
}

/// Every file below a directory.
pub(crate) async fn tree(driver: &dyn StorageDriver, root: &str) -> Tree {
    let dir = StoragePath::parse(root).unwrap();
    let mut files = Tree::new();
    for entry in driver.list_all(&dir, ListMode::Recursive).await.unwrap() {
        let content = driver.get(&dir.join(&entry.name).unwrap(), 64 << 20).await.unwrap();
        files.insert(entry.name, content);
    }
    files
}

/// All names, for looking for a part of one.
pub(crate) fn contents(tree: &Tree) -> String {
    tree.keys().map(|name| format!("{name}\n")).collect()
}

/// Asserts that nothing at the destination leads to nothing, unless it does so at the source.
pub(crate) async fn sound(pair: &Pair, after: &str) {
    let (target, source) = (pair.target().await, tree(pair.from.inner.as_ref(), ROOT).await);
    let blob = |digest: &str| {
        let (algorithm, hex) = digest.split_once(':').unwrap();
        format!("blobs/{algorithm}/{}/{hex}/data", &hex[..2])
    };
    let has = |name: &str| target.contains_key(name);
    for (name, content) in &target {
        let text = std::str::from_utf8(content).unwrap_or_default();
        if let Some(rest) = name.strip_prefix("blobs/") {
            let parts: Vec<&str> = rest.split('/').collect();
            let digest = Digest::parse(&format!("{}:{}", parts[0], parts[2])).unwrap();
            assert_eq!(digest.algorithm().unwrap().digest(content), digest, "{after}: {name}");
        } else if name.contains("/_layers/") {
            assert!(
                has(&blob(text)) || !source.contains_key(&blob(text)),
                "{after}: {name} leads to nothing"
            );
        } else if name.contains("/revisions/") && name.ends_with("/link") && !name.contains("/signatures/") {
            let repository = name.split("/_manifests/").next().unwrap();
            assert!(
                has(&blob(text)) || !source.contains_key(&blob(text)),
                "{after}: {name} leads to nothing"
            );
            let Some(payload) = target.get(&blob(text)) else { continue };
            let document = ManifestDocument::parse(payload).unwrap();
            for reference in document.blob_references() {
                let link = format!("{repository}/_layers/{}/link", reference.digest.replace(':', "/"));
                let lost = !source.contains_key(&link) || !source.contains_key(&blob(&reference.digest));
                let damaged = source
                    .get(&blob(&reference.digest))
                    .is_some_and(|content| Algorithm::Sha256.digest(content).as_str() != reference.digest);
                assert!(has(&link) || lost || damaged, "{after}: {name} has no {link}");
            }
            for child in document.manifest_references() {
                let digest = child.digest.replace(':', "/");
                let link = format!("{repository}/_manifests/revisions/{digest}/link");
                assert!(has(&link) || !source.contains_key(&link), "{after}: {name} has no {link}");
            }
        } else if let Some((tag, _)) = name.split_once("/current/link") {
            let repository = name.split("/_manifests/").next().unwrap();
            let digest = text.replace(':', "/");
            let link = format!("{repository}/_manifests/revisions/{digest}/link");
            assert!(has(&link), "{after}: {name} leads to nothing");
            assert!(has(&format!("{tag}/index/{digest}/link")), "{after}: {name} is not in its index");
        } else if name.ends_with("/_referrers/scanned") {
            // Whatever is scanned at the source has its entries here too.
            let dir = name.trim_end_matches("scanned");
            for entry in source.keys().filter(|entry| entry.starts_with(dir) && entry.contains("sha256-")) {
                let digest = entry.rsplit('/').next().unwrap().replace('-', ":");
                assert!(has(entry) || !text.contains(&digest), "{after}: {name} vouches for {entry}");
            }
        }
    }
}

/// An image, an index of it, and a signature of the index; tagged `latest`. One has a layer that is not written
/// as one small file.
pub(crate) fn image(seed: &str) -> Content {
    let number = seed.bytes().map(u64::from).sum();
    let content = Content::new()
        .blob("config", format!("{{\"seed\":\"{seed}\"}}"))
        .blob("layer", random(number, 20_000))
        .blob("empty", "{}");
    let content = match seed {
        "new" => content.blob("large", random(1, 60_000)).image("image", "config", &["layer", "large"]),
        "little" => {
            content.blob("large", random(1, WHOLE as usize + 1)).image("image", "config", &["layer", "large"])
        }
        _ => content.image("image", "config", &["layer"]),
    };
    content
        .index("index", &["image"])
        .artifact("signature", "application/vnd.example.signature", Some("index"), &[("seed", seed)])
        .tag("latest", "index")
}

/// A manifest whose bytes do not say its type.
pub(crate) fn untyped() -> Content {
    Content::new().raw("odd", "application/vnd.example.odd+json", r#"{"schemaVersion":2}"#)
}
