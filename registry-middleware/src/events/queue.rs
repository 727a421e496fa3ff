//! A queue between those who make events and one who delivers them.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use registry_core::{Event, EventSink, RequestContext};
use tokio::sync::Notify;

/// Keeps the latest events in memory until somebody takes them. Never makes a request wait: when the
/// queue is full, the oldest event is dropped and counted.
///
/// Events are gone when the process ends; a sink that must not lose any writes them down instead.
#[derive(Debug)]
pub struct BoundedQueue {
    capacity: NonZeroUsize,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Queued>,
    dropped: u64,
}

/// An event, and the request that made it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Queued {
    /// The request.
    pub context: RequestContext,
    /// The event.
    pub event: Event,
}

impl BoundedQueue {
    /// A queue for this many events.
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self { capacity, state: Mutex::default(), arrived: Notify::new() }
    }

    /// The oldest event; waits if there is none. Of several that wait, each gets another event. Dropping
    /// the future loses no event.
    pub async fn next(&self) -> Queued {
        loop {
            let arrived = self.arrived.notified();
            if let Some(queued) = self.try_next() {
                return queued;
            }
            arrived.await;
        }
    }

    /// The oldest event, if there is one now.
    pub fn try_next(&self) -> Option<Queued> {
        let mut state = self.state();
        let queued = state.events.pop_front();
        // A wake-up may have been swallowed by one that found the queue full; hand it on.
        if !state.events.is_empty() {
            self.arrived.notify_one();
        }
        queued
    }

    /// How many events wait.
    pub fn len(&self) -> usize {
        self.state().events.len()
    }

    /// Whether no event waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many events were dropped because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// The state; it is whole even after a panic, since every change to it is a single step.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventSink for BoundedQueue {
    async fn publish(&self, cx: &RequestContext, event: Event) {
        let queued = Queued { context: cx.clone(), event };
        let mut state = self.state();
        if state.events.len() >= self.capacity.get() {
            state.events.pop_front();
            state.dropped += 1;
        }
        state.events.push_back(queued);
        drop(state);
        self.arrived.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use registry_core::EventTarget;
    use registry_core::events::Action;

    use super::*;
    use crate::testing::{name, tag};

    async fn publish(queue: &BoundedQueue, text: &str) {
        let event = Event::now(Action::Delete, name("a"), EventTarget::Tag(tag(text)));
        queue.publish(&RequestContext::new(text), event).await;
    }

    #[tokio::test]
    async fn a_full_queue_drops_the_oldest_and_counts_it() {
        let queue = BoundedQueue::new(NonZeroUsize::new(2).unwrap());
        for text in ["one", "two", "three"] {
            publish(&queue, text).await;
        }
        assert_eq!((queue.len(), queue.dropped()), (2, 1));
        assert_eq!(queue.next().await.context.request_id, "two");
        assert_eq!(queue.next().await.event.target, EventTarget::Tag(tag("three")));
        assert!(queue.is_empty() && queue.try_next().is_none());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn everyone_who_waits_gets_an_event() {
        let queue = Arc::new(BoundedQueue::new(NonZeroUsize::new(64).unwrap()));
        let takers: Vec<_> = (0..32)
            .map(|_| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move { queue.next().await.context.request_id })
            })
            .collect();
        for number in 0..32 {
            publish(&queue, &format!("t{number}")).await;
        }
        let mut taken = Vec::new();
        for taker in takers {
            taken.push(taker.await.unwrap());
        }
        taken.sort();
        taken.dedup();
        assert_eq!(taken.len(), 32);
    }
}
