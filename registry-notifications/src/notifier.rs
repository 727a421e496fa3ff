//! The sink that tells endpoints.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use registry_core::events::Action;
use registry_core::{Event, EventSink, RequestContext};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::client::{Client, ClientError, Outside, shown};
use crate::delivery::Endpoint;
use crate::options::{EndpointOptions, NotifierOptions, QueueOptions};
use crate::queue::{DiskQueue, Drops, MemoryQueue, Queue};
use crate::record::{Source, records};
use crate::stats::EndpointStats;

/// How often it is looked whether all queues are empty, at the end.
const LOOK: Duration = Duration::from_millis(5);

/// Tells endpoints what happens; see the [crate].
#[derive(Debug)]
pub struct Notifier {
    source: Source,
    include_references: bool,
    endpoints: Vec<Arc<Endpoint>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// Why a notifier cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifierError {
    /// An endpoint cannot be reached by what is configured.
    #[error("notifications endpoint {name:?}: {source}")]
    Endpoint {
        /// The name of the endpoint.
        name: String,
        /// The reason.
        source: ClientError,
    },
    /// The directory of a queue is open in another process.
    #[error(
        "notifications: another process uses the queue in {}; give each its own (notifications.queue.directory)",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The directory of a queue cannot be used.
    #[error("notifications: cannot use the queue in {}: {source}", path.display())]
    Queue {
        /// The directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// What an endpoint has not been told when the notifier ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Left {
    /// The name of the endpoint.
    pub endpoint: String,
    /// How many events.
    pub events: u64,
    /// Whether they are kept for the next start; otherwise they are lost.
    pub kept: bool,
}

impl Notifier {
    /// Opens the queues and begins to deliver what is in them. Needs to be called in a tokio runtime, in which
    /// delivery then goes on.
    ///
    /// # Errors
    /// [`NotifierError`] if a queue cannot be opened, or nothing could ever be sent to an endpoint.
    pub fn start(options: NotifierOptions) -> Result<Self, NotifierError> {
        let outside = Arc::new(Outside::new());
        let mut endpoints = Vec::new();
        let mut clients = Vec::new();
        for endpoint in options.endpoints {
            let client = Client::new(&endpoint, &outside);
            clients.push(
                client.map_err(|source| NotifierError::Endpoint { name: endpoint.name.clone(), source })?,
            );
            endpoints.push(Arc::new(open(endpoint, &options.queue)?));
        }
        if let Some(directory) = &options.queue.directory {
            report_strangers(directory, &endpoints);
        }
        let deliver =
            |(endpoint, client): (&Arc<Endpoint>, Client)| tokio::spawn(Arc::clone(endpoint).deliver(client));
        let tasks = endpoints.iter().zip(clients).map(deliver).collect();
        let source = Source { addr: options.source.into(), instance_id: options.instance_id.into() };
        let include_references = options.include_references && !endpoints.is_empty();
        Ok(Self { source, include_references, endpoints, tasks: Mutex::new(tasks) })
    }

    /// How each endpoint is doing.
    pub fn stats(&self) -> Vec<EndpointStats> {
        self.endpoints.iter().map(|endpoint| endpoint.stats()).collect()
    }

    /// Waits until everything is told, at most this long, and ends. It does not wait for an endpoint that is
    /// failing, if what it has not been told is kept. Call it when no more events come.
    ///
    /// Returns what was not told.
    pub async fn shutdown(&self, at_most: Duration) -> Vec<Left> {
        let until = Instant::now() + at_most;
        let waits = |endpoint: &Arc<Endpoint>| {
            let hopeless = endpoint.queue.is_durable() && endpoint.backing_off.load(Ordering::Relaxed);
            endpoint.queue.pending() > 0 && !hopeless
        };
        while self.endpoints.iter().any(waits) && Instant::now() < until {
            tokio::time::sleep(LOOK.min(until - Instant::now())).await;
        }
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
        let mut left = Vec::new();
        for endpoint in &self.endpoints {
            endpoint.queue.close().await;
            let (events, kept) = (endpoint.queue.pending(), endpoint.queue.is_durable());
            if events > 0 {
                left.push(Left { endpoint: endpoint.options.name.clone(), events, kept });
            }
        }
        left
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

#[async_trait]
impl EventSink for Notifier {
    async fn publish(&self, cx: &RequestContext, event: Event) {
        if self.endpoints.is_empty() {
            return;
        }
        // Only what changes something is waited for: nobody would want pulls to wait for the disk.
        let durable = event.action != Action::Pull;
        let mut waiting = Vec::new();
        for record in records(cx, &event, &self.source) {
            for endpoint in self.endpoints.iter().filter(|endpoint| endpoint.wants(&record)) {
                endpoint.counters.came_in();
                waiting.extend(endpoint.queue.push(record.line.clone(), durable));
            }
        }
        // They are written side by side; the order of waiting does not matter.
        for durable in waiting {
            let _ = durable.await;
        }
    }

    fn wants_manifests(&self) -> bool {
        self.include_references
    }
}

fn open(options: EndpointOptions, queue: &QueueOptions) -> Result<Endpoint, NotifierError> {
    let drops = Arc::new(Drops::new(&options.name));
    let queue = match &queue.directory {
        None => Queue::Memory(MemoryQueue::new(queue.max_bytes, Arc::clone(&drops))),
        Some(directory) => {
            let path = directory.join(directory_name(&options.name));
            let opened = DiskQueue::open(&path, &options.name, queue.max_bytes, Arc::clone(&drops));
            Queue::Disk(opened.map_err(|source| match source.kind() {
                io::ErrorKind::WouldBlock => NotifierError::InUse { path },
                _ => NotifierError::Queue { path, source },
            })?)
        }
    };
    let shown = shown(&options.url);
    let counters = crate::stats::Counters::default();
    Ok(Endpoint { options, shown, queue, drops, counters, backing_off: AtomicBool::new(false) })
}

/// What stays as it is in the name of a directory.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// The directory of an endpoint: its name, with everything but letters, digits, `-` and `_` percent-encoded.
fn directory_name(name: &str) -> String {
    match utf8_percent_encode(name, ENCODED).to_string() {
        // An encoded name has a digit after a `%`.
        empty if empty.is_empty() => "%".to_owned(),
        encoded => encoded,
    }
}

/// Says which queues belong to nobody any more: their events are neither delivered nor forgotten.
fn report_strangers(directory: &Path, endpoints: &[Arc<Endpoint>]) {
    let known: Vec<String> = endpoints.iter().map(|e| directory_name(&e.options.name)).collect();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_known = name.to_str().is_some_and(|name| known.iter().any(|known| known == name));
        if !is_known && entry.path().join("cursor").exists() {
            tracing::warn!(
                directory = %entry.path().display(),
                "notifications: this queue belongs to no endpoint; configure one of its name, or remove it"
            );
        }
    }
}
