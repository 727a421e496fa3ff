//! Writing piece by piece.
//!
//! Bytes collect in memory up to a part and go out as parts of an upload, one under way while the next
//! collects; all writers together keep to one [budget](budget). What is needed to go on, when a writer
//! ends before the file is finished, is in a ticket, and the last bytes beside the file if they are too
//! few for a part. A file that stays small is never an upload in parts at all.
//!
//! An upload in parts has a name of its own, new each time, and so have the bytes beside the file. Two
//! processes that write the same file do not meet: each finishes what it has written itself, or finds that
//! the other has finished first.

mod budget;
mod end;
#[cfg(test)]
mod faults;
pub(super) mod find;
mod held;
mod parts;
mod piece;
mod saved;
mod send;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use registry_core::{Batch, Detached, FileWriter, StorageError, StoragePath, WriteMode};
use tracing::Instrument;

use super::driver::{Open, Shared};
pub(super) use budget::{Budget, Room};
pub(super) use end::all_parts;
use held::Held;
pub(super) use saved::{Stored, Upload};
use send::Flying;

/// Opens a file for writing.
pub(super) async fn open(
    shared: &Arc<Shared>,
    path: &StoragePath,
    mode: WriteMode,
) -> Result<Box<dyn FileWriter>, StorageError> {
    if path.relative().is_empty() {
        return Err(shared.not_found(path));
    }
    let open = shared.open(path)?;
    let key = shared.names.file(path);
    let stored = match mode {
        WriteMode::Truncate => Stored::nothing(),
        WriteMode::Append => {
            let mut stored = find::find(shared, path).await?.ok_or_else(|| shared.not_found(path))?.stored;
            let readied = find::finish_short(shared, &mut stored).await;
            readied.map_err(shared.failed("write", path))?;
            stored
        }
        WriteMode::Continue(ticket) => Stored::read(&shared.names, &key, &ticket).ok_or_else(|| {
            StorageError::Unsupported { driver: shared.driver(), operation: "continuing with this ticket" }
        })?,
    };
    Ok(Box::new(BucketWriter::new(shared, path, stored, open)))
}

/// Moves a file that is not an object, because it was closed when its parts had been sent to where it is going
/// to be.
pub(super) async fn finish(
    shared: &Arc<Shared>,
    from: &StoragePath,
    to: &StoragePath,
) -> Result<(), StorageError> {
    let open = shared.open(from)?;
    let found = find::find(shared, from).await?.map(|found| found.stored);
    let sent = |stored: &Stored| {
        let destined = stored.upload.as_ref().and_then(|upload| upload.destined.as_ref());
        stored.sequence > 0 && destined == Some(to)
    };
    let stored = found.filter(sent).ok_or_else(|| shared.not_found(from))?;
    let file: Box<dyn FileWriter> = Box::new(BucketWriter::new(shared, from, stored, open));
    file.commit(Batch::new().rename(from.clone(), to.clone())).await?;
    Ok(())
}

/// A file that is being written.
#[derive(Debug)]
struct BucketWriter {
    shared: Arc<Shared>,
    path: StoragePath,
    key: String,
    /// What is in the bucket, without what is on its way.
    stored: Stored,
    /// What was in the bucket when the file was opened, all of which was acknowledged.
    before: Stored,
    /// What is in memory.
    held: Arc<Held>,
    /// The part that is on its way.
    flying: Option<Flying>,
    /// Everything accepted.
    size: u64,
    /// Where the file is going to be moved.
    target: Option<StoragePath>,
    /// Whether something was written here, so that there is something new to be kept.
    wrote: bool,
    /// Whether bytes were lost.
    broken: bool,
    /// Goes last: whoever opens the file next finds nothing on its way.
    open: Arc<Open>,
}

impl BucketWriter {
    fn new(shared: &Arc<Shared>, path: &StoragePath, stored: Stored, open: Open) -> Self {
        Self {
            size: stored.size(),
            held: Arc::new(Held::new(&shared.budget)),
            shared: Arc::clone(shared),
            path: path.clone(),
            key: shared.names.file(path),
            before: stored.clone(),
            stored,
            target: None,
            flying: None,
            wrote: false,
            broken: false,
            open: Arc::new(open),
        }
    }
}

#[async_trait]
impl FileWriter for BucketWriter {
    fn size(&self) -> u64 {
        self.size
    }

    fn destined_for(&mut self, path: &StoragePath) {
        if self.size == 0 && self.stored.upload.is_none() {
            self.target = Some(path.clone());
        }
    }

    async fn write(&mut self, data: Bytes) -> Result<(), StorageError> {
        if data.is_empty() {
            return Ok(());
        }
        let accepted = self.accept(&data).await;
        self.broken |= accepted.is_err();
        accepted
    }

    async fn close(self: Box<Self>) -> Result<u64, StorageError> {
        let driver = self.shared.driver();
        to_its_end(driver, self.close()).await
    }

    async fn detach(self: Box<Self>) -> Result<Detached, StorageError> {
        let driver = self.shared.driver();
        to_its_end(driver, self.detach()).await
    }

    async fn commit(self: Box<Self>, then: Batch) -> Result<u64, StorageError> {
        let driver = self.shared.driver();
        to_its_end(driver, self.commit(then)).await
    }

    async fn cancel(self: Box<Self>) -> Result<(), StorageError> {
        let driver = self.shared.driver();
        to_its_end(driver, self.cancel()).await
    }
}

/// Ends a writer in a task of its own. A request that nobody waits for any more may still be carried out by
/// the service; so the file is not free for the next writer before it is known what became of it.
async fn to_its_end<T: Send + 'static>(
    driver: &'static str,
    ending: impl Future<Output = Result<T, StorageError>> + Send + 'static,
) -> Result<T, StorageError> {
    let task = tokio::spawn(ending.in_current_span());
    task.await.map_err(|error| StorageError::Backend { driver, operation: "write", source: error.into() })?
}

/// How many uploads are remembered.
const REMEMBERED: usize = 1024;

/// Uploads in parts that this process asked the bucket to make objects of. Where the answer was lost, or
/// what came after failed, the caller asks again, and the bucket knows no such upload any more: then this
/// tells that the object is the one that was meant.
#[derive(Debug, Default)]
pub(super) struct Ended(Mutex<VecDeque<(String, String)>>);

impl Ended {
    /// Notes that an upload was asked to become an object of these parts.
    pub(super) fn note(&self, id: &str, parts: &str) {
        let mut ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.len() == REMEMBERED {
            ended.pop_front();
        }
        ended.push_back((id.to_owned(), parts.to_owned()));
    }

    /// Whether that was so.
    pub(super) fn knows(&self, id: &str, parts: &str) -> bool {
        let ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ended.iter().any(|(ended, of)| ended == id && of == parts)
    }
}
