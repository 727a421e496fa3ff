//! Files written piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use registry_core::{Batch, StorageDriver, StorageError, WriteMode};

use super::{exists, get, is_file, path, put, reopen, writer};
use crate::data::{assert_same, random};
use crate::suite::refused;

/// A writer makes a file, and the directories on the way, out of what it is given.
pub async fn truncate_writes_from_nothing(driver: Arc<dyn StorageDriver>) {
    let mut file = writer(&*driver, "/a/b/file", WriteMode::Truncate).await;
    assert_eq!(file.size(), 0, "a new file is empty");
    for piece in ["one ", "", "two ", "three"] {
        file.write(Bytes::from_static(piece.as_bytes())).await.expect("a piece is written");
    }
    assert_eq!(file.close().await.expect("the writer closes"), 13);
    assert_eq!(get(&*driver, "/a/b/file").await, "one two three");
    assert_eq!(driver.stat(&path("/a/b/file")).await.unwrap().size, 13);
}

/// Nothing of what was there before is left.
pub async fn truncate_replaces(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/file", "something long").await;
    let mut file = writer(&*driver, "/file", WriteMode::Truncate).await;
    assert_eq!(file.size(), 0, "what was there is gone");
    file.write(Bytes::from_static(b"short")).await.unwrap();
    file.close().await.unwrap();
    assert_eq!(get(&*driver, "/file").await, "short");
}

/// Append goes on after the last byte, of what a writer closed and of what was put.
pub async fn append_continues(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/file", "put,").await;
    for (size, piece) in [(4, "one,"), (8, "two,"), (12, "three")] {
        let mut file = writer(&*driver, "/file", WriteMode::Append).await;
        assert_eq!(file.size(), size, "a reopened writer knows how much there is");
        file.write(Bytes::from_static(piece.as_bytes())).await.unwrap();
        assert_eq!(file.close().await.unwrap(), size + piece.len() as u64);
    }
    assert_eq!(get(&*driver, "/file").await, "put,one,two,three");
}

/// Append does not make files.
pub async fn append_needs_a_file(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/dir/file", "x").await;
    for at in ["/absent", "/dir/absent", "/absent/absent"] {
        let result = driver.writer(&path(at), WriteMode::Append).await;
        refused!(result, StorageError::NotFound { .. }, "append to {at}");
        assert!(!is_file(&*driver, at).await, "a failed append makes no file");
    }
    writer(&*driver, "/absent", WriteMode::Truncate).await.close().await.expect("the failure left no lock");
}

/// `size` is right after every piece, before anything is closed.
pub async fn size_counts_everything_accepted(driver: Arc<dyn StorageDriver>) {
    let mut file = writer(&*driver, "/file", WriteMode::Truncate).await;
    let mut expected = 0;
    for (seed, len) in [1, 0, 10, 65_536, 3, 300_000, 1].into_iter().enumerate() {
        file.write(random(seed as u64, len)).await.unwrap();
        expected += len as u64;
        assert_eq!(file.size(), expected, "after {len} bytes more");
    }
    assert_eq!(file.close().await.unwrap(), expected);
    assert_eq!(driver.stat(&path("/file")).await.unwrap().size, expected);
}

/// A hundred pieces of odd sizes are in order and complete.
pub async fn many_small_writes_add_up(driver: Arc<dyn StorageDriver>) {
    let expected = random(8, 100 * 77);
    let mut file = writer(&*driver, "/file", WriteMode::Truncate).await;
    for n in 0..100 {
        file.write(expected.slice(n * 77..(n + 1) * 77)).await.unwrap();
    }
    assert_eq!(file.close().await.unwrap(), expected.len() as u64);
    assert_same(&get(&*driver, "/file").await, &expected, "a hundred pieces");
}

/// A large file that is closed and continued comes out as one.
pub async fn a_large_file_is_written_in_several_sittings(driver: Arc<dyn StorageDriver>) {
    let expected = random(9, (12 << 20) + 4321);
    writer(&*driver, "/large", WriteMode::Truncate).await.close().await.unwrap();
    for sitting in expected.chunks(5 << 20) {
        let mut file = writer(&*driver, "/large", WriteMode::Append).await;
        for piece in sitting.chunks(300_001) {
            file.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        file.close().await.unwrap();
    }
    assert_same(&get(&*driver, "/large").await, &expected, "a file written in several sittings");
}

/// While one has the file open, nobody else gets it, in any mode, and the one is not disturbed.
pub async fn a_second_writer_is_refused(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/appended", "before,").await;
    for (at, mode) in [("/new", WriteMode::Truncate), ("/appended", WriteMode::Append)] {
        let mut first = writer(&*driver, at, mode).await;
        first.write(Bytes::from_static(b"one,")).await.unwrap();
        for second in [WriteMode::Truncate, WriteMode::Append] {
            let result = driver.writer(&path(at), second).await;
            refused!(result, StorageError::Busy { .. }, "{at}: {second:?} while another has it to {mode:?}");
        }
        first.write(Bytes::from_static(b"two")).await.expect("the first writer was not disturbed");
        first.close().await.expect("the first writer was not disturbed");
    }
    assert_eq!(get(&*driver, "/new").await, "one,two");
    assert_eq!(get(&*driver, "/appended").await, "before,one,two");
}

/// Whichever way a writer ends, the next one can open the file.
pub async fn the_file_is_free_after_every_ending(driver: Arc<dyn StorageDriver>) {
    for _ in 0..2 {
        let mut file = writer(&*driver, "/file", WriteMode::Truncate).await;
        file.write(Bytes::from_static(b"x")).await.unwrap();
        file.close().await.unwrap();
        writer(&*driver, "/file", WriteMode::Append).await.commit(Batch::new()).await.unwrap();
        writer(&*driver, "/file", WriteMode::Append).await.cancel().await.unwrap();
        let mut dropped = writer(&*driver, "/file", WriteMode::Truncate).await;
        dropped.write(Bytes::from_static(b"x")).await.unwrap();
        drop(dropped);
        let file = reopen(&*driver, "/file", WriteMode::Truncate).await.expect("a dropped writer lets go");
        let batch = Batch::new().rename(path("/file"), path("/moved"));
        file.commit(batch).await.expect("the file is moved");
    }
}

/// A commit applies its batch, which moves the file to where it belongs.
pub async fn commit_moves_the_file(driver: Arc<dyn StorageDriver>) {
    let expected = random(10, 200_000);
    put(&*driver, "/upload/startedat", "then").await;
    let mut file = writer(&*driver, "/upload/data", WriteMode::Truncate).await;
    file.write(expected.slice(..100_000)).await.unwrap();
    file.close().await.unwrap();
    let mut file = writer(&*driver, "/upload/data", WriteMode::Append).await;
    file.write(expected.slice(100_000..)).await.unwrap();
    let then = Batch::new()
        .rename(path("/upload/data"), path("/blobs/ab/data"))
        .then()
        .put(path("/repo/link"), "ab")
        .then()
        .delete(path("/upload"));
    assert_eq!(file.commit(then).await.expect("the commit succeeds"), 200_000);
    assert_same(&get(&*driver, "/blobs/ab/data").await, &expected, "the committed file");
    assert_eq!(get(&*driver, "/repo/link").await, "ab");
    assert!(!exists(&*driver, "/upload/data").await && !exists(&*driver, "/upload/startedat").await);
}

/// A commit without steps is a close for good.
pub async fn commit_without_steps_keeps_the_file(driver: Arc<dyn StorageDriver>) {
    let mut file = writer(&*driver, "/file", WriteMode::Truncate).await;
    file.write(Bytes::from_static(b"content")).await.unwrap();
    assert_eq!(file.commit(Batch::new()).await.unwrap(), 7);
    assert_eq!(get(&*driver, "/file").await, "content");
}

/// If the batch of a commit fails before the file is moved, the file is complete where it was, and the
/// batch can be repeated without the writer.
pub async fn a_failed_commit_keeps_the_file(driver: Arc<dyn StorageDriver>) {
    let expected = random(11, 100_000);
    let mut file = writer(&*driver, "/file", WriteMode::Truncate).await;
    file.write(expected.clone()).await.unwrap();
    let then = Batch::new().rename(path("/late"), path("/early")).then().rename(path("/file"), path("/done"));
    let result = file.commit(then.clone()).await;
    refused!(result, StorageError::NotFound { .. }, "a commit with a rename of nothing");
    assert_same(&get(&*driver, "/file").await, &expected, "the file after a failed commit");
    put(&*driver, "/late", "here now").await;
    driver.apply(then).await.expect("the batch of the commit can be repeated");
    assert_same(&get(&*driver, "/done").await, &expected, "the file after the repeated batch");
}

/// A file of which nothing was ever written is a file.
pub async fn an_empty_file_can_be_committed(driver: Arc<dyn StorageDriver>) {
    let file = writer(&*driver, "/file", WriteMode::Truncate).await;
    assert_eq!(file.commit(Batch::new().rename(path("/file"), path("/empty"))).await.unwrap(), 0);
    assert_eq!(get(&*driver, "/empty").await, "");
    assert!(!driver.stat(&path("/empty")).await.unwrap().is_dir);
}

/// A file that was closed empty can be appended to.
pub async fn an_empty_file_can_be_continued(driver: Arc<dyn StorageDriver>) {
    assert_eq!(writer(&*driver, "/file", WriteMode::Truncate).await.close().await.unwrap(), 0);
    let mut file = writer(&*driver, "/file", WriteMode::Append).await;
    assert_eq!(file.size(), 0);
    file.write(Bytes::from_static(b"x")).await.unwrap();
    file.close().await.unwrap();
    assert_eq!(get(&*driver, "/file").await, "x");
}

/// A cancelled file is gone, even what earlier sittings had closed.
pub async fn cancel_removes_the_file(driver: Arc<dyn StorageDriver>) {
    let mut file = writer(&*driver, "/dir/new", WriteMode::Truncate).await;
    file.write(random(12, 100_000)).await.unwrap();
    file.cancel().await.expect("a new file can be cancelled");
    put(&*driver, "/dir/old", "closed").await;
    let mut file = writer(&*driver, "/dir/old", WriteMode::Append).await;
    file.write(Bytes::from_static(b" and more")).await.unwrap();
    file.cancel().await.expect("a continued file can be cancelled");
    for at in ["/dir/new", "/dir/old"] {
        assert!(!exists(&*driver, at).await, "{at} is gone");
        let result = driver.writer(&path(at), WriteMode::Append).await;
        refused!(result, StorageError::NotFound { .. }, "append to a cancelled file");
    }
}

/// Dropping a writer is a crash: what was closed before is there, of what was written after perhaps a
/// beginning, and the file can be continued.
pub async fn a_dropped_writer_leaves_a_beginning(driver: Arc<dyn StorageDriver>) {
    let expected = random(13, 500_000);
    let mut file = writer(&*driver, "/file", WriteMode::Truncate).await;
    file.write(expected.slice(..100_000)).await.unwrap();
    file.close().await.unwrap();
    let mut file = writer(&*driver, "/file", WriteMode::Append).await;
    for piece in expected[100_000..400_000].chunks(50_000) {
        file.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    drop(file);

    let mut file = reopen(&*driver, "/file", WriteMode::Append).await.expect("the file can be continued");
    let size = file.size() as usize;
    assert!(
        (100_000..=400_000).contains(&size),
        "{size} bytes are left of 400000, of which 100000 were closed"
    );
    file.write(expected.slice(size..)).await.expect("the file can be continued");
    assert_eq!(file.close().await.unwrap(), 500_000);
    assert_same(&get(&*driver, "/file").await, &expected, "a file continued after a crash");
}

/// Writers of different files, at once, do not mix their bytes.
pub async fn writers_of_different_files_do_not_meet(driver: Arc<dyn StorageDriver>) {
    let writers = (0..8_u64).map(|n| {
        let driver = Arc::clone(&driver);
        tokio::spawn(async move {
            let (work, done) = (format!("/work/{n}"), format!("/done/{n}"));
            let expected = random(n, 200_000 + n as usize);
            let mut file = writer(&*driver, &work, WriteMode::Truncate).await;
            for piece in expected.chunks(9_999) {
                file.write(Bytes::copy_from_slice(piece)).await.unwrap();
                tokio::task::yield_now().await;
            }
            file.commit(Batch::new().rename(path(&work), path(&done))).await.unwrap();
            assert_same(&get(&*driver, &done).await, &expected, &done);
        })
    });
    for task in join_all(writers).await {
        task.expect("a writer has its own file");
    }
}
