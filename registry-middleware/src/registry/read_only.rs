//! A registry that cannot be written to.

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::{
    Blob, BlobStore, BlobWriter, BuildError, ComposedRepository, Descriptor, Digest, Error, GetBlob,
    GlobalBlobs, Manifest, ManifestStore, Namespace, Page, PageRequest, PutManifest, ReferrerFilter,
    RegistryMiddleware, Repository, RepositoryMiddleware, RepositoryName, RepositoryRemover, RequestContext,
    Result, StartUpload, StorageDriver, Tag, TagExpect, TagStore, UploadId, UploadStart, UploadStatus,
};

/// Refuses everything that writes with [`Error::Unsupported`] and lets reading pass.
///
/// As a [`RepositoryMiddleware`] it covers blobs, uploads, manifests and tags of each repository; as a
/// [`RegistryMiddleware`] that, deleting content across repositories, and removing repositories, an
/// ability the namespace then does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadOnly;

impl ReadOnly {
    /// Puts this around a repository; cannot fail.
    pub fn around(&self, inner: Arc<dyn Repository>) -> Arc<dyn Repository> {
        let (blobs, manifests, tags) =
            (Blobs(inner.blobs()), Manifests(inner.manifests()), Tags(inner.tags()));
        Arc::new(ComposedRepository::of(inner).with_blobs(blobs).with_manifests(manifests).with_tags(tags))
    }

    /// Puts this around a namespace; cannot fail.
    pub fn around_namespace(&self, inner: Arc<dyn Namespace>) -> Arc<dyn Namespace> {
        Arc::new(ReadOnlyNamespace(inner))
    }
}

#[async_trait]
impl RepositoryMiddleware for ReadOnly {
    async fn wrap(
        &self,
        _cx: &Arc<RequestContext>,
        inner: Arc<dyn Repository>,
    ) -> Result<Arc<dyn Repository>> {
        Ok(self.around(inner))
    }
}

#[async_trait]
impl RegistryMiddleware for ReadOnly {
    async fn wrap(
        &self,
        inner: Arc<dyn Namespace>,
        _driver: &Arc<dyn StorageDriver>,
    ) -> Result<Arc<dyn Namespace>, BuildError> {
        Ok(self.around_namespace(inner))
    }
}

fn refused<T>(operation: &'static str) -> Result<T> {
    Err(Error::unsupported(format!("{operation} in a read-only registry")))
}

#[derive(Debug)]
struct ReadOnlyNamespace(Arc<dyn Namespace>);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Namespace for ReadOnlyNamespace {
    async fn repository(
        &self,
        cx: &Arc<RequestContext>,
        name: &RepositoryName,
    ) -> Result<Arc<dyn Repository>> {
        Ok(ReadOnly.around(self.0.repository(cx, name).await?))
    }

    async fn repositories(&self, cx: &RequestContext, page: &PageRequest) -> Result<Page<RepositoryName>> {
        self.0.repositories(cx, page).await
    }

    fn blobs(&self) -> Arc<dyn GlobalBlobs> {
        Arc::new(Global(self.0.blobs()))
    }

    fn remover(&self) -> Option<Arc<dyn RepositoryRemover>> {
        None
    }
}

#[derive(Debug)]
struct Global(Arc<dyn GlobalBlobs>);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl GlobalBlobs for Global {
    async fn stat(&self, digest: &Digest) -> Result<Option<Descriptor>> {
        self.0.stat(digest).await
    }

    async fn get(&self, digest: &Digest) -> Result<Option<Blob>> {
        self.0.get(digest).await
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Digest>> {
        self.0.list(page).await
    }

    async fn delete(&self, _digest: &Digest) -> Result<()> {
        refused("deleting content")
    }
}

#[derive(Debug)]
struct Blobs(Arc<dyn BlobStore>);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl BlobStore for Blobs {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        self.0.stat(digest).await
    }

    async fn get(&self, digest: &Digest, options: GetBlob) -> Result<Blob> {
        self.0.get(digest, options).await
    }

    async fn start(&self, _options: StartUpload) -> Result<UploadStart> {
        refused("uploading")
    }

    async fn resume(&self, _id: &UploadId, _ticket: Option<&str>) -> Result<Box<dyn BlobWriter>> {
        refused("uploading")
    }

    async fn status(&self, id: &UploadId, ticket: Option<&str>) -> Result<UploadStatus> {
        self.0.status(id, ticket).await
    }

    async fn delete(&self, _digest: &Digest) -> Result<()> {
        refused("deleting a blob")
    }
}

#[derive(Debug)]
struct Manifests(Arc<dyn ManifestStore>);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ManifestStore for Manifests {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        self.0.stat(digest).await
    }

    async fn get(&self, digest: &Digest) -> Result<Manifest> {
        self.0.get(digest).await
    }

    async fn put(&self, _manifest: &Manifest, _options: PutManifest) -> Result<Descriptor> {
        refused("pushing a manifest")
    }

    async fn delete(&self, _digest: &Digest) -> Result<()> {
        refused("deleting a manifest")
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Digest>> {
        self.0.list(page).await
    }

    async fn referrers(
        &self,
        subject: &Digest,
        filter: &ReferrerFilter,
        page: &PageRequest,
    ) -> Result<Page<Descriptor>> {
        self.0.referrers(subject, filter, page).await
    }
}

#[derive(Debug)]
struct Tags(Arc<dyn TagStore>);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl TagStore for Tags {
    async fn get(&self, tag: &Tag) -> Result<Digest> {
        self.0.get(tag).await
    }

    async fn set(&self, _tag: &Tag, _target: &Descriptor, _expect: TagExpect) -> Result<()> {
        refused("tagging")
    }

    async fn delete(&self, _tag: &Tag) -> Result<()> {
        refused("deleting a tag")
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Tag>> {
        self.0.list(page).await
    }

    async fn lookup(&self, target: &Digest) -> Result<Vec<Tag>> {
        self.0.lookup(target).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fake, cx, digest, image, name, tag};

    fn unsupported<T>(result: Result<T>) {
        assert!(matches!(result, Err(Error::Unsupported { .. })));
    }

    #[tokio::test]
    async fn reading_works_and_every_write_is_refused() {
        let fake = Fake::new();
        fake.add_blob("a", b"x");
        let stored = fake.add_manifest("a", &image(&[]), &["v1"]);
        let namespace = ReadOnly.around_namespace(fake);
        let repository = namespace.repository(&cx("GET"), &name("a")).await.unwrap();
        let (blobs, manifests, tags) = (repository.blobs(), repository.manifests(), repository.tags());

        assert_eq!(blobs.stat(&digest(b"x")).await.unwrap().size, 1);
        assert!(blobs.get(&digest(b"x"), GetBlob::default()).await.is_ok());
        assert!(manifests.get(&stored.digest).await.is_ok());
        assert_eq!(tags.get(&tag("v1")).await.unwrap(), stored.digest);
        assert_eq!(tags.list(&PageRequest::first(9)).await.unwrap().items, [tag("v1")]);

        unsupported(blobs.start(StartUpload::default()).await);
        unsupported(blobs.resume(&UploadId::parse("1").unwrap(), None).await);
        unsupported(blobs.delete(&digest(b"x")).await);
        unsupported(manifests.put(&image(&[]), PutManifest::default()).await);
        unsupported(manifests.delete(&stored.digest).await);
        unsupported(tags.set(&tag("v2"), &stored, TagExpect::Any).await);
        unsupported(tags.delete(&tag("v1")).await);
        unsupported(namespace.blobs().delete(&digest(b"x")).await);
        assert!(namespace.remover().is_none());
        assert!(namespace.blobs().stat(&digest(b"x")).await.unwrap().is_some());
    }
}
