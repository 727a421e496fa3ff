//! Batches: the steps of a stage side by side, and everything that is removed in one request.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use registry_core::{Batch, Change, PutMode, StorageError, StoragePath};

use super::clear;
use super::driver::Shared;
use super::store::{Bucket, BucketError};
use super::write::{self, Room, Upload, all_parts};

/// How many requests of a stage are under way at once.
pub(super) const AT_ONCE: usize = 16;

/// A file whose writer ends with a batch that moves it.
#[derive(Debug)]
pub(super) struct Own {
    /// Where the batch has it.
    pub(super) path: StoragePath,
    /// Where it is.
    pub(super) source: Source,
    /// Whether it is where it belongs.
    pub(super) moved: bool,
    /// Objects that are to be removed after that.
    pub(super) leftovers: Vec<String>,
}

/// A file that is complete, before it is where it belongs.
#[derive(Debug)]
pub(super) enum Source {
    /// In memory, in room that is kept as long.
    Memory(Bytes, Room),
    /// In an object.
    Object {
        /// Which.
        key: String,
        /// Its length in bytes.
        size: u64,
    },
    /// In the parts of an upload to where it belongs.
    Upload(Upload),
}

/// One request of a stage.
enum Work {
    Put {
        path: StoragePath,
        content: Bytes,
        create: bool,
    },
    Copy {
        from: StoragePath,
        to: StoragePath,
    },
    /// Puts the file of the writer to where it belongs.
    Place {
        to: StoragePath,
    },
    /// Removes objects, and everything in directories.
    Clear {
        keys: BTreeSet<String>,
        trees: Vec<StoragePath>,
    },
}

/// The requests of a stage.
#[derive(Default)]
struct Stage {
    work: Vec<Work>,
    /// Keys that are written or read.
    touched: Vec<String>,
    /// Keys that are removed.
    doomed: BTreeSet<String>,
    /// Directories that are removed.
    trees: Vec<StoragePath>,
    /// What has been copied to where it belongs, and is to go with what the next stage removes.
    moved: BTreeSet<String>,
}

impl Stage {
    fn add(&mut self, shared: &Shared, change: Change, own: Option<&Own>) {
        let file = |path: &StoragePath| shared.names.file(path);
        match change {
            Change::Put { path, content, mode } => {
                self.touched.push(file(&path));
                self.work.push(Work::Put { path, content, create: mode == PutMode::Create });
            }
            Change::Rename { from, to } => {
                self.touched.extend([file(&from), file(&to)]);
                if own.is_some_and(|own| own.path == from && !own.moved) {
                    self.work.push(Work::Place { to });
                } else {
                    self.moved.insert(file(&from));
                    self.work.push(Work::Copy { from, to });
                }
            }
            Change::Remove { path } => drop(self.doomed.insert(file(&path))),
            Change::Delete { path } => {
                if !path.relative().is_empty() {
                    self.doomed.insert(file(&path));
                }
                self.trees.push(path);
            }
        }
    }
}

/// Does every step of a batch. The file of a writer is moved from where that has it.
pub(super) async fn apply(
    shared: &Arc<Shared>,
    batch: Batch,
    mut own: Option<&mut Own>,
) -> Result<(), StorageError> {
    let mut moved: BTreeSet<String> = BTreeSet::new();
    for steps in batch.into_stages() {
        let mut stage = Stage::default();
        for step in steps {
            stage.add(shared, step.change, own.as_deref());
        }
        if stage.touched.iter().any(|key| moved.contains(key)) {
            // Something new comes to where something was moved away.
            clear::delete(shared, std::mem::take(&mut moved)).await?;
        }
        stage.doomed.append(&mut moved);
        if !stage.doomed.is_empty() || !stage.trees.is_empty() {
            stage.work.push(Work::Clear { keys: stage.doomed, trees: stage.trees });
        }
        let placed = AtomicBool::new(false);
        let source = own.as_ref().map(|own| &own.source);
        let work: Vec<_> = stage.work.into_iter().map(|work| run(shared, work, source, &placed)).collect();
        let done = stream::iter(work).buffer_unordered(AT_ONCE).try_collect::<()>().await;
        moved = stage.moved;
        if let Some(own) = own.as_mut().filter(|_| placed.into_inner()) {
            own.moved = true;
            moved.extend(std::mem::take(&mut own.leftovers));
            if let Source::Object { key, .. } = &own.source {
                moved.insert(key.clone());
            }
        }
        done?;
    }
    clear::delete(shared, moved).await
}

async fn run(
    shared: &Arc<Shared>,
    work: Work,
    source: Option<&Source>,
    placed: &AtomicBool,
) -> Result<(), StorageError> {
    match work {
        Work::Put { path, content, create } => {
            let put = shared.bucket.put(&shared.names.file(&path), content, create).await;
            put.map_err(shared.failed("put", &path))
        }
        Work::Copy { from, to } => {
            let (source, target) = (shared.names.file(&from), shared.names.file(&to));
            let meta = match shared.bucket.head(&source).await {
                Ok(meta) => meta,
                Err(BucketError::NotFound) => return write::finish(shared, &from, &to).await,
                Err(error) => return Err(shared.failed("rename", &from)(error)),
            };
            let copied = shared.bucket.copy(&source, &target, meta.size).await;
            copied.map_err(shared.failed("rename", &from))
        }
        Work::Place { to } => {
            let key = shared.names.file(&to);
            match source {
                Some(Source::Memory(content, _)) => {
                    let put = shared.bucket.put(&key, content.clone(), false).await;
                    put.map_err(shared.failed("commit", &to))?;
                }
                Some(Source::Object { key: from, size }) => {
                    let copied = shared.bucket.copy(from, &key, *size).await;
                    copied.map_err(shared.failed("commit", &to))?;
                }
                Some(Source::Upload(upload)) => complete(shared, &to, upload).await?,
                None => {}
            }
            placed.store(true, Ordering::Relaxed);
            Ok(())
        }
        Work::Clear { keys, trees } => clear::clear(shared, keys, trees).await,
    }
}

/// Makes an object of an upload. If that was asked before, and the answer was lost, it may be one already.
pub(super) async fn complete(
    shared: &Shared,
    path: &StoragePath,
    upload: &Upload,
) -> Result<(), StorageError> {
    let failed = || shared.failed("commit", path);
    let id = upload.id.as_deref().unwrap_or_default();
    let parts = upload.parts.digest();
    let known = shared.ended.knows(id, &parts);
    let completed = match all_parts(&shared.bucket, upload, id).await {
        Ok(all) => {
            shared.ended.note(id, &parts);
            shared.bucket.complete(&upload.key, id, &all).await
        }
        Err(error) => Err(error),
    };
    match completed {
        Err(BucketError::NoSuchUpload) if known => {
            let meta = shared.bucket.head(&upload.key).await.map_err(failed())?;
            if meta.size == upload.parts.bytes() { Ok(()) } else { Err(shared.busy(path)) }
        }
        completed => completed.map_err(failed()),
    }
}
