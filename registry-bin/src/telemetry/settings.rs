//! The variables that this program reads itself. Endpoints, headers, timeouts, compression, sampling, batch sizes,
//! intervals, and what the resource is called are read by OpenTelemetry's library.

/// A variable with a value that has no meaning here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {value:?} is not supported; it is one of {words}")]
pub(crate) struct SettingsError {
    variable: String,
    value: String,
    words: &'static str,
}

/// What is sent, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Whether traces are sent.
    pub(super) traces: bool,
    /// Whether metrics are sent.
    pub(super) metrics: bool,
    pub(super) trace_protocol: Protocol,
    pub(super) metric_protocol: Protocol,
    /// Whether the environment says what this service is called.
    pub(super) named: bool,
    /// A file with the certificates of authorities that the collector may have its own from.
    pub(super) certificate: Option<(&'static str, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

impl Settings {
    /// Traces are sent if `OTEL_TRACES_EXPORTER` is `otlp`, or if it is not set and there is an endpoint. Metrics
    /// are sent if `OTEL_METRICS_EXPORTER` is `otlp`, or if it is not set and there is an endpoint for metrics: a
    /// collector that has an endpoint for everything need not take metrics, and Distribution sends none.
    pub(super) fn read(environment: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let filled =
            |name: &str| environment(name).map(|value| value.trim().to_owned()).filter(|v| !v.is_empty());
        let off = filled("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let endpoint = |names: &[&str]| names.iter().any(|name| filled(name).is_some());
        let traces = match exporter("OTEL_TRACES_EXPORTER", filled("OTEL_TRACES_EXPORTER"))? {
            Some(wanted) => wanted,
            None => endpoint(&["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]),
        };
        let metrics = match exporter("OTEL_METRICS_EXPORTER", filled("OTEL_METRICS_EXPORTER"))? {
            Some(wanted) => wanted,
            None => endpoint(&["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"]),
        };
        let common = "OTEL_EXPORTER_OTLP_PROTOCOL";
        let protocol = |own: &'static str| {
            let variable = if filled(own).is_some() { own } else { common };
            protocol(variable, filled(variable))
        };
        let attributes = filled("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        Ok(Self {
            traces: traces && !off,
            metrics: metrics && !off,
            trace_protocol: protocol("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")?,
            metric_protocol: protocol("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL")?,
            named: filled("OTEL_SERVICE_NAME").is_some()
                || attributes.split(',').any(|pair| pair.trim_start().starts_with("service.name=")),
            certificate: filled(CERTIFICATE).map(|path| (CERTIFICATE, path)),
        })
    }
}

const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";

/// Whether an exporter is wanted; `None` if nothing is said.
fn exporter(variable: &str, value: Option<String>) -> Result<Option<bool>, SettingsError> {
    match value.as_deref() {
        None => Ok(None),
        Some("otlp") => Ok(Some(true)),
        Some("none") => Ok(Some(false)),
        Some(value) => {
            Err(SettingsError { variable: variable.to_owned(), value: value.to_owned(), words: "otlp, none" })
        }
    }
}

fn protocol(variable: &str, value: Option<String>) -> Result<Protocol, SettingsError> {
    match value.as_deref() {
        None | Some("http/protobuf") => Ok(Protocol::Http),
        Some("grpc") => Ok(Protocol::Grpc),
        Some(value) => {
            let words = "http/protobuf, grpc";
            Err(SettingsError { variable: variable.to_owned(), value: value.to_owned(), words })
        }
    }
}
