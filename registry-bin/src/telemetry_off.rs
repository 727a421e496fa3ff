//! In place of `telemetry` in a program that was built without the feature `otlp`.

use std::sync::Arc;

use registry::core::StorageMiddleware;
use registry::metrics::Metrics;
use tracing_subscriber::Layer;

/// A layer for the log's subscriber.
pub(crate) type SpanLayer = Box<dyn Layer<tracing_subscriber::Registry> + Send + Sync>;

/// The environment asks for what was left out.
#[derive(Debug, thiserror::Error)]
#[error("{0} asks for OpenTelemetry, but this program was built without the feature `otlp`; set it to none")]
pub(crate) struct TelemetryError(&'static str);

/// Nothing of this kind can be made.
#[derive(Debug)]
pub(crate) enum Telemetry {}

/// # Errors
/// The environment asks for it.
pub(crate) fn start(
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Option<Telemetry>, TelemetryError> {
    let asks = |name: &&str| environment(name).is_some_and(|value| value.trim() == "otlp");
    match ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER"].into_iter().find(asks) {
        Some(name) => Err(TelemetryError(name)),
        None => Ok(None),
    }
}

impl Telemetry {
    pub(crate) fn layer(&self) -> Option<SpanLayer> {
        match *self {}
    }

    pub(crate) fn storage(&self) -> Option<Arc<dyn StorageMiddleware>> {
        match *self {}
    }

    pub(crate) fn counts(&self) -> bool {
        match *self {}
    }

    pub(crate) fn send(&mut self, _: &Metrics) -> Result<(), TelemetryError> {
        match *self {}
    }

    pub(crate) fn around<S>(_: Option<&Self>, service: S) -> S {
        service
    }

    pub(crate) fn finish(self) {
        match self {}
    }
}

/// No span is around a service.
pub(crate) type Traced<S> = S;
