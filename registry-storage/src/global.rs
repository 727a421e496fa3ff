//! Content by digest alone, and the removal of repositories.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use registry_core::{
    Batch, Blob, ByteRange, CacheScope, Descriptor, DescriptorCache, Digest, Error, GlobalBlobs, ListRequest,
    Page, PageRequest, RepositoryName, RepositoryRemover, Result, Shape, StorageDriver, StorageDriverExt,
    StorageError,
};

use crate::layout;
use crate::remembered::ManifestCache;
use crate::replaced::same_bytes;

/// The content of all repositories, with what is remembered about it.
///
/// What is remembered may be wrong for a while: content was removed by a program that does not know of the
/// cache, or while the cache could not be reached. So it only answers reads, whose bytes come from the store
/// anyway. Whatever decides about a write asks the store: see [`deciding`](Self::deciding).
#[derive(Debug, Clone)]
pub(crate) struct ContentStore {
    driver: Arc<dyn StorageDriver>,
    cache: Option<Arc<dyn DescriptorCache>>,
    manifests: ManifestCache,
    /// Whether what is remembered is taken for an answer.
    trusting: bool,
}

impl ContentStore {
    pub(crate) fn new(
        driver: Arc<dyn StorageDriver>,
        cache: Option<Arc<dyn DescriptorCache>>,
        manifests: ManifestCache,
    ) -> Self {
        Self { driver, cache, manifests, trusting: true }
    }

    /// Whether what is remembered is taken for an answer.
    pub(crate) fn trusts(&self) -> bool {
        self.trusting
    }

    /// The bytes of a manifest, if they are remembered.
    pub(crate) fn manifest(&self, digest: &Digest) -> Option<Bytes> {
        if self.trusting { self.manifests.get(digest) } else { None }
    }

    /// Remembers the bytes of a manifest.
    pub(crate) fn remember_manifest(&self, digest: &Digest, payload: &Bytes) {
        self.manifests.put(digest, payload);
    }

    /// Remembers that a repository shows a blob, for reads.
    pub(crate) async fn linked(&self, repository: &RepositoryName, digest: &Digest, content: &Descriptor) {
        if let Some(cache) = &self.cache {
            cache.put(CacheScope::Repository(repository), digest, content).await;
        }
    }

    /// The content of a blob that a repository was seen to show a while ago.
    pub(crate) async fn seen(&self, repository: &RepositoryName, digest: &Digest) -> Option<Descriptor> {
        match &self.cache {
            Some(cache) if self.trusting => cache.get(CacheScope::Repository(repository), digest).await,
            _ => None,
        }
    }

    /// The same content, asked of the store each time.
    pub(crate) fn deciding(&self) -> Self {
        Self { trusting: false, ..self.clone() }
    }

    /// Part of some content, opened; `None` if it is not there.
    pub(crate) async fn open(&self, digest: &Digest, range: Option<ByteRange>) -> Result<Option<Blob>> {
        let Some(path) = layout::blob_data(digest) else { return Ok(None) };
        match self.driver.reader(&path, range).await {
            Ok(content) => Ok(Some(Blob {
                descriptor: Descriptor::blob(digest.clone(), content.size),
                range: content.range.clone(),
                body: same_bytes(&self.driver, path, content).into(),
            })),
            Err(StorageError::InvalidRange { len, .. }) => Err(Error::RangeNotSatisfiable { len }),
            Err(error) if error.is_not_found() => {
                self.forget(digest).await;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Remembers content that is stored.
    pub(crate) async fn remember(&self, descriptor: &Descriptor) {
        if let Some(cache) = &self.cache {
            cache.put(CacheScope::Content, &descriptor.digest, descriptor).await;
        }
    }

    /// Tells the cache that a repository shows a blob or manifest no more.
    pub(crate) async fn unlinked(&self, repository: &RepositoryName, digest: &Digest) {
        if let Some(cache) = &self.cache {
            cache.remove(CacheScope::Repository(repository), digest).await;
        }
    }

    /// Forgets content that is not there, if it is remembered. What is not remembered is left alone, because
    /// something that was just forgotten may be slow to be remembered again.
    async fn forget_if_remembered(&self, digest: &Digest) {
        if let Some(cache) = &self.cache
            && cache.get(CacheScope::Content, digest).await.is_some()
        {
            cache.remove(CacheScope::Content, digest).await;
        }
    }

    /// Forgets content that turned out not to be there.
    pub(crate) async fn forget(&self, digest: &Digest) {
        self.manifests.forget(digest);
        if let Some(cache) = &self.cache {
            cache.remove(CacheScope::Content, digest).await;
        }
    }
}

#[async_trait]
impl GlobalBlobs for ContentStore {
    async fn stat(&self, digest: &Digest) -> Result<Option<Descriptor>> {
        if self.trusting
            && let Some(cache) = &self.cache
            && let Some(descriptor) = cache.get(CacheScope::Content, digest).await
        {
            return Ok(Some(descriptor));
        }
        let Some(path) = layout::blob_data(digest) else { return Ok(None) };
        let found = self.driver.stat_if_present(&path).await?;
        // A directory in the place of content is none, as it is to Distribution.
        let Some(found) = found.filter(|found| !found.is_dir) else {
            if !self.trusting {
                self.forget_if_remembered(digest).await;
            }
            return Ok(None);
        };
        let descriptor = Descriptor::blob(digest.clone(), found.size);
        if self.trusting {
            self.remember(&descriptor).await;
        }
        Ok(Some(descriptor))
    }

    async fn get(&self, digest: &Digest) -> Result<Option<Blob>> {
        self.open(digest, None).await
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Digest>> {
        let mut after = match &page.after {
            Some(after) => layout::blob_data_name(&Digest::parse(after)?),
            None => None,
        };
        let mut digests = Vec::new();
        while page.limit > 0 && digests.len() <= page.limit {
            let request = ListRequest::recursive(page.limit + 1).after(after.take());
            let found = self.driver.list(&layout::blobs(), &request).await?;
            digests.extend(found.entries.iter().filter_map(|entry| layout::parse_blob_data(&entry.name)));
            after = found.entries.into_iter().next_back().map(|entry| entry.name);
            if !found.more {
                break;
            }
        }
        Ok(Page::cut(digests, page.limit))
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        // Before, so that a process that dies in between leaves nothing remembered that is gone; and after,
        // because who asked the store in between may have remembered what it said.
        self.forget(digest).await;
        match self.driver.shape() {
            Shape::Tree => {
                if let Some(dir) = layout::blob_dir(digest) {
                    self.driver.delete(&dir).await?;
                }
            }
            Shape::Flat => {
                if let Some(data) = layout::blob_data(digest) {
                    self.driver.apply(Batch::new().remove(data)).await?;
                }
            }
        }
        self.forget(digest).await;
        Ok(())
    }
}

/// Removes what makes a directory a repository, and not the repositories below it.
#[derive(Debug)]
pub(crate) struct DirectoryRemover {
    driver: Arc<dyn StorageDriver>,
}

impl DirectoryRemover {
    pub(crate) fn new(driver: Arc<dyn StorageDriver>) -> Self {
        Self { driver }
    }
}

#[async_trait]
impl RepositoryRemover for DirectoryRemover {
    async fn remove(&self, name: &RepositoryName) -> Result<()> {
        let parts =
            [layout::manifests(name), layout::referrers(name), layout::layers(name), layout::uploads(name)];
        let mut known = false;
        for part in &parts {
            known |= self.driver.exists(part).await?;
        }
        if !known {
            return Err(Error::NameUnknown { repository: name.clone() });
        }
        // Manifests first: without them nothing refers to what goes after.
        let batch = parts.into_iter().fold(Batch::new(), |batch, part| batch.delete(part).then());
        Ok(self.driver.apply(batch).await?)
    }
}
