//! What each flow of an upload costs, and what is found again of it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use registry_core::{Batch, FileWriter, StorageDriver, StorageError, StoragePath, WriteMode};

use super::super::driver::BucketDriver;
use super::super::fake::{FakeBucket, MIN_PART, PART};

const DATA: &str = "/repo/_uploads/1/data";
const TARGET: &str = "/blobs/1/data";

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

fn random(seed: u64, len: usize) -> Bytes {
    registry_conformance::data::random(seed, len)
}

/// What ends an upload: the link, the content, the rest.
fn batch() -> Batch {
    Batch::new()
        .put(path("/repo/link"), "1")
        .then()
        .rename(path(DATA), path(TARGET))
        .then()
        .remove(path("/repo/_uploads/1/startedat"))
}

async fn open(driver: &BucketDriver, mode: WriteMode) -> Box<dyn FileWriter> {
    driver.writer(&path(DATA), mode).await.unwrap_or_else(|error| panic!("{error:?}"))
}

/// One request of a client: writes, and comes back with what it is told.
async fn patch(driver: &BucketDriver, mode: WriteMode, data: &[u8]) -> WriteMode {
    let mut file = open(driver, mode).await;
    file.write(Bytes::copy_from_slice(data)).await.unwrap();
    file.detach().await.unwrap().ticket.map_or(WriteMode::Append, WriteMode::Continue)
}

fn objects(bucket: &FakeBucket) -> Vec<String> {
    bucket.objects().into_keys().collect()
}

#[tokio::test]
async fn a_small_push_is_one_put() {
    let bucket = FakeBucket::new();
    let mut file = open(&bucket.driver(), WriteMode::Truncate).await;
    file.destined_for(&path(TARGET));
    file.write(random(1, 1000)).await.unwrap();
    file.commit(batch()).await.unwrap();
    assert_eq!(bucket.asked(), ["put", "put", "delete"], "the link, the content, and what is cleared up");
    assert_eq!(bucket.file(TARGET), Some(random(1, 1000)));
}

#[tokio::test]
async fn a_small_chunk_is_put_beside_the_file_and_copied() {
    let bucket = FakeBucket::new();
    let driver = bucket.driver();
    let ticket = patch(&driver, WriteMode::Truncate, b"").await;
    assert_eq!(bucket.asked(), [""; 0], "a fresh file costs nothing");
    let ticket = patch(&driver, ticket, &random(2, 1 << 10)).await;
    assert_eq!(bucket.asked(), ["put"]);
    open(&driver, ticket).await.commit(batch()).await.unwrap();
    assert_eq!(bucket.asked(), ["put", "copy", "delete"]);
    assert_eq!(bucket.file(TARGET), Some(random(2, 1 << 10)));
    assert_eq!(objects(&bucket), ["root/blobs/1/data", "root/repo/link"]);
}

#[tokio::test]
async fn chunks_that_are_large_enough_are_parts_as_they_are() {
    let bucket = FakeBucket::new();
    let driver = bucket.driver();
    let data = random(3, 18 << 10);
    let mut ticket = patch(&driver, WriteMode::Truncate, b"").await;
    for (chunk, expected) in data.chunks(6 << 10).zip([vec!["begin", "part"], vec!["part"], vec!["part"]]) {
        // Each arrives at another process.
        ticket = patch(&bucket.driver(), ticket, chunk).await;
        assert_eq!(bucket.asked(), expected);
    }
    open(&driver, ticket).await.commit(batch()).await.unwrap();
    assert_eq!(bucket.asked(), ["complete", "put", "copy", "delete"]);
    assert_eq!(bucket.file(TARGET), Some(data));
    assert_eq!(objects(&bucket), ["root/blobs/1/data", "root/repo/link"]);
    assert_eq!(bucket.pending(), 0);
}

#[tokio::test]
async fn a_file_with_a_known_place_is_written_there_and_seen_when_its_stage_comes() {
    let bucket = FakeBucket::new();
    let mut file = open(&bucket.driver(), WriteMode::Truncate).await;
    file.destined_for(&path(TARGET));
    let data = random(4, 3 * PART + 17);
    file.write(data.clone()).await.unwrap();
    assert_eq!(bucket.file(TARGET), None);
    file.commit(batch()).await.unwrap();
    assert_eq!(bucket.asked(), ["begin", "part", "part", "part", "part", "put", "complete", "delete"]);
    assert_eq!(bucket.file(TARGET), Some(data));
}

#[tokio::test]
async fn what_was_detached_is_found_without_its_ticket() {
    for (lists_uploads, copies_parts) in [(true, true), (true, false), (false, true), (false, false)] {
        for chunks in [&[100][..], &[100, 200], &[6000], &[6000, 6000], &[9000, 3], &[20_000, 100, 100, 5000]]
        {
            let bucket = FakeBucket::with(lists_uploads, copies_parts);
            let data = random(5, chunks.iter().sum::<usize>() + 50);
            let (mut mode, mut at) = (WriteMode::Truncate, 0);
            for len in chunks {
                let next = patch(&bucket.driver(), mode, &data[at..at + len]).await;
                assert!(lists_uploads || next == WriteMode::Append, "everything is in the store");
                at += len;
                let found = open(&bucket.driver(), WriteMode::Append).await;
                assert_eq!(found.size(), at as u64, "after {at} of {chunks:?}");
                // Every other request brings its ticket.
                mode = if at % 200 == 0 { next } else { WriteMode::Append };
            }
            let driver = bucket.driver();
            let mut file = open(&driver, mode).await;
            file.write(data.slice(at..)).await.unwrap();
            assert_eq!(file.commit(batch()).await.unwrap(), data.len() as u64);
            assert_eq!(bucket.file(TARGET), Some(data), "{chunks:?}");
            assert_eq!(objects(&bucket), ["root/blobs/1/data", "root/repo/link"], "{chunks:?}");
            assert_eq!(bucket.pending(), 0, "{chunks:?}");
        }
    }
}

#[tokio::test]
async fn many_parts_make_no_large_ticket() {
    let bucket = FakeBucket::new();
    let data = random(6, 100 * PART);
    let mut mode = WriteMode::Truncate;
    for chunk in data.chunks(30 * PART + 100) {
        mode = patch(&bucket.driver(), mode, chunk).await;
        assert!(matches!(&mode, WriteMode::Continue(ticket) if ticket.len() < 1536));
    }
    bucket.asked();
    open(&bucket.driver(), mode).await.commit(batch()).await.unwrap();
    assert!(bucket.asked().contains(&"parts".to_owned()), "the service knows the parts");
    assert_eq!(bucket.file(TARGET), Some(data));
}

#[tokio::test]
async fn a_closed_file_is_read_and_continued() {
    for copies_parts in [true, false] {
        let bucket = FakeBucket::with(true, copies_parts);
        let driver = bucket.driver();
        let data = random(7, 5 * PART);
        for (n, sitting) in data.chunks(PART + 1000).enumerate() {
            let mode = if n == 0 { WriteMode::Truncate } else { WriteMode::Append };
            let mut file = open(&driver, mode).await;
            file.write(Bytes::copy_from_slice(sitting)).await.unwrap();
            file.close().await.unwrap();
        }
        assert_eq!(bucket.file(DATA), Some(data));
        assert_eq!(bucket.asked().contains(&"copypart".to_owned()), copies_parts);
        assert_eq!((objects(&bucket).len(), bucket.pending()), (1, 0));
    }
}

/// Two processes with the same ticket: each commits what it has written itself, or is refused.
#[tokio::test]
async fn two_who_continue_the_same_file_never_mix_their_bytes() {
    for lists_uploads in [true, false] {
        for before in [0, 100, 6000, 6100] {
            for after in [(50, 50), (6000, 6000), (PART, PART)] {
                let bucket = FakeBucket::with(lists_uploads, true);
                let common = random(8, before);
                let (one, two) = (random(9, after.0), random(10, after.1));
                let mode = patch(&bucket.driver(), WriteMode::Truncate, &common).await;
                let targets = [path("/blobs/one/data"), path("/blobs/two/data")];
                let mut modes = Vec::new();
                let drivers = [bucket.driver(), bucket.driver()];
                for (driver, data) in drivers.iter().zip([&one, &two]) {
                    let Ok(mut file) = driver.writer(&path(DATA), mode.clone()).await else { continue };
                    file.write(data.clone()).await.unwrap();
                    modes.push(file.detach().await.ok().and_then(|detached| detached.ticket));
                }
                for ((driver, target), mode) in drivers.iter().zip(&targets).zip(modes) {
                    let Some(mode) = mode else { continue };
                    let file = open(driver, WriteMode::Continue(mode)).await;
                    let committed = file.commit(Batch::new().rename(path(DATA), target.clone())).await;
                    match committed {
                        Ok(_) | Err(StorageError::Busy { .. } | StorageError::NotFound { .. }) => {}
                        Err(error) => panic!("{error:?} is not the client's fault"),
                    }
                }
                for (target, own) in targets.iter().zip([one, two]) {
                    let expected = [&common[..], &own[..]].concat();
                    if let Some(found) = bucket.file(target.as_str()) {
                        assert!(
                            found == expected,
                            "{before} + {after:?}: {target} has somebody else's bytes"
                        );
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn without_tickets_the_second_to_continue_is_refused() {
    let bucket = FakeBucket::with(false, true);
    patch(&bucket.driver(), WriteMode::Truncate, &random(11, 6000)).await;
    let (one, two) = (bucket.driver(), bucket.driver());
    let mut first = open(&one, WriteMode::Append).await;
    let mut second = open(&two, WriteMode::Append).await;
    first.write(random(12, 10)).await.unwrap();
    second.write(random(13, 10)).await.unwrap();
    first.detach().await.unwrap();
    assert!(matches!(second.detach().await, Err(StorageError::Busy { .. })));
    let mut file = open(&two, WriteMode::Append).await;
    assert_eq!(file.size(), 6010);
    file.write(Bytes::new()).await.unwrap();
    file.commit(batch()).await.unwrap();
    assert_eq!(bucket.file(TARGET).unwrap(), [random(11, 6000), random(12, 10)].concat());
}

#[tokio::test]
async fn a_ticket_of_something_else_is_refused() {
    let driver = FakeBucket::new().driver();
    let result = driver.writer(&path(DATA), WriteMode::Continue(Bytes::from_static(b"x"))).await;
    assert!(matches!(result, Err(StorageError::Unsupported { .. })), "{result:?}");
}

#[tokio::test]
async fn a_deleted_directory_takes_what_is_being_written_along() {
    let bucket = FakeBucket::new();
    let driver = bucket.driver();
    patch(&driver, WriteMode::Truncate, &random(14, PART + 100)).await;
    let mut destined = driver.writer(&path("/repo/_uploads/1/other"), WriteMode::Truncate).await.unwrap();
    destined.destined_for(&path(TARGET));
    destined.write(random(15, PART + 100)).await.unwrap();
    destined.close().await.unwrap();
    assert_eq!(bucket.pending(), 2);
    driver.apply(Batch::new().delete(path("/repo/_uploads/1"))).await.unwrap();
    assert_eq!((objects(&bucket).len(), bucket.pending()), (0, 0));
}

#[tokio::test]
async fn what_nobody_ends_is_swept_away_and_sessions_are_not() {
    let bucket = FakeBucket::new();
    let driver = bucket.driver();
    driver.apply(Batch::new().put(path("/repo/_uploads/1/startedat"), "now")).await.unwrap();
    patch(&driver, WriteMode::Truncate, &random(16, PART)).await;
    let mut open = Vec::new();
    for at in ["/blobs/2/data", "/alone/data"] {
        let mut file = driver.writer(&path(&format!("/elsewhere{at}")), WriteMode::Truncate).await.unwrap();
        file.destined_for(&path(at));
        file.write(random(17, PART + 1)).await.unwrap();
        file.write(random(17, PART)).await.unwrap();
        open.push(file);
    }
    drop(open);
    assert_eq!(bucket.pending(), 3);
    let (past, future) = (SystemTime::UNIX_EPOCH, SystemTime::now() + Duration::from_secs(60));
    assert_eq!(driver.sweep(past, false).await.unwrap(), 0);
    assert_eq!(driver.sweep(future, true).await.unwrap(), 2);
    assert_eq!(bucket.pending(), 3, "a dry run changes nothing");
    assert_eq!(driver.sweep(future, false).await.unwrap(), 2);
    assert_eq!(bucket.pending(), 1, "the session has its upload");
}

#[tokio::test]
async fn a_destined_file_that_was_closed_is_found_and_finished() {
    for lists_uploads in [true, false] {
        for apply in [true, false] {
            let bucket = FakeBucket::with(lists_uploads, true);
            let driver = bucket.driver();
            let data = random(18, PART + 100);
            let mut file = open(&driver, WriteMode::Truncate).await;
            file.destined_for(&path(TARGET));
            file.write(data.clone()).await.unwrap();
            assert_eq!(file.close().await.unwrap(), data.len() as u64);
            assert_eq!(bucket.file(TARGET), None);
            assert_eq!(driver.stat(&path(DATA)).await.unwrap().size, data.len() as u64);
            if apply {
                driver.apply(batch()).await.unwrap();
            } else {
                let file = open(&bucket.driver(), WriteMode::Append).await;
                assert_eq!(file.size(), data.len() as u64);
                file.commit(batch()).await.unwrap();
            }
            assert_eq!(bucket.file(TARGET), Some(data));
            assert_eq!(objects(&bucket), ["root/blobs/1/data", "root/repo/link"]);
        }
    }
}

#[tokio::test]
async fn uploads_of_distribution_are_continued() {
    use super::super::store::Bucket;
    for last in [MIN_PART, 100] {
        let bucket = FakeBucket::new();
        let key = "root/repo/_uploads/1/data";
        let id = bucket.begin(key).await.unwrap();
        let data = random(19, MIN_PART + last + 10);
        for (number, part) in [(1, &data[..MIN_PART]), (2, &data[MIN_PART..MIN_PART + last])] {
            bucket.put_part(key, &id, number, vec![Bytes::copy_from_slice(part)]).await.unwrap();
        }
        let mut file = open(&bucket.driver(), WriteMode::Append).await;
        assert_eq!(file.size(), (MIN_PART + last) as u64);
        file.write(data.slice(MIN_PART + last..)).await.unwrap();
        file.commit(batch()).await.unwrap();
        assert_eq!(bucket.file(TARGET), Some(data));
        assert_eq!(objects(&bucket), ["root/blobs/1/data", "root/repo/link"]);
        assert_eq!(bucket.pending(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn many_uploads_keep_to_the_memory_there_is() {
    let bucket = FakeBucket::new();
    let driver = bucket.driver_with_memory(4 * PART as u64);
    let mut stalled = Vec::new();
    for n in 0..4 {
        let at = path(&format!("/stalled/{n}"));
        let mut file = driver.writer(&at, WriteMode::Truncate).await.unwrap();
        file.write(random(20, PART / 2)).await.unwrap();
        stalled.push(file);
    }
    let uploads: Vec<_> = (0..32)
        .map(|n| {
            let driver = driver.clone();
            tokio::spawn(async move {
                let (work, done) = (path(&format!("/work/{n}")), path(&format!("/done/{n}")));
                let data = random(n, 100 << 10);
                let mut file = driver.writer(&work, WriteMode::Truncate).await.unwrap();
                for frame in data.chunks(1500) {
                    file.write(Bytes::copy_from_slice(frame)).await.unwrap();
                    tokio::task::yield_now().await;
                }
                file.commit(Batch::new().rename(work, done)).await.unwrap();
            })
        })
        .collect();
    for upload in uploads {
        upload.await.unwrap();
    }
    for n in 0..32 {
        assert_eq!(bucket.file(&format!("/done/{n}")), Some(random(n, 100 << 10)));
    }
    for file in stalled {
        assert_eq!(file.close().await.unwrap(), PART as u64 / 2);
    }
    let (used, most) = driver.memory();
    assert_eq!(used, 0, "all room is given back");
    assert!(most <= 6 * PART as u64, "{most} bytes were in memory");
}

/// What was acknowledged stays, whatever fails of what comes after it, and whoever closes after that.
#[tokio::test]
async fn a_writer_that_failed_keeps_what_was_acknowledged() {
    for lists_uploads in [true, false] {
        for before in [100, 6000, 6100] {
            for fails in 0..3 {
                for detach in [true, false] {
                    let bucket = FakeBucket::with(lists_uploads, true);
                    let driver = bucket.driver();
                    let data = random(21, before + 4 * PART);
                    let mode = patch(&driver, WriteMode::Truncate, &data[..before]).await;
                    bucket.arm(fails, super::super::fake::Fault::NotDone);
                    let Ok(mut file) = driver.writer(&path(DATA), mode).await else { continue };
                    let written = file.write(data.slice(before..)).await;
                    bucket.disarm();
                    let size =
                        if detach { file.detach().await.map(|it| it.size) } else { file.close().await };
                    let what = format!(
                        "{before} bytes, request {fails} fails, detach: {detach}: {written:?} {size:?}"
                    );
                    if written.is_err() {
                        let size = size.unwrap_or_else(|error| panic!("{what}: {error:?}"));
                        assert!(size >= before as u64, "{what}");
                    }
                    let mut file = open(&bucket.driver(), WriteMode::Append).await;
                    let at = usize::try_from(file.size()).unwrap();
                    assert!(at >= before, "{what}: {at} bytes are left");
                    file.write(data.slice(at..)).await.unwrap();
                    file.commit(batch()).await.unwrap();
                    assert_eq!(bucket.file(TARGET), Some(data), "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_appended_to_a_new_object_is_found() {
    let bucket = FakeBucket::new();
    let driver = bucket.driver();
    let data = random(22, PART + 100);
    for before in [100, PART] {
        driver.apply(Batch::new().put(path(DATA), data.slice(..before))).await.unwrap();
        patch(&driver, WriteMode::Append, &data[before..]).await;
        assert_eq!(open(&driver, WriteMode::Append).await.size(), data.len() as u64);
        driver.apply(Batch::new().delete(path(DATA)).delete(path("/repo"))).await.unwrap();
    }
}

#[tokio::test]
async fn calls_are_counted() {
    let bucket = FakeBucket::new();
    let driver = bucket.driver();
    driver.apply(Batch::new().put(path("/file"), "12345")).await.unwrap();
    driver.get(&path("/file"), 10).await.unwrap();
    driver.get(&path("/absent"), 10).await.unwrap_err();
    bucket.arm(0, super::super::fake::Fault::NotDone);
    driver.get(&path("/file"), 10).await.unwrap_err();
    let calls = driver.calls();
    let of = |call: &str| {
        let count = calls.iter().find(|count| count.call.as_str() == call).unwrap();
        (count.calls, count.errors, count.bytes)
    };
    assert_eq!(of("put"), (1, 0, 5));
    assert_eq!(of("get"), (3, 1, 5));
    assert_eq!(of("list"), (0, 0, 0));
}
