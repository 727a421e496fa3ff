//! How what was recorded gets to the collector.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::SpanData;
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::TelemetryError;
use super::settings::{Protocol, Settings};
use crate::outside;

/// How long it takes until it is said again that the collector does not take what is sent.
const AGAIN: Duration = Duration::from_secs(300);

pub(super) fn spans(settings: &Settings) -> Result<Reporting<SpanExporter>, TelemetryError> {
    let builder = SpanExporter::builder();
    let exporter = match settings.trace_protocol {
        Protocol::Http => builder.with_http().with_http_client(client(settings)?).build()?,
        Protocol::Grpc => builder.with_tonic().with_tls_config(tls(settings)?).build()?,
    };
    Ok(Reporting::new("traces", exporter))
}

pub(super) fn metrics(settings: &Settings) -> Result<Reporting<MetricExporter>, TelemetryError> {
    let builder = MetricExporter::builder();
    let exporter = match settings.metric_protocol {
        Protocol::Http => builder.with_http().with_http_client(client(settings)?).build()?,
        Protocol::Grpc => builder.with_tonic().with_tls_config(tls(settings)?).build()?,
    };
    Ok(Reporting::new("metrics", exporter))
}

fn certificate(settings: &Settings) -> Result<Option<Vec<u8>>, TelemetryError> {
    let Some((variable, path)) = &settings.certificate else { return Ok(None) };
    let failed = |source| TelemetryError::Certificate { variable, path: path.clone(), source };
    std::fs::read(path).map(Some).map_err(failed)
}

fn tls(settings: &Settings) -> Result<ClientTlsConfig, TelemetryError> {
    let config = ClientTlsConfig::new();
    Ok(match certificate(settings)? {
        Some(certificate) => config.ca_certificate(Certificate::from_pem(certificate)),
        None => config.with_native_roots(),
    })
}

fn client(settings: &Settings) -> Result<Client, TelemetryError> {
    let mut builder = outside::client()?;
    if let Some(pem) = certificate(settings)? {
        builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem)?);
    }
    Ok(Client { inner: builder.build()?, runtime: Handle::current() })
}

/// Sends in the runtime: the library calls from threads of its own, which have none.
#[derive(Debug)]
struct Client {
    inner: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.inner.clone();
        let sent = self.runtime.spawn(async move {
            let response = client.execute(request.try_into()?).await?;
            let mut answer = Response::builder().status(response.status());
            if let Some(headers) = answer.headers_mut() {
                headers.clone_from(response.headers());
            }
            Ok::<_, HttpError>(answer.body(response.bytes().await?)?)
        });
        sent.await?
    }
}

/// Says in the log when a collector begins to fail, and when it takes again what is sent.
#[derive(Debug)]
pub(super) struct Reporting<E> {
    what: &'static str,
    inner: E,
    /// When it was last said that it fails, since it does.
    failing: Mutex<Option<Instant>>,
}

impl<E> Reporting<E> {
    fn new(what: &'static str, inner: E) -> Self {
        Self { what, inner, failing: Mutex::default() }
    }

    fn report(&self, result: OTelSdkResult) -> OTelSdkResult {
        let mut failing = self.failing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &result {
            Ok(()) if failing.take().is_some() => info!("{} reach the collector again", self.what),
            Ok(()) => {}
            Err(error) if failing.is_none_or(|said| said.elapsed() >= AGAIN) => {
                *failing = Some(Instant::now());
                warn!("{} do not reach the collector: {error}", self.what);
            }
            Err(_) => {}
        }
        result
    }
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.inner.export(batch).await;
        self.report(result)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Reporting<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.inner.export(metrics).await;
        self.report(result)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}
