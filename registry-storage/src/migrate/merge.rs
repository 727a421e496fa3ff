//! Two ordered walks side by side.

use std::cmp::Ordering;
use std::sync::Arc;

use futures::{Stream, stream};
use registry_core::{Entry, ListMode, StoragePath};

use super::store::{Broken, Store};
use super::walk::{Files, Pages};

/// On which sides something is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct At {
    pub(super) source: bool,
    pub(super) destination: bool,
}

impl At {
    pub(super) const BOTH: Self = Self { source: true, destination: true };

    /// The side on which the lesser of two names is.
    fn of(order: Ordering) -> Self {
        Self { source: order != Ordering::Greater, destination: order != Ordering::Less }
    }

    /// A directory where it is, for a walk of each side.
    fn dirs(self, dir: &StoragePath) -> (Option<StoragePath>, Option<StoragePath>) {
        (self.source.then(|| dir.clone()), self.destination.then(|| dir.clone()))
    }
}

/// Whose name is first; `None` if neither has one left.
fn order(source: Option<&str>, destination: Option<&str>) -> Option<Ordering> {
    match (source, destination) {
        (None, None) => None,
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(source), Some(destination)) => Some(source.cmp(destination)),
    }
}

/// The files below a directory of both stores.
#[derive(Debug)]
struct Merge {
    source: Side,
    destination: Side,
}

#[derive(Debug)]
struct Side {
    files: Files,
    next: Option<String>,
}

impl Side {
    fn new(store: &Arc<Store>, dir: Option<StoragePath>) -> Self {
        Self { files: Files::new(store, dir), next: None }
    }

    async fn fill(&mut self) -> Result<(), Broken> {
        if self.next.is_none() {
            self.next = self.files.next().await?;
        }
        Ok(())
    }
}

impl Merge {
    async fn next(&mut self) -> Result<Option<(String, At)>, Broken> {
        futures::try_join!(self.source.fill(), self.destination.fill())?;
        let (source, destination) = (&mut self.source.next, &mut self.destination.next);
        let Some(order) = order(source.as_deref(), destination.as_deref()) else { return Ok(None) };
        let at = At::of(order);
        // What is on both sides is taken from both.
        let (from, to) = (source.take_if(|_| at.source), destination.take_if(|_| at.destination));
        Ok(from.or(to).map(|name| (name, at)))
    }
}

/// The files below `dir`, which is `at` these sides, in byte order; their names are relative to it. Ends with
/// the first error.
pub(super) fn files(
    source: &Arc<Store>,
    destination: &Arc<Store>,
    dir: &StoragePath,
    at: At,
) -> impl Stream<Item = Result<(String, At), Broken>> + Send + use<> {
    let (from, to) = at.dirs(dir);
    let merge = Merge { source: Side::new(source, from), destination: Side::new(destination, to) };
    stream::unfold(Some(merge), |merge| async {
        let mut merge = merge?;
        match merge.next().await {
            Ok(None) => None,
            Ok(Some(found)) => Some((Ok(found), Some(merge))),
            Err(error) => Some((Err(error), None)),
        }
    })
}

/// The children of a directory of both stores, in byte order of their names.
#[derive(Debug)]
pub(super) struct Children {
    source: Pages,
    destination: Pages,
}

impl Children {
    pub(super) fn new(source: &Arc<Store>, destination: &Arc<Store>, dir: &StoragePath, at: At) -> Self {
        let (from, to) = at.dirs(dir);
        let pages = |store, dir| Pages::new(store, dir, ListMode::Children);
        Self { source: pages(source, from), destination: pages(destination, to) }
    }

    pub(super) async fn next(&mut self) -> Result<Option<(Entry, At)>, Broken> {
        let (source, destination) = futures::try_join!(self.source.peek(), self.destination.peek())?;
        let name = |entry: Option<&Entry>| entry.map(|entry| entry.name.clone());
        let Some(order) = order(name(source).as_deref(), name(destination).as_deref()) else {
            return Ok(None);
        };
        let at = At::of(order);
        let from = if at.source { self.source.take() } else { None };
        let to = if at.destination { self.destination.take() } else { None };
        Ok(from.or(to).map(|entry| (entry, at)))
    }
}
