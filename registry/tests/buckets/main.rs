//! The HTTP and the namespace suite over buckets of S3, GCS and Azure, played by emulators in this process: as
//! they should be, and where much goes wrong; and several replicas over one bucket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ask;
mod costs;
mod faults;
mod races;
mod replicas;

use std::sync::Arc;
use std::time::Duration;

use registry::core::Namespace;
use registry::http::{HttpOptions, RegistryService};
use registry::storage::bucket::{
    AzureCredentials, AzureOptions, BucketDriver, GcsCredentials, GcsOptions, OpenBucket, S3Credentials,
    S3Options, Secret,
};
use registry::storage::{MemoryCache, StorageNamespace};
use registry::{Registry, RegistryBuilder};
use registry_conformance::emulator::{
    ACCESS_KEY, ACCOUNT, ACCOUNT_KEY, AzureEmulator, BUCKET, FaultPlan, GcsEmulator, Options, S3Emulator,
    SECRET_KEY,
};

/// A registry that sends the bytes itself: the suite's client asks the service and nobody else.
fn registry(driver: BucketDriver) -> RegistryBuilder {
    Registry::builder(driver).redirects(false).descriptor_cache(Some(Arc::new(MemoryCache::default())))
}

async fn service(driver: BucketDriver) -> RegistryService {
    let options = HttpOptions::default().with_secret(Some("of all replicas".to_owned()));
    registry(driver).build().await.expect("a registry over a bucket is built").service(options)
}

fn s3_options(emulator: &S3Emulator) -> S3Options {
    let mut options = S3Options::new(BUCKET, "us-east-1");
    options.endpoint = Some(emulator.endpoint());
    options.path_style = true;
    options.credentials = Some(S3Credentials {
        access_key: ACCESS_KEY.to_owned(),
        secret_key: Secret::new(SECRET_KEY),
        session_token: None,
    });
    options.bucket.root = "some/root".to_owned();
    options
}

fn open_s3(emulator: &S3Emulator) -> OpenBucket {
    OpenBucket::s3(&s3_options(emulator)).expect("the options are good")
}

/// One that tries again so often, and soon.
fn patient_s3(emulator: &S3Emulator, retries: usize) -> OpenBucket {
    let mut options = s3_options(emulator);
    (options.bucket.retries, options.bucket.retry_pause) = (retries, Duration::from_millis(2));
    // So that not much makes several parts.
    options.bucket.part_size = 5 << 20;
    OpenBucket::s3(&options).expect("the options are good")
}

/// A store of another time, where much goes wrong that passes.
async fn faulty_s3() -> (BucketDriver, S3Emulator) {
    let emulator = S3Emulator::with(Options::new().with_clock_ahead(Duration::from_secs(5 * 3600))).await;
    emulator.inject(FaultPlan::replayed(6).ridden_out());
    (patient_s3(&emulator, 8).driver(), emulator)
}

fn s3_driver(emulator: &S3Emulator) -> BucketDriver {
    open_s3(emulator).driver()
}

fn gcs_driver(emulator: &GcsEmulator) -> BucketDriver {
    let mut options = GcsOptions::new(BUCKET);
    options.endpoint = Some(emulator.endpoint());
    options.credentials = GcsCredentials::Json(Secret::new(emulator.service_account()));
    OpenBucket::gcs(&options).expect("the options are good").driver()
}

fn azure_driver(emulator: &AzureEmulator) -> BucketDriver {
    let key = AzureCredentials::SharedKey(Secret::new(ACCOUNT_KEY));
    let mut options = AzureOptions::new(ACCOUNT, BUCKET, key);
    options.service_url = Some(emulator.endpoint());
    OpenBucket::azure(&options).expect("the options are good").driver()
}

registry_conformance::wire_tests!(s3, async {
    let emulator = S3Emulator::start().await;
    (service(s3_driver(&emulator)).await, emulator)
});

registry_conformance::wire_tests!(s3_that_lists_no_uploads, async {
    let emulator = S3Emulator::with(Options::new().without_list_uploads()).await;
    let bucket = open_s3(&emulator);
    let found = bucket.probe().await.expect("the bucket answers");
    assert!(!found.lists_uploads);
    (service(bucket.driver()).await, emulator)
});

registry_conformance::wire_tests!(s3_with_faults, async {
    let (driver, emulator) = faulty_s3().await;
    (service(driver).await, emulator)
});

registry_conformance::wire_tests!(gcs, async {
    let emulator = GcsEmulator::start().await;
    (service(gcs_driver(&emulator)).await, emulator)
});

registry_conformance::wire_tests!(azure, async {
    let emulator = AzureEmulator::start().await;
    (service(azure_driver(&emulator)).await, emulator)
});

async fn namespace(driver: BucketDriver) -> Arc<dyn Namespace> {
    Arc::new(StorageNamespace::builder(Arc::new(driver)).build())
}

registry_conformance::namespace_tests!(s3_namespace, async {
    let emulator = S3Emulator::start().await;
    (namespace(s3_driver(&emulator)).await, emulator)
});

registry_conformance::namespace_tests!(s3_namespace_with_faults, async {
    let (driver, emulator) = faulty_s3().await;
    (namespace(driver).await, emulator)
});

registry_conformance::namespace_tests!(gcs_namespace, async {
    let emulator = GcsEmulator::start().await;
    (namespace(gcs_driver(&emulator)).await, emulator)
});

registry_conformance::namespace_tests!(azure_namespace, async {
    let emulator = AzureEmulator::start().await;
    (namespace(azure_driver(&emulator)).await, emulator)
});
