//! Finding the repositories of both stores.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{Stream, StreamExt, future, stream};
use registry_core::StoragePath;

use super::engine::{Engine, Trouble};
use super::merge::{At, Children};
use super::store::Broken;
use crate::layout;

/// The directories of a repository, and on which sides they are.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) dir: StoragePath,
    pub(super) at: At,
    parts: BTreeMap<String, At>,
}

impl Found {
    pub(super) fn part(&self, name: &str) -> At {
        self.parts.get(name).copied().unwrap_or_default()
    }
}

/// A directory on the way to where the walk is.
#[derive(Debug)]
struct Level {
    found: Found,
    children: Children,
}

/// What the directories of repositories are called; everything else that begins with `_` is unknown.
const PARTS: [&str; 4] = [layout::LAYERS, layout::MANIFESTS, layout::REFERRERS, layout::UPLOADS];

impl Engine {
    /// Copies all repositories.
    pub(super) async fn repositories(self: &Arc<Self>) {
        self.walk()
            .for_each_concurrent(self.jobs, |found| async {
                match found {
                    Ok(found) => self.repository(&found).await,
                    Err(broken) => self.failed(layout::repositories().as_str().to_owned(), broken.into()),
                }
            })
            .await;
    }

    /// Every directory that has parts of a repository on either side, those below before those above. Ends
    /// with the first error. Files that belong to none are counted while a run copies.
    pub(super) fn walk(&self) -> impl Stream<Item = Result<Found, Broken>> + Send + '_ {
        let root = self.level(layout::repositories(), At::BOTH);
        stream::unfold(vec![root], |mut levels| async {
            match self.next(&mut levels).await {
                Ok(None) => None,
                Ok(Some(found)) => Some((Ok(found), levels)),
                Err(broken) => Some((Err(broken), Vec::new())),
            }
        })
        .take_while(|_| future::ready(!self.counters.has_ended()))
    }

    fn level(&self, dir: StoragePath, at: At) -> Level {
        let children = Children::new(&self.source, &self.destination, &dir, at);
        Level { found: Found { dir, at, parts: BTreeMap::new() }, children }
    }

    async fn next(&self, levels: &mut Vec<Level>) -> Result<Option<Found>, Broken> {
        while let Some(level) = levels.last_mut() {
            let Some((child, at)) = level.children.next().await? else {
                let done = levels.pop().map(|level| level.found);
                match done {
                    Some(found) if !found.parts.is_empty() => return Ok(Some(found)),
                    _ => continue,
                }
            };
            let dir = level.found.dir.join(&child.name);
            match dir {
                Ok(_) if child.is_dir && PARTS.contains(&child.name.as_str()) => {
                    level.found.parts.insert(child.name, at);
                }
                Ok(dir) if child.is_dir && !child.name.starts_with('_') => levels.push(self.level(dir, at)),
                _ => self.unknown(&level.found.dir, &child.name, at),
            }
        }
        Ok(None)
    }

    /// Counts a file, or a directory, that is none of the layout's.
    pub(super) fn unknown(&self, dir: &StoragePath, name: &str, at: At) {
        if at.source {
            self.counters.unknown(format!("{dir}/{name}"), "nothing of a registry");
        }
    }

    /// The sides of both directories of `_manifests`; others there are unknown.
    pub(super) async fn manifests(&self, found: &Found) -> Result<(At, At), Trouble> {
        let (mut revisions, mut tags) = (At::default(), At::default());
        let Ok(dir) = found.dir.join(layout::MANIFESTS) else { return Ok((revisions, tags)) };
        let mut children =
            Children::new(&self.source, &self.destination, &dir, found.part(layout::MANIFESTS));
        while let Some((child, at)) = children.next().await? {
            match found.dir.join(&format!("{}/{}", layout::MANIFESTS, child.name)) {
                Ok(path) if found.dir.join(layout::REVISIONS).is_ok_and(|known| known == path) => {
                    revisions = at
                }
                Ok(path) if found.dir.join(layout::TAGS).is_ok_and(|known| known == path) => tags = at,
                _ => self.unknown(&dir, &child.name, at),
            }
        }
        Ok((revisions, tags))
    }
}
