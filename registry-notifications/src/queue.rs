//! Where the events of one endpoint wait.

mod disk;
mod drops;
mod memory;
mod recover;
mod segment;

use bytes::Bytes;
use tokio::sync::oneshot;

pub(crate) use disk::DiskQueue;
pub(crate) use drops::Drops;
pub(crate) use memory::MemoryQueue;
use segment::Position;

/// A queue for one producer of many and one consumer.
#[derive(Debug)]
pub(crate) enum Queue {
    Memory(MemoryQueue),
    Disk(DiskQueue),
}

/// The oldest events; they stay in the queue until they are [`done`](Queue::done).
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) lines: Vec<Bytes>,
    /// What comes after them.
    upto: Upto,
}

#[derive(Debug, Clone, Copy)]
enum Upto {
    /// The number of the next event.
    Number(u64),
    /// The place of the next event.
    Place(Position),
}

impl Queue {
    /// Adds an event. With `durable`, the receiver hears when it will outlive the process and a power cut; it
    /// hears of its end alone if that has failed, or if the queue cannot.
    pub(crate) fn push(&self, line: Bytes, durable: bool) -> Option<oneshot::Receiver<()>> {
        match self {
            Self::Memory(queue) => {
                queue.push(line);
                None
            }
            Self::Disk(queue) => queue.push(line, durable),
        }
    }

    /// The oldest events, at most `most`, at least one: waits if there is none. Dropping the future loses nothing.
    pub(crate) async fn peek(&self, most: usize) -> Batch {
        match self {
            Self::Memory(queue) => queue.peek(most).await,
            Self::Disk(queue) => queue.peek(most).await,
        }
    }

    /// Removes what was peeked at, as far as it is still there.
    pub(crate) fn done(&self, batch: &Batch) {
        match (self, batch.upto) {
            (Self::Memory(queue), Upto::Number(number)) => queue.done(number),
            (Self::Disk(queue), Upto::Place(place)) => queue.done(place, batch.lines.len() as u64),
            (Self::Memory(_), Upto::Place(_)) | (Self::Disk(_), Upto::Number(_)) => {}
        }
    }

    /// How many events wait.
    pub(crate) fn pending(&self) -> u64 {
        match self {
            Self::Memory(queue) => queue.pending(),
            Self::Disk(queue) => queue.pending(),
        }
    }

    /// Whether what waits outlives the process.
    pub(crate) fn is_durable(&self) -> bool {
        matches!(self, Self::Disk(_))
    }

    /// Ends it; what was not written yet is written.
    pub(crate) async fn close(&self) {
        if let Self::Disk(queue) = self {
            queue.close().await;
        }
    }
}
