//! Which blobs a repository shows, by its links.

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::{
    Batch, BlobDescriptors, Descriptor, Digest, Error, GlobalBlobs, RepositoryName, Result, StorageDriverExt,
};

use crate::global::ContentStore;
use crate::namespace::Shared;
use crate::{layout, link};

/// The blobs that are linked below `_layers`.
///
/// That a blob is linked here is asked of the store, so that a delete holds at once on every process over
/// it. The one exception are blobs that this process has put here itself, in a [flat store](Shared::flat),
/// while the manifest that refers to them is awaited (see [`Arrivals`](crate::remembered::Arrivals)).
#[derive(Debug)]
pub(crate) struct LinkedDescriptors {
    shared: Arc<Shared>,
    content: ContentStore,
    name: RepositoryName,
}

impl LinkedDescriptors {
    pub(crate) fn new(shared: Arc<Shared>, content: ContentStore, name: RepositoryName) -> Self {
        Self { shared, content, name }
    }

    fn unknown(&self, digest: &Digest) -> Error {
        Error::BlobUnknown { repository: self.name.clone(), digest: digest.clone() }
    }
}

#[async_trait]
impl BlobDescriptors for LinkedDescriptors {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        let path = layout::layer_link(&self.name, digest).ok_or_else(|| self.unknown(digest))?;
        let link = link::read(self.shared.driver.as_ref(), &path);
        if self.content.trusts() || !self.shared.flat() {
            // In turn: most who ask before a push ask for what is not here.
            let target = link.await?.ok_or_else(|| self.unknown(digest))?;
            return self.content.stat(&target).await?.ok_or_else(|| self.unknown(digest));
        }
        if self.shared.remembers_links()
            && let Some(arrival) = self.shared.arrivals.get(&self.name, digest)
        {
            return Ok(arrival.content);
        }
        let (target, content) = futures::join!(link, self.content.stat(digest));
        let target = target?.ok_or_else(|| self.unknown(digest))?;
        let content = if target == *digest { content? } else { self.content.stat(&target).await? };
        let content = content.ok_or_else(|| self.unknown(digest))?;
        self.shared.arrivals.put_source(&self.name, digest, &content);
        Ok(content)
    }

    async fn set(&self, digest: &Digest, descriptor: &Descriptor) -> Result<()> {
        let path = layout::layer_link(&self.name, digest).ok_or_else(|| self.unknown(digest))?;
        let batch = Batch::new().put(path, link::content(&descriptor.digest));
        Ok(self.shared.driver.apply(batch).await?)
    }

    async fn clear(&self, digest: &Digest) -> Result<()> {
        let path = layout::layer_link(&self.name, digest).ok_or_else(|| self.unknown(digest))?;
        if !self.shared.driver.exists(&path).await? {
            return Err(self.unknown(digest));
        }
        if self.shared.flat() {
            // Before, so that nothing is remembered should this be cut short; and after, because of who
            // asked in between.
            self.shared.unlinked(&self.name, digest).await;
            self.shared.driver.apply(Batch::new().remove(path)).await?;
        } else {
            self.shared.driver.delete(&path).await?;
        }
        self.shared.unlinked(&self.name, digest).await;
        Ok(())
    }
}
