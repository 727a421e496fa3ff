//! Traces and metrics for an OpenTelemetry collector, by OTLP. Off unless the environment asks for it, and then
//! it costs nothing.
//!
//! Everything is configured by OpenTelemetry's own variables, as in Distribution; `settings.rs` says which.
//! Spans: one for each request with the name that Distribution gives it, one below it from the API with the
//! fields of the request log, and one for each call of the storage driver with Distribution's attributes.

mod export;
mod metrics;
mod service;
mod settings;
mod storage;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use registry::core::StorageMiddleware;
use registry::metrics::Metrics;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};

use self::settings::{Settings, SettingsError};

pub(crate) use self::service::Traced;

/// What spans and resources are named after unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE: &str = "registry";

/// How long the end of the process waits for what has not been sent.
const LAST: Duration = Duration::from_secs(3);

/// A layer for the log's subscriber that turns spans of the library into spans of OpenTelemetry.
pub(crate) type SpanLayer = Box<dyn Layer<tracing_subscriber::Registry> + Send + Sync>;

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("{variable}: cannot read {path}: {source}")]
    Certificate { variable: &'static str, path: String, source: std::io::Error },
    #[error("OpenTelemetry: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("OpenTelemetry: {0}")]
    Client(#[from] reqwest::Error),
}

/// What sends traces and metrics.
#[derive(Debug)]
pub(crate) struct Telemetry {
    traces: Option<SdkTracerProvider>,
    /// Set once there are metrics.
    meters: Option<SdkMeterProvider>,
    settings: Settings,
}

/// Prepares what the environment asks for; `None` if that is nothing. To be called inside of a runtime.
///
/// # Errors
/// What it asks for makes no sense.
pub(crate) fn start(
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Option<Telemetry>, TelemetryError> {
    let settings = Settings::read(environment)?;
    if !settings.traces && !settings.metrics {
        return Ok(None);
    }
    let mut traces = None;
    if settings.traces {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let exporter = export::spans(&settings)?;
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
        traces = Some(provider.with_resource(resource(&settings)).build());
    }
    Ok(Some(Telemetry { traces, meters: None, settings }))
}

/// Who sends, by the name and the attributes that the environment gives.
fn resource(settings: &Settings) -> Resource {
    let builder = Resource::builder();
    let builder = if settings.named { builder } else { builder.with_service_name(SERVICE) };
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    builder.with_attribute(version).build()
}

impl Telemetry {
    fn tracer(&self) -> Option<SdkTracer> {
        self.traces.as_ref().map(|traces| traces.tracer(SERVICE))
    }

    /// For the log's subscriber; `None` if there are no traces.
    pub(crate) fn layer(&self) -> Option<SpanLayer> {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(self.tracer()?)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false);
        // Lines of the log are for the log. Spans of libraries below are of no interest to anybody here.
        let ours = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("registry"));
        Some(layer.with_filter(ours.with_max_level_hint(LevelFilter::INFO)).boxed())
    }

    /// Puts spans around calls of the storage driver; `None` if there are no traces.
    pub(crate) fn storage(&self) -> Option<Arc<dyn StorageMiddleware>> {
        Some(Arc::new(storage::Tracing::new(self.tracer()?)))
    }

    /// Whether metrics are sent.
    pub(crate) fn counts(&self) -> bool {
        self.settings.metrics
    }

    /// Begins to send metrics, if that is asked for.
    ///
    /// # Errors
    /// What is asked for makes no sense.
    pub(crate) fn send(&mut self, metrics: &Metrics) -> Result<(), TelemetryError> {
        if self.settings.metrics {
            let exporter = export::metrics(&self.settings)?;
            let provider = SdkMeterProvider::builder()
                .with_periodic_exporter(exporter)
                .with_resource(resource(&self.settings));
            let provider = provider.build();
            metrics::observe(&provider, metrics);
            self.meters = Some(provider);
        }
        Ok(())
    }

    /// Puts the span of the request around a service.
    pub(crate) fn around<S>(telemetry: Option<&Self>, service: S) -> Traced<S> {
        let tracer = telemetry.and_then(Self::tracer);
        Traced::new(service, tracer)
    }

    /// Sends what is left, but does not wait for long. Blocks.
    pub(crate) fn finish(self) {
        let Self { traces, meters, .. } = self;
        // Nobody is left to be told that the collector does not answer.
        let _ = traces.map(|traces| traces.shutdown_with_timeout(LAST));
        let _ = meters.map(|meters| meters.shutdown_with_timeout(LAST));
    }
}
