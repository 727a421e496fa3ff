//! How often a bucket is asked for each operation, and the table of it in `docs/storage-costs.md`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use registry_conformance::calls::{Bench, Record, RecordingDriver, Taken, markdown, measure};
use registry_core::{Namespace, StorageDriver};
use registry_storage::{MemoryCache, MemoryDriver, StorageNamespace};

const REWRITE: &str = "REWRITE_DOCS=1 cargo test -p registry-storage --test calls";
const BEGIN: &str = "<!-- generated: begin -->\n";
const END: &str = "<!-- generated: end -->\n";

/// Names in memory, and the calls that a bucket would be asked.
#[derive(Default)]
struct InMemory(Record);

#[async_trait]
impl Bench for InMemory {
    async fn driver(&self) -> Arc<dyn StorageDriver> {
        Arc::new(RecordingDriver::new(Arc::new(MemoryDriver::flat()), self.0.clone()))
    }

    fn process(&self, driver: &Arc<dyn StorageDriver>) -> Arc<dyn Namespace> {
        let cache = Arc::new(MemoryCache::default());
        let builder = StorageNamespace::builder(Arc::clone(driver)).descriptor_cache(Some(cache));
        Arc::new(builder.build())
    }

    async fn taken(&self) -> Taken {
        self.0.taken()
    }
}

#[tokio::test(start_paused = true)]
async fn every_operation_stays_within_its_budget_and_the_table_says_what_it_takes() {
    let rows = measure(&InMemory::default()).await;
    let table = markdown(&rows);
    let excess: Vec<String> = rows.iter().filter_map(|row| row.excess()).collect();
    assert!(excess.is_empty(), "{}\n{table}", excess.join("\n"));

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/storage-costs.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = document.split_once(BEGIN).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    let current = format!("{head}{BEGIN}{table}{END}{tail}");
    if std::env::var_os("REWRITE_DOCS").is_some() {
        std::fs::write(&path, current).unwrap();
    } else {
        assert_eq!(document, current, "docs/storage-costs.md is out of date; write it anew with: {REWRITE}");
    }
}
