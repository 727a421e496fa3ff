//! Links and what they lead to.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use registry_core::{Batch, Digest, ManifestDocument, StoragePath};

use super::engine::{Engine, Trouble, small};
use super::repository::Repository;
use super::store::{Broken, Store, absent_as_none};
use super::tally::MigrationKind;
use crate::layout::{self, RepositoryFile};
use crate::manifests::READ_LIMIT;

/// How far the clock of a store may be off: S3 refuses requests whose clock is off by more.
const CLOCKS: Duration = Duration::from_secs(15 * 60);

/// How deep indexes of indexes are followed when they were pushed during the copy.
const DEEP: usize = 8;

/// A link as it was read.
pub(super) struct Link {
    pub(super) bytes: Bytes,
    pub(super) modified: SystemTime,
    /// Where it leads; `None` if it is torn, and counts as absent.
    pub(super) target: Option<Digest>,
}

/// Reads a link, or `None` if there is none.
pub(super) async fn link(store: &Store, path: &StoragePath) -> Result<Option<Link>, Broken> {
    let mut tried = 0;
    loop {
        tried += 1;
        match link_once(store, path).await {
            Err(broken) if matches!(broken.error, registry_core::StorageError::Unavailable { .. }) => {
                if !store.patience.again(tried, &store.counters).await {
                    return Err(broken);
                }
            }
            outcome => return outcome,
        }
    }
}

async fn link_once(store: &Store, path: &StoragePath) -> Result<Option<Link>, Broken> {
    let opened = store.driver.reader(path, None).await.map_err(|error| store.broken(error));
    let Some(content) = absent_as_none(opened)? else { return Ok(None) };
    let modified = content.modified;
    if content.size > layout::LINK_LIMIT {
        return Ok(Some(Link { bytes: Bytes::new(), modified, target: None }));
    }
    let pieces: Vec<Bytes> =
        content.body.into_stream().try_collect().await.map_err(|error| store.broken(error))?;
    let bytes: Bytes = pieces.concat().into();
    let target = std::str::from_utf8(&bytes).ok().and_then(|text| Digest::parse(text.trim()).ok());
    Ok(Some(Link { bytes, modified, target }))
}

impl Engine {
    fn left_out(&self, repository: &Repository<'_>, kind: MigrationKind, path: StoragePath) {
        tracing::debug!(%path, "a link leads to nothing and is left out");
        if repository.is_first(path) {
            self.counters.count(kind, |tally| tally.left_out += 1);
        }
    }

    /// Copies the link to a blob, with the blob if need be. Whether it is there then.
    pub(super) async fn layer(&self, repository: &Repository<'_>, digest: &Digest) -> Result<bool, Trouble> {
        let path = repository.file(&RepositoryFile::Layer(digest.clone()))?;
        let Some(link) = link(&self.source, &path).await? else { return Ok(false) };
        let there = match &link.target {
            Some(target) => self.ensure(target).await?,
            None => false,
        };
        if !there {
            self.left_out(repository, MigrationKind::Layer, path);
            return Ok(false);
        }
        let bytes = link.bytes.len() as u64;
        self.change(Batch::new().put(path.clone(), link.bytes)).await?;
        if repository.is_first(path) {
            self.counters.copied(MigrationKind::Layer, bytes);
        }
        Ok(true)
    }

    /// Makes sure that a manifest is in a repository of the destination.
    pub(super) async fn ensure_revision(
        &self,
        repository: &Repository<'_>,
        digest: &Digest,
        depth: usize,
    ) -> Result<bool, Trouble> {
        let path = repository.file(&RepositoryFile::Revision(digest.clone()))?;
        if self.destination.has(&path).await? {
            return Ok(true);
        }
        self.revision(repository, digest, Some(depth)).await
    }

    /// Copies the link to a manifest, with its content if need be. Where the walk over the repository may have
    /// passed the blobs that it is made of before they were pushed, those are copied first: that is so for links
    /// that are younger than the walk, and for those that others led to, at this `depth`.
    pub(super) fn revision<'a>(
        &'a self,
        repository: &'a Repository<'_>,
        digest: &'a Digest,
        depth: Option<usize>,
    ) -> BoxFuture<'a, Result<bool, Trouble>> {
        async move {
            let path = repository.file(&RepositoryFile::Revision(digest.clone()))?;
            let Some(link) = link(&self.source, &path).await? else { return Ok(false) };
            let target = match link.target {
                Some(target) if self.ensure(&target).await? => target,
                _ => {
                    self.left_out(repository, MigrationKind::Manifest, path);
                    return Ok(false);
                }
            };
            let mut batch = Batch::new();
            if depth.is_some() || link.modified + CLOCKS >= repository.began {
                self.references(repository, &target, depth.unwrap_or(0)).await?;
                let media_type = repository.file(&RepositoryFile::MediaType(digest.clone()))?;
                if depth.is_some()
                    && let Some(content) = small(&self.source, &media_type, layout::LINK_LIMIT).await?
                {
                    batch = batch.put(media_type, content).then();
                }
            }
            let bytes = link.bytes.len() as u64;
            self.change(batch.put(path.clone(), link.bytes)).await?;
            if repository.is_first(path) {
                self.counters.copied(MigrationKind::Manifest, bytes);
            }
            Ok(true)
        }
        .boxed()
    }

    /// Makes sure that what a manifest is made of is in the repository, as far as it is at the source.
    async fn references(
        &self,
        repository: &Repository<'_>,
        digest: &Digest,
        depth: usize,
    ) -> Result<(), Trouble> {
        let Some(data) = layout::blob_data(digest) else { return Ok(()) };
        let Ok(Some(payload)) = small(&self.source, &data, READ_LIMIT).await else { return Ok(()) };
        let Ok(document) = ManifestDocument::parse(&payload) else { return Ok(()) };
        for reference in document.blob_references() {
            let Ok(blob) = Digest::parse(&reference.digest) else { continue };
            let path = repository.file(&RepositoryFile::Layer(blob.clone()));
            let Ok(path) = path else { continue };
            if !self.destination.has(&path).await? {
                self.layer(repository, &blob).await?;
            }
        }
        for reference in document.manifest_references() {
            let Ok(child) = Digest::parse(&reference.digest) else { continue };
            if depth < DEEP && layout::blob_data(&child).is_some() {
                self.ensure_revision(repository, &child, depth + 1).await?;
            }
        }
        Ok(())
    }
}
