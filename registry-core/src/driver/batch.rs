//! Changes to a store that belong together.

use bytes::Bytes;

use super::StoragePath;

/// Changes that are made together, in stages.
///
/// Steps of one stage become visible in any order. [`then`](Self::then) begins the next stage, of which
/// nothing is visible before everything of the stage before is; and a step in it that *replaces or
/// deletes* something waits until the stages before are durable. So a power cut may leave the beginning
/// of a batch, but never the loss of old content whose replacement is not there: a moved tag points at
/// the old manifest or at the new one, and the new one exists.
///
/// When [`StorageDriver::apply`](super::StorageDriver::apply) returns, every step is durable that is
/// not [relaxed](Durability::Relaxed). A batch is not atomic: readers may see some stages without the
/// next. Every step can be repeated; a repeated create finds what it has made, and a repeated rename that
/// its source has gone.
///
/// ```
/// use registry_core::{Batch, StoragePath};
/// # fn main() -> Result<(), registry_core::InvalidText> {
/// let data = StoragePath::parse("/data")?;
/// let link = StoragePath::parse("/link")?;
/// // The link is never seen without the data.
/// let batch = Batch::new().put(data, "content").then().put(link, "/data");
/// assert_eq!(batch.stages().len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    stages: Vec<Vec<Step>>,
}

/// One change of a batch and how long it has to last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The change.
    pub change: Change,
    /// Whether the batch waits until it is durable.
    pub durability: Durability,
}

/// A change to one path. Each is atomic for readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Writes a whole file.
    Put {
        /// Where.
        path: StoragePath,
        /// What.
        content: Bytes,
        /// Whether something may be there already.
        mode: PutMode,
    },
    /// Moves a file, replacing what is at `to`. The content of `from` has to be durable already.
    Rename {
        /// From where.
        from: StoragePath,
        /// To where.
        to: StoragePath,
    },
    /// Removes a file, or a directory with everything below it. Nothing there is no error.
    Delete {
        /// What.
        path: StoragePath,
    },
    /// Removes a file; nothing there is no error. What is below the path stays: where there are no
    /// directories, nobody has to look for it.
    Remove {
        /// Which.
        path: StoragePath,
    },
}

/// Whether a file may replace another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutMode {
    /// It may.
    Overwrite,
    /// It may not: of several that create the same path at once, one succeeds and the others get
    /// [`StorageError::AlreadyExists`](crate::StorageError::AlreadyExists).
    Create,
}

/// How long a change has to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Beyond a power cut.
    Synced,
    /// As long as the machine runs; for what is only convenient, such as clearing up.
    Relaxed,
}

impl Batch {
    /// A batch without steps.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a whole file, replacing what was there.
    #[must_use]
    pub fn put(self, path: StoragePath, content: impl Into<Bytes>) -> Self {
        self.step(Change::Put { path, content: content.into(), mode: PutMode::Overwrite }, Durability::Synced)
    }

    /// Writes a whole file where none is.
    #[must_use]
    pub fn create(self, path: StoragePath, content: impl Into<Bytes>) -> Self {
        self.step(Change::Put { path, content: content.into(), mode: PutMode::Create }, Durability::Synced)
    }

    /// Moves a file, replacing what is at `to`.
    #[must_use]
    pub fn rename(self, from: StoragePath, to: StoragePath) -> Self {
        self.step(Change::Rename { from, to }, Durability::Synced)
    }

    /// Removes a file or a directory.
    #[must_use]
    pub fn delete(self, path: StoragePath) -> Self {
        self.step(Change::Delete { path }, Durability::Synced)
    }

    /// Removes a file that is known to be one.
    #[must_use]
    pub fn remove(self, path: StoragePath) -> Self {
        self.step(Change::Remove { path }, Durability::Synced)
    }

    /// Adds a step to the current stage.
    #[must_use]
    pub fn step(mut self, change: Change, durability: Durability) -> Self {
        if self.stages.is_empty() {
            self.stages.push(Vec::new());
        }
        if let Some(stage) = self.stages.last_mut() {
            stage.push(Step { change, durability });
        }
        self
    }

    /// Begins the next stage.
    #[must_use]
    pub fn then(mut self) -> Self {
        if self.stages.last().is_some_and(|stage| !stage.is_empty()) {
            self.stages.push(Vec::new());
        }
        self
    }

    /// The stages in order.
    pub fn stages(&self) -> &[Vec<Step>] {
        &self.stages
    }

    /// The stages in order, by value.
    pub fn into_stages(self) -> Vec<Vec<Step>> {
        self.stages
    }

    /// Where the first step that moves the file at `path` puts it.
    pub fn moves(&self, path: &StoragePath) -> Option<&StoragePath> {
        self.stages.iter().flatten().find_map(|step| match &step.change {
            Change::Rename { from, to } if from == path => Some(to),
            _ => None,
        })
    }

    /// Whether a step moves the file at `path` away.
    pub fn renames(&self, path: &StoragePath) -> bool {
        let moves = |step: &Step| matches!(&step.change, Change::Rename { from, .. } if from == path);
        self.stages.iter().flatten().any(moves)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.stages.iter().all(Vec::is_empty)
    }
}
