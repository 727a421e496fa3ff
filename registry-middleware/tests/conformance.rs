//! The shared suites behind wrappers that change nothing.

use std::sync::Arc;

use registry_core::StorageDriver;
use registry_middleware::{InterceptStorage, PassThrough};
use registry_storage::MemoryDriver;

registry_conformance::driver_tests!(intercepted_memory, async {
    let driver: Arc<dyn StorageDriver> = Arc::new(MemoryDriver::new());
    (InterceptStorage::new(Arc::new(PassThrough)).around(driver), ())
});
