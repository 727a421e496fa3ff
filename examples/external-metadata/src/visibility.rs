//! Need: a blob is readable because metadata refers to it, though it is not linked.
//!
//! Storage asks this layer whether a repository shows a blob. It does if storage has linked it, or if an
//! image of the stream is made of it and its content is stored, in whichever repository it arrived.

use std::sync::Arc;

use async_trait::async_trait;
use registry::core::{
    BlobDescriptors, BlobDescriptorsLayer, CacheScope, Descriptor, DescriptorCache, Digest, Error,
    GlobalBlobs, RepositoryName, RequestContext, Result,
};

use crate::app::Hooks;
use crate::repository::Scope;

impl BlobDescriptorsLayer for Hooks {
    fn wrap(
        &self,
        cx: &Arc<RequestContext>,
        name: &RepositoryName,
        inner: Arc<dyn BlobDescriptors>,
        content: &Arc<dyn GlobalBlobs>,
    ) -> Arc<dyn BlobDescriptors> {
        Arc::new(Visible { scope: Scope::new(&self.0, cx, name), inner, content: Arc::clone(content) })
    }
}

#[derive(Debug)]
struct Visible {
    scope: Scope,
    inner: Arc<dyn BlobDescriptors>,
    content: Arc<dyn GlobalBlobs>,
}

impl Visible {
    /// The stored content of a blob that some image of the stream is made of.
    async fn referred(&self, digest: &Digest) -> Result<Option<Descriptor>> {
        let cache = &self.scope.app.cache;
        let scope = CacheScope::Repository(&self.scope.name);
        if let Some(known) = cache.get(scope, digest).await {
            return Ok(Some(known));
        }
        if !self.scope.images().await?.iter().any(|image| image.blobs.contains(digest)) {
            return Ok(None);
        }
        let found = self.content.stat(digest).await?;
        if let Some(descriptor) = &found {
            cache.put(scope, digest, descriptor).await;
        }
        Ok(found)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl BlobDescriptors for Visible {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        match self.inner.stat(digest).await {
            Err(Error::BlobUnknown { repository, digest }) => {
                let found = self.referred(&digest).await?;
                found.ok_or(Error::BlobUnknown { repository, digest })
            }
            answer => answer,
        }
    }

    async fn set(&self, digest: &Digest, descriptor: &Descriptor) -> Result<()> {
        self.inner.set(digest, descriptor).await
    }

    async fn clear(&self, digest: &Digest) -> Result<()> {
        self.inner.clear(digest).await
    }
}
