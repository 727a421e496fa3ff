//! Which directories are known to be durable, so that none is synced without a reason.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::threads::Threads;

/// Directories whose entry in their parent has been synced by this process.
///
/// A file is durable only if every directory above it is. Which ones are is not on record in the file
/// system: one may have been made by another process that has not synced yet, or years ago. So the first
/// write below a directory syncs it whatever its history, and later ones need not. (One that a batch makes
/// itself it syncs in any case: another process may have deleted it since it was known.)
#[derive(Debug)]
pub(super) struct DurableDirs {
    root: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// As text: to compare paths by their parts takes many times as long.
    known: BTreeSet<OsString>,
    /// How many times something was forgotten, and the last of what was.
    forgotten: u64,
    lately: VecDeque<PathBuf>,
}

/// A moment, by which what was forgotten after it can be told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(u64);

impl DurableDirs {
    /// How many directories are remembered before all are forgotten, which costs syncs and no more.
    const LIMIT: usize = 65_536;
    /// How much of what was forgotten is remembered as such.
    const LATELY: usize = 1024;

    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now. To be taken before the work whose result is to be [remembered](Self::remember).
    pub(super) fn now(&self) -> Moment {
        Moment(self.state().forgotten)
    }

    /// The directories that have to be synced so that `dir` itself is durable: the parents of `dir` and
    /// of each directory above it, up to one that is known, or to the parent of the root. With them the
    /// directories that are durable then.
    pub(super) fn unknown_above(&self, dir: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let state = self.state();
        let mut to_sync = Vec::new();
        let mut then_known = Vec::new();
        for dir in dir.ancestors() {
            if state.known.contains(dir.as_os_str()) || !dir.starts_with(&self.root) {
                break;
            }
            to_sync.extend(parent_of(dir));
            then_known.push(dir.to_owned());
        }
        (to_sync, then_known)
    }

    /// Remembers directories that were synced in work begun at `since`, except for those that somebody
    /// has deleted meanwhile.
    pub(super) fn remember(&self, dirs: impl IntoIterator<Item = PathBuf>, since: Moment) {
        let mut state = self.state();
        if state.known.len() > Self::LIMIT {
            state.known.clear();
        }
        let State { known, forgotten, lately } = &mut *state;
        let later = (*forgotten - since.0) as usize;
        if later > lately.len() {
            return;
        }
        let gone = || lately.iter().rev().take(later);
        let still = dirs.into_iter().filter(|dir| !gone().any(|gone| dir.starts_with(gone)));
        known.extend(still.map(OsString::from));
    }

    /// Forgets a directory that is deleted, and all below it. To be called before and after: what is made
    /// between the two may go as well.
    pub(super) fn forget(&self, dir: &Path) {
        let mut state = self.state();
        let text = dir.as_os_str().as_bytes();
        // `/a/b-c` comes between `/a/b` and `/a/b/c`.
        let from_here = state.known.range(dir.as_os_str().to_owned()..);
        let begins_so = from_here.take_while(|known| known.as_bytes().starts_with(text));
        let gone: Vec<_> = begins_so.filter(|known| Path::new(known).starts_with(dir)).cloned().collect();
        for dir in gone {
            state.known.remove(&dir);
        }
        state.forgotten += 1;
        state.lately.push_back(dir.to_owned());
        if state.lately.len() > Self::LATELY {
            state.lately.pop_front();
        }
    }
}

/// The directory that a path is in.
pub(super) fn parent_of(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { ".".into() } else { parent.to_owned() })
}

/// Something to be synced.
pub(super) enum Sync {
    /// The content of an open file.
    Content(Arc<File>),
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

/// Syncs side by side, so that it takes as long as the longest.
pub(super) fn sync_all(threads: &Arc<Threads>, syncs: Vec<Sync>) -> io::Result<()> {
    threads.run_all(syncs.into_iter().map(|sync| move || sync.run()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_directory_is_synced_once() {
        let dirs = DurableDirs::new("/r".into());
        let (to_sync, then_known) = dirs.unknown_above(Path::new("/r/a/b"));
        assert_eq!(to_sync, ["/r/a", "/r", "/"].map(PathBuf::from));
        dirs.remember(then_known, dirs.now());
        assert_eq!(dirs.unknown_above(Path::new("/r/a/b")).0, Vec::<PathBuf>::new());
        assert_eq!(dirs.unknown_above(Path::new("/r/a/c")).0, ["/r/a"].map(PathBuf::from));
    }

    #[test]
    fn a_directory_that_went_is_not_known_when_it_comes_back() {
        let dirs = DurableDirs::new("/r".into());
        for dir in ["/r/a/b", "/r/ab", "/r/a-b"] {
            let (_, then_known) = dirs.unknown_above(Path::new(dir));
            dirs.remember(then_known, dirs.now());
        }
        dirs.forget(Path::new("/r/a"));
        assert_eq!(dirs.unknown_above(Path::new("/r/a/b")).0, ["/r/a", "/r"].map(PathBuf::from));
        assert!(dirs.unknown_above(Path::new("/r/ab")).0.is_empty());
        assert!(dirs.unknown_above(Path::new("/r/a-b")).0.is_empty());
    }

    #[test]
    fn what_was_deleted_meanwhile_is_not_remembered() {
        let dirs = DurableDirs::new("/r".into());
        let before = dirs.now();
        let then_known = ["/r/a/b", "/r/a", "/r/c"].map(PathBuf::from);
        dirs.forget(Path::new("/r/a"));
        dirs.remember(then_known.clone(), before);
        assert!(dirs.unknown_above(Path::new("/r/c")).0.is_empty());
        assert!(!dirs.unknown_above(Path::new("/r/a/b")).0.is_empty(), "it is another one now");
        for n in 0..2 * DurableDirs::LATELY {
            dirs.forget(Path::new(&format!("/r/x/{n}")));
        }
        dirs.remember(then_known.clone(), before);
        assert!(!dirs.unknown_above(Path::new("/r/a/b")).0.is_empty(), "too long ago to tell");
        dirs.remember(then_known, dirs.now());
        assert!(dirs.unknown_above(Path::new("/r/a/b")).0.is_empty());
    }
}
