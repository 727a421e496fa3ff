//! Manifests where each call to the store is a round trip.
//!
//! The order of what is written and removed is argued in ARCHITECTURE.md, "Flat stores".

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use registry_core::{
    Batch, Digest, Error, ListRequest, Manifest, Page, RepositoryName, Result, StorageDriverExt, StoragePath,
    Tag,
};
use tokio::time::Instant;

use super::{Manifests, READ_LIMIT};
use crate::flat::PAGE;
use crate::namespace::{Shared, to_its_end};
use crate::tagged::history::{self, History};
use crate::{layout, link, tagged};

/// How long it takes at most until a tag follows its index, in a push that did not get stuck. Whoever deletes
/// a manifest waits until an index is that old, if its tag does not point there; and whoever pushes and took
/// nearly as long looks whether the manifest has been deleted meanwhile.
const SETTLED: Duration = Duration::from_secs(3);

/// A repository whose tags took at most so many calls to list is looked at a second time after a delete.
const SECOND_LOOK: usize = 8;

impl Manifests {
    /// The content that a revision of this repository leads to. What can be asked at once is.
    pub(super) async fn payload_at_once(&self, digest: &Digest) -> Result<Bytes> {
        let driver = self.shared.driver.as_ref();
        let cached = self.content.manifest(digest);
        if self.content.trusts() && self.followed.take(digest) {
            let found = match (&cached, layout::blob_data(digest)) {
                (Some(_), _) => cached.clone(),
                (None, Some(data)) => driver.get_if_present(&data, READ_LIMIT).await?,
                (None, None) => None,
            };
            if let Some(payload) = found {
                if cached.is_none() {
                    self.content.remember_manifest(digest, &payload);
                }
                return Ok(payload);
            }
        }
        let path = layout::revision_link(&self.name, digest).ok_or_else(|| self.unknown(digest))?;
        let data = layout::blob_data(digest).ok_or_else(|| self.unknown(digest))?;
        let payload = async {
            match cached {
                Some(payload) => Ok(Some(payload)),
                None => {
                    let payload = driver.get_if_present(&data, READ_LIMIT).await?;
                    if let Some(payload) = &payload {
                        self.content.remember_manifest(digest, payload);
                    }
                    Ok::<_, Error>(payload)
                }
            }
        };
        let (target, payload) = futures::join!(link::read(driver, &path), payload);
        let target = target?.ok_or_else(|| self.unknown(digest))?;
        let payload = if target == *digest {
            payload?
        } else {
            let data = layout::blob_data(&target).ok_or_else(|| self.unknown(digest))?;
            driver.get_if_present(&data, READ_LIMIT).await?
        };
        payload.ok_or_else(|| self.unknown(digest))
    }

    /// Publishes a manifest: everything that a tag leads to in one round, and then the tags. `batch` has the
    /// content, and what is known about it.
    pub(super) async fn publish(&self, manifest: &Manifest, batch: Batch, tags: &[Tag]) -> Result<()> {
        let (name, digest) = (&self.name, manifest.digest());
        let unsupported = || Error::DigestUnsupported { digest: digest.clone() };
        let data = layout::blob_data(digest).ok_or_else(unsupported)?;
        let revision = layout::revision_link(name, digest).ok_or_else(unsupported)?;
        let mut batch = batch;
        for tag in tags {
            let index = layout::tag_index(name, tag, digest).ok_or_else(unsupported)?;
            batch = batch.put(index, link::content(digest));
        }
        // The link after the indexes, although they are under way together: who deletes looks for those.
        let batch = batch.put(revision.clone(), link::content(digest));
        let put_tag = |batch: Batch, tag| batch.put(layout::tag_current(name, tag), link::content(digest));
        let batch = tags.iter().fold(batch.then(), put_tag);
        let (shared, name, payload) = (Arc::clone(&self.shared), name.clone(), manifest.payload().clone());
        let publish = async move {
            let _shared = shared.locks.share(&name).await;
            let begun = Instant::now();
            let published = shared.driver.apply(batch.clone()).await;
            if published.is_err() {
                mend(&shared, &data, &payload, revision).await;
            } else if begun.elapsed() > SETTLED / 2 && !shared.driver.exists(&revision).await? {
                shared.driver.apply(batch).await?;
            }
            Ok(published?)
        };
        to_its_end("publishing a manifest", publish).await?;
        self.content.remember_manifest(digest, manifest.payload());
        Ok(())
    }

    /// Removes a manifest whose link is `link`, and the tags that point at it.
    pub(super) async fn withdraw(&self, digest: &Digest, link: StoragePath) -> Result<()> {
        let (shared, name) = (&self.shared, &self.name);
        let _alone = shared.locks.alone(name).await;
        if !shared.driver.exists(&link).await? {
            return Err(self.unknown(digest));
        }
        let past = history::of(shared, name, digest).await?;
        let gone = self.pointing_now(digest, &past).await?;
        // Tags first, so that none is left leading to nothing; what says that they are to be looked at goes
        // after them, so that who asks again finds those that are left.
        let batch = self.untag(&past, &gone);
        let revision = [Some(link.clone()), layout::revision_media_type(name, digest)];
        let batch = revision.into_iter().flatten().fold(batch, Batch::remove);
        shared.driver.apply(batch).await?;
        shared.unlinked(name, digest).await;
        if past.calls <= SECOND_LOOK
            && let Err(error) = self.look_again(digest, &link).await
        {
            tracing::warn!(repository = %name, %digest, %error, "cannot see whether a deleted manifest is being tagged");
        }
        Ok(())
    }

    /// The tags that point at a manifest, or are about to.
    async fn pointing_now(&self, digest: &Digest, past: &History) -> Result<HashSet<Tag>> {
        let (shared, name) = (&self.shared, &self.name);
        let tags = past.tags.iter().map(|past| past.tag.clone()).collect();
        let mut gone: HashSet<Tag> =
            tagged::pointing(shared, name, digest, tags).await?.into_iter().collect();
        // Those that pointed here some time, or are going to as soon as the push has come so far.
        let others = past.tags.iter().map(|past| past.tag.clone()).filter(|tag| !gone.contains(tag));
        let others: Vec<Tag> = others.collect();
        let left = |tag: Tag| async move {
            let Some(index) = layout::tag_index(name, &tag, digest) else { return Ok(None) };
            let index = shared.driver.stat_if_present(&index).await?;
            // A time in the future is that of another clock.
            let age = index.map(|index| index.modified.elapsed().unwrap_or_default());
            Ok::<_, Error>(age.and_then(|age| SETTLED.checked_sub(age)).map(|left| (tag, left)))
        };
        let young: Vec<Option<(Tag, Duration)>> =
            stream::iter(others).map(left).buffered(shared.tag_concurrency).try_collect().await?;
        let (young, left): (Vec<Tag>, Vec<Duration>) = young.into_iter().flatten().unzip();
        let wait = left.into_iter().max().unwrap_or_default();
        if !young.is_empty() {
            tokio::time::sleep(wait).await;
            gone.extend(tagged::pointing(shared, name, digest, young).await?);
        }
        Ok(gone)
    }

    /// Removes tags that another process has set while their manifest was deleted: they count as set before
    /// it was. If the manifest has been published anew meanwhile, they are not touched.
    async fn look_again(&self, digest: &Digest, link: &StoragePath) -> Result<()> {
        let driver = &self.shared.driver;
        let past = history::of(&self.shared, &self.name, digest).await?;
        let gone = self.pointing_now(digest, &past).await?;
        if gone.is_empty() || driver.exists(link).await? {
            return Ok(());
        }
        Ok(driver.apply(self.untag(&past, &gone)).await?)
    }

    /// Removes the tags in `gone`, and in the stage after it all other files that they have; so too of a tag
    /// that has only such. More can be added to that stage.
    fn untag(&self, past: &History, gone: &HashSet<Tag>) -> Batch {
        let tags = gone.iter().map(|tag| layout::tag_current(&self.name, tag));
        let batch = tags.fold(Batch::new(), Batch::remove).then();
        past.tags.iter().fold(batch, |batch, past| {
            let current = layout::tag_current(&self.name, &past.tag);
            match &past.files {
                Some(files) if gone.contains(&past.tag) || !files.contains(&current) => {
                    files.iter().filter(|file| **file != current).cloned().fold(batch, Batch::remove)
                }
                None if gone.contains(&past.tag) => batch.delete(layout::tag_dir(&self.name, &past.tag)),
                _ => batch,
            }
        })
    }
}

/// Sees to it that the link of a manifest does not lead to nothing after a round that was done in part:
/// Distribution's collector gives up at such a link. The content is stored again, or else the link removed.
async fn mend(shared: &Shared, data: &StoragePath, payload: &Bytes, revision: StoragePath) {
    let driver = &shared.driver;
    if matches!(driver.exists(data).await, Ok(false)) && driver.put(data, payload.clone()).await.is_err() {
        let removed = driver.apply(Batch::new().remove(revision.clone())).await;
        if let Err(error) = removed {
            tracing::warn!(link = %revision, %error, "the link of a manifest that was not stored may be left");
        }
    }
}

/// A page of the manifests of a repository, out of one listing of their links.
pub(crate) async fn list(
    shared: &Shared,
    name: &RepositoryName,
    after: Option<&Digest>,
    limit: usize,
) -> Result<Page<Digest>> {
    let mut digests = Vec::new();
    let mut after = after.and_then(layout::revision_name);
    while limit > 0 && digests.len() <= limit {
        let request = ListRequest::recursive(PAGE).after(after.take());
        let found = shared.driver.list(&layout::all_revisions(name), &request).await?;
        digests.extend(found.entries.iter().filter_map(|entry| layout::parse_revision_name(&entry.name)));
        after = found.entries.into_iter().next_back().map(|entry| entry.name);
        if !found.more {
            break;
        }
    }
    Ok(Page::cut(digests, limit))
}
