//! Tells HTTP endpoints what happens in a registry, as CNCF Distribution does.
//!
//! [`Notifier`] is an [`EventSink`](registry_core::EventSink). Each endpoint has a queue of its own and one
//! request in flight, so that events arrive in order, and what one endpoint does is felt by no other and by no
//! client of the registry. What is not accepted is sent again until it is.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//! use registry_notifications::{EndpointOptions, Notifier, NotifierOptions, QueueOptions};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let endpoint = EndpointOptions::new("audit", "https://audit.example.com/events".parse()?);
//! let options = NotifierOptions::new("registry-1:5000")
//!     .with_endpoint(endpoint)
//!     .with_queue(QueueOptions::default().with_directory("/var/lib/registry-events"));
//! let notifier: Arc<Notifier> = Arc::new(Notifier::start(options)?);
//! // `Registry::builder(…).event_sink_over(notifier.clone())`, and when the program ends:
//! let left = notifier.shutdown(Duration::from_secs(10)).await;
//! # let _ = left;
//! # Ok(())
//! # }
//! ```
//!
//! | | queue in memory | queue in a directory |
//! |---|---|---|
//! | what a push waits for | nothing | its event is durable; pushes at the same time wait together |
//! | events after a restart | lost, those that could not be flushed | delivered, some of them a second time |
//! | a full queue | drops the oldest event | drops the oldest eighth |
//!
//! An event has an `id`, by which an endpoint can tell that it has it already.

mod client;
mod delivery;
mod format;
mod indent;
mod notifier;
mod options;
mod queue;
mod record;
mod stats;

pub use notifier::{Left, Notifier, NotifierError};
pub use options::{EndpointOptions, Format, NotifierOptions, QueueOptions};
pub use stats::EndpointStats;
