//! Copying one repository, in stages: layers, manifests, referrers, tags, notes.
//!
//! No link is written before what it leads to is there. Mostly it is, since content was copied before and
//! stages follow each other; what was pushed in the meantime is fetched when it is met.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use futures::{StreamExt, future};
use registry_core::{ListMode, StoragePath};

use super::engine::{Engine, Trouble, small};
use super::merge::{self, At};
use super::repositories::Found;
use super::tally::MigrationKind;
use super::walk::Pages;
use crate::layout::{self, LINK_LIMIT, RepositoryFile};

/// The most bytes of the list of scanned manifests that is copied; a longer one is written anew by the scan at
/// the destination.
const SCANNED_LIMIT: u64 = 8 << 20;

/// A repository that is being copied.
#[derive(Debug)]
pub(super) struct Repository<'a> {
    pub(super) dir: &'a StoragePath,
    /// When it was begun, by the clock of this machine.
    pub(super) began: SystemTime,
    /// Links that were counted lately: what others led to is met again by the walk.
    counted: Mutex<HashSet<StoragePath>>,
}

/// As many links are remembered as having been counted.
const REMEMBERED: usize = 10_000;

impl Repository<'_> {
    /// Where a file of the repository is.
    pub(super) fn file(&self, file: &RepositoryFile) -> Result<StoragePath, Trouble> {
        file.path(self.dir).ok_or(Trouble::NoPath)
    }

    /// Remembers that a link is counted. Whether that is news.
    pub(super) fn is_first(&self, path: StoragePath) -> bool {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= REMEMBERED {
            counted.clear();
        }
        counted.insert(path)
    }
}

impl Engine {
    pub(super) async fn repository(&self, found: &Found) {
        let repository = Repository { dir: &found.dir, began: SystemTime::now(), counted: Mutex::default() };
        if let Err(trouble) = self.stages(&repository, found).await {
            self.failed(found.dir.as_str().to_owned(), trouble);
        }
        self.counters.repositories.fetch_add(u64::from(found.at.source), Ordering::Relaxed);
    }

    async fn stages(&self, repository: &Repository<'_>, found: &Found) -> Result<(), Trouble> {
        self.count_uploads(repository, found.part(layout::UPLOADS)).await?;
        let (revisions, tags) = self.manifests(found).await?;
        self.stage(repository, layout::LAYERS, found.part(layout::LAYERS)).await;
        self.stage(repository, layout::REVISIONS, revisions).await;
        self.referrers(repository, found.part(layout::REFERRERS)).await?;
        self.tags(repository, tags).await;
        self.notes(repository, revisions).await;
        Ok(())
    }

    async fn count_uploads(&self, repository: &Repository<'_>, at: At) -> Result<(), Trouble> {
        let dir = repository.dir.join(layout::UPLOADS).ok().filter(|_| at.source);
        let mut sessions = Pages::new(&self.source, dir, ListMode::Children);
        while sessions.peek().await?.is_some() {
            sessions.take();
            self.counters.uploads.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Copies what is below one directory of a repository. Whether all of it was.
    async fn stage(&self, repository: &Repository<'_>, part: &str, at: At) -> bool {
        let Ok(dir) = repository.dir.join(part) else { return false };
        let sound = AtomicBool::new(true);
        merge::files(&self.source, &self.destination, &dir, at)
            .take_while(|_| future::ready(!self.counters.has_ended()))
            .for_each_concurrent(self.jobs, |found| async {
                let (path, outcome) = match found {
                    Ok((name, at)) => {
                        let name = format!("{part}/{name}");
                        let outcome = self.file(repository, &name, at).await;
                        (format!("{}/{name}", repository.dir), outcome)
                    }
                    Err(broken) => (dir.as_str().to_owned(), Err(broken.into())),
                };
                if let Err(trouble) = outcome {
                    sound.store(false, Ordering::Relaxed);
                    self.failed(path, trouble);
                }
            })
            .await;
        sound.into_inner() && !self.counters.has_ended()
    }

    /// Copies one file of the first stages.
    async fn file(&self, repository: &Repository<'_>, name: &str, at: At) -> Result<(), Trouble> {
        let Some(file) = RepositoryFile::parse(name) else {
            self.unknown(repository.dir, name, at);
            return Ok(());
        };
        let kind = match file {
            RepositoryFile::Layer(_) => MigrationKind::Layer,
            RepositoryFile::Referrer => MigrationKind::Referrer,
            // These have stages of their own, where the source has them.
            RepositoryFile::Note(..) | RepositoryFile::Scanned if at.source => return Ok(()),
            RepositoryFile::Scanned => MigrationKind::Referrer,
            RepositoryFile::Revision(_)
            | RepositoryFile::Note(..)
            | RepositoryFile::MediaType(_)
            | RepositoryFile::Signature
            | RepositoryFile::TagCurrent(_)
            | RepositoryFile::TagIndex(..) => MigrationKind::Manifest,
        };
        let _permit = self.permits.acquire().await;
        let path = repository.dir.join(name).map_err(|_| Trouble::NoPath)?;
        // The one of these files that a push can change: the type of the last push counts.
        let changed = at == At::BOTH && matches!(file, RepositoryFile::MediaType(_)) && {
            let (from, to) = (&self.source, &self.destination);
            futures::try_join!(small(from, &path, LINK_LIMIT), small(to, &path, LINK_LIMIT))
                .is_ok_and(|(from, to)| from.is_some() && from != to)
        };
        if !changed && self.settled(kind, at) {
            return Ok(());
        }
        match file {
            RepositoryFile::Layer(digest) => self.layer(repository, &digest).await.map(drop),
            RepositoryFile::Revision(digest) => self.revision(repository, &digest, None).await.map(drop),
            _ => self.plain(kind, &path).await.map(drop),
        }
    }

    /// Whether there is nothing to be copied, which is counted then.
    pub(super) fn settled(&self, kind: MigrationKind, at: At) -> bool {
        if !at.source {
            self.counters.count(kind, |tally| tally.extra += 1);
        } else if at.destination {
            self.counters.count(kind, |tally| tally.present += 1);
        }
        at.destination
    }

    /// Copies the index of referrers. The list of what has been scanned is read before the entries and written
    /// after them: it must not vouch for an entry that is not there.
    async fn referrers(&self, repository: &Repository<'_>, at: At) -> Result<(), Trouble> {
        let path = repository.file(&RepositoryFile::Scanned)?;
        let scanned = match at.source {
            true => small(&self.source, &path, SCANNED_LIMIT).await.ok().flatten(),
            false => None,
        };
        let complete = self.stage(repository, layout::REFERRERS, at).await;
        let Some(scanned) = scanned.filter(|_| complete) else { return Ok(()) };
        let there = match at.destination {
            true => small(&self.destination, &path, SCANNED_LIMIT).await.ok().flatten(),
            false => None,
        };
        if there.as_ref() == Some(&scanned) {
            self.counters.count(MigrationKind::Referrer, |tally| tally.present += 1);
            return Ok(());
        }
        let bytes = scanned.len() as u64;
        self.change(registry_core::Batch::new().put(path, scanned)).await?;
        self.counters.copied(MigrationKind::Referrer, bytes);
        Ok(())
    }
}
