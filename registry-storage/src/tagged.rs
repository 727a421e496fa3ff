//! Which tags point at a manifest.
//!
//! Distribution's layout leads from a tag to its manifest and not back, so that deleting a manifest
//! means to read every tag of the repository. We leave notes beside the link of a manifest, empty files
//! that are named after the tags that were pointed at it. A note says that a tag *may* point there; the
//! tag itself is asked before that counts, so a note that is out of date does no harm.
//!
//! A missing note would: a tag would be left behind. So notes count only where every tag was noted. The
//! first push of a manifest begins its notes with a file called `tags` (or `tags.` and its first tag),
//! written after the link; later tags add theirs before they are set. Distribution notes nothing, but it
//! writes the link anew with every push of a manifest, and every tag it sets comes with one: a link
//! that is younger than the beginning of its notes has been in other hands, and all tags are read.
//!
//! A [flat](registry_core::Shape::Flat) store needs no notes: one listing shows what every tag ever pointed
//! at, and only the tags that it names are read (see [`history`]).

pub(crate) mod history;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use registry_core::{Batch, Digest, ListRequest, RepositoryName, Result, StorageDriverExt, StoragePath, Tag};

use crate::layout::TagNote;
use crate::namespace::Shared;
use crate::{layout, link};

/// How many names are listed at a time where all have to be.
const PAGE: usize = 1000;

/// The notes that have to be visible before `tags` are pointed at a manifest which is published with
/// them; empty files all. The repository is locked by the caller.
pub(crate) async fn notes(
    shared: &Shared,
    name: &RepositoryName,
    digest: &Digest,
    tags: &[Tag],
) -> Result<Vec<StoragePath>> {
    let Some(link) = layout::revision_link(name, digest) else { return Ok(Vec::new()) };
    let more = |tags: &[Tag]| -> Vec<StoragePath> {
        tags.iter().filter_map(|tag| layout::revision_tag(name, digest, tag)).collect()
    };
    if shared.driver.exists(&link).await? {
        return Ok(more(tags));
    }
    let mut notes = more(tags.get(1..).unwrap_or_default());
    notes.extend(layout::revision_first_tag(name, digest, tags.first()));
    Ok(notes)
}

/// Adds the note that `tag` may point at a manifest, which is in the repository.
pub(crate) fn note(
    shared: &Shared,
    batch: Batch,
    name: &RepositoryName,
    digest: &Digest,
    tag: &Tag,
) -> Batch {
    if shared.flat() {
        return batch;
    }
    match layout::revision_tag(name, digest, tag) {
        Some(note) => batch.put(note, Bytes::new()),
        None => batch,
    }
}

/// The tags that point at a manifest, in byte order.
pub(crate) async fn lookup(shared: &Shared, name: &RepositoryName, target: &Digest) -> Result<Vec<Tag>> {
    if shared.flat() {
        let past = history::of(shared, name, target).await?;
        return pointing(shared, name, target, past.tags.into_iter().map(|past| past.tag).collect()).await;
    }
    match noted(shared, name, target).await? {
        Some(tags) => pointing(shared, name, target, tags).await,
        None => {
            let mut found = Vec::new();
            let mut after = None;
            loop {
                let (tags, next) = candidates(shared, name, after, PAGE).await?;
                found.extend(pointing(shared, name, target, tags).await?);
                after = next;
                if after.is_none() {
                    return Ok(found);
                }
            }
        }
    }
}

/// The tags that are noted beside a manifest, if every tag that points at it is.
async fn noted(shared: &Shared, name: &RepositoryName, target: &Digest) -> Result<Option<Vec<Tag>>> {
    let (Some(dir), Some(link)) = (layout::revision_dir(name, target), layout::revision_link(name, target))
    else {
        return Ok(None);
    };
    let Some(link) = shared.driver.stat_if_present(&link).await? else { return Ok(None) };
    let mut complete = false;
    let mut tags = Vec::new();
    let mut after = None;
    loop {
        let page = shared.driver.list(&dir, &ListRequest::children(PAGE).after(after)).await?;
        after = page.entries.last().filter(|_| page.more).map(|entry| entry.name.clone());
        for entry in page.entries {
            match layout::parse_tag_note(&entry.name) {
                Some(TagNote::First(tag)) => {
                    if !complete && let Ok(path) = dir.join(&entry.name) {
                        let first = shared.driver.stat_if_present(&path).await?;
                        complete = first.is_some_and(|first| first.modified >= link.modified);
                    }
                    tags.extend(tag);
                }
                Some(TagNote::More(tag)) => tags.push(tag),
                None => {}
            }
        }
        if after.is_none() {
            break;
        }
    }
    tags.sort_unstable();
    tags.dedup();
    Ok(complete.then_some(tags))
}

/// Those of `tags` that point at a manifest now.
pub(crate) async fn pointing(
    shared: &Shared,
    name: &RepositoryName,
    target: &Digest,
    tags: Vec<Tag>,
) -> Result<Vec<Tag>> {
    stream::iter(tags)
        .map(|tag| async move {
            let current = link::read(shared.driver.as_ref(), &layout::tag_current(name, &tag)).await?;
            Ok((current.as_ref() == Some(target)).then_some(tag))
        })
        .buffered(shared.tag_concurrency)
        .try_filter_map(|tag| async { Ok(tag) })
        .try_collect()
        .await
}

/// Names of up to `limit` children after `after` that could be tags, and after which child to go on, if
/// there are more.
pub(crate) async fn candidates(
    shared: &Shared,
    name: &RepositoryName,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<Tag>, Option<String>)> {
    let request = ListRequest::children(limit).after(after);
    let found = shared.driver.list(&layout::tags(name), &request).await?;
    let next = found.entries.last().filter(|_| found.more).map(|entry| entry.name.clone());
    let tags = found.entries.into_iter().filter(|entry| entry.is_dir);
    Ok((tags.filter_map(|entry| Tag::try_from(entry.name).ok()).collect(), next))
}
