//! The bucket against a server that checks signatures.

mod faults;
mod logs;
mod probes;
mod scripted;
mod urls;

use futures::TryStreamExt;
use registry_conformance::emulator::{
    ACCESS_KEY, BUCKET, Effect, Fault, FaultPlan, Kind, Options, S3Emulator, SECRET_KEY,
};

use super::*;
use crate::drivers::bucket::options::{S3Credentials, S3Encryption, Secret};
use crate::drivers::bucket::{broken, contract};

fn options(emulator: &S3Emulator) -> S3Options {
    let mut options = S3Options::new(BUCKET, "eu-west-1");
    options.endpoint = Some(emulator.endpoint());
    options.path_style = true;
    options.credentials = Some(S3Credentials {
        access_key: ACCESS_KEY.to_owned(),
        secret_key: Secret::new(SECRET_KEY),
        session_token: None,
    });
    options.bucket.retries = 4;
    options.bucket.retry_pause = Duration::from_millis(4);
    options
}

fn bucket(options: &S3Options) -> S3 {
    S3::new(options, BucketHealth::new()).unwrap()
}

fn one(effect: Effect, kind: Kind) -> FaultPlan {
    FaultPlan::none().with(Fault::new(effect).on(kind).nth(1))
}

fn kinds(emulator: &S3Emulator) -> Vec<Kind> {
    emulator.requests().iter().map(|request| request.kind).collect()
}

async fn read(bucket: &S3, key: &str) -> Vec<u8> {
    let object = bucket.get(key, None).await.unwrap();
    object.body.try_collect::<Vec<Bytes>>().await.unwrap().concat()
}

#[tokio::test]
async fn it_keeps_what_a_bucket_promises() {
    let emulator = S3Emulator::start().await;
    contract::hold(&bucket(&options(&emulator))).await;
}

#[tokio::test]
async fn bodies_that_break_off_are_gone_on_with() {
    let emulator = S3Emulator::start().await;
    let options = options(&emulator);
    let mut bucket = bucket(&options);
    bucket.patience.progress = broken::PROGRESS;
    broken::hold(&bucket, &emulator, options.bucket.retries).await;
}

#[tokio::test]
async fn new_objects_and_copies_have_class_key_and_access() {
    let emulator = S3Emulator::with(Options::new().with_min_part(1)).await;
    let mut options = options(&emulator);
    options.storage_class = Some("STANDARD_IA".to_owned());
    options.encryption = S3Encryption::Kms("the-key".to_owned());
    options.acl = Some("bucket-owner-full-control".to_owned());
    options.bucket.user_agent = Some("blue/1".to_owned());
    (options.copy_threshold, options.copy_part) = (4, 4);
    let bucket = bucket(&options);
    bucket.put("a", "four".into(), false).await.unwrap();
    bucket.copy("a", "b", 4).await.unwrap();
    bucket.put("c", "five5".into(), false).await.unwrap();
    bucket.copy("c", "d", 5).await.unwrap();
    assert_eq!(read(&bucket, "d").await, b"five5");
    for request in emulator.requests() {
        let creates = matches!(request.kind, Kind::Put | Kind::Copy | Kind::CreateMultipart);
        for (name, value) in [
            ("x-amz-storage-class", "STANDARD_IA"),
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "the-key"),
            ("x-amz-acl", "bucket-owner-full-control"),
            ("content-type", "application/octet-stream"),
        ] {
            if creates || name != "content-type" {
                assert_eq!(request.header(name) == Some(value), creates, "{:?} {name}", request.kind);
            }
        }
        let agent = request.header("user-agent").unwrap();
        assert!(agent.starts_with("registry/") && agent.ends_with(" blue/1"), "{agent}");
    }
}

#[tokio::test]
async fn a_copy_above_the_threshold_is_made_in_parts_at_once_and_taken_back_when_it_fails() {
    let emulator = S3Emulator::with(Options::new().with_min_part(1).with_max_copy(8)).await;
    let mut options = options(&emulator);
    (options.copy_threshold, options.copy_part, options.copy_concurrency) = (8, 3, 2);
    let bucket = bucket(&options);
    for length in [0, 1, 8, 9, 10, 30] {
        let content: Vec<u8> = (0..length).collect();
        bucket.put("from", content.clone().into(), false).await.unwrap();
        emulator.clear_requests();
        bucket.copy("from", "to", u64::from(length)).await.unwrap();
        let parts = kinds(&emulator).iter().filter(|kind| **kind == Kind::UploadPartCopy).count();
        assert_eq!(parts, if length > 8 { usize::from(length.div_ceil(3)) } else { 0 }, "{length}");
        assert_eq!(read(&bucket, "to").await, content);
    }
    let error = bucket.copy("absent", "to", 30).await.unwrap_err();
    assert!(matches!(error, BucketError::NotFound), "{error:?}");
    assert_eq!(emulator.uploads(), []);
    assert!(matches!(bucket.copy("absent", "to", 3).await, Err(BucketError::NotFound)));
}

#[tokio::test]
async fn many_keys_are_deleted_by_the_thousand() {
    let emulator = S3Emulator::start().await;
    let bucket = bucket(&options(&emulator));
    let keys: Vec<String> = (0..2001).map(|number| format!("a/<{number}>&")).collect();
    bucket.put(&keys[0], Bytes::new(), false).await.unwrap();
    bucket.put(&keys[2000], Bytes::new(), false).await.unwrap();
    emulator.clear_requests();
    bucket.delete(&keys).await.unwrap();
    assert_eq!(kinds(&emulator), [Kind::DeleteObjects; 3]);
    assert_eq!(emulator.objects(), []);
    emulator.clear_requests();
    bucket.delete(&keys[..1]).await.unwrap();
    bucket.delete(&[]).await.unwrap();
    assert_eq!(kinds(&emulator), [Kind::Delete]);
    // In a URL it would be another key.
    bucket.put("a/b", Bytes::new(), false).await.unwrap();
    bucket.delete(&["a/c/../b".to_owned()]).await.unwrap();
    assert_eq!(emulator.objects(), [("a/b".to_owned(), 0)]);
}
