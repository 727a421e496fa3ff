//! A small registry in memory for the tests of this crate, over a driver that can be wrapped.

mod driver;
mod repository;

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use registry_core::{
    Algorithm, Blob, Descriptor, Digest, Error, GlobalBlobs, ListMode, Manifest, MediaType, Namespace, Page,
    PageRequest, Repository, RepositoryName, RepositoryRemover, RequestContext, Result, StorageDriver,
    StorageDriverExt, StoragePath, Tag,
};

pub(crate) use driver::Memory;
use repository::FakeRepository;

pub(crate) fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

pub(crate) fn digest(content: &[u8]) -> Digest {
    Algorithm::Sha256.digest(content)
}

pub(crate) fn cx(method: &'static str) -> Arc<RequestContext> {
    let mut cx = RequestContext::new("test");
    cx.method = method.parse().ok();
    Arc::new(cx)
}

pub(crate) fn manifest(media_type: &str, payload: &serde_json::Value) -> Manifest {
    Manifest::new(MediaType::parse(media_type).unwrap(), Algorithm::Sha256, payload.to_string())
}

/// An image whose configuration is `{}` and whose layers have this content.
pub(crate) fn image(layers: &[&[u8]]) -> Manifest {
    let layer = |content: &&[u8]| serde_json::json!({ "mediaType": "a/layer", "digest": digest(content) });
    let config = serde_json::json!({ "mediaType": "a/config", "digest": digest(b"{}"), "size": 2 });
    let layers: Vec<_> = layers.iter().map(layer).collect();
    let payload = serde_json::json!({ "schemaVersion": 2, "config": config, "layers": layers });
    manifest(MediaType::OCI_IMAGE, &payload)
}

fn path(text: String) -> StoragePath {
    StoragePath::try_from(text).unwrap()
}

fn content_path(digest: &Digest) -> StoragePath {
    path(format!("/_c/{}", digest.encoded()))
}

fn blob_path(name: &RepositoryName, digest: &Digest) -> StoragePath {
    path(format!("/{name}/_b/{}", digest.encoded()))
}

fn manifest_path(name: &RepositoryName, digest: &Digest) -> StoragePath {
    path(format!("/{name}/_m/{}", digest.encoded()))
}

fn tag_path(name: &RepositoryName, tag: &Tag) -> StoragePath {
    path(format!("/{name}/_t/{tag}"))
}

type Hook = Box<dyn FnOnce() + Send>;

/// What the repositories of a fake share.
pub(crate) struct Shared {
    driver: Arc<dyn StorageDriver>,
    after_put: Mutex<Option<Hook>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// A namespace over files in memory.
#[derive(Debug)]
pub(crate) struct Fake {
    memory: Arc<Memory>,
    shared: Arc<Shared>,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        Self::over(|driver| driver)
    }

    /// A fake whose driver is wrapped.
    pub(crate) fn over(wrap: impl FnOnce(Arc<dyn StorageDriver>) -> Arc<dyn StorageDriver>) -> Arc<Self> {
        let memory = Arc::new(Memory::default());
        let driver: Arc<dyn StorageDriver> = Arc::<Memory>::clone(&memory);
        let shared = Arc::new(Shared { driver: wrap(driver), after_put: Mutex::default() });
        Arc::new(Self { memory, shared })
    }

    pub(crate) async fn open(&self, repository: &str) -> Arc<dyn Repository> {
        self.repository(&cx("GET"), &name(repository)).await.unwrap()
    }

    pub(crate) fn add_blob(&self, repository: &str, content: &'static [u8]) -> Descriptor {
        let digest = digest(content);
        self.memory.insert(content_path(&digest), content.into());
        self.memory.insert(blob_path(&name(repository), &digest), "".into());
        Descriptor::blob(digest, content.len() as u64)
    }

    pub(crate) fn add_manifest(&self, repository: &str, manifest: &Manifest, tags: &[&str]) -> Descriptor {
        let path = manifest_path(&name(repository), manifest.digest());
        self.memory.insert(path, repository::encode(manifest));
        for tag in tags {
            self.force_tag(repository, tag, manifest.digest());
        }
        manifest.descriptor()
    }

    pub(crate) fn force_tag(&self, repository: &str, text: &str, target: &Digest) {
        self.memory.insert(tag_path(&name(repository), &tag(text)), target.to_string().into());
    }

    pub(crate) fn has_manifest(&self, repository: &str, digest: &Digest) -> bool {
        self.memory.has(&manifest_path(&name(repository), digest))
    }

    /// Does something right after the next manifest was stored.
    pub(crate) fn after_next_manifest_put(&self, hook: impl FnOnce() + Send + 'static) {
        *self.shared.after_put.lock().unwrap() = Some(Box::new(hook));
    }
}

#[async_trait]
impl Namespace for Fake {
    async fn repository(
        &self,
        _cx: &Arc<RequestContext>,
        name: &RepositoryName,
    ) -> Result<Arc<dyn Repository>> {
        Ok(Arc::new(FakeRepository::new(Arc::clone(&self.shared), name.clone())))
    }

    async fn repositories(&self, _cx: &RequestContext, page: &PageRequest) -> Result<Page<RepositoryName>> {
        let files = self.memory.list_all(&StoragePath::root(), ListMode::Recursive).await?;
        let mut names: Vec<RepositoryName> = files
            .iter()
            .filter_map(|file| file.name.split_once("/_m/"))
            .map(|(text, _)| name(text))
            .collect();
        names.sort_by(|a, b| a.components().cmp(b.components()));
        names.dedup();
        if let Some(after) = &page.after {
            names.retain(|name| name.components().gt(after.split('/')));
        }
        names.truncate(page.limit.saturating_add(1));
        Ok(Page::cut(names, page.limit))
    }

    fn blobs(&self) -> Arc<dyn GlobalBlobs> {
        Arc::new(Global(Arc::clone(&self.shared)))
    }

    fn remover(&self) -> Option<Arc<dyn RepositoryRemover>> {
        Some(Arc::new(Remover(Arc::clone(&self.shared))))
    }
}

#[derive(Debug)]
struct Global(Arc<Shared>);

#[async_trait]
impl GlobalBlobs for Global {
    async fn stat(&self, digest: &Digest) -> Result<Option<Descriptor>> {
        let found = self.0.driver.stat_if_present(&content_path(digest)).await?;
        Ok(found.map(|metadata| Descriptor::blob(digest.clone(), metadata.size)))
    }

    async fn get(&self, digest: &Digest) -> Result<Option<Blob>> {
        let content = self.0.driver.reader(&content_path(digest), None).await?;
        let descriptor = Descriptor::blob(digest.clone(), content.size);
        Ok(Some(Blob { descriptor, range: content.range, body: content.body.into() }))
    }

    async fn list(&self, _page: &PageRequest) -> Result<Page<Digest>> {
        Ok(Page::default())
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        Ok(self.0.driver.delete(&content_path(digest)).await?)
    }
}

#[derive(Debug)]
struct Remover(Arc<Shared>);

#[async_trait]
impl RepositoryRemover for Remover {
    async fn remove(&self, name: &RepositoryName) -> Result<()> {
        let dir = path(format!("/{name}"));
        if !self.0.driver.exists(&dir).await? {
            return Err(Error::NameUnknown { repository: name.clone() });
        }
        Ok(self.0.driver.delete(&dir).await?)
    }
}
