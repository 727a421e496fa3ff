//! Files that are read again while the process runs: when they change, and when it gets SIGHUP.
//!
//! Changes are found by looking at the files every second or so, and not by asking the system to tell of them:
//! there are a handful of files, and looking sees changes that nobody tells of, those on network file systems and
//! those that swap a symbolic link further up the path, as Kubernetes does for mounted secrets.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

/// How often is looked. A change counts when it is there at two looks in a row, so that a certificate and its key
/// that are written one after the other are read together.
const LOOK: Duration = Duration::from_secs(1);

/// Something that lives in files.
pub(crate) trait Reload: Send + Sync + 'static {
    /// What it is, for the log: the key in the configuration.
    fn name(&self) -> &'static str;

    /// The files it lives in.
    fn files(&self) -> Vec<PathBuf>;

    /// Reads the files and puts in force what they say; returns what has changed, for the log. May wait for the
    /// disk.
    ///
    /// # Errors
    /// Why they cannot be used, in one line. Everything stays as it was then.
    fn reload(&self) -> Result<String, String>;
}

/// What tells one state of a file from another; `None` if it cannot be told.
type State = Option<(u64, u64, u64, i64, i64, i64, i64)>;

/// One part, and the states of its files.
struct Watched {
    part: Arc<dyn Reload>,
    /// When it was last read.
    read: Vec<State>,
    /// When it was last looked at.
    seen: Vec<State>,
}

/// What is watched. Made right after the files were read, so that no change is missed.
pub(crate) struct Watch(Vec<Watched>);

impl Watch {
    pub(crate) fn new(parts: Vec<Arc<dyn Reload>>) -> Self {
        Self(parts.into_iter().map(Watched::new).collect())
    }

    /// Reads the parts again when their files change, and all of them each time `hangups` goes up. Goes on for as
    /// long as it is polled.
    pub(crate) async fn run(self, hangups: watch::Receiver<usize>) {
        self.run_every(LOOK, hangups).await;
    }

    async fn run_every(self, time: Duration, mut hangups: watch::Receiver<usize>) {
        let mut parts = self.0;
        let mut looks = interval(time);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut signals = true;
        loop {
            let all = tokio::select! {
                _ = looks.tick() => false,
                changed = hangups.changed(), if signals => {
                    signals = changed.is_ok();
                    if signals {
                        info!("SIGHUP: reading again what can change while the process runs");
                    }
                    signals
                }
            };
            let look = move || {
                for part in &mut parts {
                    part.look(all);
                }
                parts
            };
            // A disk that hangs keeps one thread, and no request.
            match tokio::task::spawn_blocking(look).await {
                Ok(looked) => parts = looked,
                Err(_) => return,
            }
        }
    }
}

impl Watched {
    fn new(part: Arc<dyn Reload>) -> Self {
        let state = state(&part.files());
        Self { part, read: state.clone(), seen: state }
    }

    /// Reads the files if they have changed and stay so, or if told to.
    fn look(&mut self, now: bool) {
        let state = state(&self.part.files());
        let settled = state != self.read && state == self.seen;
        self.seen.clone_from(&state);
        if !now && !settled {
            return;
        }
        // Also if it fails: the same files are not better the next time.
        self.read = state;
        match self.part.reload() {
            Ok(changes) => info!("{}: {changes}", self.part.name()),
            Err(why) => warn!("{why}; what was read before stays in force"),
        }
    }
}

fn state(files: &[PathBuf]) -> Vec<State> {
    let of = |file: &PathBuf| {
        let found = std::fs::metadata(file).ok()?;
        let (written, changed) = ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
        Some((found.dev(), found.ino(), found.size(), written.0, written.1, changed.0, changed.1))
    };
    files.iter().map(of).collect()
}

#[cfg(test)]
mod tests;
