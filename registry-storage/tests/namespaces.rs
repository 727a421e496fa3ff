//! The storage-backed namespace against the namespace suite, over each built-in driver.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use registry_core::{Namespace, StorageDriver};
use registry_storage::{FilesystemDriver, MemoryCache, MemoryDriver, StorageNamespace};

fn over(driver: impl StorageDriver) -> Arc<dyn Namespace> {
    Arc::new(StorageNamespace::builder(Arc::new(driver)).build())
}

async fn filesystem() -> (Arc<dyn Namespace>, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    (over(FilesystemDriver::new(root.path())), root)
}

async fn with_a_cache() -> (Arc<dyn Namespace>, ()) {
    let cache = Arc::new(MemoryCache::default());
    let builder = StorageNamespace::builder(Arc::new(MemoryDriver::new())).descriptor_cache(Some(cache));
    (Arc::new(builder.build()), ())
}

registry_conformance::namespace_tests!(inmemory_namespace, async { (over(MemoryDriver::new()), ()) });
registry_conformance::namespace_tests!(filesystem_namespace, filesystem());
registry_conformance::namespace_tests!(namespace_with_a_cache, with_a_cache());
