//! What all parts of a migration share.

use std::fmt;
use std::hash::RandomState;
use std::sync::Arc;

use bytes::Bytes;
use registry_core::{Batch, Digest, StorageError, StoragePath};
use tokio::sync::{Mutex, Semaphore};

use super::store::{Broken, Store};
use super::tally::{Counters, MigrationKind, MigrationStage};
use crate::layout;

/// How many locks keep two tasks from copying the same content at once.
const STRIPES: usize = 64;

/// The most bytes of a small file other than a link; an entry of the referrers index can have most of them.
const SMALL_FILE: u64 = 8 << 20;

/// A migration that runs.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) source: Arc<Store>,
    pub(super) destination: Arc<Store>,
    pub(super) counters: Arc<Counters>,
    pub(super) jobs: usize,
    /// Content of no more bytes is written as one small file.
    pub(super) whole: u64,
    pub(super) verify: bool,
    pub(super) delete: bool,
    pub(super) dry_run: bool,
    /// For small files; content is bounded by itself.
    pub(super) permits: Semaphore,
    pub(super) hasher: RandomState,
    pub(super) stripes: Box<[Mutex<()>]>,
}

/// Why one file could not be copied.
#[derive(Debug)]
pub(super) enum Trouble {
    Broken(Broken),
    /// The bytes at the source have this digest and not the one they should.
    Damaged(Digest),
    /// The store cannot have a file of that name.
    NoPath,
    /// The task that was copying it ended.
    Task(tokio::task::JoinError),
}

impl From<Broken> for Trouble {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(broken) => broken.fmt(f),
            Self::Damaged(actual) => {
                write!(f, "source: the bytes do not match the digest, theirs is {actual}")
            }
            Self::NoPath => f.write_str("there is no path for it"),
            Self::Task(error) => write!(f, "ended unexpectedly: {error}"),
        }
    }
}

impl Engine {
    pub(super) fn locks() -> Box<[Mutex<()>]> {
        (0..STRIPES).map(|_| Mutex::new(())).collect()
    }

    /// Copies everything, in an order in which nothing at the destination ever leads to nothing.
    pub(super) async fn run(self: Arc<Self>) {
        match self.source.has(&layout::root()).await {
            Ok(true) => {}
            Ok(false) => return self.counters.end(format!("source: there is no {}", layout::root())),
            Err(broken) => return self.counters.end(broken.to_string()),
        }
        self.counters.begin(MigrationStage::Content);
        self.contents().await;
        self.counters.begin(MigrationStage::Repositories);
        self.repositories().await;
        if self.delete {
            self.counters.begin(MigrationStage::Removal);
            self.removal().await;
        }
        if self.counters.has_ended() {
            return;
        }
        if !self.dry_run {
            // What earlier runs that were cut off had begun. What cannot be removed does no harm.
            let leavings = Batch::new().delete(layout::arrivals());
            if let Err(error) = self.destination.driver.apply(leavings).await {
                tracing::debug!(%error, "cannot remove what earlier runs have left");
            }
        }
        self.counters.begin(MigrationStage::Done);
    }

    /// Records that a file could not be copied.
    pub(super) fn failed(&self, path: String, trouble: Trouble) {
        if let Trouble::Broken(broken) = &trouble
            && broken.is_final()
        {
            self.counters.end(broken.to_string());
        }
        self.counters.failed(path, trouble.to_string());
    }

    /// Whether to try again what is more than one call and ended in `trouble`, after a pause. `tried` counts.
    pub(super) async fn again(&self, tried: &mut u32, trouble: &Trouble) -> bool {
        *tried += 1;
        let Trouble::Broken(broken) = trouble else { return false };
        let temporary = matches!(broken.error, StorageError::Unavailable { .. } | StorageError::Busy { .. });
        temporary && self.destination.patience.again(*tried, &self.counters).await
    }

    /// Changes the destination, unless this is only to see what would be done.
    pub(super) async fn change(&self, batch: Batch) -> Result<(), Broken> {
        if self.dry_run || batch.is_empty() {
            return Ok(());
        }
        self.destination.call(|driver| driver.apply(batch.clone())).await
    }

    /// Copies a small file as it is. False if it is gone.
    pub(super) async fn plain(&self, kind: MigrationKind, path: &StoragePath) -> Result<bool, Trouble> {
        let Some(content) = small(&self.source, path, SMALL_FILE).await? else { return Ok(false) };
        let bytes = content.len() as u64;
        self.change(Batch::new().put(path.clone(), content)).await?;
        self.counters.copied(kind, bytes);
        Ok(true)
    }
}

/// A small file, or `None`.
pub(super) async fn small(store: &Store, path: &StoragePath, limit: u64) -> Result<Option<Bytes>, Broken> {
    super::store::absent_as_none(store.call(|driver| driver.get(path, limit)).await)
}
