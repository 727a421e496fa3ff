//! What operations of a registry cost in a bucket, call by call.
//!
//! [`RecordingDriver`] makes a [flat](registry_core::Shape::Flat) driver count the calls that a bucket would
//! be asked: [`measure`] drives every operation through a namespace and gives a table of what each took,
//! beside what Distribution takes and what we allow ourselves. A [`Bench`] can count otherwise, in the log of
//! a real store for one.

mod driver;
mod operations;
mod table;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use registry_core::{Namespace, StorageDriver};
use tokio::time::Instant;

pub use driver::RecordingDriver;
pub use operations::measure;
pub use table::{Row, State, markdown};

/// Where operations are measured.
#[async_trait]
pub trait Bench: Send + Sync {
    /// A driver over a new and empty store. [`taken`](Self::taken) counts what is done with it.
    async fn driver(&self) -> Arc<dyn StorageDriver>;

    /// A process over a store that has seen nothing, with a descriptor cache in memory.
    fn process(&self, driver: &Arc<dyn StorageDriver>) -> Arc<dyn Namespace>;

    /// What was done since this was called last.
    async fn taken(&self) -> Taken;
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// How often the store was asked, by what for.
    pub calls: BTreeMap<&'static str, usize>,
    /// How many calls had to wait for each other, if that can be told.
    pub rounds: Option<usize>,
}

impl Taken {
    /// All calls.
    pub fn total(&self) -> usize {
        self.calls.values().sum()
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> = self.calls.iter().map(|(kind, calls)| format!("{calls} {kind}")).collect();
        f.write_str(&kinds.join(", "))
    }
}

/// What a [`RecordingDriver`] has counted. Clones count together.
#[derive(Debug, Clone)]
pub struct Record(Arc<Mutex<(BTreeMap<&'static str, usize>, Instant)>>);

impl Default for Record {
    fn default() -> Self {
        Self(Arc::new(Mutex::new((BTreeMap::new(), Instant::now()))))
    }
}

impl Record {
    /// How long a round takes, by the clock of the runtime. That clock has to be paused: then time passes only
    /// while everybody waits for a call, so that it says how many waited for each other.
    pub const ROUND: Duration = Duration::from_millis(20);

    /// Counts calls that are made side by side, and waits as long as they take.
    async fn round(&self, calls: &[(&'static str, usize)]) {
        let mut any = false;
        {
            let mut record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (kind, count) in calls.iter().filter(|(_, count)| *count > 0) {
                *record.0.entry(kind).or_default() += count;
                any = true;
            }
        }
        if any {
            tokio::time::sleep(Self::ROUND).await;
        }
    }

    /// What was counted since this was called last.
    pub fn taken(&self) -> Taken {
        let mut record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rounds = record.1.elapsed().as_millis() / Self::ROUND.as_millis();
        record.1 = Instant::now();
        Taken { calls: std::mem::take(&mut record.0), rounds: usize::try_from(rounds).ok() }
    }
}
