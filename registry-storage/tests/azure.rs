//! The driver suite over Azure Blob Storage: as it is played in this process, and over azurite.

#![cfg(feature = "azure")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use registry_conformance::emulator::{self, ACCOUNT_KEY, AzureEmulator};
use registry_core::StorageDriver;
use registry_storage::bucket::{AzureCredentials, AzureOptions, OpenBucket, Secret};

fn bucket(emulator: &AzureEmulator) -> OpenBucket {
    let credentials = AzureCredentials::SharedKey(Secret::new(ACCOUNT_KEY));
    let mut options = AzureOptions::new(emulator::ACCOUNT, emulator.bucket(), credentials);
    options.service_url = Some(emulator.endpoint());
    options.bucket.root = "some/root".to_owned();
    OpenBucket::azure(&options).unwrap()
}

async fn emulated() -> (Arc<dyn StorageDriver>, AzureEmulator) {
    let emulator = AzureEmulator::start().await;
    (Arc::new(bucket(&emulator).driver()), emulator)
}

registry_conformance::driver_tests!(azure, emulated());

#[tokio::test]
async fn the_probe_finds_all_that_a_store_needs() {
    let emulator = AzureEmulator::start().await;
    let probe = bucket(&emulator).probe().await.unwrap();
    assert!(probe.is_safe_for_replicas(), "{probe:?}");
    assert!(probe.lists_uploads && probe.range, "{probe:?}");
    assert!(emulator.objects().is_empty());
}

/// The account of azurite and its key, which Microsoft publishes.
#[cfg(feature = "azurite")]
const ACCOUNT: &str = "devstoreaccount1";
#[cfg(feature = "azurite")]
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Azurite at `REGISTRY_TEST_AZURITE`, with a root of its own in the container `REGISTRY_TEST_AZURITE_CONTAINER`.
#[cfg(feature = "azurite")]
fn azurite() -> OpenBucket {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let credentials = AzureCredentials::SharedKey(Secret::new(KEY));
    let mut options = AzureOptions::new(ACCOUNT, variable("REGISTRY_TEST_AZURITE_CONTAINER"), credentials);
    options.service_url = Some(format!("{}/{ACCOUNT}", variable("REGISTRY_TEST_AZURITE")));
    options.bucket.root = uuid::Uuid::new_v4().to_string();
    OpenBucket::azure(&options).unwrap()
}

registry_conformance::driver_tests!(
    #[cfg(feature = "azurite")]
    azurite_driver,
    async { (Arc::new(azurite().driver()) as Arc<dyn StorageDriver>, ()) }
);

#[cfg(feature = "azurite")]
#[tokio::test]
async fn azurite_the_probe_finds_all_that_a_store_needs() {
    let probe = azurite().probe().await.unwrap();
    assert!(probe.is_safe_for_replicas(), "{probe:?}");
    assert!(probe.lists_uploads && probe.range, "{probe:?}");
    assert_ne!(probe.multipart_copy, Some(false), "where there is no such request, it is not made");
}
