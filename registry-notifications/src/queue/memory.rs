//! A queue that ends with the process.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{Batch, Drops, Upto};

/// The latest events, bounded by their bytes; the oldest goes when there is no more room.
#[derive(Debug)]
pub(crate) struct MemoryQueue {
    max_bytes: u64,
    state: Mutex<State>,
    arrived: Notify,
    drops: std::sync::Arc<Drops>,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Bytes>,
    bytes: u64,
    /// The number of the first line, counted from the first event ever.
    first: u64,
}

impl State {
    fn remove_first(&mut self) {
        if let Some(line) = self.lines.pop_front() {
            self.bytes -= line.len() as u64;
            self.first += 1;
        }
    }
}

impl MemoryQueue {
    pub(crate) fn new(max_bytes: u64, drops: std::sync::Arc<Drops>) -> Self {
        Self { max_bytes, state: Mutex::default(), arrived: Notify::new(), drops }
    }

    pub(super) fn push(&self, line: Bytes) {
        let len = line.len() as u64;
        if len > self.max_bytes {
            self.drops.add(1, "one is larger than the queue (notifications.queue.maxbytes)");
            return;
        }
        let mut state = self.state();
        let before = state.first;
        while state.bytes + len > self.max_bytes {
            state.remove_first();
        }
        let dropped = state.first - before;
        state.bytes += len;
        state.lines.push_back(line);
        drop(state);
        self.drops.add(dropped, "the queue is full (notifications.queue.maxbytes)");
        self.arrived.notify_one();
    }

    pub(super) async fn peek(&self, most: usize) -> Batch {
        loop {
            {
                let state = self.state();
                if !state.lines.is_empty() {
                    let lines: Vec<_> = state.lines.iter().take(most).cloned().collect();
                    let upto = Upto::Number(state.first + lines.len() as u64);
                    return Batch { lines, upto };
                }
            }
            self.arrived.notified().await;
        }
    }

    pub(super) fn done(&self, upto: u64) {
        let mut state = self.state();
        while state.first < upto && !state.lines.is_empty() {
            state.remove_first();
        }
    }

    pub(super) fn pending(&self) -> u64 {
        self.state().lines.len() as u64
    }

    /// Every change is made whole before anything can panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn the_oldest_goes_when_it_is_full_and_what_was_peeked_at_may_be_gone() {
        let drops = Arc::new(Drops::new("e"));
        let queue = MemoryQueue::new(10, Arc::clone(&drops));
        queue.push("aaaa".into());
        queue.push("bbbb".into());
        let peeked = queue.peek(1).await;
        queue.push("cccc".into());
        assert_eq!((queue.pending(), drops.count()), (2, 1));
        let Upto::Number(upto) = peeked.upto else { panic!("a number") };
        queue.done(upto);
        assert_eq!(queue.peek(9).await.lines, ["bbbb", "cccc"], "what was delivered is what was dropped");
        queue.push("ddddddddddd".into());
        assert_eq!((queue.pending(), drops.count()), (2, 2), "too large for any queue");
    }
}
