//! What the wrapper counts of calls to a store.

use futures::executor::block_on;
use registry_core::{ListRequest, StorageDriverExt, StoragePath, WriteMode};
use registry_storage::MemoryDriver;

use super::*;
use crate::Metrics;

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

/// How many calls of each action were timed, those without any left out.
fn counts(metrics: &Metrics) -> Vec<(String, u64)> {
    let families = metrics.families();
    let family = families.iter().find(|family| family.name == &names::ACTION_SECONDS).unwrap();
    let count = |sample: &Sample| match sample.value {
        crate::Value::Histogram { count, .. } => (sample.labels[0].1.clone().into_owned(), count),
        crate::Value::Number(_) => unreachable!(),
    };
    family.samples.iter().map(count).filter(|(_, count)| *count > 0).collect()
}

fn counted() -> (Metrics, Arc<dyn StorageDriver>) {
    let metrics = Metrics::new();
    let driver = metrics.storage().around(Arc::new(MemoryDriver::new()));
    (metrics, driver)
}

#[test]
fn calls_are_timed_under_distributions_names() {
    let (metrics, driver) = counted();
    block_on(async {
        driver.put(&path("/a"), "1".into()).await.unwrap();
        driver.get(&path("/a"), 10).await.unwrap();
        driver.stat(&path("/a")).await.unwrap();
        driver.list(&StoragePath::root(), &ListRequest::children(10)).await.unwrap();
        driver.apply(Batch::new().put(path("/c"), "").rename(path("/a"), path("/b"))).await.unwrap();
        driver.delete(&path("/b")).await.unwrap();
        let mut writer = driver.writer(&path("/w"), WriteMode::Truncate).await.unwrap();
        writer.write("1234".into()).await.unwrap();
        writer.commit(Batch::new()).await.unwrap();
    });
    let once = ["Commit", "Delete", "GetContent", "List", "Move", "PutContent", "Stat", "Write", "Writer"];
    assert_eq!(counts(&metrics), once.map(|action| (action.to_owned(), 1)));
    let text = metrics.text();
    assert!(text.contains("registry_storage_written_bytes_total{driver=\"inmemory\"} 4\n"));
    assert!(text.contains("registry_storage_in_flight_actions{driver=\"inmemory\"} 0\n"));
    assert!(!text.contains("registry_storage_errors_total"));
}

#[test]
fn what_is_not_there_is_no_failure_but_what_fails_is() {
    let (metrics, driver) = counted();
    block_on(async {
        driver.get(&path("/none"), 10).await.unwrap_err();
        driver.put(&path("/a"), "12345".into()).await.unwrap();
        driver.get(&path("/a"), 2).await.unwrap_err();
        let held = driver.writer(&path("/w"), WriteMode::Truncate).await.unwrap();
        driver.writer(&path("/w"), WriteMode::Truncate).await.unwrap_err();
        drop(held);
    });
    let text = metrics.text();
    let failures: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("registry_storage_errors_total")).collect();
    assert_eq!(
        failures,
        [
            "{action=\"GetContent\",driver=\"inmemory\",error=\"too_large\"} 1",
            "{action=\"Writer\",driver=\"inmemory\",error=\"busy\"} 1"
        ]
    );
}

#[test]
fn a_call_that_is_given_up_is_counted_as_dropped() {
    let numbers = Numbers::default();
    let call = numbers.begin(Action::Stat);
    assert_eq!(numbers.in_flight.get(), 1);
    drop(call);
    let stat = &numbers.actions[Action::Stat as usize];
    assert_eq!((numbers.in_flight.get(), stat.errors[Cause::Dropped as usize].get()), (0, 1));
}

#[test]
fn two_drivers_of_one_kind_are_counted_together() {
    let metrics = Metrics::new();
    for _ in 0..2 {
        let driver = metrics.storage().around(Arc::new(MemoryDriver::new()));
        block_on(driver.stat(&StoragePath::root())).unwrap();
    }
    assert_eq!(counts(&metrics), [("Stat".to_owned(), 2)]);
}

#[test]
fn words_are_in_order() {
    assert!(Action::ALL.iter().map(|action| action.word()).is_sorted());
    assert!(Cause::ALL.iter().map(|cause| cause.word()).is_sorted());
}
