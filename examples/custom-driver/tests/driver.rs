//! The driver against the suite that every driver runs, and what is special about a log.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::sync::Arc;

use example_custom_driver::LogDriver;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use registry::prelude::*;
use registry_core::{Algorithm, Batch, ContentBody, StorageDriverExt, StoragePath, WriteMode};
use tower::ServiceExt;

async fn empty_log() -> (Arc<dyn StorageDriver>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Arc::new(LogDriver::open(dir.path().join("store.log")).unwrap()), dir)
}

registry_conformance::driver_tests!(log_driver, empty_log());

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

#[tokio::test]
async fn everything_is_there_again_when_the_log_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("store.log");
    let driver = LogDriver::open(&log).unwrap();
    driver.put(&path("/kept"), "content".into()).await.unwrap();
    driver.put(&path("/gone/file"), "x".into()).await.unwrap();
    let mut writer = driver.writer(&path("/work"), WriteMode::Truncate).await.unwrap();
    writer.write("one,".into()).await.unwrap();
    writer.close().await.unwrap();
    let mut writer = driver.writer(&path("/work"), WriteMode::Append).await.unwrap();
    writer.write("two".into()).await.unwrap();
    let then = Batch::new().rename(path("/work"), path("/done")).then().delete(path("/gone"));
    writer.commit(then).await.unwrap();
    let before = driver.stat(&path("/done")).await.unwrap();

    let taken = LogDriver::open(&log).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::WouldBlock, "a log belongs to one process at a time");
    drop(driver);
    let driver = LogDriver::open(&log).unwrap();
    assert_eq!(driver.get(&path("/kept"), 100).await.unwrap(), "content");
    assert_eq!(driver.get(&path("/done"), 100).await.unwrap(), "one,two");
    let after = driver.stat(&path("/done")).await.unwrap();
    assert_eq!(after.size, before.size);
    for gone in ["/gone", "/gone/file", "/work"] {
        assert!(!driver.exists(&path(gone)).await.unwrap(), "{gone}");
    }
}

#[tokio::test]
async fn what_a_power_cut_leaves_of_a_record_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("store.log");
    let driver = LogDriver::open(&log).unwrap();
    driver.put(&path("/first"), "1".into()).await.unwrap();
    let whole = std::fs::read(&log).unwrap().len();
    driver.put(&path("/second"), "2".into()).await.unwrap();
    drop(driver);
    let content = std::fs::read(&log).unwrap();
    for kept in whole..content.len() {
        std::fs::write(&log, &content[..kept]).unwrap();
        let driver = LogDriver::open(&log).unwrap();
        assert!(driver.exists(&path("/first")).await.unwrap());
        assert!(!driver.exists(&path("/second")).await.unwrap(), "{kept} of {} bytes", content.len());
        driver.put(&path("/third"), "3".into()).await.unwrap();
        drop(driver);
        let driver = LogDriver::open(&log).unwrap();
        assert_eq!(driver.get(&path("/third"), 100).await.unwrap(), "3", "written after the cut");
    }
    std::fs::write(&log, &content[..whole]).unwrap();
    OpenOptions::new().append(true).open(&log).unwrap().write_all(&[0xff; 4096]).unwrap();
    assert!(LogDriver::open(&log).unwrap().exists(&path("/first")).await.unwrap());
}

#[tokio::test]
async fn a_file_in_one_piece_is_handed_out_as_part_of_the_log() {
    let (driver, _dir) = empty_log().await;
    driver.put(&path("/file"), "0123456789".into()).await.unwrap();
    let content = driver.reader(&path("/file"), registry_core::ByteRange::bounded(2, 5)).await.unwrap();
    let ContentBody::File(slice) = content.body else { panic!("a file can be sent without copying") };
    assert_eq!(slice.range().end - slice.range().start, 3);
}

#[tokio::test]
async fn a_registry_runs_over_it() {
    let (driver, _dir) = empty_log().await;
    let registry = Registry::builder_over(driver).build().await.unwrap();
    let service = registry.service(HttpOptions::default());
    let digest = Algorithm::Sha256.digest(b"a layer");
    let push = Request::post(format!("/v2/a/blobs/uploads/?digest={digest}"));
    let push = push.body(Full::new(bytes::Bytes::from_static(b"a layer"))).unwrap();
    assert_eq!(service.clone().oneshot(push).await.unwrap().status(), StatusCode::CREATED);
    let pull = Request::get(format!("/v2/a/blobs/{digest}")).body(Full::new(bytes::Bytes::new())).unwrap();
    let pulled = service.oneshot(pull).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(pulled.to_bytes(), "a layer");
}
