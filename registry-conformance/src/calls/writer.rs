//! What it costs to write a file to a bucket.
//!
//! A part has to have 5 MiB unless it is the last. Up to one part is kept in memory; a file that is no
//! longer is one put, at the place where it is destined for. A longer one is an upload in parts: begun,
//! a call for each part, completed, and copied to its place unless that was known before the first byte.
//! What is left over when a request ends and is too small for a part is put beside, and read again by the
//! next. All else that the next has to know is in its ticket.

use async_trait::async_trait;
use bytes::Bytes;
use registry_core::{
    Batch, Change, Detached, FileWriter, StorageDriver, StorageError, StoragePath, WriteMode,
};

use super::Record;
use super::driver::stage;

/// The least that a part may have.
const LEAST: u64 = 5 << 20;

/// How much is collected for a part.
const PART: u64 = 8 << 20;

#[derive(Debug)]
pub(super) struct RecordingWriter {
    inner: Box<dyn FileWriter>,
    record: Record,
    path: StoragePath,
    state: State,
    destined: bool,
}

/// What a ticket has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
    /// Whether parts were sent.
    begun: bool,
    /// Bytes that are in no part: in memory, or put beside.
    rest: u64,
    /// Whether something is put beside, and has to be removed at last.
    beside: bool,
}

impl State {
    fn encode(self) -> Bytes {
        format!("{} {} {}", u8::from(self.begun), self.rest, u8::from(self.beside)).into()
    }

    fn decode(ticket: &[u8]) -> Option<Self> {
        let mut fields = std::str::from_utf8(ticket).ok()?.split(' ').map(str::parse::<u64>);
        let mut next = || fields.next()?.ok();
        Some(Self { begun: next()? > 0, rest: next()?, beside: next()? > 0 })
    }
}

impl RecordingWriter {
    pub(super) async fn open(
        driver: &dyn StorageDriver,
        record: Record,
        path: StoragePath,
        mode: WriteMode,
    ) -> Result<Self, StorageError> {
        let (state, found) = match &mode {
            WriteMode::Truncate => (State::default(), WriteMode::Truncate),
            WriteMode::Append => {
                // Which uploads there are, their parts, and what is beside.
                record.round(&[("list", 1)]).await;
                record.round(&[("list", 1), ("get", 1)]).await;
                (State { begun: true, ..State::default() }, WriteMode::Append)
            }
            WriteMode::Continue(ticket) => {
                let state = State::decode(ticket).ok_or(StorageError::Unsupported {
                    driver: driver.name(),
                    operation: "continuing with this ticket",
                })?;
                record.round(&[("get", usize::from(state.rest > 0))]).await;
                (state, WriteMode::Append)
            }
        };
        let inner = driver.writer(&path, found).await?;
        Ok(Self { inner, record, path, state, destined: false })
    }

    /// Sends what is in memory as a part.
    async fn part(&mut self) {
        if !std::mem::replace(&mut self.state.begun, true) {
            self.record.round(&[("create", 1)]).await;
        }
        self.record.round(&[("part", 1)]).await;
        self.state.rest = 0;
    }

    /// Everything in the store, before a request ends.
    async fn settle(&mut self) {
        if self.state.rest >= LEAST {
            self.part().await;
        } else if self.state.rest > 0 {
            self.state.beside = true;
            self.record.round(&[("put", 1)]).await;
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl FileWriter for RecordingWriter {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn destined_for(&mut self, path: &StoragePath) {
        self.destined |= self.inner.size() == 0;
        self.inner.destined_for(path);
    }

    async fn write(&mut self, data: Bytes) -> Result<(), StorageError> {
        self.state.rest += data.len() as u64;
        self.inner.write(data).await?;
        if self.state.rest >= PART {
            self.part().await;
        }
        Ok(())
    }

    async fn close(mut self: Box<Self>) -> Result<u64, StorageError> {
        self.settle().await;
        self.inner.close().await
    }

    async fn detach(mut self: Box<Self>) -> Result<Detached, StorageError> {
        self.settle().await;
        let ticket = Some(self.state.encode());
        Ok(Detached { size: self.inner.close().await?, ticket })
    }

    async fn commit(mut self: Box<Self>, then: Batch) -> Result<u64, StorageError> {
        let size = self.inner.size();
        let last = usize::from(self.state.rest > 0);
        let mut left = usize::from(self.state.beside);
        for steps in then.stages() {
            let moves = |step: &registry_core::Step| matches!(&step.change, Change::Rename { from, .. } if *from == self.path);
            if !steps.iter().any(moves) {
                stage(&self.record, steps, &mut left, true).await;
                continue;
            }
            if self.state.begun {
                self.record.round(&[("part", last)]).await;
                self.record.round(&[("complete", 1)]).await;
            } else {
                self.record.round(&[("put", 1)]).await;
            }
            stage(&self.record, steps, &mut left, self.state.begun && !self.destined).await;
        }
        self.record.round(&[("delete", left.min(1))]).await;
        self.inner.commit(then).await?;
        Ok(size)
    }

    async fn cancel(self: Box<Self>) -> Result<(), StorageError> {
        let gone = usize::from(self.state.begun) + usize::from(self.state.beside);
        self.record.round(&[("delete", gone)]).await;
        self.inner.cancel().await
    }
}
