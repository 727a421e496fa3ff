//! Keeping the deletion of a manifest apart from the setting of its tags.

use std::hash::{BuildHasher, RandomState};

use registry_core::RepositoryName;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// How many locks there are. Repositories that share one wait for each other's deletes and no more.
const LOCKS: usize = 64;

/// Locks of repositories, for operations that would leave a tag without a manifest if they met: whoever
/// publishes or tags shares the repository, whoever deletes a manifest has it alone.
///
/// They hold within this process. Between processes over one store the same meeting can leave a tag that
/// points at nothing, which reads as absent.
#[derive(Debug)]
pub(crate) struct RepositoryLocks {
    hasher: RandomState,
    locks: Box<[RwLock<()>]>,
}

impl Default for RepositoryLocks {
    fn default() -> Self {
        Self { hasher: RandomState::new(), locks: (0..LOCKS).map(|_| RwLock::new(())).collect() }
    }
}

impl RepositoryLocks {
    fn of(&self, name: &RepositoryName) -> &RwLock<()> {
        &self.locks[self.hasher.hash_one(name) as usize % LOCKS]
    }

    /// For publishing and tagging.
    pub(crate) async fn share(&self, name: &RepositoryName) -> RwLockReadGuard<'_, ()> {
        self.of(name).read().await
    }

    /// For deleting a manifest.
    pub(crate) async fn alone(&self, name: &RepositoryName) -> RwLockWriteGuard<'_, ()> {
        self.of(name).write().await
    }
}
