//! Copying tags, and the notes beside manifests of which tags may point at them.

use futures::{Stream, StreamExt, future, stream};
use registry_core::{Batch, Digest, Tag};

use super::engine::{Engine, Trouble};
use super::links::link;
use super::merge::{self, At};
use super::repository::Repository;
use super::store::Broken;
use super::tally::MigrationKind;
use crate::layout::{self, RepositoryFile, TagNote};

/// As many files of one tag are looked at together; one that has moved more often comes in parts.
const TOGETHER: usize = 1000;

/// Files that are named alike up to the nth slash.
type Group = Vec<(String, At)>;

/// Gathers files that follow each other and are named alike up to the nth slash, no more than `most`.
fn grouped<S>(files: S, nth: usize, most: usize) -> impl Stream<Item = Result<Group, Broken>> + Send
where
    S: Stream<Item = Result<(String, At), Broken>> + Send,
{
    let head = move |name: &str| name.match_indices('/').nth(nth).map_or(name.len(), |(at, _)| at);
    stream::unfold(Box::pin(files.peekable()), move |mut files| async move {
        let first = match files.next().await? {
            Ok(first) => first,
            Err(broken) => return Some((Err(broken), files)),
        };
        let shared = first.0[..head(&first.0)].to_owned();
        let mut group = vec![first];
        while group.len() < most
            && let Some(Ok(next)) = files
                .as_mut()
                .next_if(|next| next.as_ref().is_ok_and(|(name, _)| name[..head(name)] == shared))
                .await
        {
            group.push(next);
        }
        Some((Ok(group), files))
    })
}

impl Engine {
    /// Copies the tags of a repository.
    pub(super) async fn tags(&self, repository: &Repository<'_>, at: At) {
        let Ok(dir) = repository.dir.join(layout::TAGS) else { return };
        grouped(merge::files(&self.source, &self.destination, &dir, at), 0, TOGETHER)
            .take_while(|_| future::ready(!self.counters.has_ended()))
            .for_each_concurrent(self.jobs, |group| async {
                let _permit = self.permits.acquire().await;
                let (path, outcome) = match group {
                    Ok(group) => {
                        let tag = group.first().and_then(|(name, _)| name.split('/').next());
                        (
                            format!("{dir}/{}", tag.unwrap_or_default()),
                            self.tag_files(repository, &group).await,
                        )
                    }
                    Err(broken) => (dir.as_str().to_owned(), Err(broken.into())),
                };
                if let Err(trouble) = outcome {
                    self.failed(path, trouble);
                }
            })
            .await;
    }

    /// Copies what there is of one tag: first what it points at, then what it pointed at.
    async fn tag_files(&self, repository: &Repository<'_>, group: &Group) -> Result<(), Trouble> {
        let mut there = None;
        let mut older = Vec::new();
        for (name, at) in group {
            let name = format!("{}/{name}", layout::TAGS);
            match RepositoryFile::parse(&name) {
                Some(RepositoryFile::TagCurrent(tag)) if at.source => {
                    there = Some(self.tag(repository, &tag, *at).await?);
                }
                Some(file @ RepositoryFile::TagIndex(..)) if at.source => older.push((file, *at)),
                None => self.unknown(repository.dir, &name, *at),
                Some(_) => drop(self.settled(MigrationKind::Tag, *at)),
            }
        }
        for (file, at) in older {
            if self.settled(MigrationKind::Tag, at) {
                continue;
            }
            let RepositoryFile::TagIndex(tag, digest) = &file else { continue };
            let known = match &there {
                Some(known) => known.clone(),
                // The tag was in the part before, or is none: then nothing would be seen of it but its name.
                None => {
                    let current = repository.file(&RepositoryFile::TagCurrent(tag.clone()))?;
                    let has = self.destination.has(&current).await?;
                    there.insert(if has { Set::There } else { Set::Absent }).clone()
                }
            };
            match known {
                Set::Absent => self.counters.count(MigrationKind::Tag, |tally| tally.left_out += 1),
                Set::Now(target) if target == *digest => {
                    self.counters.copied(MigrationKind::Tag, digest.as_str().len() as u64);
                }
                Set::Now(_) | Set::There => {
                    self.plain(MigrationKind::Tag, &repository.file(&file)?).await?;
                }
            }
        }
        Ok(())
    }

    /// Points a tag of the destination at what it points at in the source.
    async fn tag(&self, repository: &Repository<'_>, tag: &Tag, at: At) -> Result<Set, Trouble> {
        let path = repository.file(&RepositoryFile::TagCurrent(tag.clone()))?;
        let before = if at.destination { Set::There } else { Set::Absent };
        let Some(current) = link(&self.source, &path).await? else { return Ok(before) };
        let old = match at.destination {
            true => link(&self.destination, &path).await?.and_then(|link| link.target),
            false => None,
        };
        if old.is_some() && old == current.target {
            self.counters.count(MigrationKind::Tag, |tally| tally.present += 1);
            return Ok(Set::There);
        }
        let target = match current.target {
            Some(target) if self.ensure_revision(repository, &target, 0).await? => target,
            _ => {
                self.counters.count(MigrationKind::Tag, |tally| tally.left_out += 1);
                return Ok(before);
            }
        };
        let index = RepositoryFile::TagIndex(tag.clone(), target.clone());
        let mut batch = Batch::new().put(repository.file(&index)?, target.as_str().to_owned());
        if self.has_notes() {
            // Whoever deletes the manifest at the destination has to find the tag.
            let note = RepositoryFile::Note(target.clone(), TagNote::More(tag.clone()));
            let note = repository.file(&note)?;
            if self.source.has(&note).await? {
                batch = batch.put(note, "");
            }
        }
        let bytes = current.bytes.len() as u64;
        self.change(batch.then().put(path, current.bytes)).await?;
        self.counters.copied(MigrationKind::Tag, bytes);
        Ok(Set::Now(target))
    }

    /// Whether notes are copied: between disks. They count by the times of files, which cost a call each in a
    /// bucket, and there they are not needed.
    fn has_notes(&self) -> bool {
        self.source.is_tree() && self.destination.is_tree()
    }

    /// Copies the notes of which tags may point at which manifest. After the tags, so that no tag is there
    /// whose note is not; and the one that says that all are noted last, and only while that is so at the
    /// source: its age does not tell at the destination.
    pub(super) async fn notes(&self, repository: &Repository<'_>, at: At) {
        let Ok(dir) = repository.dir.join(layout::REVISIONS) else { return };
        if !self.has_notes() {
            return;
        }
        grouped(merge::files(&self.source, &self.destination, &dir, at), 1, usize::MAX)
            .take_while(|_| future::ready(!self.counters.has_ended()))
            .for_each_concurrent(self.jobs, |group| async {
                let _permit = self.permits.acquire().await;
                let outcome = match group {
                    Ok(group) => self.notes_of(repository, &group).await,
                    Err(broken) => Err(broken.into()),
                };
                if let Err(trouble) = outcome {
                    self.failed(dir.as_str().to_owned(), trouble);
                }
            })
            .await;
    }

    async fn notes_of(&self, repository: &Repository<'_>, group: &Group) -> Result<(), Trouble> {
        let mut here = None;
        let mut first = Vec::new();
        for (name, at) in group {
            let name = format!("{}/{name}", layout::REVISIONS);
            let path = || repository.dir.join(&name).map_err(|_| Trouble::NoPath);
            match RepositoryFile::parse(&name) {
                Some(RepositoryFile::Revision(digest)) if at.source => {
                    here = match at.destination {
                        true => Some(digest),
                        // Unless it was left out, it has been copied since.
                        false => (self.dry_run || self.destination.has(&path()?).await?).then_some(digest),
                    };
                }
                // The notes follow the link. There are none to be copied for a manifest that was not.
                Some(RepositoryFile::Note(digest, note)) if here.as_ref() == Some(&digest) => match note {
                    TagNote::First(_) => first.push((path()?, *at)),
                    TagNote::More(_) if at.source && !self.settled(MigrationKind::Manifest, *at) => {
                        self.plain(MigrationKind::Manifest, &path()?).await?;
                    }
                    TagNote::More(_) => {}
                },
                _ => {}
            }
        }
        let Some(digest) = here.filter(|_| !first.is_empty()) else { return Ok(()) };
        let link = self.source.stat(&repository.file(&RepositoryFile::Revision(digest))?).await?;
        for (path, at) in first {
            let note = if at.source { self.source.stat(&path).await? } else { None };
            // As in `tagged`: Distribution has set tags since the link became younger than the note.
            let counts = note.zip(link.as_ref()).is_some_and(|(note, link)| note.modified >= link.modified);
            match (counts, at.destination) {
                (true, true) => self.counters.count(MigrationKind::Manifest, |tally| tally.present += 1),
                (true, false) => drop(self.plain(MigrationKind::Manifest, &path).await?),
                (false, true) => self.change(Batch::new().remove(path)).await?,
                (false, false) => {}
            }
        }
        Ok(())
    }
}

/// What is known of a tag at the destination.
#[derive(Debug, Clone)]
enum Set {
    Absent,
    There,
    /// It has been pointed at this.
    Now(Digest),
}
