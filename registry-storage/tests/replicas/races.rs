//! Operations in the middle of each other, and operations done in part.

#![allow(clippy::future_not_send, reason = "an operation stays on the thread of its test")]

use super::*;

/// Lets `second` run from its beginning to its end in the middle of `first`, at each call of that in turn.
/// `check` is given a process that has seen nothing of it, what came of the two, and where that was.
///
/// All of it twice: the steps of a stage in their order while no time passes, and the other way round while
/// `first` is stuck for two seconds.
async fn interleave(
    prepare: impl AsyncFn(&Process),
    first: impl AsyncFn(&Process) -> Result<()>,
    second: impl AsyncFn(&Process) -> Result<()>,
    check: impl AsyncFn(&Process, [Result<()>; 2], String),
) {
    for stuck in [false, true] {
        interleaved(stuck, &prepare, &first, &second, &check).await;
    }
}

async fn interleaved(
    stuck: bool,
    prepare: impl AsyncFn(&Process),
    first: impl AsyncFn(&Process) -> Result<()>,
    second: impl AsyncFn(&Process) -> Result<()>,
    check: impl AsyncFn(&Process, [Result<()>; 2], String),
) {
    for nth in 0..100 {
        let store = MemoryDriver::flat();
        prepare(&Process::over(&store)).await;
        let (one, two) = (Process::with(&store, stuck), Process::over(&store));
        let faults = one.driver.faults();
        faults.arm(Fault::Pause, nth, |_| true);
        let running = Box::pin(first(&one));
        let Either::Right(((), running)) = select(running, Box::pin(faults.stalled())).await else {
            assert!(nth > 1, "the first operation makes calls");
            return;
        };
        let of_second = second(&two).await;
        if stuck {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        faults.disarm();
        let of_first = running.await;
        check(&Process::over(&store), [of_first, of_second], format!("at call {nth}, stuck: {stuck}")).await;
    }
    panic!("an operation makes no 100 calls");
}

/// Asserts that what is visible is whole, and that deleting all manifests takes all tags along.
async fn assert_sound(process: &Process, manifests: &[&Manifest], when: &str) {
    for tag in process.tags().await {
        let found = process.by_tag(&tag).await.unwrap_or_else(|error| panic!("{when}: {tag}: {error:?}"));
        let digest = found.digest().clone();
        assert!(process.by_digest(&digest).await.is_ok(), "{when}: {tag} leads to what is not here");
    }
    for manifest in manifests {
        if process.by_digest(manifest.digest()).await.is_ok() {
            process.delete(manifest.digest()).await.unwrap();
        }
    }
    assert!(process.tags().await.is_empty(), "{when}: tags outlive their manifests");
}

#[tokio::test(start_paused = true)]
async fn of_two_that_push_a_tag_one_is_last() {
    let (old, x, y) = (image("old"), image("x"), image("y"));
    interleave(
        async |process| drop(process.put(&old, &["v1"]).await.unwrap()),
        async |process| process.put(&x, &["v1"]).await.map(drop),
        async |process| process.put(&y, &["v1"]).await.map(drop),
        async |process, outcomes, when| {
            assert!(outcomes.iter().all(Result::is_ok), "{when}: {outcomes:?}");
            let target = process.by_tag("v1").await.unwrap();
            assert!([&x, &y].contains(&&target), "{when}");
            assert!(process.by_digest(x.digest()).await.is_ok(), "{when}");
            assert!(process.by_digest(y.digest()).await.is_ok(), "{when}");
            assert_sound(process, &[&old, &x, &y], &when).await;
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_pushed_before_it_is_deleted_or_after() {
    let (old, x) = (image("old"), image("x"));
    let put = async |process: &Process| process.put(&x, &["v1"]).await.map(drop);
    let delete = async |process: &Process| process.delete_tag("v1").await;
    let check = async |process: &Process, outcomes: [Result<()>; 2], when: String| {
        assert!(outcomes.iter().all(Result::is_ok), "{when}: {outcomes:?}");
        let left = process.by_tag("v1").await;
        assert!(is_unknown(&left) || left.unwrap() == x, "{when}");
        assert!(process.by_digest(x.digest()).await.is_ok(), "{when}");
        assert_sound(process, &[&old, &x], &when).await;
    };
    let prepare = async |process: &Process| drop(process.put(&old, &["v1"]).await.unwrap());
    interleave(prepare, put, delete, check).await;
    interleave(prepare, delete, put, check).await;
}

/// The manifest is there with the tags of the push and no others, or it is gone with all of them.
#[tokio::test(start_paused = true)]
async fn a_manifest_is_pushed_before_it_is_deleted_or_after() {
    let (x, other) = (image("x"), image("other"));
    for tags in [&["v1"][..], &["v0"], &["moved"], &["v1", "v2"], &[]] {
        let put = async |process: &Process| process.put(&x, tags).await.map(drop);
        let delete = async |process: &Process| process.delete(x.digest()).await;
        let check = async |process: &Process, outcomes: [Result<()>; 2], when: String| {
            let when = format!("{tags:?} {when}");
            assert!(outcomes.iter().all(Result::is_ok), "{when}: {outcomes:?}");
            let found = process.tags().await;
            let moved = process.by_tag("moved").await;
            if process.by_digest(x.digest()).await.is_ok() {
                let mut expected: Vec<&str> = tags.iter().copied().chain(["moved"]).collect();
                expected.sort_unstable();
                expected.dedup();
                assert_eq!(found, expected, "{when}: deleted, then pushed");
                let target = if tags.contains(&"moved") { &x } else { &other };
                assert_eq!(moved.unwrap(), *target, "{when}");
            } else {
                let expected: &[&str] = if tags.contains(&"moved") { &[] } else { &["moved"] };
                assert_eq!(found, expected, "{when}: pushed, then deleted");
            }
            assert_sound(process, &[&x, &other], &when).await;
        };
        let prepare = async |process: &Process| {
            process.put(&x, &["v0"]).await.unwrap();
            process.put(&other, &["moved"]).await.unwrap();
        };
        // A tag that points at the manifest already says nothing of being pushed again. Whoever is not stuck
        // for long while the manifest is deleted leaves it without a manifest; see ARCHITECTURE.md.
        if tags != ["v0"] {
            interleaved(false, prepare, put, delete, check).await;
        }
        interleaved(true, prepare, put, delete, check).await;
        interleave(prepare, delete, put, check).await;
    }
}

/// A tag that once pointed at the manifest and is pushed to it again: its index says nothing new.
#[tokio::test(start_paused = true)]
async fn a_tag_that_moves_back_to_a_manifest_does_so_before_it_is_deleted_or_after() {
    let (x, other) = (image("x"), image("other"));
    let put = async |process: &Process| process.put(&x, &["v1"]).await.map(drop);
    let delete = async |process: &Process| process.delete(x.digest()).await;
    let check = async |process: &Process, outcomes: [Result<()>; 2], when: String| {
        assert!(outcomes.iter().all(Result::is_ok), "{when}: {outcomes:?}");
        let there = process.by_digest(x.digest()).await.is_ok();
        match process.by_tag("v1").await {
            Ok(target) => assert!(target == x && there, "{when}"),
            Err(_) => assert!(!there, "{when}"),
        }
        assert_sound(process, &[&x, &other], &when).await;
    };
    let prepare = async |process: &Process| {
        process.put(&x, &["v1"]).await.unwrap();
        process.put(&other, &["v1"]).await.unwrap();
    };
    interleave(prepare, put, delete, check).await;
    interleave(prepare, delete, put, check).await;
}

#[tokio::test(start_paused = true)]
async fn a_blob_is_pushed_before_it_is_deleted_or_after() {
    let digest = Algorithm::Sha256.digest(b"hello");
    let push = async |process: &Process| {
        process.push("a", "hello").await;
        Ok(())
    };
    let delete = async |process: &Process| process.blobs(Method::DELETE, "a").await.delete(&digest).await;
    let check = async |process: &Process, outcomes: [Result<()>; 2], when: String| {
        assert!(outcomes.iter().all(Result::is_ok), "{when}: {outcomes:?}");
        let head = process.blobs(Method::HEAD, "a").await.stat(&digest).await;
        let get = process.blobs(Method::GET, "a").await.get(&digest, GetBlob::default()).await;
        assert_eq!(head.is_ok(), get.is_ok(), "{when}");
    };
    let prepare = async |process: &Process| drop(process.push("a", "hello").await);
    interleave(prepare, push, delete, check).await;
    interleave(prepare, delete, push, check).await;
}

/// The steps of a round are under way together, so the link may be there and the content not.
#[tokio::test]
async fn a_round_that_was_done_in_part_leaves_no_link_that_leads_to_nothing() {
    for fault in [Fault::Unavailable, Fault::LostAnswer, Fault::Full] {
        for nth in 0..5 {
            let store = MemoryDriver::flat();
            let process = Process::with(&store, true);
            let manifest = image("x");
            process.driver.faults().arm(fault, nth, |call| call == Call::Step);
            let outcome = process.put(&manifest, &["v1"]).await;
            assert_eq!(outcome.is_err(), process.driver.faults().disarm().is_some());
            let hex = manifest.digest().encoded();
            let link = path(&format!("/repositories/a/_manifests/revisions/sha256/{hex}/link"));
            let data = path(&format!("/blobs/sha256/{}/{hex}/data", &hex[..2]));
            if store.exists(&link).await.unwrap() {
                assert!(store.exists(&data).await.unwrap(), "{fault:?} of step {nth}");
            }
            process.put(&manifest, &["v1"]).await.unwrap();
            assert_eq!(process.by_tag("v1").await.unwrap(), manifest);
        }
    }
}
