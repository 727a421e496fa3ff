//! Whole stacks against the suites of their parts: each driver behind pass-through wrappers of every hook

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
//! has to be what it is without them.

use std::sync::Arc;

use registry::Registry;
use registry::core::{Namespace, StorageDriver};
use registry::middleware::{InterceptNamespace, InterceptRepository, InterceptStorage, PassThrough};
use registry::storage::{FilesystemDriver, MemoryDriver};

/// A registry that shows an interceptor every call at every hook. References are not checked, since the
/// suite pushes manifests that refer to nothing.
async fn wrapped(driver: impl StorageDriver) -> Registry {
    Registry::builder(driver)
        .manifest_validation(None)
        .storage_middleware(InterceptStorage::new(Arc::new(PassThrough)))
        .registry_middleware(InterceptNamespace::new(Arc::new(PassThrough)))
        .repository_middleware(InterceptRepository::new(Arc::new(PassThrough)))
        .build()
        .await
        .unwrap()
}

async fn memory_namespace() -> (Arc<dyn Namespace>, ()) {
    (Arc::clone(wrapped(MemoryDriver::new()).await.namespace()), ())
}

async fn filesystem_namespace() -> (Arc<dyn Namespace>, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    (Arc::clone(wrapped(FilesystemDriver::new(root.path())).await.namespace()), root)
}

async fn filesystem_driver() -> (Arc<dyn StorageDriver>, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    (Arc::clone(wrapped(FilesystemDriver::new(root.path().join("store"))).await.driver()), root)
}

registry_conformance::namespace_tests!(wrapped_inmemory, memory_namespace());
registry_conformance::namespace_tests!(wrapped_filesystem, filesystem_namespace());
registry_conformance::driver_tests!(wrapped_filesystem_driver, filesystem_driver());
