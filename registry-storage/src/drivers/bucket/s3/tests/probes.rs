//! What is found out about a service at start.

use super::scripted::{answer, script};
use super::*;
use crate::drivers::bucket::probe::{ProbeError, probe};

#[tokio::test]
async fn a_probe_finds_what_a_service_can_do_and_leaves_nothing() {
    let all = Options::new();
    for (can, safe, said) in [
        (all.clone(), true, &[][..]),
        (all.clone().without_list_uploads(), true, &["list uploads: NO; set a lifecycle rule"][..]),
        (all.clone().without_part_copy(), true, &["multipart copy: NO; "][..]),
        (all.clone().without_conditions(), false, &["conditional put: NO; run one replica only"][..]),
    ] {
        let emulator = S3Emulator::with(can.clone()).await;
        let mut options = options(&emulator);
        options.bucket.root = "/some/root/".to_owned();
        let bucket = bucket(&options);
        let found = probe(&bucket, &options.bucket.root).await.unwrap();
        assert_eq!(found.is_safe_for_replicas(), safe, "{can:?}");
        let lines = found.describe();
        let bad: Vec<&String> = lines.iter().filter(|line| line.contains("NO; ")).collect();
        // Whether checksums are looked at is up to the crate behind the emulator.
        let bad: Vec<&&String> = bad.iter().filter(|line| !line.starts_with("checksums")).collect();
        assert_eq!(bad.len(), said.len(), "{lines:?}");
        assert!(bad.iter().zip(said).all(|(line, start)| line.starts_with(start)), "{lines:?}");
        assert_eq!((emulator.objects(), emulator.uploads()), (vec![], vec![]), "{can:?}");
        let away = emulator.requests().into_iter().find(|request| {
            !request.key.is_empty() && !request.key.starts_with("some/root/.registry-probe/")
        });
        assert!(away.is_none(), "{away:?}");
        bucket.learn(&found);
        assert_eq!(bucket.limits().creates, found.conditional_put);
        assert_eq!(bucket.limits().lists_uploads, found.lists_uploads);
    }
}

#[tokio::test]
async fn a_probe_tells_why_a_bucket_cannot_be_used() {
    let emulator = S3Emulator::start().await;
    let mut absent = options(&emulator);
    absent.bucket.bucket = "absent".to_owned();
    let error = probe(&bucket(&absent), "").await.unwrap_err();
    assert!(matches!(error, ProbeError::NoBucket(_)), "{error:?}");
    let mut nobody = options(&emulator);
    nobody.credentials.as_mut().unwrap().secret_key = Secret::new("wrong");
    let error = probe(&bucket(&nobody), "").await.unwrap_err();
    assert!(matches!(&error, ProbeError::Denied(why) if why.contains("SignatureDoesNotMatch")), "{error:?}");

    let denied = answer("403 Forbidden", "", "<Error><Code>AccessDenied</Code></Error>");
    let empty = answer("200 OK", "", "<ListBucketResult/>");
    let (options, server) = script(vec![denied.clone(), empty]).await;
    let error = probe(&bucket(&options), "").await.unwrap_err();
    assert!(matches!(error, ProbeError::ReadOnly(_)), "{error:?}");
    server.await.unwrap();

    let moved = "<Error><Code>PermanentRedirect</Code><Endpoint>x</Endpoint></Error>";
    let elsewhere = "x-amz-bucket-region: eu-north-1\r\n";
    let (options, server) = script(vec![answer("301 Moved Permanently", elsewhere, moved)]).await;
    let error = probe(&bucket(&options), "").await.unwrap_err();
    assert_eq!(error.to_string(), "the bucket is in another region: set region to eu-north-1");
    server.await.unwrap();

    let (mut options, server) = script(vec![]).await;
    server.await.unwrap();
    options.bucket.retries = 1;
    let error = probe(&bucket(&options), "").await.unwrap_err();
    assert!(matches!(&error, ProbeError::Unreachable(why) if why.contains("2 tries")), "{error:?}");
}
