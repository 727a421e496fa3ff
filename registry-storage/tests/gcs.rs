//! The driver suite over Google Cloud Storage, as it is played in this process.

#![cfg(feature = "gcs")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use registry_conformance::emulator::GcsEmulator;
use registry_core::StorageDriver;
use registry_storage::bucket::{GcsCredentials, GcsOptions, OpenBucket, Secret};

fn options(emulator: &GcsEmulator) -> GcsOptions {
    let mut options = GcsOptions::new(emulator.bucket());
    options.endpoint = Some(emulator.endpoint());
    options.credentials = GcsCredentials::Json(Secret::new(emulator.service_account()));
    options
}

async fn gcs() -> (Arc<dyn StorageDriver>, GcsEmulator) {
    let emulator = GcsEmulator::start().await;
    let bucket = OpenBucket::gcs(&options(&emulator)).unwrap();
    (Arc::new(bucket.driver()), emulator)
}

registry_conformance::driver_tests!(gcs_driver, gcs());
registry_conformance::driver_tests!(gcs_driver_below_a_root, async {
    let emulator = GcsEmulator::start().await;
    let mut options = options(&emulator);
    options.bucket.root = "/some/root/".to_owned();
    (Arc::new(OpenBucket::gcs(&options).unwrap().driver()) as Arc<dyn StorageDriver>, emulator)
});

#[tokio::test]
async fn the_probe_finds_all_that_a_store_needs() {
    let emulator = GcsEmulator::start().await;
    let probe = OpenBucket::gcs(&options(&emulator)).unwrap().probe().await.unwrap();
    assert!(probe.is_safe_for_replicas(), "{probe:?}");
    assert!(probe.lists_uploads && probe.range, "{probe:?}");
    assert_eq!(probe.multipart_copy, None, "there is no such request");
    assert!(emulator.objects().is_empty() && emulator.uploads().is_empty());
}
