//! What a notifier is made from.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, Uri};

/// How a [`Notifier`](crate::Notifier) works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NotifierOptions {
    /// Which node events come from, such as `registry-1:5000`: `source.addr` of each event.
    pub source: String,
    /// Which process: `source.instanceID` of each event. New for each set of options.
    pub instance_id: String,
    /// Whether events of manifests list the descriptors that the manifest refers to.
    pub include_references: bool,
    /// Where events wait.
    pub queue: QueueOptions,
    /// Who is told.
    pub endpoints: Vec<EndpointOptions>,
}

impl NotifierOptions {
    /// Tells nobody yet.
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            instance_id: uuid::Uuid::new_v4().to_string(),
            include_references: false,
            queue: QueueOptions::default(),
            endpoints: Vec::new(),
        }
    }

    /// Sets whether events of manifests list what the manifest refers to.
    #[must_use]
    pub fn with_references(mut self, include: bool) -> Self {
        self.include_references = include;
        self
    }

    /// Sets where events wait.
    #[must_use]
    pub fn with_queue(mut self, queue: QueueOptions) -> Self {
        self.queue = queue;
        self
    }

    /// Adds an endpoint.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: EndpointOptions) -> Self {
        self.endpoints.push(endpoint);
        self
    }
}

/// Where the events of an endpoint wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueOptions {
    /// A directory, in which each endpoint gets one of its own; `None` for memory. One process at a time.
    pub directory: Option<PathBuf>,
    /// Most bytes that wait for one endpoint: 64 MiB. An event has about one kilobyte, plus its references.
    pub max_bytes: u64,
}

impl QueueOptions {
    /// The least that [`max_bytes`](Self::max_bytes) can be.
    pub const MIN_BYTES: u64 = 64 << 10;

    /// Keeps events in this directory.
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets how many bytes may wait for one endpoint; less than [`MIN_BYTES`](Self::MIN_BYTES) is taken as that.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes.max(Self::MIN_BYTES);
        self
    }
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self { directory: None, max_bytes: 64 << 20 }
    }
}

/// Who is told, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EndpointOptions {
    /// The name in logs and counters, and of its queue.
    pub name: String,
    /// Where events are posted to, `http` or `https`.
    pub url: Uri,
    /// Added to each request, unless it was redirected to another host.
    pub headers: HeaderMap,
    /// For one request as a whole: 1 s.
    pub timeout: Duration,
    /// Failures in a row that are followed by another try at once; after them [`backoff`](Self::backoff) comes
    /// before each try: 10.
    pub threshold: u32,
    /// The pause between tries: 1 s.
    pub backoff: Duration,
    /// Events whose target has one of these media types are not told.
    pub ignored_media_types: Vec<String>,
    /// Events with one of these actions (`push`, `pull`, `mount`, `delete`) are not told.
    pub ignored_actions: Vec<String>,
    /// How an event is written.
    pub format: Format,
    /// Most events in one request: 1.
    pub batch: usize,
}

impl EndpointOptions {
    /// An endpoint that is told everything.
    pub fn new(name: impl Into<String>, url: Uri) -> Self {
        Self {
            name: name.into(),
            url,
            headers: HeaderMap::new(),
            timeout: Duration::from_secs(1),
            threshold: 10,
            backoff: Duration::from_secs(1),
            ignored_media_types: Vec::new(),
            ignored_actions: Vec::new(),
            format: Format::Distribution,
            batch: 1,
        }
    }

    /// Sets the headers of each request.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// Sets the time for one request.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets after how many failures there is how long a pause before each try.
    #[must_use]
    pub fn with_backoff(mut self, threshold: u32, backoff: Duration) -> Self {
        self.threshold = threshold;
        self.backoff = backoff;
        self
    }

    /// Sets which events are not told.
    #[must_use]
    pub fn with_ignored(mut self, media_types: Vec<String>, actions: Vec<String>) -> Self {
        self.ignored_media_types = media_types;
        self.ignored_actions = actions;
        self
    }

    /// Sets how an event is written.
    #[must_use]
    pub fn with_format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Sets how many events one request may have. In [`Format::CloudEventsBinary`] it is always one.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch.max(1);
        self
    }
}

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Distribution's envelope, `application/vnd.docker.distribution.events.v2+json`.
    Distribution,
    /// CloudEvents 1.0 in structured mode, `application/cloudevents+json`; where more than one event may be in
    /// a request, as a JSON batch, `application/cloudevents-batch+json`.
    CloudEvents,
    /// CloudEvents 1.0 in binary mode: attributes in `ce-` headers, the event of Distribution as body.
    CloudEventsBinary,
}
