//! The namespace over a storage driver, and how it is put together.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use registry_core::{
    BlobDescriptors, BlobDescriptorsLayer, DescriptorCache, Digest, Error, GlobalBlobs, Namespace, Page,
    PageRequest, Repository, RepositoryName, RepositoryRemover, RequestContext, Result, Shape, StorageDriver,
};
use tracing::Instrument;

use crate::descriptors::LinkedDescriptors;
use crate::global::{ContentStore, DirectoryRemover};
use crate::locks::RepositoryLocks;
use crate::referrers::Scans;
use crate::remembered::{Arrival, Arrivals, ManifestCache};
use crate::repository::StorageRepository;
use crate::tickets::Tickets;

/// All repositories of a store.
#[derive(Debug, Clone)]
pub struct StorageNamespace {
    shared: Arc<Shared>,
}

/// What every service of every repository shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) driver: Arc<dyn StorageDriver>,
    pub(crate) content: ContentStore,
    pub(crate) layer: Option<Arc<dyn BlobDescriptorsLayer>>,
    pub(crate) deletes: bool,
    pub(crate) redirects: bool,
    pub(crate) read_only: bool,
    pub(crate) tag_concurrency: usize,
    pub(crate) scans: Scans,
    pub(crate) locks: RepositoryLocks,
    pub(crate) tickets: Tickets,
    pub(crate) arrivals: Arrivals,
}

impl Shared {
    /// Whether the store is a long row of names, and each call a round trip.
    pub(crate) fn flat(&self) -> bool {
        self.driver.shape() == Shape::Flat
    }

    /// Whether it is remembered from one request to the next which blobs a repository has: where asking is
    /// dear, and nobody else has a say in it.
    pub(crate) fn remembers_links(&self) -> bool {
        self.flat() && self.layer.is_none()
    }

    /// Remembers that a blob was put into a repository.
    pub(crate) async fn linked(&self, name: &RepositoryName, digest: &Digest, arrival: Arrival) {
        if self.remembers_links() {
            self.content.linked(name, digest, &arrival.content).await;
            self.arrivals.put(name, digest, arrival);
        }
    }

    /// Forgets that a blob or manifest is in a repository.
    pub(crate) async fn unlinked(&self, name: &RepositoryName, digest: &Digest) {
        self.arrivals.forget(name, digest);
        self.content.unlinked(name, digest).await;
    }

    /// # Errors
    /// [`Error::Unsupported`] unless deletes are switched on. Comes before every other check, so that
    /// the answer does not depend on what is there.
    pub(crate) fn check_deletes(&self) -> Result<()> {
        if self.deletes {
            Ok(())
        } else {
            Err(Error::unsupported("deleting (storage.delete.enabled is off)"))
        }
    }

    /// Which blobs a repository shows, by its links and by the layer around them.
    pub(crate) fn descriptors(
        self: &Arc<Self>,
        cx: &Arc<RequestContext>,
        name: &RepositoryName,
        content: ContentStore,
    ) -> Arc<dyn BlobDescriptors> {
        let linked = Arc::new(LinkedDescriptors::new(Arc::clone(self), content.clone(), name.clone()));
        match &self.layer {
            Some(layer) => {
                let content: Arc<dyn GlobalBlobs> = Arc::new(content);
                layer.wrap(cx, name, linked, &content)
            }
            None => linked,
        }
    }
}

/// Puts a [`StorageNamespace`] together.
#[derive(Debug)]
pub struct StorageNamespaceBuilder {
    driver: Arc<dyn StorageDriver>,
    cache: Option<Arc<dyn DescriptorCache>>,
    layer: Option<Arc<dyn BlobDescriptorsLayer>>,
    deletes: bool,
    redirects: bool,
    read_only: bool,
    tag_concurrency: usize,
    manifest_bytes: u64,
}

impl StorageNamespaceBuilder {
    /// Remembers in `cache` that content is stored; without this call nothing is remembered. For stores
    /// that are far away. It answers reads (a context whose method is GET or HEAD); what decides about a
    /// write is asked of the store.
    #[must_use]
    pub fn descriptor_cache(mut self, cache: Option<Arc<dyn DescriptorCache>>) -> Self {
        self.cache = cache;
        self
    }

    /// How many bytes of manifests are kept in memory, where the store is [flat](Shape::Flat); 16 MiB unless
    /// said otherwise, 0 for none. Whether a repository has a manifest is asked of the store all the same.
    #[must_use]
    pub fn manifest_cache(mut self, bytes: u64) -> Self {
        self.manifest_bytes = bytes;
        self
    }

    /// Decides with `layer` which blobs a repository shows.
    #[must_use]
    pub fn blob_descriptors_layer(mut self, layer: Option<Arc<dyn BlobDescriptorsLayer>>) -> Self {
        self.layer = layer;
        self
    }

    /// Whether blobs, manifests and tags can be deleted; they can unless said otherwise.
    #[must_use]
    pub fn deletes(mut self, enabled: bool) -> Self {
        self.deletes = enabled;
        self
    }

    /// Whether clients may be sent to the store for the bytes of blobs, where the driver offers it; they
    /// may unless said otherwise.
    #[must_use]
    pub fn redirects(mut self, enabled: bool) -> Self {
        self.redirects = enabled;
        self
    }

    /// Whether nothing is written that nobody asked for: what a scan for referrers finds stays in memory
    /// then. That clients write is prevented elsewhere.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// How many tags are looked at at once, for a list and when a manifest is deleted; at least one.
    #[must_use]
    pub fn tag_concurrency(mut self, limit: usize) -> Self {
        self.tag_concurrency = limit.max(1);
        self
    }

    /// The namespace. Asks the store nothing.
    pub fn build(self) -> StorageNamespace {
        let flat = self.driver.shape() == Shape::Flat;
        let manifests = ManifestCache::new(if flat { self.manifest_bytes } else { 0 });
        let shared = Shared {
            content: ContentStore::new(Arc::clone(&self.driver), self.cache, manifests),
            driver: self.driver,
            layer: self.layer,
            deletes: self.deletes,
            redirects: self.redirects,
            read_only: self.read_only,
            tag_concurrency: self.tag_concurrency,
            scans: Scans::default(),
            locks: RepositoryLocks::default(),
            tickets: Tickets::default(),
            arrivals: Arrivals::default(),
        };
        StorageNamespace { shared: Arc::new(shared) }
    }
}

/// Does `work` in a task of its own: a client that goes away neither cuts it in half nor lets go of what is locked
/// while the driver is still at it.
pub(crate) async fn to_its_end<T: Send + 'static>(
    what: &'static str,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let task = tokio::spawn(work.in_current_span());
    task.await.map_err(|error| Error::internal(what, error))?
}

impl StorageNamespace {
    /// Begins a namespace over `driver`.
    pub fn builder(driver: Arc<dyn StorageDriver>) -> StorageNamespaceBuilder {
        StorageNamespaceBuilder {
            driver,
            cache: None,
            layer: None,
            deletes: true,
            redirects: true,
            read_only: false,
            tag_concurrency: std::thread::available_parallelism().map_or(4, usize::from).max(8),
            manifest_bytes: ManifestCache::DEFAULT_BYTES,
        }
    }
}

#[async_trait]
impl Namespace for StorageNamespace {
    async fn repository(
        &self,
        cx: &Arc<RequestContext>,
        name: &RepositoryName,
    ) -> Result<Arc<dyn Repository>> {
        let reads = cx.method.as_ref().is_some_and(Method::is_safe);
        let content = if reads { self.shared.content.clone() } else { self.shared.content.deciding() };
        let descriptors = self.shared.descriptors(cx, name, content.clone());
        Ok(Arc::new(StorageRepository::new(Arc::clone(&self.shared), name.clone(), descriptors, content)))
    }

    async fn repositories(&self, _: &RequestContext, page: &PageRequest) -> Result<Page<RepositoryName>> {
        crate::catalog::list(self.shared.driver.as_ref(), page).await
    }

    fn blobs(&self) -> Arc<dyn GlobalBlobs> {
        Arc::new(self.shared.content.deciding())
    }

    fn remover(&self) -> Option<Arc<dyn RepositoryRemover>> {
        Some(Arc::new(DirectoryRemover::new(Arc::clone(&self.shared.driver))))
    }
}
