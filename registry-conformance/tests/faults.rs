//! The driver that fails: transparent until it is armed, then broken in one place.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use futures::FutureExt;
use memory::MapDriver;
use registry_conformance::faults::{Call, Fault, Faults, FaultyDriver};
use registry_core::{Batch, StorageDriver, StorageDriverExt, StorageError, StoragePath, WriteMode};

mod memory;

registry_conformance::driver_tests!(unarmed, async {
    (Arc::new(FaultyDriver::new(Arc::new(MapDriver::default()))) as Arc<dyn StorageDriver>, ())
});

fn faulty() -> (FaultyDriver, Faults) {
    let driver = FaultyDriver::new(Arc::new(MapDriver::default()));
    let faults = driver.faults();
    (driver, faults)
}

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

fn done(driver: &FaultyDriver, at: &str) -> bool {
    driver.exists(&path(at)).now_or_never().unwrap().unwrap()
}

fn two_stages() -> Batch {
    Batch::new().put(path("/a"), "a").then().put(path("/b"), "b").put(path("/c"), "c")
}

#[test]
fn a_batch_is_cut_before_the_step_that_fails() {
    for (nth, expected) in [(0, [false, false, false]), (1, [true, false, false]), (2, [true, true, false])] {
        let (driver, faults) = faulty();
        faults.arm(Fault::Full, nth, |_| true);
        let result = driver.apply(two_stages()).now_or_never().unwrap();
        assert!(matches!(result, Err(StorageError::Full { .. })), "{result:?}");
        assert_eq!(faults.disarm(), Some(Call::Step));
        assert_eq!(["/a", "/b", "/c"].map(|at| done(&driver, at)), expected);
    }
}

#[test]
fn a_lost_answer_leaves_what_was_done() {
    let (driver, faults) = faulty();
    faults.arm(Fault::LostAnswer, 1, |_| true);
    let result = driver.apply(two_stages()).now_or_never().unwrap();
    assert!(matches!(result, Err(StorageError::Unavailable { .. })), "{result:?}");
    assert_eq!(["/a", "/b", "/c"].map(|at| done(&driver, at)), [true, true, false]);
}

#[test]
fn a_fault_strikes_once_and_only_what_matches() {
    let (driver, faults) = faulty();
    faults.arm(Fault::ReadOnly, 0, Call::writes);
    assert!(!done(&driver, "/a"), "a read does not match");
    let put = || driver.put(&path("/a"), "x".into()).now_or_never().unwrap();
    assert!(matches!(put(), Err(StorageError::ReadOnly { .. })));
    put().unwrap();
    assert_eq!(faults.disarm(), Some(Call::Step));
    assert_eq!(faults.disarm(), None, "a fault is reported once");
    assert_eq!(faults.calls(), 3);
}

#[test]
fn a_commit_fails_before_or_in_the_middle_of_its_batch() {
    for (nth, moved, left) in [(0, false, true), (1, false, true), (2, true, false)] {
        let (driver, faults) = faulty();
        let mut writer = driver.writer(&path("/work"), WriteMode::Truncate).now_or_never().unwrap().unwrap();
        writer.write("content".into()).now_or_never().unwrap().unwrap();
        faults.arm(Fault::Backend, nth, |_| true);
        let then = Batch::new().rename(path("/work"), path("/done")).then().put(path("/link"), "x");
        let result = writer.commit(then).now_or_never().unwrap();
        assert!(matches!(result, Err(StorageError::Backend { .. })), "{result:?}");
        assert_eq!((done(&driver, "/done"), done(&driver, "/work")), (moved, left));
        assert!(!done(&driver, "/link"));
    }
}

#[test]
fn a_stalled_call_ends_when_the_driver_is_disarmed() {
    let (driver, faults) = faulty();
    faults.arm(Fault::Stall, 0, |_| true);
    let at = path("/a");
    let mut call = Box::pin(driver.put(&at, "x".into()));
    assert!(faults.stalled().now_or_never().is_none(), "nothing stalls yet");
    assert!(call.as_mut().now_or_never().is_none(), "the call stalls");
    assert!(faults.stalled().now_or_never().is_some());
    assert_eq!(faults.disarm(), Some(Call::Step));
    let result = call.as_mut().now_or_never().expect("the call has an answer");
    assert!(matches!(result, Err(StorageError::Unavailable { .. })));
    drop(call);
    assert!(!done(&driver, "/a"), "nothing was done");
}
