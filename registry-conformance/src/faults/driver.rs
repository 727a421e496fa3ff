//! The wrapper that fails.

use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::Uri;
use registry_core::{
    Batch, ByteRange, Content, Detached, FileWriter, ListPage, ListRequest, Metadata, RedirectHint, Shape,
    StorageDriver, StorageError, StoragePath, WriteMode,
};

use super::{Call, Fault, Faults};

/// A driver that does what another does, except for the call that its [`Faults`] say.
#[derive(Debug)]
pub struct FaultyDriver {
    inner: Arc<dyn StorageDriver>,
    faults: Faults,
    backwards: bool,
}

impl FaultyDriver {
    /// A driver that does what `inner` does until it is [armed](Faults::arm).
    pub fn new(inner: Arc<dyn StorageDriver>) -> Self {
        Self { inner, faults: Faults::default(), backwards: false }
    }

    /// The same, but the steps of each stage given to `apply` are done from the last to the first. They
    /// become visible in any order; what counts on one of them is found by the other.
    #[must_use]
    pub fn backwards(self, backwards: bool) -> Self {
        Self { backwards, ..self }
    }

    /// The switch.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    async fn through<T>(
        &self,
        call: Call,
        inner: impl Future<Output = Result<T, StorageError>> + Send,
    ) -> Result<T, StorageError> {
        through(&self.faults, self.inner.name(), call, inner).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl StorageDriver for FaultyDriver {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn shape(&self) -> Shape {
        self.inner.shape()
    }

    async fn get(&self, path: &StoragePath, limit: u64) -> Result<Bytes, StorageError> {
        self.through(Call::Get, self.inner.get(path, limit)).await
    }

    async fn reader(&self, path: &StoragePath, range: Option<ByteRange>) -> Result<Content, StorageError> {
        self.through(Call::Reader, self.inner.reader(path, range)).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata, StorageError> {
        self.through(Call::Stat, self.inner.stat(path)).await
    }

    async fn list(&self, dir: &StoragePath, request: &ListRequest) -> Result<ListPage, StorageError> {
        self.through(Call::List, self.inner.list(dir, request)).await
    }

    async fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        let batch = if self.backwards { reversed(batch) } else { batch };
        match cut(&self.faults, &batch) {
            None => self.inner.apply(batch).await,
            Some((done, Fault::Pause)) => {
                self.inner.apply(head(batch.clone(), done)).await?;
                self.faults.released().await;
                self.inner.apply(tail(batch, done)).await
            }
            Some((done, fault)) => {
                self.inner.apply(head(batch, done)).await?;
                Err(self.faults.answer(fault, self.inner.name(), Call::Step).await)
            }
        }
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>, StorageError> {
        let inner = self.through(Call::Writer, self.inner.writer(path, mode)).await?;
        Ok(Box::new(FaultyWriter { inner, driver: self.inner.name(), faults: self.faults.clone() }))
    }

    async fn redirect_url(
        &self,
        path: &StoragePath,
        hint: &RedirectHint,
    ) -> Result<Option<Uri>, StorageError> {
        self.through(Call::RedirectUrl, self.inner.redirect_url(path, hint)).await
    }

    async fn sweep(&self, before: SystemTime, dry_run: bool) -> Result<u64, StorageError> {
        self.inner.sweep(before, dry_run).await
    }

    fn object_key(&self, path: &StoragePath) -> Option<String> {
        self.inner.object_key(path)
    }
}

#[derive(Debug)]
struct FaultyWriter {
    inner: Box<dyn FileWriter>,
    driver: &'static str,
    faults: Faults,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl FileWriter for FaultyWriter {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn destined_for(&mut self, path: &StoragePath) {
        self.inner.destined_for(path);
    }

    async fn write(&mut self, data: Bytes) -> Result<(), StorageError> {
        through(&self.faults, self.driver, Call::Write, self.inner.write(data)).await
    }

    async fn close(self: Box<Self>) -> Result<u64, StorageError> {
        through(&self.faults, self.driver, Call::Close, self.inner.close()).await
    }

    async fn detach(self: Box<Self>) -> Result<Detached, StorageError> {
        through(&self.faults, self.driver, Call::Close, self.inner.detach()).await
    }

    async fn commit(self: Box<Self>, then: Batch) -> Result<u64, StorageError> {
        let (call, done, fault) = match self.faults.strike(Call::Commit) {
            Some(Fault::Pause) => {
                self.faults.released().await;
                return self.inner.commit(then).await;
            }
            Some(Fault::LostAnswer) => (Call::Commit, usize::MAX, Fault::LostAnswer),
            Some(fault) => {
                // The content did not become durable: the writer ends as in a crash.
                drop(self.inner);
                return Err(self.faults.answer(fault, self.driver, Call::Commit).await);
            }
            None => match cut(&self.faults, &then) {
                None => return self.inner.commit(then).await,
                Some((_, Fault::Pause)) => {
                    self.faults.released().await;
                    return self.inner.commit(then).await;
                }
                Some((done, fault)) => (Call::Step, done, fault),
            },
        };
        self.inner.commit(head(then, done)).await?;
        Err(self.faults.answer(fault, self.driver, call).await)
    }

    async fn cancel(self: Box<Self>) -> Result<(), StorageError> {
        through(&self.faults, self.driver, Call::Cancel, self.inner.cancel()).await
    }
}

async fn through<T>(
    faults: &Faults,
    driver: &'static str,
    call: Call,
    inner: impl Future<Output = Result<T, StorageError>> + Send,
) -> Result<T, StorageError> {
    let Some(fault) = faults.strike(call) else { return inner.await };
    if fault == Fault::Pause {
        faults.released().await;
        return inner.await;
    }
    if fault == Fault::LostAnswer {
        inner.await?;
    } else {
        drop(inner);
    }
    Err(faults.answer(fault, driver, call).await)
}

/// After how many steps a batch is cut, if it is.
fn cut(faults: &Faults, batch: &Batch) -> Option<(usize, Fault)> {
    let steps: usize = batch.stages().iter().map(Vec::len).sum();
    (0..steps).find_map(|before| {
        let fault = faults.strike(Call::Step)?;
        Some((before + usize::from(fault == Fault::LostAnswer), fault))
    })
}

/// The first `steps` steps of a batch, in their stages.
fn head(batch: Batch, steps: usize) -> Batch {
    let mut left = steps;
    let stages = batch.into_stages().into_iter().map(|stage| {
        let kept = left.min(stage.len());
        left -= kept;
        stage.into_iter().take(kept)
    });
    stages.filter(|stage| stage.len() > 0).fold(Batch::new(), |head, stage| {
        stage.fold(head.then(), |head, step| head.step(step.change, step.durability))
    })
}

/// A batch without its first `steps` steps.
fn tail(batch: Batch, steps: usize) -> Batch {
    let mut left = steps;
    batch.into_stages().into_iter().fold(Batch::new(), |tail, stage| {
        let gone = left.min(stage.len());
        left -= gone;
        stage.into_iter().skip(gone).fold(tail.then(), |tail, step| tail.step(step.change, step.durability))
    })
}

/// The same stages, each from its last step to its first.
fn reversed(batch: Batch) -> Batch {
    batch.into_stages().into_iter().fold(Batch::new(), |batch, stage| {
        stage.into_iter().rev().fold(batch.then(), |batch, step| batch.step(step.change, step.durability))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::path;

    #[test]
    fn the_head_of_a_batch_keeps_its_stages() {
        let whole = || Batch::new().put(path("/a"), "").put(path("/b"), "").then().delete(path("/c"));
        assert!(head(whole(), 0).is_empty());
        assert_eq!(head(whole(), 1), Batch::new().put(path("/a"), ""));
        assert_eq!(head(whole(), 2), Batch::new().put(path("/a"), "").put(path("/b"), ""));
        assert_eq!(head(whole(), 3), whole());
        assert_eq!(head(whole(), usize::MAX), whole());
        assert_eq!(tail(whole(), 0), whole());
        assert_eq!(tail(whole(), 1), Batch::new().put(path("/b"), "").then().delete(path("/c")));
        assert!(tail(whole(), 3).is_empty());
        let swapped = Batch::new().put(path("/b"), "").put(path("/a"), "").then().delete(path("/c"));
        assert_eq!(reversed(whole()), swapped);
    }
}
