//! The driver for S3 against the driver suite, over the real protocol: a service that can do everything,
//! services that cannot, and one where much goes wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use registry_conformance::emulator::{
    ACCESS_KEY, BUCKET, Effect, Fault, FaultPlan, Kind, Options, S3Emulator, SECRET_KEY,
};
use registry_core::{Algorithm, Batch, Namespace, StorageDriver, StorageDriverExt, StoragePath, WriteMode};
use registry_storage::StorageNamespace;
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

/// A driver that asks long enough for whatever happens meanwhile.
fn enduring(emulator: &S3Emulator) -> Arc<dyn StorageDriver> {
    let mut options = options(emulator);
    options.bucket.retries = 1000;
    options.bucket.retry_pause = Duration::from_millis(1);
    driver(&OpenBucket::s3(&options).unwrap())
}

/// The body of the first GET breaks off, and what is left is not to be had until [`S3Emulator::heal`].
fn break_off_and_stay_away(emulator: &S3Emulator) {
    emulator.clear_requests();
    let breaks = Fault::new(Effect::ResetInBody(1000)).on(Kind::Get).nth(1);
    let away = Fault::new(Effect::InternalError).on(Kind::Get).from(2);
    emulator.inject(FaultPlan::none().with(breaks).with(away));
}

async fn replace_while_it_is_away(emulator: &S3Emulator, path: StoragePath, content: Bytes) {
    while emulator.requests().iter().filter(|request| request.kind == Kind::Get).count() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    enduring(emulator).apply(Batch::new().put(path, content)).await.unwrap();
    emulator.heal();
}

#[tokio::test]
async fn a_small_file_that_is_replaced_while_it_is_read_is_read_anew() {
    let (_, emulator) = whole().await;
    let (driver, file) = (enduring(&emulator), path("/docker/file"));
    let [old, new] = [b'o', b'n'].map(|byte| Bytes::from(vec![byte; 5000]));
    driver.apply(Batch::new().put(file.clone(), old)).await.unwrap();
    break_off_and_stay_away(&emulator);
    let replaced = replace_while_it_is_away(&emulator, file.clone(), new.clone());
    let (read, ()) = tokio::join!(driver.get(&file, 1 << 20), replaced);
    assert!(read.unwrap() == new);
}

#[tokio::test]
async fn a_blob_that_is_pushed_again_while_it_is_read_is_read_to_its_end() {
    let (_, emulator) = whole().await;
    let driver = enduring(&emulator);
    let content = Bytes::from((0..100_000).map(|at| (at / 7) as u8).collect::<Vec<_>>());
    let digest = Algorithm::Sha256.digest(&content);
    let hex = digest.encoded();
    let file = path(&format!("/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]));
    driver.apply(Batch::new().put(file.clone(), content.clone())).await.unwrap();
    let namespace = StorageNamespace::builder(Arc::clone(&driver)).build();
    for same in [true, false] {
        break_off_and_stay_away(&emulator);
        let blob = namespace.blobs().get(&digest).await.unwrap().unwrap();
        let read = blob.body.into_stream().unwrap().try_collect::<Vec<Bytes>>();
        // One of another length is not what was asked for, wherever it comes from.
        let now = if same { content.clone() } else { content.slice(1..) };
        let (read, ()) = tokio::join!(read, replace_while_it_is_away(&emulator, file.clone(), now));
        match read {
            Ok(read) => assert!(same && read.concat() == content),
            Err(error) => assert!(!same, "{error:?}"),
        }
    }
}
