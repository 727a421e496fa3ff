//! Bodies of GET that break off, over a service whose connections are reset at given bytes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use futures::TryStreamExt;
use registry_conformance::data::random;
use registry_conformance::emulator::{Effect, Emulator, Fault, FaultPlan, Kind};
use registry_core::StorageError;

use super::store::{Bucket, GetRange, Object};
use crate::replaced::is_replaced;

const KEY: &str = "broken/off";
/// What fits into the buffer of a connection, so that all of it arrives before a reset.
pub(super) const PROGRESS: u64 = 20_000;

/// So many bodies break off after so many bytes; then no more.
fn breaks(times: u64, after: u64) -> FaultPlan {
    FaultPlan::none().with(Fault::new(Effect::ResetInBody(after)).on(Kind::Get).times(times))
}

async fn rest(object: Object) -> Result<Bytes, StorageError> {
    Ok(object.body.try_collect::<Vec<Bytes>>().await?.concat().into())
}

fn gets(emulator: &Emulator) -> usize {
    emulator.requests().iter().filter(|request| request.kind == Kind::Get).count()
}

/// All of it, of a bucket that goes on with a body `retries` times, and again after [`PROGRESS`].
pub(super) async fn hold(bucket: &dyn Bucket, emulator: &Emulator, retries: usize) {
    every_byte_comes_once(bucket, emulator, retries as u64).await;
    progress_gives_all_tries_again(bucket, emulator, retries as u64).await;
    an_end_comes_after_all_tries(bucket, emulator, retries).await;
    another_object_is_not_gone_on_with(bucket, emulator).await;
    bucket.delete(&[KEY.to_owned()]).await.unwrap();
}

async fn every_byte_comes_once(bucket: &dyn Bucket, emulator: &Emulator, retries: u64) {
    for size in [0, 1, 700, 300_000] {
        let content = random(size, size as usize);
        emulator.heal();
        bucket.put(KEY, content.clone(), false).await.unwrap();
        let ranges = [
            (None, 0..size),
            (Some(GetRange::Bounded(size / 3..size / 2)), size / 3..size / 2),
            (Some(GetRange::From(size / 3)), size / 3..size),
            (Some(GetRange::Suffix(size.div_ceil(4))), size - size.div_ceil(4)..size),
        ];
        for (range, expected) in ranges {
            if range.is_some() && expected.is_empty() {
                continue;
            }
            for after in [0, 1, 300, 90_000] {
                for times in [1, retries] {
                    let at = format!("{times} times after {after} of {range:?} of {size}");
                    emulator.inject(breaks(times, after));
                    emulator.clear_requests();
                    let object = bucket.get(KEY, range.clone()).await.unwrap();
                    assert_eq!((object.meta.size, &object.range), (size, &expected), "{at}");
                    let read = rest(object).await.unwrap_or_else(|error| panic!("{at}: {error:?}"));
                    assert!(read == content[expected.start as usize..expected.end as usize], "{at}");
                    let breaks_off = expected.end - expected.start > after;
                    assert!(!breaks_off || gets(emulator) > 1, "{at}: it is not asked for again");
                }
            }
        }
    }
}

async fn progress_gives_all_tries_again(bucket: &dyn Bucket, emulator: &Emulator, retries: u64) {
    let size = (retries + 2) * 2 * PROGRESS;
    let content = random(1, size as usize);
    emulator.heal();
    bucket.put(KEY, content.clone(), false).await.unwrap();
    emulator.inject(breaks(u64::MAX, PROGRESS + 1));
    let object = bucket.get(KEY, None).await.unwrap();
    assert!(rest(object).await.unwrap() == content);
}

async fn an_end_comes_after_all_tries(bucket: &dyn Bucket, emulator: &Emulator, retries: usize) {
    emulator.heal();
    bucket.put(KEY, random(2, 100_000), false).await.unwrap();
    emulator.inject(breaks(u64::MAX, 1000));
    emulator.clear_requests();
    let object = bucket.get(KEY, None).await.unwrap();
    let error = rest(object).await.unwrap_err();
    assert!(matches!(error, StorageError::Unavailable { .. }) && !is_replaced(&error), "{error:?}");
    assert!(gets(emulator) > retries, "{} requests", gets(emulator));
}

async fn another_object_is_not_gone_on_with(bucket: &dyn Bucket, emulator: &Emulator) {
    for content in [random(3, 100_000), random(4, 200), Bytes::new()] {
        emulator.heal();
        bucket.put(KEY, random(5, 100_000), false).await.unwrap();
        emulator.inject(breaks(1, 1000));
        let object = bucket.get(KEY, None).await.unwrap();
        bucket.put(KEY, content, false).await.unwrap();
        let error = rest(object).await.unwrap_err();
        assert!(is_replaced(&error), "{error:?}");
    }
    // Nor one that is gone.
    emulator.heal();
    bucket.put(KEY, random(5, 100_000), false).await.unwrap();
    emulator.inject(breaks(1, 1000));
    let object = bucket.get(KEY, None).await.unwrap();
    bucket.delete(&[KEY.to_owned()]).await.unwrap();
    let error = rest(object).await.unwrap_err();
    assert!(matches!(error, StorageError::Unavailable { .. }) && !is_replaced(&error), "{error:?}");
}
