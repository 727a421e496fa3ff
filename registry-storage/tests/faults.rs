//! Pushes and deletes over a store that fails at any one of its calls.

use std::sync::Arc;

use registry_core::{Namespace, StorageDriver};
use registry_storage::{FilesystemDriver, MemoryDriver, StorageNamespace};

fn over(driver: Arc<dyn StorageDriver>) -> impl Future<Output = Arc<dyn Namespace>> {
    async { Arc::new(StorageNamespace::builder(driver).build()) as Arc<dyn Namespace> }
}

async fn filesystem() -> (Arc<dyn StorageDriver>, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    (Arc::new(FilesystemDriver::new(root.path())), root)
}

registry_conformance::fault_tests!(
    faults_over_memory,
    async { (Arc::new(MemoryDriver::new()) as Arc<dyn StorageDriver>, ()) },
    over
);
registry_conformance::fault_tests!(faults_over_the_filesystem, filesystem(), over);
