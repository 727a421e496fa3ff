//! `notifications`

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, Uri};

/// `notifications`
#[derive(Debug, Clone)]
pub(crate) struct Notifications {
    /// Whether events of manifests list what the manifest refers to.
    pub(crate) include_references: bool,
    /// Where events outlive the process; `None` for memory.
    pub(crate) directory: Option<PathBuf>,
    /// Most bytes that wait for one endpoint.
    pub(crate) max_bytes: u64,
    /// Those that are not switched off.
    pub(crate) endpoints: Vec<Endpoint>,
}

/// An entry of `notifications.endpoints`.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Different for each endpoint where there is a directory.
    pub(crate) name: String,
    /// Of `http` or `https`, with a host.
    pub(crate) url: Uri,
    /// Their values are sensitive.
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
    /// Failures in a row before there is a pause.
    pub(crate) threshold: u32,
    /// The pause.
    pub(crate) backoff: Duration,
    pub(crate) ignored_media_types: Vec<String>,
    pub(crate) ignored_actions: Vec<String>,
    pub(crate) format: EventFormat,
    /// Most events in a request; one in `CloudEventsBinary`.
    pub(crate) batch: usize,
}

/// `format` of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventFormat {
    Distribution,
    CloudEvents,
    CloudEventsBinary,
}
