//! Files and parts of them, opened for reading.

use std::sync::Arc;

use futures::future::join_all;
use http::Method;
use registry_core::{ByteRange, RedirectHint, StorageDriver, StorageDriverExt, StorageError};

use super::{drain, open, path, put};
use crate::data::{assert_same, random};
use crate::suite::refused;

/// Without a range the body is the file, and the answer says how long it is.
pub async fn a_whole_file_is_read(driver: Arc<dyn StorageDriver>) {
    for (seed, len) in [0_usize, 1, 4096, 100_000].into_iter().enumerate() {
        let at = format!("/dir/{len}");
        let expected = random(seed as u64, len);
        put(&*driver, &at, expected.clone()).await;
        let content = open(&*driver, &at, None).await;
        assert_eq!(content.size, len as u64, "the size is that of the file");
        assert_eq!(content.range, 0..len as u64, "the range is the whole file");
        assert_same(&drain(content).await.expect("the body is read"), &expected, &at);
    }
}

/// Bounded, open and suffix ranges mean what RFC 9110 says; what reaches past the end is cut off.
pub async fn ranges_are_cut_at_the_end(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/file", "0123456789").await;
    let bounded = |start, end| ByteRange::bounded(start, end).unwrap();
    let suffix = |len| ByteRange::suffix(len).unwrap();
    let cases = [
        (bounded(0, 1), 0..1, "0"),
        (bounded(2, 5), 2..5, "234"),
        (bounded(0, 10), 0..10, "0123456789"),
        (bounded(9, 10), 9..10, "9"),
        (bounded(8, 11), 8..10, "89"),
        (bounded(8, u64::MAX), 8..10, "89"),
        (ByteRange::From(0), 0..10, "0123456789"),
        (ByteRange::From(7), 7..10, "789"),
        (ByteRange::From(9), 9..10, "9"),
        (suffix(1), 9..10, "9"),
        (suffix(4), 6..10, "6789"),
        (suffix(10), 0..10, "0123456789"),
        (suffix(u64::MAX), 0..10, "0123456789"),
    ];
    for (range, expected, bytes) in cases {
        let content = open(&*driver, "/file", Some(range)).await;
        assert_eq!(content.size, 10, "{range:?}: the size is that of the whole file");
        assert_eq!(content.range, expected, "{range:?}");
        assert_eq!(drain(content).await.expect("the body is read"), bytes, "{range:?}");
    }
}

/// A range with no byte of the file in it is refused, with the length of the file.
pub async fn a_range_past_the_end_is_refused_with_the_length(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/file", "0123456789").await;
    let bounded = |start, end| ByteRange::bounded(start, end).unwrap();
    for range in [bounded(10, 11), bounded(500, 600), ByteRange::From(10), ByteRange::From(u64::MAX)] {
        let result = driver.reader(&path("/file"), Some(range)).await;
        refused!(result, StorageError::InvalidRange { len: 10, .. }, "{range:?} of ten bytes");
    }
}

/// Of an empty file there is no range, but there is the whole.
pub async fn an_empty_file_has_no_ranges(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/empty", "").await;
    let content = open(&*driver, "/empty", None).await;
    assert_eq!((content.size, content.range.clone()), (0, 0..0));
    assert_eq!(drain(content).await.expect("nothing can be read"), "");
    for range in [ByteRange::From(0), ByteRange::bounded(0, 1).unwrap(), ByteRange::suffix(1).unwrap()] {
        let result = driver.reader(&path("/empty"), Some(range)).await;
        refused!(result, StorageError::InvalidRange { len: 0, .. }, "{range:?} of nothing");
    }
}

/// Directories and absent paths cannot be opened, with or without a range.
pub async fn what_is_no_file_cannot_be_read(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/dir/file", "x").await;
    for at in ["/", "/dir", "/absent", "/dir/absent", "/dir/file/below"] {
        for range in [None, Some(ByteRange::From(0)), Some(ByteRange::From(100))] {
            let result = driver.reader(&path(at), range).await;
            refused!(result, StorageError::NotFound { .. }, "reader of {at} ({range:?})");
        }
    }
}

/// Three megabytes come back whole and in parts that cross any buffer.
pub async fn a_large_file_is_read_in_any_piece(driver: Arc<dyn StorageDriver>) {
    const LEN: usize = 3 << 20;
    let expected = random(3, LEN);
    put(&*driver, "/large", expected.clone()).await;
    let whole = drain(open(&*driver, "/large", None).await).await.expect("the body is read");
    assert_same(&whole, &expected, "the whole file");
    for (start, end) in
        [(0, 1 << 20), (1, 65_537), (1_048_575, 2_097_153), (LEN - 70_000, LEN), (12_345, LEN - 1)]
    {
        let range = ByteRange::bounded(start as u64, end as u64);
        let content = open(&*driver, "/large", range).await;
        assert_eq!(content.range, start as u64..end as u64);
        assert_same(
            &drain(content).await.expect("the body is read"),
            &expected[start..end],
            "part of the file",
        );
    }
    let tail =
        drain(open(&*driver, "/large", ByteRange::suffix(100_001)).await).await.expect("the end is read");
    assert_same(&tail, &expected[LEN - 100_001..], "the end of the file");
}

/// Readers of one file, each at its own place, get their own bytes.
pub async fn many_readers_do_not_disturb_each_other(driver: Arc<dyn StorageDriver>) {
    const LEN: usize = 300_000;
    let expected = random(4, LEN);
    put(&*driver, "/file", expected.clone()).await;
    let readers = (0..12_usize).map(|n| {
        let (driver, expected) = (Arc::clone(&driver), expected.clone());
        tokio::spawn(async move {
            let start = n * 20_000;
            let content = open(&*driver, "/file", Some(ByteRange::From(start as u64))).await;
            tokio::task::yield_now().await;
            assert_same(
                &drain(content).await.expect("the body is read"),
                &expected[start..],
                "a reader's part",
            );
        })
    });
    for reader in join_all(readers).await {
        reader.expect("a reader gets its bytes");
    }
}

/// Content that is open while its file is deleted comes whole or ends in an error, never short.
pub async fn an_open_file_outlives_its_deletion_or_fails(driver: Arc<dyn StorageDriver>) {
    for len in [10, 2 << 20] {
        let expected = random(5, len);
        put(&*driver, "/dir/file", expected.clone()).await;
        let content = open(&*driver, "/dir/file", None).await;
        driver.delete(&path("/dir")).await.expect("a file that is being read can be deleted");
        if let Ok(bytes) = drain(content).await {
            assert_same(&bytes, &expected, "a file deleted while it was read");
        }
    }
}

/// Content that is open while its file is replaced stays what it was or ends in an error.
pub async fn an_open_file_does_not_change(driver: Arc<dyn StorageDriver>) {
    let old = random(6, 2 << 20);
    put(&*driver, "/file", old.clone()).await;
    let content = open(&*driver, "/file", None).await;
    put(&*driver, "/file", random(7, 1 << 20)).await;
    if let Ok(bytes) = drain(content).await {
        assert_same(&bytes, &old, "a file replaced while it was read");
    }
}

/// A driver hands out an absolute URL or none; asking for one is never an error for a file.
pub async fn redirects_are_urls_or_nothing(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/file", "x").await;
    for method in [Method::GET, Method::HEAD] {
        let hint = RedirectHint::new(method, None);
        let url =
            driver.redirect_url(&path("/file"), &hint).await.expect("a driver knows whether it redirects");
        if let Some(url) = url {
            assert!(url.scheme().is_some() && url.authority().is_some(), "{url} is not absolute");
        }
    }
}
