//! The manifests of one repository.

pub(crate) mod flat;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use registry_core::{
    Algorithm, Batch, Descriptor, Digest, Error, ListRequest, Manifest, ManifestDocument, ManifestStore,
    MediaType, Page, PageRequest, PutManifest, Reference, ReferrerFilter, RepositoryName, Result,
    StorageDriverExt,
    manifest::{TypeInBytes, detect_media_type},
};

use crate::global::ContentStore;
use crate::namespace::{Shared, to_its_end};
use crate::referrers::Referrers;
use crate::remembered::Followed;
use crate::{layout, link, tagged};

/// What a manifest of Docker's first format is served as. The store holds it without signatures.
const DOCKER_SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+json";

/// The most bytes of a stored manifest that are read. Distribution refuses to serve larger ones, but an
/// older one may have stored them.
pub(crate) const READ_LIMIT: u64 = 4 * Manifest::MAX_LEN as u64;

/// The manifests that a repository links.
#[derive(Debug, Clone)]
pub(crate) struct Manifests {
    shared: Arc<Shared>,
    name: RepositoryName,
    content: ContentStore,
    followed: Arc<Followed>,
}

impl Manifests {
    pub(crate) fn new(
        shared: Arc<Shared>,
        name: RepositoryName,
        content: ContentStore,
        followed: Arc<Followed>,
    ) -> Self {
        Self { shared, name, content, followed }
    }

    fn unknown(&self, digest: &Digest) -> Error {
        Error::ManifestUnknown { repository: self.name.clone(), reference: Reference::Digest(digest.clone()) }
    }

    /// The content that a revision of this repository leads to.
    async fn payload(&self, digest: &Digest) -> Result<Bytes> {
        if self.shared.flat() {
            return self.payload_at_once(digest).await;
        }
        let path = layout::revision_link(&self.name, digest).ok_or_else(|| self.unknown(digest))?;
        let target = link::read(self.shared.driver.as_ref(), &path).await?;
        let target = target.ok_or_else(|| self.unknown(digest))?;
        let data = layout::blob_data(&target).ok_or_else(|| self.unknown(digest))?;
        let payload = self.shared.driver.get_if_present(&data, READ_LIMIT).await?;
        payload.ok_or_else(|| self.unknown(digest))
    }

    /// Removes a manifest, and the tags that point at it.
    async fn remove(&self, digest: &Digest) -> Result<()> {
        let dir = layout::revision_dir(&self.name, digest).ok_or_else(|| self.unknown(digest))?;
        let link = layout::revision_link(&self.name, digest).ok_or_else(|| self.unknown(digest))?;
        if self.shared.flat() {
            return self.withdraw(digest, link).await;
        }
        let _alone = self.shared.locks.alone(&self.name).await;
        if !self.shared.driver.exists(&link).await? {
            return Err(self.unknown(digest));
        }
        let tags = tagged::lookup(&self.shared, &self.name, digest).await?;
        // Tags first, so that none is left leading to nothing.
        let batch =
            tags.iter().fold(Batch::new(), |batch, tag| batch.delete(layout::tag_dir(&self.name, tag)));
        self.shared.driver.apply(batch.then().delete(dir)).await?;
        self.shared.content.unlinked(&self.name, digest).await;
        Ok(())
    }
}

/// The type of a stored manifest. What it says itself counts; where it says nothing, what it was pushed as,
/// if that was not what its form suggests.
pub(crate) async fn media_type(
    shared: &Shared,
    name: &RepositoryName,
    digest: &Digest,
    payload: &[u8],
) -> Result<MediaType> {
    let in_bytes = TypeInBytes::of(payload);
    if let TypeInBytes::Stated(media_type) = in_bytes {
        return Ok(media_type);
    }
    if let Some(path) = layout::revision_media_type(name, digest)
        && let Some(content) = link::small(shared.driver.as_ref(), &path, layout::LINK_LIMIT).await?
        && let Some(media_type) = std::str::from_utf8(&content).ok().and_then(|t| t.parse().ok())
    {
        return Ok(media_type);
    }
    match in_bytes.media_type() {
        Some(media_type) => Ok(media_type),
        None => Ok(MediaType::parse(DOCKER_SCHEMA_1)?),
    }
}

#[async_trait]
impl ManifestStore for Manifests {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        Ok(self.get(digest).await?.descriptor())
    }

    async fn get(&self, digest: &Digest) -> Result<Manifest> {
        let payload = self.payload(digest).await?;
        let media_type = media_type(&self.shared, &self.name, digest, &payload).await?;
        Ok(Manifest::from_stored(media_type, digest.clone(), payload))
    }

    async fn put(&self, manifest: &Manifest, options: PutManifest) -> Result<Descriptor> {
        let document = ManifestDocument::parse_checked(manifest)?;
        let (name, digest) = (&self.name, manifest.digest());
        let unsupported = || Error::DigestUnsupported { digest: digest.clone() };
        let data = layout::blob_data(digest).ok_or_else(unsupported)?;
        let revision = layout::revision_link(name, digest).ok_or_else(unsupported)?;
        // Content, then that it is in the repository, then tags: none ever leads to nothing.
        let mut batch = Batch::new().put(data, manifest.payload().clone());
        if document.media_type.is_empty()
            && let Some(path) = layout::revision_media_type(name, digest)
        {
            // The type of the last push counts, so that of an earlier one may have to go.
            let detected = detect_media_type(manifest.payload()).as_ref() == Some(manifest.media_type());
            batch = if detected && self.shared.flat() {
                batch.remove(path)
            } else if detected {
                batch.delete(path)
            } else {
                batch.put(path, Bytes::copy_from_slice(manifest.media_type().as_str().as_bytes()))
            };
        }
        if let Some(subject) = document.subject_digest()
            && let Some(path) = layout::referrer(name, &subject, digest)
        {
            let referrer = document.referrer_descriptor(manifest.descriptor());
            batch = batch.put(path, crate::referrers::encode(&referrer)?);
        }
        if self.shared.flat() {
            self.publish(manifest, batch, &options.tags).await?;
            return Ok(manifest.descriptor());
        }
        let this = self.clone();
        let (digest, content) = (digest.clone(), link::content(digest));
        to_its_end("publishing a manifest", async move {
            let Self { shared, name, .. } = this;
            let _shared = shared.locks.share(&name).await;
            let notes = tagged::notes(&shared, &name, &digest, &options.tags).await?;
            batch = batch.then().put(revision, content.clone());
            batch = notes.into_iter().fold(batch, |batch, note| batch.put(note, Bytes::new())).then();
            for tag in &options.tags {
                let unsupported = || Error::DigestUnsupported { digest: digest.clone() };
                let index = layout::tag_index(&name, tag, &digest).ok_or_else(unsupported)?;
                batch = batch.put(index, content.clone());
            }
            batch = batch.then();
            for tag in &options.tags {
                batch = batch.put(layout::tag_current(&name, tag), content.clone());
            }
            Ok(shared.driver.apply(batch).await?)
        })
        .await?;
        Ok(manifest.descriptor())
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        self.shared.check_deletes()?;
        let (this, digest) = (self.clone(), digest.clone());
        to_its_end("deleting a manifest", async move { this.remove(&digest).await }).await
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Digest>> {
        let after = page.after.as_deref().map(Digest::parse).transpose()?;
        if self.shared.flat() {
            return flat::list(&self.shared, &self.name, after.as_ref(), page.limit).await;
        }
        let mut digests = Vec::new();
        for algorithm in Algorithm::ALL {
            let mut after = match &after {
                Some(after) if algorithm.as_str() < after.algorithm_name() => continue,
                Some(after) if algorithm.as_str() == after.algorithm_name() => {
                    Some(after.encoded().to_owned())
                }
                _ => None,
            };
            let dir = layout::revisions(&self.name, algorithm);
            while digests.len() <= page.limit && page.limit > 0 {
                let request = ListRequest::children(page.limit + 1).after(after.take());
                let found = self.shared.driver.list(&dir, &request).await?;
                after = found.entries.last().map(|entry| entry.name.clone());
                for entry in found.entries {
                    let Ok(digest) = Digest::parse(&format!("{algorithm}:{}", entry.name)) else { continue };
                    // A deleted manifest leaves its directory in Distribution's stores.
                    if let Some(link) = layout::revision_link(&self.name, &digest)
                        && self.shared.driver.exists(&link).await?
                    {
                        digests.push(digest);
                    }
                }
                if !found.more {
                    break;
                }
            }
        }
        Ok(Page::cut(digests, page.limit))
    }

    async fn referrers(
        &self,
        subject: &Digest,
        filter: &ReferrerFilter,
        page: &PageRequest,
    ) -> Result<Page<Descriptor>> {
        Referrers::new(Arc::clone(&self.shared), self.name.clone()).list(subject, filter, page).await
    }
}
