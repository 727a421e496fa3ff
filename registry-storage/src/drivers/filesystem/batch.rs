//! Applying a batch with as few waits for the disk as its order allows.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use registry_core::{Batch, Change, Durability, PutMode, Step, StorageError, StoragePath};

use super::durable::{Moment, Sync, parent_of, sync_all};
use super::threads::SIDE_BY_SIDE;
use super::{Failure, NAME, Shared, io_error};

/// How often a step is tried that loses its directory to somebody who deletes it.
const TRIES: usize = 100;

/// Whether applying a batch takes a few calls that wait for no disk: nothing in it is synced, and nothing
/// deleted, which could be a whole tree.
pub(super) fn is_brief(batch: &Batch) -> bool {
    let brief =
        |step: &Step| step.durability == Durability::Relaxed && !matches!(step.change, Change::Delete { .. });
    batch.stages().iter().flatten().all(brief)
}

/// Applies a batch. `content`, a file and where it is, is synced together with the files of the batch, before
/// any step is visible. Runs on a blocking thread.
pub(super) fn apply(
    shared: &Shared,
    batch: Batch,
    content: Option<(Arc<File>, PathBuf)>,
) -> Result<(), Failure> {
    let mut run = Run {
        shared,
        since: shared.durable.now(),
        made: Vec::new(),
        entries: Vec::new(),
        then_known: Vec::new(),
    };
    let (content, location) = content.unzip();
    let mut first: Vec<Sync> = content.map(Sync::Content).into_iter().collect();
    let mut stages = Vec::new();
    let sync = |syncs: &mut Vec<Sync>| {
        let synced = sync_all(&shared.disk, std::mem::take(syncs));
        synced.inspect_err(|_| location.iter().for_each(|location| forsake(location)))
    };
    // All files are written and synced before anything is visible: one wait, unless they are so many that they
    // cannot all be open at once.
    for stage in batch.into_stages() {
        let mut steps = Vec::new();
        for step in stage {
            steps.push(run.prepare(step, &mut first)?);
            if first.len() >= SIDE_BY_SIDE {
                sync(&mut first)?;
            }
        }
        stages.push(steps);
    }
    sync(&mut first)?;
    for (index, stage) in stages.into_iter().enumerate() {
        for step in stage {
            if index > 0 && step.replaces_or_deletes() {
                run.sync_entries()?;
            }
            run.publish(step)?;
        }
    }
    run.sync_entries()
}

/// A step whose content, if it has any, is on disk under a temporary name.
struct Prepared {
    path: StoragePath,
    location: PathBuf,
    durability: Durability,
    action: Action,
}

enum Action {
    /// A put of what is there already.
    Keep,
    /// Without a temporary file where the way to the target is blocked until an earlier step is done.
    Put {
        temporary: Option<Temporary>,
        content: Bytes,
        mode: PutMode,
    },
    Rename {
        from: StoragePath,
        source: PathBuf,
    },
    Remove,
    Delete,
}

impl Prepared {
    fn replaces_or_deletes(&self) -> bool {
        match &self.action {
            Action::Keep | Action::Put { mode: PutMode::Create, .. } => false,
            // Something relaxed need not be there after a power cut, so it may also go early.
            Action::Delete | Action::Remove => self.durability == Durability::Synced,
            Action::Put { mode: PutMode::Overwrite, .. } | Action::Rename { .. } => self.location.exists(),
        }
    }
}

/// The run of one batch: what has been made visible and is not durable yet.
struct Run<'a> {
    shared: &'a Shared,
    since: Moment,
    /// The directories that were made on the way.
    made: Vec<PathBuf>,
    /// The directories to be synced, each once.
    entries: Vec<PathBuf>,
    then_known: Vec<PathBuf>,
}

impl Run<'_> {
    fn prepare(&mut self, step: Step, syncs: &mut Vec<Sync>) -> Result<Prepared, Failure> {
        let Step { change, durability } = step;
        let (path, action) = match change {
            Change::Put { path, content, mode } => {
                let location = self.shared.locate(&path);
                if mode == PutMode::Overwrite
                    && let Some(file) = find_same(&location, &content)
                {
                    // Whoever put it there may not have synced it.
                    if durability == Durability::Synced && !content.is_empty() {
                        syncs.push(Sync::Content(Arc::new(file)));
                    }
                    return Ok(Prepared { path, location, durability, action: Action::Keep });
                }
                let temporary =
                    match with_parents(&location, &mut self.made, || Temporary::write(&location, &content)) {
                        Ok((temporary, file)) => {
                            // An empty file has nothing but its name, which is synced with the directory.
                            if durability == Durability::Synced && !content.is_empty() {
                                syncs.push(Sync::Content(Arc::new(file)));
                            }
                            Some(temporary)
                        }
                        Err(error) if blocked_by_a_file(&error) => None,
                        Err(error) => return Err(io_error("write", &path, error).into()),
                    };
                (path, Action::Put { temporary, content, mode })
            }
            Change::Rename { from, to } => {
                let source = self.shared.locate(&from);
                (to, Action::Rename { from, source })
            }
            Change::Delete { path } => (path, Action::Delete),
            Change::Remove { path } => (path, Action::Remove),
        };
        Ok(Prepared { location: self.shared.locate(&path), path, durability, action })
    }

    fn publish(&mut self, step: Prepared) -> Result<(), Failure> {
        let Prepared { path, location, durability, action } = step;
        match action {
            Action::Keep => {}
            Action::Put { temporary, content, mode } => {
                put(temporary, &location, &content, mode, durability, &mut self.made)
                    .map_err(|error| io_error("write", &path, error))?;
            }
            Action::Rename { from, source } => {
                rename(&source, &location, &mut self.made).map_err(|error| match error {
                    RenameError::NoSource => StorageError::NotFound { driver: NAME, path: from },
                    RenameError::Io(error) => io_error("rename", &path, error),
                })?;
                if durability == Durability::Synced
                    && let Some(parent) = source.parent()
                {
                    self.add_entries(parent.to_owned());
                }
            }
            Action::Remove => {
                if !remove(&location).map_err(|error| io_error("delete", &path, error))? {
                    return Ok(());
                }
            }
            Action::Delete => {
                self.shared.durable.forget(&location);
                let deleted = delete(&location);
                self.shared.durable.forget(&location);
                if !deleted.map_err(|error| io_error("delete", &path, error))? {
                    return Ok(());
                }
                // Nothing in it is left to be durable.
                self.entries.retain(|dir| !dir.starts_with(&location));
            }
        }
        if durability == Durability::Synced
            && let Some(parent) = location.parent()
        {
            let (above, then_known) = self.shared.durable.unknown_above(parent);
            let made = self.made.iter().filter(|made| location.starts_with(made));
            let made: Vec<PathBuf> = made.filter_map(|made| parent_of(made)).collect();
            self.add_entries(parent.to_owned());
            above.into_iter().chain(made).for_each(|dir| self.add_entries(dir));
            self.then_known.extend(then_known);
        }
        Ok(())
    }

    fn add_entries(&mut self, dir: PathBuf) {
        // Few, and to compare them as text is quick.
        if !self.entries.iter().any(|known| known.as_os_str() == dir.as_os_str()) {
            self.entries.push(dir);
        }
    }

    /// Makes everything durable that is visible so far: one wait.
    fn sync_entries(&mut self) -> Result<(), Failure> {
        let entries = std::mem::take(&mut self.entries);
        sync_all(&self.shared.disk, entries.into_iter().map(Sync::Entries).collect())?;
        self.shared.durable.remember(std::mem::take(&mut self.then_known), self.since);
        Ok(())
    }
}

/// Moves a prepared file into place. If there is none, or somebody has deleted the directory with the
/// file in it, it is made now.
fn put(
    mut temporary: Option<Temporary>,
    location: &Path,
    content: &[u8],
    mode: PutMode,
    durability: Durability,
    made: &mut Vec<PathBuf>,
) -> io::Result<()> {
    for _ in 0..TRIES {
        let ready = match temporary.take() {
            Some(temporary) => temporary,
            None => {
                let (temporary, file) = with_parents(location, made, || Temporary::write(location, content))?;
                if durability == Durability::Synced {
                    file.sync_data()?;
                }
                temporary
            }
        };
        match ready.publish(location, mode) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => return result,
        }
    }
    Err(io::Error::other("the directory is being deleted again and again"))
}

/// Whether a directory cannot be made because a file is in its place.
fn blocked_by_a_file(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists)
}

/// A file beside its place. Removed when it is dropped, unless it has been moved into place.
struct Temporary {
    location: PathBuf,
    moved: bool,
}

impl Temporary {
    fn write(target: &Path, content: &[u8]) -> io::Result<(Self, File)> {
        // The name Distribution gives to such files, which its walks and ours know to be nothing.
        let mut name = target.as_os_str().to_owned();
        name.push(format!(".{}.tmp", uuid::Uuid::new_v4()));
        let location = PathBuf::from(name);
        let mut file = File::create_new(&location)?;
        let temporary = Self { location, moved: false };
        file.write_all(content)?;
        Ok((temporary, file))
    }

    fn publish(mut self, target: &Path, mode: PutMode) -> io::Result<()> {
        match mode {
            PutMode::Overwrite => {
                fs::rename(&self.location, target)?;
                self.moved = true;
                Ok(())
            }
            // A link is made only where nothing is, whoever else tries at the same time.
            PutMode::Create => fs::hard_link(&self.location, target),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.moved {
            // If it cannot be removed, as after a crash, its name tells that it is nothing.
            let _ = fs::remove_file(&self.location);
        }
    }
}

/// Does something in the directory of `target`, which is made if it is missing, and added to `made` with
/// all that had to be made above it. `work` fails with [`io::ErrorKind::NotFound`] for that reason alone.
fn with_parents<T>(
    target: &Path,
    made: &mut Vec<PathBuf>,
    mut work: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let parent = target.parent().unwrap_or(target);
    for _ in 0..TRIES {
        match work() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match make_dirs(parent, made) {
                // Somebody deletes a directory above while it is being made.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            },
            result => return result,
        }
    }
    work()
}

/// Makes a directory and all above it that are missing, and adds those that it made to `made`.
fn make_dirs(dir: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let Some(parent) = parent_of(dir) else { return Err(error) };
            make_dirs(&parent, made)?;
            match fs::create_dir(dir) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
                result => result?,
            }
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => return Ok(()),
        result => result?,
    }
    made.push(dir.to_owned());
    Ok(())
}

/// The small file that has this content already, if there is one: putting it again replaces nothing.
fn find_same(location: &Path, content: &[u8]) -> Option<File> {
    const SMALL: usize = 64 * 1024;
    if content.len() > SMALL {
        return None;
    }
    let file = File::open(location).ok()?;
    let found = file.metadata().ok()?;
    if !found.is_file() || found.len() != content.len() as u64 {
        return None;
    }
    let mut there = vec![0; content.len()];
    file.read_exact_at(&mut there, 0).ok()?;
    (there == content).then_some(file)
}

/// Moves a file, unless there is none, to a place whose directory is made if it is missing.
fn rename(source: &Path, target: &Path, made: &mut Vec<PathBuf>) -> Result<(), RenameError> {
    let mut gone = false;
    let moved = with_parents(target, made, || match fs::rename(source, target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !source.try_exists()? => {
            gone = true;
            Ok(())
        }
        result => result,
    });
    match moved {
        Ok(()) if gone => Err(RenameError::NoSource),
        result => result.map_err(RenameError::Io),
    }
}

enum RenameError {
    NoSource,
    Io(io::Error),
}

/// Removes a file; whether there was one. A directory stays.
fn remove(location: &Path) -> io::Result<bool> {
    match fs::remove_file(location) {
        // What Linux and what POSIX say of a directory.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::PermissionDenied)
                && location.is_dir() =>
        {
            Ok(false)
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(false)
        }
        removed => removed.map(|()| true),
    }
}

/// Removes a file or a directory with everything below it; whether there was anything.
fn delete(location: &Path) -> io::Result<bool> {
    if remove(location)? {
        return Ok(true);
    }
    if !location.is_dir() {
        return Ok(false);
    }
    for _ in 0..TRIES {
        match fs::remove_dir_all(location) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            // Somebody puts files into it; they go too.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            Err(error) => return Err(error),
        }
    }
    fs::remove_dir_all(location).map(|()| true)
}

/// Removes a file that could not be synced. The next attempt would succeed whatever is on the disk: the kernel
/// reports a page that it could not write once, and then counts it as clean.
fn forsake(location: &Path) {
    // Where that fails too, nothing can be written to the disk any more.
    let _ = fs::remove_file(location);
}

impl Shared {
    /// Everything that has to be synced so that a file that is in place already is durable. If that fails, the
    /// file is removed.
    pub(super) fn sync_file(
        &self,
        path: &StoragePath,
        location: &Path,
        file: Arc<File>,
    ) -> Result<(), Failure> {
        let Some(parent) = location.parent() else {
            return Err(StorageError::NotFound { driver: NAME, path: path.clone() }.into());
        };
        let since = self.durable.now();
        let (above, then_known) = self.durable.unknown_above(parent);
        let mut syncs = vec![Sync::Content(file), Sync::Entries(parent.to_owned())];
        syncs.extend(above.into_iter().map(Sync::Entries));
        sync_all(&self.disk, syncs).inspect_err(|_| forsake(location))?;
        self.durable.remember(then_known, since);
        Ok(())
    }
}
