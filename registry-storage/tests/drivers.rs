//! The built-in drivers against the driver suite.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use registry_core::StorageDriver;
use registry_storage::{FilesystemDriver, MemoryDriver};

async fn memory() -> (Arc<dyn StorageDriver>, ()) {
    (Arc::new(MemoryDriver::new()), ())
}

async fn filesystem() -> (Arc<dyn StorageDriver>, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    // Not there yet: a driver makes its directory with the first file.
    (Arc::new(FilesystemDriver::new(root.path().join("store"))), root)
}

registry_conformance::driver_tests!(inmemory_driver, memory());
registry_conformance::driver_tests!(flat_driver, async {
    (Arc::new(MemoryDriver::flat()) as Arc<dyn StorageDriver>, ())
});
registry_conformance::driver_tests!(filesystem_driver, filesystem());
