//! Files written piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use registry_core::{Batch, Detached, FileWriter, StorageDriver, StorageError, WriteMode};

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
        let mut first = writer(&*driver, at, mode.clone()).await;
        first.write(Bytes::from_static(b"one,")).await.unwrap();
        for second in [WriteMode::Truncate, WriteMode::Append] {
            let result = driver.writer(&path(at), second.clone()).await;
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

/// A file that is told where it is going to be moved comes out the same, however large.
pub async fn a_file_can_be_written_to_where_it_belongs(driver: Arc<dyn StorageDriver>) {
    for (n, len) in [0, 1, 70_000, 6_000_000, 19_000_001].into_iter().enumerate() {
        let expected = random(20 + n as u64, len);
        let (work, done) = (path(&format!("/work/{n}")), path(&format!("/done/{n}/data")));
        let mut file = writer(&*driver, work.as_str(), WriteMode::Truncate).await;
        file.destined_for(&done);
        for piece in expected.chunks(300_000) {
            file.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        let then = Batch::new().put(path("/link"), "x").then().rename(work.clone(), done.clone());
        assert_eq!(file.commit(then).await.expect("the file is committed"), len as u64);
        assert_same(&get(&*driver, done.as_str()).await, &expected, "the file where it belongs");
        assert!(!exists(&*driver, work.as_str()).await, "the file is not where it was begun");
    }
}

/// The hint changes nothing before the commit, and nothing of the order of its stages: if a stage fails
/// that comes before the move, the file is not where it was going to be.
pub async fn a_destined_file_appears_when_its_stage_comes(driver: Arc<dyn StorageDriver>) {
    for (n, len) in [5_000, 6_000_000].into_iter().enumerate() {
        let expected = random(30 + n as u64, len);
        let (work, done) = (path(&format!("/work/{n}")), path(&format!("/done/{n}")));
        let mut file = writer(&*driver, work.as_str(), WriteMode::Truncate).await;
        file.destined_for(&done);
        file.write(expected.clone()).await.unwrap();
        assert!(!exists(&*driver, done.as_str()).await, "nothing is there before the commit");
        let late = path(&format!("/late/{n}"));
        let then = Batch::new().rename(late.clone(), path("/early")).then().rename(work, done.clone());
        let result = file.commit(then.clone()).await;
        refused!(result, StorageError::NotFound { .. }, "a commit with a rename of nothing");
        assert!(!exists(&*driver, done.as_str()).await, "its stage did not come");
        put(&*driver, late.as_str(), "here now").await;
        driver.apply(then).await.expect("the batch of the commit can be repeated");
        assert_same(&get(&*driver, done.as_str()).await, &expected, "the file after the repeated batch");
    }
}

/// Neither cancelling nor dropping a writer leaves anything where it was going to be.
pub async fn a_cancelled_file_never_reaches_where_it_was_destined(driver: Arc<dyn StorageDriver>) {
    let done = path("/done/data");
    for len in [5_000, 6_000_000] {
        for cancel in [true, false] {
            let mut file = reopen(&*driver, "/work/data", WriteMode::Truncate).await.expect("a free file");
            file.destined_for(&done);
            file.write(random(40, len)).await.unwrap();
            if cancel {
                file.cancel().await.expect("the file is cancelled");
                assert!(!exists(&*driver, "/work/data").await);
            } else {
                drop(file);
            }
            assert!(!exists(&*driver, done.as_str()).await, "nothing was committed");
        }
    }
}

/// Detaches a writer, as a request does that ends, and opens the file again with what it gave out.
async fn detached(driver: &dyn StorageDriver, at: &str, file: Box<dyn FileWriter>) -> Box<dyn FileWriter> {
    let size = file.size();
    let detached = file.detach().await.expect("the writer is detached");
    assert_eq!(detached.size, size);
    let mode = match detached.ticket {
        Some(ticket) => {
            assert!(ticket.len() <= Detached::TICKET_LIMIT, "a ticket of {} bytes", ticket.len());
            WriteMode::Continue(ticket)
        }
        None => WriteMode::Append,
    };
    let file = writer(driver, at, mode).await;
    assert_eq!(file.size(), size, "the writer is where it was");
    file
}

/// The sizes of the pieces in which detached files are written: within a part of a bucket and beyond.
const SITTINGS: [&[usize]; 5] = [
    &[1_000],
    &[1_000, 1, 2_000_000],
    &[6_000_000, 6_000_000, 6_000_000],
    &[3_000_000, 9_000_000, 10, 5_300_000],
    &[20_000_000, 100, 100],
];

/// What is detached with a ticket goes on with it.
pub async fn a_detached_file_is_continued_with_its_ticket(driver: Arc<dyn StorageDriver>) {
    for (n, sittings) in SITTINGS.iter().enumerate() {
        let (work, done) = (path(&format!("/work/{n}")), path(&format!("/done/{n}")));
        let expected = random(50 + n as u64, sittings.iter().sum());
        let mut file = writer(&*driver, work.as_str(), WriteMode::Truncate).await;
        let mut rest = expected.clone();
        for len in *sittings {
            for piece in rest.split_to(*len).chunks(500_000) {
                file.write(Bytes::copy_from_slice(piece)).await.unwrap();
            }
            file = detached(&*driver, work.as_str(), file).await;
        }
        let size = file.commit(Batch::new().rename(work.clone(), done.clone())).await.unwrap();
        assert_eq!(size, expected.len() as u64);
        assert_same(&get(&*driver, done.as_str()).await, &expected, "a file of several sittings");
        assert!(!exists(&*driver, work.as_str()).await);
    }
}

/// What is detached is found without its ticket too: the answer that had it may have been lost.
pub async fn a_detached_file_is_continued_without_its_ticket(driver: Arc<dyn StorageDriver>) {
    for (n, sittings) in SITTINGS.iter().enumerate() {
        let (work, done) = (path(&format!("/work/{n}")), path(&format!("/done/{n}")));
        let expected = random(60 + n as u64, sittings.iter().sum());
        let mut file = writer(&*driver, work.as_str(), WriteMode::Truncate).await;
        let mut rest = expected.clone();
        for len in *sittings {
            file.write(rest.split_to(*len)).await.unwrap();
            let size = file.detach().await.expect("the writer is detached").size;
            file = writer(&*driver, work.as_str(), WriteMode::Append).await;
            assert_eq!(file.size(), size, "everything that was detached is there");
        }
        file.commit(Batch::new().rename(work, done.clone())).await.unwrap();
        assert_same(&get(&*driver, done.as_str()).await, &expected, "a file of several sittings");
    }
}

/// A file without a byte has a ticket too, or is a file.
pub async fn a_detached_empty_file_is_begun_with_its_ticket(driver: Arc<dyn StorageDriver>) {
    let file = writer(&*driver, "/work", WriteMode::Truncate).await;
    let mut file = detached(&*driver, "/work", file).await;
    file.write(Bytes::from_static(b"x")).await.unwrap();
    file.commit(Batch::new().rename(path("/work"), path("/done"))).await.unwrap();
    assert_eq!(get(&*driver, "/done").await, "x");
}

/// A ticket that was used up opens nothing that could change what came of the file.
pub async fn an_old_ticket_does_not_change_what_was_committed(driver: Arc<dyn StorageDriver>) {
    for (n, len) in [1_000, 6_000_000].into_iter().enumerate() {
        let expected = random(70 + n as u64, len);
        let (work, done) = (path(&format!("/work/{n}")), path(&format!("/done/{n}")));
        let mut file = writer(&*driver, work.as_str(), WriteMode::Truncate).await;
        file.write(expected.clone()).await.unwrap();
        let Some(ticket) = file.detach().await.unwrap().ticket else { return };
        let file = writer(&*driver, work.as_str(), WriteMode::Continue(ticket.clone())).await;
        file.commit(Batch::new().rename(work.clone(), done.clone())).await.unwrap();
        // Whether it is refused when it is opened or when it is used is the driver's choice.
        if let Ok(mut file) = driver.writer(&work, WriteMode::Continue(ticket)).await {
            let written = file.write(random(1, 6_000_000)).await;
            let then = Batch::new().rename(work, done.clone());
            let committed = file.commit(then).await;
            assert!(written.is_err() || committed.is_err(), "a ticket that was used up opened a file");
        }
        assert_same(&get(&*driver, done.as_str()).await, &expected, "what was committed");
    }
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
