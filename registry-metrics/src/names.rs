//! Every metric: its name, what it counts, and its labels.

/// A metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Name {
    /// The name, without the endings that a histogram adds.
    pub name: &'static str,
    /// What it counts, in one sentence.
    pub help: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// The names of its labels, in their order.
    pub labels: &'static [&'static str],
}

/// Kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts measurements in buckets.
    Histogram,
}

impl Kind {
    /// The word of the text format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Name {
    /// A metric of an embedder's own, for [`Metrics::custom`](crate::Metrics::custom).
    pub const fn new(
        name: &'static str,
        kind: Kind,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, help, kind, labels }
    }
}

macro_rules! names {
    ($($(#[$about:meta])* $constant:ident = $name:literal, $kind:ident, $labels:expr, $help:literal;)*) => {
        $(
            $(#[$about])*
            #[doc = concat!("`", $name, "`: ", $help)]
            pub static $constant: Name = Name::new($name, Kind::$kind, $labels, $help);
        )*

        /// All metrics of this crate.
        pub static ALL: &[&Name] = &[$(&$constant),*];
    };
}

const NONE: &[&str] = &[];

names! {
    REQUESTS = "registry_http_requests_total", Counter, &["code", "handler", "method"],
        "Total number of HTTP requests made.";
    REQUEST_SECONDS = "registry_http_request_duration_seconds", Histogram, &["handler", "method"],
        "The HTTP request latencies in seconds.";
    REQUEST_BYTES = "registry_http_request_size_bytes", Histogram, &["handler"],
        "The HTTP request sizes in bytes.";
    RESPONSE_BYTES = "registry_http_response_size_bytes", Histogram, &["handler"],
        "The HTTP response sizes in bytes.";
    IN_FLIGHT = "registry_http_in_flight_requests", Gauge, &["handler"],
        "The in-flight HTTP requests";
    RECEIVED = "registry_http_received_bytes_total", Counter, &["handler"],
        "Bytes of request bodies that have arrived.";
    SENT = "registry_http_sent_bytes_total", Counter, &["handler"],
        "Bytes of response bodies that have been handed to the connection.";
    UPLOADS = "registry_uploads_in_flight", Gauge, NONE,
        "Requests that are bringing the content of a blob.";

    ACTION_SECONDS = "registry_storage_action_seconds", Histogram, &["action", "driver"],
        "The number of seconds that the storage action takes";
    STORAGE_ERRORS = "registry_storage_errors_total", Counter, &["action", "driver", "error"],
        "Storage actions that failed; that something is not there is no failure.";
    STORAGE_IN_FLIGHT = "registry_storage_in_flight_actions", Gauge, &["driver"],
        "Storage actions that have begun and not ended.";
    STORAGE_WRITTEN = "registry_storage_written_bytes_total", Counter, &["driver"],
        "Bytes that the storage has taken.";
    BUCKET_CALLS = "registry_storage_bucket_calls_total", Counter, &["driver", "operation"],
        "What the service of a bucket was asked; a request that was tried again counts once.";
    BUCKET_ERRORS = "registry_storage_bucket_errors_total", Counter, &["driver", "operation"],
        "What it did not do; that something is absent or exists already is no error.";
    BUCKET_BYTES = "registry_storage_bucket_bytes_total", Counter, &["driver", "operation"],
        "Bytes of content that went to the service or were opened there.";
    BUCKET_RETRIES = "registry_storage_bucket_retries_total", Counter, &["driver"],
        "How often a request was sent once more because the service did not answer or asked for patience.";
    BUCKET_UP = "registry_storage_bucket_up", Gauge, &["driver"],
        "1, or 0 while the service has not answered several requests in a row and is asked next to nothing.";

    CACHE_REQUESTS = "registry_storage_cache_requests_total", Counter, NONE,
        "The number of cache request received";
    CACHE_HITS = "registry_storage_cache_hits_total", Counter, NONE,
        "The number of cache requests that were answered from the cache.";
    CACHE_ERRORS = "registry_storage_cache_errors_total", Counter, NONE,
        "The number of cache request errors";
    REDIS_SECONDS = "registry_storage_cache_redis_seconds", Histogram, &["operation"],
        "The number of seconds that the redis operation takes";

    EVENTS = "registry_notifications_events_total", Counter, &["endpoint", "type"],
        "The number of total events";
    EVENTS_PENDING = "registry_notifications_pending_total", Gauge, &["endpoint"],
        "The gauge of pending events in queue";
    EVENTS_STATUS = "registry_notifications_status_total", Counter, &["code", "endpoint"],
        "The number of status code";
    EVENTS_DROPPED = "registry_notifications_dropped_total", Counter, &["endpoint"],
        "Events that were given up because the queue was full.";

    AUDIT_RECORDS = "registry_audit_records_total", Counter, &["result"],
        "Records for the audit log, by whether they were written.";

    HEALTH_CHECK_UP = "registry_health_check_up", Gauge, &["check"],
        "Whether a health check passes: 1, or 0 once it has failed as often as its threshold says.";
    BUILD = "registry_build_info", Gauge, &["version"],
        "Always 1; the label says which version this is.";

    CPU_SECONDS = "process_cpu_seconds_total", Counter, NONE,
        "Total user and system CPU time spent in seconds.";
    OPEN_FILES = "process_open_fds", Gauge, NONE,
        "Number of open file descriptors.";
    MAX_FILES = "process_max_fds", Gauge, NONE,
        "Maximum number of open file descriptors.";
    RESIDENT = "process_resident_memory_bytes", Gauge, NONE,
        "Resident memory size in bytes.";
    VIRTUAL = "process_virtual_memory_bytes", Gauge, NONE,
        "Virtual memory size in bytes.";
    VIRTUAL_MAX = "process_virtual_memory_max_bytes", Gauge, NONE,
        "Maximum amount of virtual memory available in bytes.";
    STARTED = "process_start_time_seconds", Gauge, NONE,
        "Start time of the process since unix epoch in seconds.";
    THREADS = "process_threads", Gauge, NONE,
        "Number of threads of the process.";
    NETWORK_RECEIVED = "process_network_receive_bytes_total", Counter, NONE,
        "Number of bytes received over the network by everything in the network namespace of the process.";
    NETWORK_SENT = "process_network_transmit_bytes_total", Counter, NONE,
        "Number of bytes sent over the network by everything in the network namespace of the process.";

    SCRAPES = "promhttp_metric_handler_requests_total", Counter, &["code"],
        "Total number of scrapes by HTTP status code.";
    SCRAPES_IN_FLIGHT = "promhttp_metric_handler_requests_in_flight", Gauge, NONE,
        "Current number of scrapes being served.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_well_formed() {
        let mut seen = std::collections::BTreeSet::new();
        for name in ALL {
            assert!(seen.insert(name.name), "{} is there twice", name.name);
            assert!(name.labels.is_sorted(), "{}", name.name);
            assert!(!name.help.contains('\n'));
        }
    }
}
