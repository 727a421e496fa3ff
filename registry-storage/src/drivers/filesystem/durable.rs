//! Which directories are known to be durable, so that none is synced without a reason.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Directories whose entry in their parent has been synced by this process.
///
/// A file is durable only if every directory above it is. Which ones are is not on record in the file
/// system: one may have been made by us a moment ago, by another process that has not synced yet, or
/// years ago. So the first write below a directory syncs it whatever its history, and later ones need
/// not.
#[derive(Debug)]
pub(super) struct DurableDirs {
    root: PathBuf,
    known: Mutex<BTreeSet<PathBuf>>,
}

impl DurableDirs {
    /// How many directories are remembered before all are forgotten, which costs syncs and no more.
    const LIMIT: usize = 65_536;

    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directories that have to be synced so that `dir` itself is durable: the parents of `dir` and
    /// of each directory above it, up to one that is known, or to the parent of the root. With them the
    /// directories that are durable then.
    pub(super) fn unknown_above(&self, dir: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let known = self.known();
        let mut to_sync = Vec::new();
        let mut then_known = Vec::new();
        for dir in dir.ancestors() {
            if !dir.starts_with(&self.root) || known.contains(dir) {
                break;
            }
            if let Some(parent) = dir.parent() {
                to_sync.push(if parent.as_os_str().is_empty() { ".".into() } else { parent.to_owned() });
            }
            then_known.push(dir.to_owned());
        }
        (to_sync, then_known)
    }

    /// Remembers directories that are durable now.
    pub(super) fn remember(&self, dirs: impl IntoIterator<Item = PathBuf>) {
        let mut known = self.known();
        if known.len() > Self::LIMIT {
            known.clear();
        }
        known.extend(dirs);
    }

    /// Forgets a directory that is about to go, and all below it.
    pub(super) fn forget(&self, dir: &Path) {
        let mut known = self.known();
        let gone: Vec<PathBuf> =
            known.range(dir.to_owned()..).take_while(|known| known.starts_with(dir)).cloned().collect();
        for dir in gone {
            known.remove(&dir);
        }
    }
}

/// Something to be synced.
pub(super) enum Sync {
    /// The content of an open file.
    Content(File),
    /// The entries of a directory.
    Entries(PathBuf),
}

impl Sync {
    fn run(self) -> io::Result<()> {
        match self {
            Self::Content(file) => file.sync_data(),
            Self::Entries(dir) => match File::open(dir) {
                Ok(dir) => dir.sync_all(),
                // Deleted since: nothing in it is left to be durable.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            },
        }
    }
}

/// Syncs side by side, so that it takes as long as the longest. Must run on a blocking thread.
pub(super) fn sync_all(mut syncs: Vec<Sync>) -> io::Result<()> {
    let Some(own) = syncs.pop() else { return Ok(()) };
    let runtime = tokio::runtime::Handle::current();
    let others: Vec<_> = syncs.into_iter().map(|sync| runtime.spawn_blocking(move || sync.run())).collect();
    let mut result = own.run();
    for other in others {
        // Every one is waited for, also after a failure: none may still run when this returns.
        let other = runtime.block_on(other).map_err(io::Error::other).flatten();
        result = result.and(other);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_directory_is_synced_once() {
        let dirs = DurableDirs::new("/r".into());
        let (to_sync, then_known) = dirs.unknown_above(Path::new("/r/a/b"));
        assert_eq!(to_sync, ["/r/a", "/r", "/"].map(PathBuf::from));
        dirs.remember(then_known);
        assert_eq!(dirs.unknown_above(Path::new("/r/a/b")).0, Vec::<PathBuf>::new());
        assert_eq!(dirs.unknown_above(Path::new("/r/a/c")).0, ["/r/a"].map(PathBuf::from));
    }

    #[test]
    fn a_directory_that_went_is_not_known_when_it_comes_back() {
        let dirs = DurableDirs::new("/r".into());
        for dir in ["/r/a/b", "/r/ab"] {
            let (_, then_known) = dirs.unknown_above(Path::new(dir));
            dirs.remember(then_known);
        }
        dirs.forget(Path::new("/r/a"));
        assert_eq!(dirs.unknown_above(Path::new("/r/a/b")).0, ["/r/a", "/r"].map(PathBuf::from));
        assert!(dirs.unknown_above(Path::new("/r/ab")).0.is_empty());
    }
}
