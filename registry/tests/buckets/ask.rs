//! A client that takes every answer as it is, failures too.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use registry::http::RegistryService;
use serde_json::{Value, json};
use tower::ServiceExt;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// An answer whose body may have broken off.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code of the first error.
    pub(crate) fn code(&self) -> String {
        let envelope: Option<Value> = self.body.as_ref().and_then(|body| serde_json::from_slice(body).ok());
        let code = envelope.as_ref().and_then(|envelope| envelope["errors"][0]["code"].as_str());
        code.unwrap_or_default().to_owned()
    }
}

/// Asks, with these headers beside those that every request has.
pub(crate) async fn send(
    service: &RegistryService,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Answer {
    let kind = if uri.contains("/manifests/") { OCI_MANIFEST } else { "application/octet-stream" };
    let mut request = Request::builder().method(method).uri(uri).header("content-length", body.len());
    request = request.header("content-type", kind).header("accept", OCI_MANIFEST);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = service.clone().oneshot(request.body(Full::new(body)).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.ok().map(|body| body.to_bytes());
    Answer { status: parts.status, headers: parts.headers, body }
}

/// Asks, and gives the status and where to go on.
pub(crate) async fn ask(
    service: &RegistryService,
    method: &str,
    uri: &str,
    body: Vec<u8>,
) -> (StatusCode, String) {
    let answer = send(service, method, uri, &[], body.into()).await;
    (answer.status, answer.header("location").to_owned())
}

/// An image that is made of nothing but a configuration, and differs by what is said of it.
pub(crate) fn image(config: &[u8], label: &str) -> Bytes {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {
            "mediaType": CONFIG,
            "digest": registry::core::Algorithm::Sha256.digest(config),
            "size": config.len(),
        },
        "layers": [],
        "annotations": { "label": label },
    })
    .to_string()
    .into()
}
