//! Interception at the repository hook.

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::{
    Blob, BlobStore, BlobWriter, ComposedRepository, Descriptor, Digest, GetBlob, Manifest, ManifestStore,
    Page, PageRequest, PutManifest, ReferrerFilter, Repository, RepositoryMiddleware, RequestContext, Result,
    StartUpload, Tag, TagExpect, TagStore, UploadId, UploadStart, UploadStatus,
};

use super::uploads::Writer;
use super::{Interceptor, Operation, Running, Site, Target};

/// Shows an [`Interceptor`] every call of the blobs, uploads, manifests and tags of the repository below.
#[derive(Debug, Clone)]
pub struct InterceptRepository {
    interceptor: Arc<dyn Interceptor>,
}

impl InterceptRepository {
    /// Shows calls to this interceptor.
    pub fn new(interceptor: Arc<dyn Interceptor>) -> Self {
        Self { interceptor }
    }

    /// Puts this around a repository; cannot fail.
    pub fn around(&self, cx: &Arc<RequestContext>, inner: Arc<dyn Repository>) -> Arc<dyn Repository> {
        let site = Site::at(&self.interceptor, Some(Arc::clone(cx)), Some(inner.name().clone()));
        let blobs = Blobs { inner: inner.blobs(), site: site.clone() };
        let manifests = Manifests { inner: inner.manifests(), site: site.clone() };
        let tags = Tags { inner: inner.tags(), site };
        Arc::new(ComposedRepository::of(inner).with_blobs(blobs).with_manifests(manifests).with_tags(tags))
    }
}

#[async_trait]
impl RepositoryMiddleware for InterceptRepository {
    async fn wrap(
        &self,
        cx: &Arc<RequestContext>,
        inner: Arc<dyn Repository>,
    ) -> Result<Arc<dyn Repository>> {
        Ok(self.around(cx, inner))
    }
}

#[derive(Debug)]
struct Blobs {
    inner: Arc<dyn BlobStore>,
    site: Site,
}

impl Blobs {
    async fn enter(&self, operation: Operation, digest: &Digest) -> Result<Running> {
        self.site.enter(operation, Target::Digest(digest.clone())).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl BlobStore for Blobs {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        let call = self.enter(Operation::BlobStat, digest).await?;
        call.finish(self.inner.stat(digest).await)
    }

    async fn get(&self, digest: &Digest, options: GetBlob) -> Result<Blob> {
        let call = self.enter(Operation::BlobGet, digest).await?;
        match self.inner.get(digest, options).await {
            Ok(blob) => Ok(call.follow_blob(blob)),
            failed => call.finish(failed),
        }
    }

    async fn start(&self, options: StartUpload) -> Result<UploadStart> {
        let mounted = options.mount.as_ref().map(|source| source.descriptor.digest.clone());
        let target = mounted.map_or(Target::None, Target::Digest);
        let call = self.site.enter(Operation::UploadStart, target).await?;
        match self.inner.start(options).await {
            Ok(UploadStart::Session(inner)) => {
                Ok(UploadStart::Session(Box::new(Writer::new(inner, self.site.clone(), call))))
            }
            other => call.finish(other),
        }
    }

    async fn resume(&self, id: &UploadId, ticket: Option<&str>) -> Result<Box<dyn BlobWriter>> {
        let call = self.site.enter(Operation::UploadResume, Target::Upload(id.clone())).await?;
        match self.inner.resume(id, ticket).await {
            Ok(inner) => Ok(Box::new(Writer::new(inner, self.site.clone(), call))),
            failed => call.finish(failed),
        }
    }

    async fn status(&self, id: &UploadId, ticket: Option<&str>) -> Result<UploadStatus> {
        let call = self.site.enter(Operation::UploadStatus, Target::Upload(id.clone())).await?;
        call.finish(self.inner.status(id, ticket).await)
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        let call = self.enter(Operation::BlobDelete, digest).await?;
        call.finish(self.inner.delete(digest).await)
    }
}

#[derive(Debug)]
struct Manifests {
    inner: Arc<dyn ManifestStore>,
    site: Site,
}

impl Manifests {
    async fn enter(&self, operation: Operation, digest: &Digest) -> Result<Running> {
        self.site.enter(operation, Target::Digest(digest.clone())).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ManifestStore for Manifests {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        let call = self.enter(Operation::ManifestStat, digest).await?;
        call.finish(self.inner.stat(digest).await)
    }

    async fn get(&self, digest: &Digest) -> Result<Manifest> {
        let call = self.enter(Operation::ManifestGet, digest).await?;
        call.finish(self.inner.get(digest).await)
    }

    async fn put(&self, manifest: &Manifest, options: PutManifest) -> Result<Descriptor> {
        let call = self.enter(Operation::ManifestPut, manifest.digest()).await?;
        call.finish(self.inner.put(manifest, options).await)
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        let call = self.enter(Operation::ManifestDelete, digest).await?;
        call.finish(self.inner.delete(digest).await)
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Digest>> {
        let call = self.site.enter(Operation::ManifestList, Target::None).await?;
        call.finish(self.inner.list(page).await)
    }

    async fn referrers(
        &self,
        subject: &Digest,
        filter: &ReferrerFilter,
        page: &PageRequest,
    ) -> Result<Page<Descriptor>> {
        let call = self.enter(Operation::ManifestReferrers, subject).await?;
        call.finish(self.inner.referrers(subject, filter, page).await)
    }
}

#[derive(Debug)]
struct Tags {
    inner: Arc<dyn TagStore>,
    site: Site,
}

impl Tags {
    async fn enter(&self, operation: Operation, tag: &Tag) -> Result<Running> {
        self.site.enter(operation, Target::Tag(tag.clone())).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl TagStore for Tags {
    async fn get(&self, tag: &Tag) -> Result<Digest> {
        let call = self.enter(Operation::TagGet, tag).await?;
        call.finish(self.inner.get(tag).await)
    }

    async fn set(&self, tag: &Tag, target: &Descriptor, expect: TagExpect) -> Result<()> {
        let call = self.enter(Operation::TagSet, tag).await?;
        call.finish(self.inner.set(tag, target, expect).await)
    }

    async fn delete(&self, tag: &Tag) -> Result<()> {
        let call = self.enter(Operation::TagDelete, tag).await?;
        call.finish(self.inner.delete(tag).await)
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Tag>> {
        let call = self.site.enter(Operation::TagList, Target::None).await?;
        call.finish(self.inner.list(page).await)
    }

    async fn lookup(&self, target: &Digest) -> Result<Vec<Tag>> {
        let call = self.site.enter(Operation::TagLookup, Target::Digest(target.clone())).await?;
        call.finish(self.inner.lookup(target).await)
    }
}
