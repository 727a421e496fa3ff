//! The wrapper that counts.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::Uri;
use registry_core::{
    Batch, ByteRange, Change, Content, FileWriter, ListPage, ListRequest, Metadata, RedirectHint, Shape,
    Step, StorageDriver, StorageError, StoragePath, WriteMode,
};

use super::Record;
use super::writer::RecordingWriter;

/// How many names a listing gives, and how many a delete takes.
const PAGE: usize = 1000;

/// A driver that does what another does and counts the calls that a bucket would be asked for it.
///
/// | step | calls |
/// |---|---|
/// | `get`, `reader` | 1 |
/// | `stat` | 1 for a file; what is none is looked for as a directory, 1 more |
/// | `list` | 1 for each 1000 names |
/// | a batch | for each file put 1, for each moved 1; all that one stage removes together 1; for a directory that is to be removed 1 more |
/// | a writer | see `calls/writer.rs` |
#[derive(Debug)]
pub struct RecordingDriver {
    inner: Arc<dyn StorageDriver>,
    record: Record,
}

impl RecordingDriver {
    /// Counts what is done with `inner`, in `record`.
    ///
    /// # Panics
    /// If it is no flat store: on a disk these are no costs.
    pub fn new(inner: Arc<dyn StorageDriver>, record: Record) -> Self {
        assert_eq!(inner.shape(), Shape::Flat, "only a flat store has such costs");
        Self { inner, record }
    }
}

/// What a stage of a batch costs, and how many keys it leaves for the next delete.
pub(super) async fn stage(record: &Record, steps: &[Step], left: &mut usize, moves: bool) {
    let count = |of: fn(&Change) -> bool| steps.iter().filter(|step| of(&step.change)).count();
    let puts = count(|change| matches!(change, Change::Put { .. }));
    let renames = count(|change| matches!(change, Change::Rename { .. }));
    let removes = count(|change| matches!(change, Change::Remove { .. }));
    let trees = count(|change| matches!(change, Change::Delete { .. }));
    let doomed = if removes + trees > 0 { removes + trees + std::mem::take(left) } else { 0 };
    let copies = if moves { renames } else { 0 };
    *left += copies;
    let deletes = doomed.div_ceil(PAGE);
    if trees > 0 {
        record.round(&[("put", puts), ("copy", copies), ("list", trees)]).await;
        record.round(&[("delete", deletes)]).await;
    } else {
        record.round(&[("put", puts), ("copy", copies), ("delete", deletes)]).await;
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl StorageDriver for RecordingDriver {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn shape(&self) -> Shape {
        self.inner.shape()
    }

    async fn get(&self, path: &StoragePath, limit: u64) -> Result<Bytes, StorageError> {
        self.record.round(&[("get", 1)]).await;
        self.inner.get(path, limit).await
    }

    async fn reader(&self, path: &StoragePath, range: Option<ByteRange>) -> Result<Content, StorageError> {
        self.record.round(&[("get", 1)]).await;
        self.inner.reader(path, range).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata, StorageError> {
        self.record.round(&[("head", 1)]).await;
        let found = self.inner.stat(path).await;
        if !matches!(&found, Ok(found) if !found.is_dir) {
            self.record.round(&[("list", 1)]).await;
        }
        found
    }

    async fn list(&self, dir: &StoragePath, request: &ListRequest) -> Result<ListPage, StorageError> {
        let found = self.inner.list(dir, request).await;
        let names = found.as_ref().map_or(0, |found| found.entries.len());
        for _ in 0..names.div_ceil(PAGE).max(1) {
            self.record.round(&[("list", 1)]).await;
        }
        found
    }

    async fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        let mut left = 0;
        for steps in batch.into_stages() {
            stage(&self.record, &steps, &mut left, true).await;
            let one =
                steps.into_iter().fold(Batch::new(), |one, step| one.step(step.change, step.durability));
            self.inner.apply(one).await?;
        }
        self.record.round(&[("delete", left.div_ceil(PAGE))]).await;
        Ok(())
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>, StorageError> {
        let writer = RecordingWriter::open(&*self.inner, self.record.clone(), path.clone(), mode).await?;
        Ok(Box::new(writer))
    }

    async fn redirect_url(
        &self,
        path: &StoragePath,
        hint: &RedirectHint,
    ) -> Result<Option<Uri>, StorageError> {
        self.inner.redirect_url(path, hint).await
    }

    fn object_key(&self, path: &StoragePath) -> Option<String> {
        self.inner.object_key(path)
    }

    async fn sweep(&self, before: SystemTime, dry_run: bool) -> Result<u64, StorageError> {
        self.inner.sweep(before, dry_run).await
    }
}
