//! Whole files: written, read, replaced, looked at.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use registry_core::{Batch, StorageDriver, StorageError, StoragePath};

use super::{get, path, put};
use crate::data::{assert_same, random};
use crate::suite::refused;

/// What is put is what is got, at lengths around the sizes of buffers.
pub async fn put_is_read_back_byte_for_byte(driver: Arc<dyn StorageDriver>) {
    for (seed, len) in [0, 1, 2, 255, 4095, 4096, 4097, 65_536, 70_001, 1 << 20].into_iter().enumerate() {
        let content = random(seed as u64, len);
        let at = format!("/content/of/{len}");
        put(&*driver, &at, content.clone()).await;
        assert_same(&get(&*driver, &at).await, &content, &at);
    }
}

/// `get` finds files only: not directories, not what is absent, not what is below a file.
pub async fn get_of_what_is_no_file_is_not_found(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/dir/file", "x").await;
    for at in ["/", "/dir", "/absent", "/dir/absent", "/absent/absent", "/dir/file/below", "/di", "/dir/fil"]
    {
        match driver.get(&path(at), 100).await {
            Err(StorageError::NotFound { driver: name, path: said }) => {
                assert_eq!(name, driver.name(), "an error names its driver");
                assert_eq!(said, path(at), "an error names the path that was asked for");
            }
            other => panic!("{at} is no file, but get says {other:?}"),
        }
    }
}

/// `get` takes up to `limit` bytes and refuses a file with more, saying how many.
pub async fn get_refuses_more_than_its_limit(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/file", random(1, 1000)).await;
    for limit in [1000, 1001, u64::MAX] {
        let content = driver.get(&path("/file"), limit).await;
        assert_eq!(content.map(|content| content.len()).unwrap(), 1000, "a limit of {limit} is enough");
    }
    for limit in [0, 1, 999] {
        match driver.get(&path("/file"), limit).await {
            Err(StorageError::TooLarge { len: 1000, limit: said, .. }) if said == limit => {}
            other => panic!("1000 bytes are more than {limit}, but get says {other:?}"),
        }
    }
    put(&*driver, "/empty", "").await;
    assert_eq!(driver.get(&path("/empty"), 0).await.unwrap(), "", "nothing fits into nothing");
}

/// A put replaces the whole file, whichever of the two is longer.
pub async fn put_replaces(driver: Arc<dyn StorageDriver>) {
    for content in ["first", "second and longer", "3rd", ""] {
        put(&*driver, "/a/file", content).await;
        assert_eq!(get(&*driver, "/a/file").await, content);
    }
}

/// A create makes a file where none is and otherwise leaves what is there.
pub async fn create_refuses_to_replace(driver: Arc<dyn StorageDriver>) {
    let create = |content: &'static str| driver.apply(Batch::new().create(path("/new/file"), content));
    create("first").await.expect("nothing is there yet");
    refused!(create("second").await, StorageError::AlreadyExists { .. }, "create where a file is");
    assert_eq!(get(&*driver, "/new/file").await, "first");
    driver.apply(Batch::new().delete(path("/new/file"))).await.unwrap();
    create("third").await.expect("nothing is there any more");
    assert_eq!(get(&*driver, "/new/file").await, "third");
}

/// Of several that create the same file at once exactly one succeeds, and its content is there.
pub async fn one_of_many_creators_wins(driver: Arc<dyn StorageDriver>) {
    for round in 0..10 {
        let at = format!("/race/{round}/file");
        let creators = (0..8).map(|n| {
            let batch = Batch::new().create(path(&at), random(n, 5000));
            let driver = Arc::clone(&driver);
            tokio::spawn(async move { driver.apply(batch).await })
        });
        let mut winners = Vec::new();
        for (n, outcome) in join_all(creators).await.into_iter().enumerate() {
            match outcome.expect("no creator panics") {
                Ok(()) => winners.push(n),
                Err(StorageError::AlreadyExists { .. }) => {}
                Err(error) => panic!("creator {n} should have lost, but failed: {error:?}"),
            }
        }
        assert_eq!(winners.len(), 1, "one creator wins, not {winners:?}");
        let expected = random(winners[0] as u64, 5000);
        assert_same(&get(&*driver, &at).await, &expected, "the file of the winner");
    }
}

/// Whoever reads a file that others replace sees one of the versions, never a mixture or a part.
pub async fn readers_see_the_old_or_the_new_file(driver: Arc<dyn StorageDriver>) {
    const LEN: usize = 100_000;
    put(&*driver, "/file", vec![b'0'; LEN]).await;
    let writers = (0..2_u8).map(|n| {
        let driver = Arc::clone(&driver);
        tokio::spawn(async move {
            for round in 0..20 {
                put(&*driver, "/file", vec![b'a' + n + 2 * (round % 3); LEN - usize::from(n)]).await;
            }
        })
    });
    let reader = {
        let driver = Arc::clone(&driver);
        tokio::spawn(async move {
            for _ in 0..40 {
                let content = get(&*driver, "/file").await;
                let whole = content.len() == LEN || content.len() == LEN - 1;
                assert!(whole, "a file appears whole, not {} bytes of it", content.len());
                assert!(content.iter().all(|&b| b == content[0]), "two versions of a file are mixed");
                tokio::task::yield_now().await;
            }
        })
    };
    for task in writers.collect::<Vec<_>>() {
        task.await.expect("a writer succeeds");
    }
    reader.await.expect("the reader sees whole files");
}

/// Every segment that a path can have can be a file and a directory.
pub async fn every_allowed_name_can_be_used(driver: Arc<dyn StorageDriver>) {
    let long = "x".repeat(200);
    let names = [
        ".hidden", "..two", "a..b", "dot.", "_under", "__", "-dash", "--", "0", "CAPITALS", "a.b_c-d", &long,
    ];
    for name in names {
        for at in [format!("/file/{name}"), format!("/dir/{name}/file")] {
            put(&*driver, &at, at.clone()).await;
        }
    }
    for name in names {
        for at in [format!("/file/{name}"), format!("/dir/{name}/file")] {
            assert_eq!(get(&*driver, &at).await, at.as_bytes());
        }
    }
}

/// Paths that differ only in upper and lower case are different.
pub async fn names_differ_by_case(driver: Arc<dyn StorageDriver>) {
    for at in ["/Tag/v1", "/tag/v1", "/tag/V1"] {
        put(&*driver, at, at).await;
    }
    for at in ["/Tag/v1", "/tag/v1", "/tag/V1"] {
        assert_eq!(get(&*driver, at).await, at, "another file overwrote {at}");
    }
}

/// Directories are made on the way, to any depth.
pub async fn deep_directories_come_and_go(driver: Arc<dyn StorageDriver>) {
    let deep = "/d".repeat(60) + "/file";
    put(&*driver, &deep, "deep").await;
    assert_eq!(get(&*driver, &deep).await, "deep");
    put(&*driver, "/d/d/file", "shallow").await;
    driver.apply(Batch::new().delete(path("/d/d/d"))).await.unwrap();
    refused!(driver.get(&path(&deep), 10).await, StorageError::NotFound { .. }, "a deleted directory's file");
    assert_eq!(get(&*driver, "/d/d/file").await, "shallow");
}

/// `stat` knows the length of files, directories as directories, and the root at any time.
pub async fn stat_tells_files_from_directories(driver: Arc<dyn StorageDriver>) {
    let root = driver.stat(&StoragePath::root()).await.expect("the root exists in an empty store");
    assert!(root.is_dir, "the root is a directory");
    put(&*driver, "/dir/sub/file", Bytes::from_static(b"12345")).await;
    put(&*driver, "/dir/empty", "").await;

    let file = driver.stat(&path("/dir/sub/file")).await.expect("the file exists");
    assert_eq!((file.size, file.is_dir), (5, false), "a file of five bytes");
    let empty = driver.stat(&path("/dir/empty")).await.expect("an empty file exists");
    assert_eq!((empty.size, empty.is_dir), (0, false), "an empty file");
    for at in ["/", "/dir", "/dir/sub"] {
        let dir = driver.stat(&path(at)).await.unwrap_or_else(|error| panic!("{at} exists: {error:?}"));
        assert_eq!((dir.size, dir.is_dir), (0, true), "{at} is a directory");
    }
    for at in ["/absent", "/dir/absent", "/dir/su", "/dir/sub/file/below"] {
        refused!(driver.stat(&path(at)).await, StorageError::NotFound { .. }, "stat of {at}");
    }
    put(&*driver, "/dir/sub/file", "1234567").await;
    assert_eq!(driver.stat(&path("/dir/sub/file")).await.unwrap().size, 7, "stat knows the new length");
}
