//! Copying a store into another.

mod content;
mod engine;
mod links;
mod merge;
mod removal;
mod repositories;
mod repository;
mod store;
mod tags;
mod tally;
mod walk;

use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use registry_core::StorageDriver;
use tokio::sync::Semaphore;

use self::engine::Engine;
use self::store::{End, Patience, Store};
use self::tally::Counters;

pub use self::tally::{MigrationKind, MigrationNote, MigrationReport, MigrationStage, MigrationTally};

/// Copies the store of one driver to another: content first, then what leads to it, so that nothing at the
/// destination ever leads to nothing, wherever a run is cut off.
///
/// Safe while any number of processes serve the source. What is pushed meanwhile may be missed, and what is
/// deleted meanwhile may be copied; the next run makes up for it. A run copies what is not there, by name, and
/// tags that have moved; so a run that was cut off is simply begun again, and one after a complete one is
/// short. Nobody but one migration should write to the destination.
///
/// Content is compared with its digest before it becomes visible at the destination. Links to content that the
/// source does not have, or has damaged, stay behind: they count as absent to everyone, and the next push of
/// that content brings it back whole. Uploads in progress and files that are none of the layout's stay behind
/// too. Memory does not grow with the store.
///
/// ```
/// # async fn example() {
/// use std::sync::Arc;
/// use registry_storage::{MemoryDriver, Migration};
///
/// let (from, to) = (MemoryDriver::new(), MemoryDriver::new());
/// let report = Migration::new(Arc::new(from), Arc::new(to)).run().await;
/// assert_eq!(report.ended.as_deref(), Some("source: there is no /docker/registry/v2"));
/// # }
/// ```
#[derive(Debug)]
pub struct Migration {
    source: Arc<dyn StorageDriver>,
    destination: Arc<dyn StorageDriver>,
    counters: Arc<Counters>,
    jobs: usize,
    whole: u64,
    verify: bool,
    delete: bool,
    dry_run: bool,
    patience: Patience,
}

/// Looks at a migration while it runs.
#[derive(Debug, Clone)]
pub struct MigrationProgress(Arc<Counters>);

impl MigrationProgress {
    /// What has been done so far.
    pub fn report(&self) -> MigrationReport {
        self.0.report()
    }
}

impl Migration {
    /// Eight files at a time; what is unavailable is tried seven times, over about half a minute.
    pub fn new(source: Arc<dyn StorageDriver>, destination: Arc<dyn StorageDriver>) -> Self {
        Self {
            source,
            destination,
            counters: Arc::default(),
            jobs: 8,
            whole: 4 << 20,
            verify: false,
            delete: false,
            dry_run: false,
            patience: Patience { tries: 7, pause: Duration::from_millis(500) },
        }
    }

    /// How many files are copied at a time, at least one.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs.max(1);
        self
    }

    /// Content of up to this many bytes is held in memory, by each job, and written in one call; 4 MiB unless
    /// said otherwise. What is larger streams.
    #[must_use]
    pub fn whole(mut self, bytes: u64) -> Self {
        self.whole = bytes;
        self
    }

    /// Whether content that is at the destination already is read and compared with its digest, and replaced
    /// if it does not match. Otherwise its length is compared, if both stores are disks.
    #[must_use]
    pub fn verify(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// Whether to remove from the destination what the source has no longer, at the end of a run in which
    /// nothing failed.
    #[must_use]
    pub fn delete(mut self, delete: bool) -> Self {
        self.delete = delete;
        self
    }

    /// Whether nothing is written, and only counted what would be.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// How often something is tried while a store is temporarily unavailable, and how long the first pause is;
    /// each further one is twice as long.
    #[must_use]
    pub fn patience(mut self, tries: u32, pause: Duration) -> Self {
        self.patience = Patience { tries: tries.max(1), pause };
        self
    }

    /// What to look at while it runs.
    pub fn progress(&self) -> MigrationProgress {
        MigrationProgress(Arc::clone(&self.counters))
    }

    /// Goes through both stores once. A file that cannot be copied is reported and passed over; a destination
    /// that is full or read-only, and a hundred failures in a row, end the run. Dropping the future ends it
    /// too, at any point.
    pub async fn run(self) -> MigrationReport {
        let store = |driver, end| {
            let (patience, counters) = (self.patience, Arc::clone(&self.counters));
            Arc::new(Store { driver, end, patience, counters })
        };
        let engine = Engine {
            source: store(Arc::clone(&self.source), End::Source),
            destination: store(Arc::clone(&self.destination), End::Destination),
            counters: Arc::clone(&self.counters),
            jobs: self.jobs,
            whole: self.whole,
            verify: self.verify,
            delete: self.delete,
            dry_run: self.dry_run,
            permits: Semaphore::new(self.jobs),
            hasher: RandomState::new(),
            stripes: Engine::locks(),
        };
        Arc::new(engine).run().await;
        self.counters.report()
    }
}
