//! Needs: image and tags in one write; references checked by the wrapper itself; pull-through of
//! manifests.
//!
//! A manifest and all its tags are one call of [`PutManifest`], so they can be one call of the API: either
//! the image is there under its tags or nothing is.

use std::sync::Arc;

use async_trait::async_trait;
use registry::core::{
    BlobStore, CacheScope, Descriptor, DescriptorCache, Digest, Error, Manifest, ManifestDocument,
    ManifestStore, Page, PageRequest, PutManifest, Reference, ReferrerFilter, Result,
};

use crate::api::{ApiError, Image};
use crate::errors::refused;
use crate::repository::Scope;

#[derive(Debug)]
pub(crate) struct Manifests {
    scope: Scope,
    blobs: Arc<dyn BlobStore>,
}

impl Manifests {
    pub(crate) fn new(scope: Scope, blobs: Arc<dyn BlobStore>) -> Self {
        Self { scope, blobs }
    }

    fn unknown(&self, digest: &Digest) -> Error {
        self.scope.manifest_unknown(Reference::Digest(digest.clone()))
    }

    async fn find(&self, digest: &Digest) -> Result<Option<Image>> {
        let Scope { client, name, .. } = &self.scope;
        match client.api.get_image(&client.user, name, digest).await {
            Ok(image) => Ok(Some(image)),
            Err(ApiError::NotFound) => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    /// Refuses a manifest of which something is missing. Blobs are looked for where clients look for
    /// them, so what metadata shows and what is upstream counts.
    async fn check_references(&self, manifest: &Manifest) -> Result<()> {
        let document = ManifestDocument::parse_checked(manifest)?;
        let mut missing = Vec::new();
        for blob in document.blob_references() {
            match self.blobs.stat(&Digest::parse(&blob.digest)?).await {
                Ok(_) => {}
                Err(Error::BlobUnknown { .. }) => missing.push(blob.digest.clone()),
                Err(error) => return Err(error),
            }
        }
        for child in document.manifest_references() {
            if self.find(&Digest::parse(&child.digest)?).await?.is_none() {
                missing.push(child.digest.clone());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.into_iter().map(|digest| Error::ManifestBlobUnknown { digest });
        Err(Error::Many(missing.collect()))
    }

    /// A manifest from upstream. It becomes an image of the stream in the background.
    async fn pull(&self, digest: &Digest) -> Result<Option<Manifest>> {
        let Some(repository) = self.scope.upstream().await? else { return Ok(None) };
        let Some(algorithm) = digest.algorithm() else { return Ok(None) };
        let found = self.scope.app.upstream.manifest(&repository, digest).await?;
        let Some((media_type, payload)) = found else { return Ok(None) };
        let manifest = Manifest::new(media_type, algorithm, payload);
        if manifest.digest() != digest {
            let actual = Some(manifest.digest().clone());
            return Err(Error::DigestMismatch { expected: digest.clone(), actual });
        }
        let image = Image::new(manifest.clone())?;
        // Reading needs no right to write, so this is done as the registry itself.
        let (client, name) = (self.scope.app.system(), self.scope.name.clone());
        self.scope.app.spawn(async move {
            // If it fails, the next request comes by here again.
            drop(client.api.put_image(&client.user, &name, image, &[]).await);
        });
        Ok(Some(manifest))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ManifestStore for Manifests {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        Ok(self.get(digest).await?.descriptor())
    }

    async fn get(&self, digest: &Digest) -> Result<Manifest> {
        self.scope.check_quarantine().await?;
        if let Some(image) = self.find(digest).await? {
            return Ok(image.manifest);
        }
        self.pull(digest).await?.ok_or_else(|| self.unknown(digest))
    }

    async fn put(&self, manifest: &Manifest, options: PutManifest) -> Result<Descriptor> {
        self.check_references(manifest).await?;
        let Scope { client, name, .. } = &self.scope;
        let image = Image::new(manifest.clone())?;
        client.api.put_image(&client.user, name, image, &options.tags).await.map_err(refused)?;
        Ok(manifest.descriptor())
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        let Scope { app, client, name } = &self.scope;
        let image = self.find(digest).await?.ok_or_else(|| self.unknown(digest))?;
        match client.api.delete_image(&client.user, name, digest).await {
            Ok(()) => {}
            Err(ApiError::NotFound) => return Err(self.unknown(digest)),
            Err(error) => return Err(refused(error)),
        }
        for blob in &image.blobs {
            app.cache.remove(CacheScope::Repository(name), blob).await;
        }
        Ok(())
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Digest>> {
        let images = self.scope.images().await?.into_iter();
        let digests = images.map(|image| image.manifest.digest().clone());
        let after =
            digests.skip_while(|digest| page.after.as_deref().is_some_and(|after| digest.as_str() <= after));
        Ok(Page::cut(after.take(page.limit.saturating_add(1)).collect(), page.limit))
    }

    async fn referrers(
        &self,
        subject: &Digest,
        filter: &ReferrerFilter,
        page: &PageRequest,
    ) -> Result<Page<Descriptor>> {
        let mut referrers = Vec::new();
        for image in self.scope.images().await? {
            let document = ManifestDocument::parse(image.manifest.payload())?;
            let later = page.after.as_deref().is_none_or(|after| image.manifest.digest().as_str() > after);
            if document.subject_digest().as_ref() == Some(subject) && later {
                referrers.push(document.referrer_descriptor(image.manifest.descriptor()));
            }
        }
        referrers.retain(|referrer| filter.matches(referrer));
        Ok(Page::cut(referrers, page.limit))
    }
}
