//! Each request of each flow fails once, in every way: a client that tries again gets its file, nothing that
//! was acknowledged is lost, and nothing half is seen.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use registry_core::{Batch, StorageDriver, StorageError, StoragePath, WriteMode};

use super::super::driver::BucketDriver;
use super::super::fake::{FakeBucket, Fault, PART};

const DATA: &str = "/repo/_uploads/1/data";
const TARGET: &str = "/blobs/1/data";

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

fn batch() -> Batch {
    let session = path("/repo/_uploads/1");
    Batch::new().put(path("/repo/link"), "1").then().rename(path(DATA), path(TARGET)).then().delete(session)
}

/// A client that pushes a file in chunks and keeps what it is told.
struct Client {
    data: Bytes,
    chunks: &'static [usize],
    destined: bool,
    close: bool,
    /// How much was acknowledged.
    acked: usize,
    mode: WriteMode,
}

impl Client {
    /// Sends what was not acknowledged.
    async fn push(&mut self, driver: &BucketDriver) -> Result<(), StorageError> {
        let ends = self.chunks.iter().scan(0, |end, len| {
            *end += len;
            Some(*end)
        });
        for end in ends.collect::<Vec<_>>() {
            let last = end == self.data.len();
            if end <= self.acked && !last {
                continue;
            }
            let mut file = driver.writer(&path(DATA), self.mode.clone()).await?;
            if self.destined {
                file.destined_for(&path(TARGET));
            }
            let at = usize::try_from(file.size()).unwrap();
            assert!(at >= self.acked, "{at} bytes are left of {}", self.acked);
            assert!(at <= self.data.len(), "{at} bytes were never sent");
            for frame in self.data[at.min(end)..end].chunks(1500) {
                file.write(Bytes::copy_from_slice(frame)).await?;
            }
            if last {
                file.commit(batch()).await?;
            } else if self.close {
                file.close().await?;
                (self.acked, self.mode) = (at.max(end), WriteMode::Append);
            } else {
                let ticket = file.detach().await?.ticket;
                self.acked = at.max(end);
                self.mode = ticket.map_or(WriteMode::Append, WriteMode::Continue);
            }
        }
        Ok(())
    }
}

/// Pushes once with a request failing; returns whether that came to pass.
async fn strike(flow: usize, bucket_kind: (bool, bool), at: usize, fault: Fault, same: bool) -> bool {
    let (chunks, destined, close): (&[usize], bool, bool) = FLOWS[flow];
    let what = format!("flow {flow} {bucket_kind:?}, request {at} {fault:?}, same process: {same}");
    let bucket = FakeBucket::with(bucket_kind.0, bucket_kind.1);
    let mut driver = bucket.driver();
    let data = registry_conformance::data::random(flow as u64, chunks.iter().sum());
    let mut client =
        Client { data: data.clone(), chunks, destined, close, acked: 0, mode: WriteMode::Truncate };
    bucket.arm(at, fault);
    let outcome = tokio::time::timeout(Duration::from_secs(60), client.push(&driver)).await;
    if !bucket.disarm() {
        assert!(matches!(outcome, Ok(Ok(()))), "{what}: {outcome:?}");
        assert_eq!(bucket.file(TARGET), Some(data));
        return false;
    }
    if let Ok(Err(error)) = &outcome {
        assert!(matches!(error, StorageError::Unavailable { .. }), "{what}: {error:?}");
    }
    let seen = |when: &str| match bucket.file(TARGET) {
        None => false,
        Some(found) => {
            assert!(found == data, "{what}: {} bytes are seen {when}", found.len());
            true
        }
    };
    seen("after the failure");
    if same {
        bucket.give_up();
    } else {
        driver = bucket.driver();
    }
    // What was aborted may hold the file for a moment.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut again = client.push(&driver).await;
    if let Err(error) = &again {
        let clear = matches!(error, StorageError::Busy { .. } | StorageError::NotFound { .. });
        assert!(clear, "{what}, tried again: {error:?}");
        seen("after the second failure");
        // Without a ticket, as a client does that asks where it is.
        tokio::time::sleep(Duration::from_millis(1)).await;
        client.mode = WriteMode::Append;
        again = client.push(&driver).await;
    }
    match again {
        Ok(()) => assert!(seen("after all"), "{what}: nothing is there"),
        // Everything is done, and the session is gone.
        Err(StorageError::NotFound { .. }) if seen("though the file is gone") => {}
        Err(StorageError::NotFound { .. }) if client.acked == 0 => {
            client.mode = WriteMode::Truncate;
            client.push(&driver).await.unwrap_or_else(|error| panic!("{what}, from the start: {error:?}"));
            assert!(seen("after all"));
        }
        Err(error) => panic!("{what}, without a ticket: {error:?}"),
    }
    // Whatever is left goes with the session, or is swept away.
    driver.apply(Batch::new().delete(path("/repo/_uploads/1"))).await.unwrap();
    assert_eq!(
        bucket.objects().into_keys().collect::<Vec<_>>(),
        ["root/blobs/1/data", "root/repo/link"],
        "{what}"
    );
    driver.sweep(SystemTime::now() + Duration::from_secs(60), false).await.unwrap();
    assert!(!bucket_kind.0 || bucket.pending() == 0, "{what}: an upload is left");
    true
}

const FLOWS: [(&[usize], bool, bool); 8] = [
    (&[1000], false, false),
    (&[1000, 500], false, false),
    (&[1000, 500, 6000], false, false),
    (&[6000, 6000, 6000], false, false),
    (&[PART + 100, 2 * PART + 50, 10], false, false),
    (&[3 * PART], true, false),
    (&[PART + 6000, 100, 6000], false, true),
    (&[PART + 1000, 0], true, true),
];

#[tokio::test(start_paused = true)]
async fn every_request_may_fail_once() {
    let mut struck = 0;
    for kind in [(true, true), (true, false), (false, true)] {
        for flow in 0..FLOWS.len() {
            for fault in Fault::ALL {
                for same in [true, false] {
                    let mut at = 0;
                    while strike(flow, kind, at, fault, same).await {
                        (at, struck) = (at + 1, struck + 1);
                        assert!(at < 100, "flow {flow} never ends");
                    }
                }
            }
        }
    }
    assert!(struck > 500, "only {struck} requests failed");
}
