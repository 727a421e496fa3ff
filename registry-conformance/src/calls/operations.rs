//! Every operation, as the API makes it.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use registry_core::{
    Algorithm, Batch, Blob, ByteRange, Digest, Error, GetBlob, Manifest, ManifestDocument, MountSource,
    Namespace, PageRequest, PutManifest, Repository, RepositoryName, RequestContext, Result, StartUpload,
    StorageDriver, StoragePath, Tag, UploadStart, collect,
};

use super::{Bench, Row, State, Taken};
use crate::content::Content;
use crate::data::random;

const MIB: usize = 1 << 20;

/// A store, and a process over it.
struct Site<'a> {
    bench: &'a dyn Bench,
    driver: Arc<dyn StorageDriver>,
    process: Arc<dyn Namespace>,
}

impl<'a> Site<'a> {
    async fn new(bench: &'a dyn Bench) -> Self {
        let driver = bench.driver().await;
        let process = bench.process(&driver);
        Self { bench, driver, process }
    }

    /// The same store and another process, which has seen nothing.
    fn fresh(&self) -> Self {
        let driver = Arc::clone(&self.driver);
        Self { bench: self.bench, process: self.bench.process(&driver), driver }
    }

    /// A repository for a request with this method.
    async fn repository(&self, method: Method, name: &str) -> Arc<dyn Repository> {
        let mut cx = RequestContext::system("calls");
        cx.method = Some(method);
        self.process.repository(&Arc::new(cx), &RepositoryName::parse(name).unwrap()).await.unwrap()
    }

    /// What an operation takes.
    async fn count(&self, operation: impl Future<Output = Result<()>>) -> Taken {
        self.bench.taken().await;
        operation.await.unwrap();
        self.bench.taken().await
    }

    async fn head(&self, name: &str, digest: &Digest) -> Result<()> {
        self.repository(Method::HEAD, name).await.blobs().stat(digest).await.map(drop)
    }

    async fn get(&self, name: &str, digest: &Digest, range: Option<ByteRange>) -> Result<()> {
        let options = GetBlob::default().with_range(range);
        let blob: Blob = self.repository(Method::GET, name).await.blobs().get(digest, options).await?;
        collect(blob.body.into_stream().unwrap(), 128 * MIB).await?.unwrap();
        Ok(())
    }

    /// POST, a PATCH for each chunk, and PUT with the rest.
    async fn push(&self, name: &str, chunks: &[Bytes], rest: &Bytes) -> Result<Digest> {
        let whole = [&chunks.concat()[..], rest].concat();
        let digest = Algorithm::Sha256.digest(&whole);
        let blobs = self.repository(Method::POST, name).await.blobs();
        let UploadStart::Session(writer) = blobs.start(StartUpload::default()).await? else {
            panic!("an upload without a mount begins with a session");
        };
        let mut status = writer.detach().await?;
        for chunk in chunks {
            let blobs = self.repository(Method::PATCH, name).await.blobs();
            let mut writer = blobs.resume(&status.id, status.ticket.as_deref()).await?;
            for piece in pieces(chunk) {
                writer.write(piece).await?;
            }
            status = writer.detach().await?;
        }
        let blobs = self.repository(Method::PUT, name).await.blobs();
        let mut writer = blobs.resume(&status.id, status.ticket.as_deref()).await?;
        writer.expect(&digest);
        for piece in pieces(rest) {
            writer.write(piece).await?;
        }
        writer.commit(&digest).await?;
        Ok(digest)
    }

    async fn mount(&self, from: &str, to: &str, digest: &Digest) -> Result<()> {
        // The caller looks at the source first.
        let descriptor = self.repository(Method::POST, from).await.blobs().stat(digest).await?;
        let mount = MountSource { from: Some(RepositoryName::parse(from).unwrap()), descriptor };
        let blobs = self.repository(Method::POST, to).await.blobs();
        match blobs.start(StartUpload::default().with_mount(Some(mount))).await? {
            UploadStart::Mounted(_) => Ok(()),
            UploadStart::Session(_) => panic!("what is there is mounted"),
        }
    }

    /// A manifest, after the check that what it refers to is there.
    async fn put(&self, name: &str, manifest: &Manifest, tag: &str) -> Result<()> {
        let repository = self.repository(Method::PUT, name).await;
        let document = ManifestDocument::parse(manifest.payload())?;
        let blobs = repository.blobs();
        let checks = document.blob_references().map(|blob| {
            let (blobs, digest) = (Arc::clone(&blobs), Digest::parse(&blob.digest).unwrap());
            async move { blobs.stat(&digest).await }
        });
        futures::future::try_join_all(checks).await?;
        let options = PutManifest::default().with_tags([Tag::parse(tag).unwrap()]);
        repository.manifests().put(manifest, options).await.map(drop)
    }

    async fn by_tag(&self, name: &str, tag: &str) -> Result<()> {
        let repository = self.repository(Method::GET, name).await;
        let digest = repository.tags().get(&Tag::parse(tag).unwrap()).await?;
        repository.manifests().get(&digest).await.map(drop)
    }

    async fn by_digest(&self, name: &str, digest: &Digest) -> Result<()> {
        self.repository(Method::GET, name).await.manifests().get(digest).await.map(drop)
    }

    async fn tags(&self, name: &str, page: PageRequest) -> Result<Vec<Tag>> {
        Ok(self.repository(Method::GET, name).await.tags().list(&page).await?.items)
    }

    async fn catalog(&self, expected: usize) -> Result<()> {
        let cx = RequestContext::system("calls");
        let found = self.process.repositories(&cx, &PageRequest::first(100)).await?;
        assert_eq!(found.items.len(), expected);
        Ok(())
    }

    async fn delete(&self, name: &str, digest: &Digest) -> Result<()> {
        self.repository(Method::DELETE, name).await.manifests().delete(digest).await
    }

    /// The two blobs and the manifest of an image.
    async fn push_image(&self, name: &str, seed: &str) -> Content {
        let content = image(seed);
        for (_, blob) in content.blobs() {
            self.push(name, &[], blob).await.unwrap();
        }
        content
    }

    /// Tags of a repository, as Distribution and we write them, each to a manifest of its own but those that
    /// `target` says.
    async fn seed_tags(&self, name: &str, tags: usize, target: impl Fn(usize) -> Option<Digest>) {
        let root = format!("/docker/registry/v2/repositories/{name}/_manifests");
        let at = |text: String| StoragePath::parse(&text).unwrap();
        let mut batch = Batch::new();
        for n in 0..tags {
            let digest = target(n).unwrap_or_else(|| Algorithm::Sha256.digest(&n.to_le_bytes()));
            let (hex, link) = (digest.encoded(), Bytes::copy_from_slice(digest.as_str().as_bytes()));
            let tag = format!("{root}/tags/v1.{n:05}");
            batch = batch
                .put(at(format!("{root}/revisions/sha256/{hex}/link")), link.clone())
                .put(at(format!("{tag}/index/sha256/{hex}/link")), link.clone())
                .put(at(format!("{tag}/current/link")), link);
            if n % 250 == 249 || n + 1 == tags {
                self.driver.apply(std::mem::take(&mut batch)).await.unwrap();
            }
        }
    }
}

/// As they come from a connection.
fn pieces(content: &Bytes) -> impl Iterator<Item = Bytes> + use<> {
    let content = content.clone();
    (0..content.len()).step_by(MIB).map(move |at| content.slice(at..content.len().min(at + MIB)))
}

fn image(seed: &str) -> Content {
    Content::new()
        .blob("config", format!(r#"{{"seed":"{seed}"}}"#))
        .blob("layer", format!("layer of {seed}"))
        .image("image", "config", &["layer"])
}

fn row(
    (operation, state): (&'static str, State),
    (theirs, budget): (impl Into<Option<usize>>, usize),
    ours: Taken,
    why: &'static str,
) -> Row {
    Row { operation, state, theirs: theirs.into(), budget, rounds: None, ours, why }
}

/// Every operation on a store of its own.
///
/// # Panics
/// If one fails.
pub async fn measure(bench: &dyn Bench) -> Vec<Row> {
    let mut rows = Vec::new();
    blobs(bench, &mut rows).await;
    pushes(bench, &mut rows).await;
    manifests(bench, &mut rows).await;
    let digest = Algorithm::Sha256.digest(b"target");
    let large = lists(bench, &digest, &mut rows).await;
    deletes(bench, &large, &digest, &mut rows).await;
    rows
}

async fn blobs(bench: &dyn Bench, rows: &mut Vec<Row>) {
    use State::{Cold, Warm};
    let site = Site::new(bench).await;
    let digest = site.push("a", &[], &random(1, MIB)).await.unwrap();

    let head = site.fresh();
    let taken = head.count(head.head("a", &digest)).await;
    rows.push(row(
        ("blob HEAD", Cold),
        (2, 2),
        taken,
        "the link says that it is here, the content how long it is",
    ));
    let taken = head.count(head.head("a", &digest)).await;
    rows.push(row(
        ("blob HEAD", Warm),
        (0, 1),
        taken,
        "the link is asked for, so that a delete holds at once",
    ));

    let get = site.fresh();
    let taken = get.count(get.get("a", &digest, None)).await;
    rows.push(row(("blob GET", Cold), (3, 2), taken, "the link and the content, side by side"));
    let taken = get.count(get.get("a", &digest, None)).await;
    rows.push(row(("blob GET", Warm), (1, 1), taken, "the read itself"));
    let taken = get.count(get.get("a", &digest, Some(ByteRange::From(5)))).await;
    rows.push(row(("blob GET, range", Warm), (1, 1), taken, "the read itself"));

    let absent = Algorithm::Sha256.digest(b"absent");
    let taken = site
        .count(async {
            assert!(matches!(site.head("a", &absent).await, Err(Error::BlobUnknown { .. })));
            Ok(())
        })
        .await;
    rows.push(row(("blob HEAD, absent", Warm), (1, 1), taken, "nobody can say no without having asked"));

    let other = site.fresh();
    let taken = other.count(other.mount("a", "b", &digest)).await;
    rows.push(row(
        ("cross-repository mount", Cold),
        (3, 3),
        taken,
        "what decides about a write is asked of the store: link and content, side by side; then the new link",
    ));
    let taken = site.count(site.mount("a", "c", &digest)).await;
    rows.push(row(("cross-repository mount", Warm), (1, 1), taken, "the new link"));

    let blobs = site.repository(Method::DELETE, "a").await.blobs();
    let taken = site.count(blobs.delete(&digest)).await;
    rows.push(row(
        ("blob DELETE", Warm),
        (2, 2),
        taken,
        "a bucket does not say whether there was something to delete",
    ));
}

async fn pushes(bench: &dyn Bench, rows: &mut Vec<Row>) {
    use State::Warm;
    let site = Site::new(bench).await;
    let none = Bytes::new();
    let push = async |n: u64, chunks: &[usize], rest: usize| {
        let chunks: Vec<Bytes> = (1..).zip(chunks).map(|(at, len)| random(n * 10 + at, *len)).collect();
        let rest = if rest > 0 { random(n * 10, rest) } else { none.clone() };
        site.count(async { site.push("a", &chunks, &rest).await.map(drop) }).await
    };
    let taken = push(1, &[], MIB).await;
    rows.push(row(("blob push POST+PUT, 1 MiB", Warm), (20, 6), taken, ""));
    let taken = push(2, &[MIB], 0).await;
    rows.push(row(("blob push POST+PATCH+PUT, 1 MiB (docker's way)", Warm), (27, 7), taken, ""));
    let taken = push(3, &[6 * MIB; 3], 0).await;
    rows.push(row(("blob push POST+3×PATCH 6 MiB+PUT", Warm), (43, 9), taken, ""));
    let taken = push(4, &[], 64 * MIB).await;
    rows.push(row(("blob push POST+PUT, 64 MiB", Warm), (29, 14), taken, "a call for each part"));
    let taken = push(2, &[MIB], 0).await;
    rows.push(row(("blob push of a blob already stored, docker's way", Warm), (14, 7), taken, ""));
}

async fn manifests(bench: &dyn Bench, rows: &mut Vec<Row>) {
    use State::{Cold, Warm};
    let site = Site::new(bench).await;
    let content = site.push_image("a", "one").await;
    let manifest = content.manifest("image");
    let digest = manifest.digest();
    let taken = site.count(site.put("a", manifest, "v1")).await;
    let why = "content, its link and the tag's index side by side, then the tag";
    rows.push(Row { rounds: Some(2), ..row(("manifest PUT, new tag", Warm), (6, 4), taken, why) });
    let other = site.fresh();
    let taken = other.count(other.put("a", manifest, "v2")).await;
    rows.push(row(
        ("manifest PUT, new tag", Cold),
        (10, 8),
        taken,
        "4 more: whether the two blobs are there, which another process was told, is asked of the store",
    ));
    let second = site.push_image("a", "two").await;
    let taken = site.count(site.put("a", second.manifest("image"), "v2")).await;
    let why = "four files of Distribution's layout change; none can be left out";
    rows.push(Row { rounds: Some(2), ..row(("manifest PUT, moved tag", Warm), (4, 4), taken, why) });

    let reader = site.fresh();
    let taken = reader.count(reader.by_tag("a", "v1")).await;
    rows.push(row(("manifest GET or HEAD by tag", Cold), (4, 2), taken, "the tag, then the content"));
    let taken = reader.count(reader.by_tag("a", "v1")).await;
    rows.push(row(("manifest GET or HEAD by tag", Warm), (2, 1), taken, "the tag"));
    let reader = site.fresh();
    let taken = reader.count(reader.by_digest("a", digest)).await;
    rows.push(row(("manifest GET by digest", Cold), (3, 2), taken, "the link and the content, side by side"));
    let taken = reader.count(reader.by_digest("a", digest)).await;
    rows.push(row(
        ("manifest GET by digest", Warm),
        (1, 1),
        taken,
        "the link is asked for, so that a delete holds at once",
    ));
}

/// Gives back a store with a repository `large`, of whose 20,000 tags one points at `digest`.
async fn lists<'a>(bench: &'a dyn Bench, digest: &Digest, rows: &mut Vec<Row>) -> Site<'a> {
    use State::Cold;
    let site = Site::new(bench).await;
    site.seed_tags("hundred", 100, |_| None).await;
    let page = |after: Option<&str>| PageRequest { limit: 100, after: after.map(str::to_owned) };
    let tags = async |name: &str, after: Option<&str>, expected: usize| {
        let site = site.fresh();
        site.count(async {
            assert_eq!(site.tags(name, page(after)).await?.len(), expected);
            Ok(())
        })
        .await
    };
    let taken = tags("hundred", None, 100).await;
    rows.push(row(("tags list, 100 tags", Cold), (1, 1), taken, "one listing"));
    site.seed_tags("large", 20_000, |n| (n == 50).then(|| digest.clone())).await;
    let taken = tags("large", Some("v1.10000"), 100).await;
    rows.push(row(
        ("tags list, a page of 100 of 20,000 tags", Cold),
        (None, 3),
        taken,
        "one listing; Distribution lists all of them each time",
    ));

    let small = Site::new(bench).await;
    for n in 0..20 {
        small.seed_tags(&format!("team-{}/app-{n}", n % 3), 2, |_| None).await;
    }
    let taken = small.count(small.catalog(20)).await;
    rows.push(row(("catalog, 20 repositories", Cold), (1, 1), taken, "one listing"));
    let middle = Site::new(bench).await;
    middle.seed_tags("a", 1000, |_| None).await;
    middle.seed_tags("b", 1, |_| None).await;
    let taken = middle.count(middle.catalog(2)).await;
    rows.push(row(
        ("catalog, 2 repositories, one with 1,000 tags", Cold),
        (3, 2),
        taken,
        "what is in a repository is jumped over; Distribution reads all of it",
    ));
    let taken = site.count(site.catalog(2)).await;
    let why = "as many as if it had 100,000";
    rows.push(row(("catalog, 2 repositories, one with 20,000 tags", Cold), (None, 3), taken, why));
    site
}

async fn deletes(bench: &dyn Bench, large: &Site<'_>, digest: &Digest, rows: &mut Vec<Row>) {
    use State::Warm;
    let one = |n| (n == 50).then(|| digest.clone());

    let site = Site::new(bench).await;
    site.seed_tags("a", 100, one).await;
    let taken = site.count(site.delete("a", digest)).await;
    rows.push(row(
        ("manifest DELETE, 100 tags, 1 points at it", Warm),
        (107, 6),
        taken,
        "a listing shows which tags ever pointed at it, and another whether one was set meanwhile",
    ));
    let site = Site::new(bench).await;
    site.seed_tags("a", 100, |_| Some(digest.clone())).await;
    let taken = site.count(site.delete("a", digest)).await;
    rows.push(row(
        ("manifest DELETE, 100 tags all pointing at it", Warm),
        (303, 105),
        taken,
        "each of the tags is read",
    ));
    let taken = large.count(large.delete("large", digest)).await;
    rows.push(row(
        ("manifest DELETE, 20,000 tags, 1 points at it", Warm),
        (None, 80),
        taken,
        "a listing of 40,000 names; Distribution reads 20,000 tags",
    ));

    let site = Site::new(bench).await;
    site.seed_tags("a", 100, one).await;
    let tags = site.repository(Method::DELETE, "a").await.tags();
    let taken = site.count(async { tags.delete(&Tag::parse("v1.00050").unwrap()).await }).await;
    rows.push(row(("tag DELETE", Warm), (2, 2), taken, "which files it has, and away with them"));
}
