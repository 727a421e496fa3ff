//! The driver for S3 against the driver suite, over the real protocol: a service that can do everything,
//! services that cannot, and one where much goes wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use registry_conformance::emulator::{
    ACCESS_KEY, BUCKET, Effect, Fault, FaultPlan, Kind, Options, S3Emulator, SECRET_KEY,
};
use registry_core::{Batch, StorageDriver, StorageDriverExt, StoragePath, WriteMode};
use registry_storage::bucket::{OpenBucket, S3Credentials, S3Options, Secret};

fn options(emulator: &S3Emulator) -> S3Options {
    let mut options = S3Options::new(BUCKET, "us-east-1");
    options.endpoint = Some(emulator.endpoint());
    options.path_style = true;
    options.credentials = Some(S3Credentials {
        access_key: ACCESS_KEY.to_owned(),
        secret_key: Secret::new(SECRET_KEY),
        session_token: None,
    });
    options.bucket.root = "some/root".to_owned();
    options.bucket.retries = 8;
    options.bucket.retry_pause = Duration::from_millis(4);
    options
}

fn driver(bucket: &OpenBucket) -> Arc<dyn StorageDriver> {
    Arc::new(bucket.driver())
}

async fn whole() -> (Arc<dyn StorageDriver>, S3Emulator) {
    let emulator = S3Emulator::start().await;
    (driver(&OpenBucket::s3(&options(&emulator)).unwrap()), emulator)
}

/// A service without something, as the probe finds it at start.
async fn without(can: Options) -> (Arc<dyn StorageDriver>, S3Emulator) {
    let emulator = S3Emulator::with(can).await;
    let bucket = OpenBucket::s3(&options(&emulator)).unwrap();
    bucket.probe().await.unwrap();
    (driver(&bucket), emulator)
}

async fn faulty() -> (Arc<dyn StorageDriver>, S3Emulator) {
    let emulator = S3Emulator::start().await;
    emulator.inject(FaultPlan::replayed(20).ridden_out());
    let bucket = OpenBucket::s3(&options(&emulator)).unwrap();
    (driver(&bucket), emulator)
}

registry_conformance::driver_tests!(s3, whole());
registry_conformance::driver_tests!(s3_with_faults, faulty());
registry_conformance::driver_tests!(s3_without_list_uploads, without(Options::new().without_list_uploads()));
registry_conformance::driver_tests!(s3_without_part_copy, without(Options::new().without_part_copy()));

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

#[tokio::test]
async fn what_is_written_is_where_distribution_would_write_it() {
    let (driver, emulator) = whole().await;
    let put = Batch::new().put(path("/docker/registry/v2/x/link"), Bytes::from_static(b"sha256:"));
    driver.apply(put).await.unwrap();
    assert_eq!(emulator.objects(), [("some/root/docker/registry/v2/x/link".to_owned(), 7)]);
    driver.delete(&path("/docker")).await.unwrap();
}

#[tokio::test]
async fn an_upload_outlives_expired_credentials_lost_answers_and_bursts() {
    let (driver, emulator) = whole().await;
    let content: Vec<u8> = (0..20_u32 << 20).map(|at| (at >> 10) as u8).collect();
    let burst = |kind| Fault::new(Effect::SlowDown(None)).on(kind).times(3);
    let plan = FaultPlan::none()
        .with(burst(Kind::CreateMultipart))
        .with(burst(Kind::UploadPart))
        .with(Fault::new(Effect::ResetInBody(3 << 20)).on(Kind::UploadPart).times(2))
        .with(Fault::new(Effect::ResetAfter).on(Kind::Complete).nth(1));
    emulator.inject(plan);
    let mut writer = driver.writer(&path("/a"), WriteMode::Truncate).await.unwrap();
    for piece in content.chunks(1 << 20) {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    let size = writer.commit(Batch::new().rename(path("/a"), path("/b"))).await.unwrap();
    assert_eq!(size, content.len() as u64);
    assert!(driver.get(&path("/b"), 1 << 30).await.unwrap() == content);
    assert_eq!(emulator.uploads(), []);
    driver.delete(&path("/b")).await.unwrap();
}

#[tokio::test]
async fn one_that_does_not_answer_is_unavailable_and_said_to_be() {
    let emulator = S3Emulator::start().await;
    let mut options = options(&emulator);
    options.bucket.retries = 1;
    options.bucket.retry_deadline = Duration::from_secs(2);
    let bucket = OpenBucket::s3(&options).unwrap();
    let driver = driver(&bucket);
    emulator.inject(FaultPlan::none().with(Fault::new(Effect::SlowDown(None))));
    for _ in 0..5 {
        let error = driver.get(&path("/x"), 10).await.unwrap_err();
        assert!(error.to_string().contains("temporarily unavailable"), "{error}");
    }
    assert!(!bucket.health().state().answering);
    emulator.heal();
    // One is let through after a second, and finds that the service is back.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(driver.get(&path("/x"), 10).await.unwrap_err().is_not_found());
    assert!(bucket.health().state().answering);
}
