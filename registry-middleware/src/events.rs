//! Events: what happened to content, told to an [`EventSink`](registry_core::EventSink).

mod listener;
mod queue;
mod whole;

pub use listener::EventListener;
pub use queue::{BoundedQueue, Queued};
