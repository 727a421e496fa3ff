//! Pushes and deletes over a store that fails at any one of its calls.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use registry_core::{Namespace, StorageDriver};
use registry_storage::{FilesystemDriver, MemoryDriver, StorageNamespace};

async fn over(driver: Arc<dyn StorageDriver>) -> Arc<dyn Namespace> {
    Arc::new(StorageNamespace::builder(driver).build())
}

/// In memory where there is such a place: thousands of syncs are not what is tested here.
async fn filesystem() -> (Arc<dyn StorageDriver>, tempfile::TempDir) {
    let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    (Arc::new(FilesystemDriver::new(root.path())), root)
}

registry_conformance::fault_tests!(
    faults_over_memory,
    async { (Arc::new(MemoryDriver::new()) as Arc<dyn StorageDriver>, ()) },
    over
);
registry_conformance::fault_tests!(
    faults_over_a_flat_store,
    async { (Arc::new(MemoryDriver::flat()) as Arc<dyn StorageDriver>, ()) },
    over
);
registry_conformance::fault_tests!(faults_over_the_filesystem, filesystem(), over);
