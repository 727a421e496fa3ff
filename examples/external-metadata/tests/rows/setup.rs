//! A registry over a made-up cluster, and a client of it.

use std::sync::Arc;

use bytes::Bytes;
use example_external_metadata::fake::{FakeCluster, FakeUpstream};
use example_external_metadata::{App, answer};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use registry::core::{Algorithm, Digest, Manifest, MediaType, RepositoryName};
use registry::prelude::*;
use serde_json::{Value, json};

pub(crate) struct Setup {
    pub(crate) app: Arc<App>,
    pub(crate) cluster: Arc<FakeCluster>,
    pub(crate) upstream: Arc<FakeUpstream>,
    pub(crate) registry: Registry,
    v2: RegistryService,
}

/// A response, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The bytes, or how far they came before the response broke off.
    pub(crate) body: Result<Bytes, String>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.body.as_ref().unwrap()).unwrap()
    }

    /// The code of the first error.
    pub(crate) fn code(&self) -> (StatusCode, String) {
        (self.status, self.json()["errors"][0]["code"].as_str().unwrap().to_owned())
    }
}

pub(crate) fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub(crate) fn digest(content: &[u8]) -> Digest {
    Algorithm::Sha256.digest(content)
}

/// An image manifest with these blobs, of which the first is the configuration.
pub(crate) fn image(blobs: &[&[u8]]) -> Manifest {
    let descriptor = |media_type: &str, content: &[u8]| json!({ "mediaType": media_type, "digest": digest(content), "size": content.len() });
    let layers = blobs[1..].iter().map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_IMAGE,
        "config": descriptor("application/vnd.oci.image.config.v1+json", blobs[0]),
        "layers": layers.collect::<Vec<_>>(),
    });
    let media_type = MediaType::parse(MediaType::OCI_IMAGE).unwrap();
    Manifest::new(media_type, Algorithm::Sha256, manifest.to_string())
}

fn request(user: &str, method: Method, uri: &str, body: Bytes) -> Request<Full<Bytes>> {
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header(header::AUTHORIZATION, format!("Bearer {user}-token"))
        .header(header::CONTENT_TYPE, MediaType::OCI_IMAGE);
    request.body(Full::new(body)).unwrap()
}

impl Setup {
    pub(crate) async fn new() -> Self {
        let cluster = Arc::new(FakeCluster::default());
        for user in ["alice", "bob"] {
            cluster.add_user(&format!("{user}-token"), user, false);
        }
        cluster.add_user("root-token", "root", true);
        let upstream = Arc::new(FakeUpstream::default());
        let app = App::new(Arc::clone(&cluster) as _, Arc::clone(&upstream) as _);
        let registry = app.registry(MemoryDriver::new()).await.unwrap();
        let v2 = registry.service(HttpOptions::default());
        Self { app, cluster, upstream, registry, v2 }
    }

    /// The same cluster, behind another registry.
    pub(crate) fn over(self, registry: Registry) -> Self {
        let v2 = registry.service(HttpOptions::default());
        Self { registry, v2, ..self }
    }

    pub(crate) async fn send(&self, user: &str, method: Method, uri: &str, body: impl Into<Bytes>) -> Answer {
        self.exchange(request(user, method, uri, body.into())).await
    }

    /// Reads the beginning of a response and goes away.
    pub(crate) async fn abandon(&self, user: &str, uri: &str) {
        let request = request(user, Method::GET, uri, Bytes::new());
        let response = answer(&self.app, &self.registry, self.v2.clone(), request).await;
        response.into_body().frame().await.unwrap().unwrap();
    }

    pub(crate) async fn exchange(&self, request: Request<Full<Bytes>>) -> Answer {
        let response = answer(&self.app, &self.registry, self.v2.clone(), request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).map_err(|error| error.to_string());
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, user: &str, uri: &str) -> Answer {
        self.send(user, Method::GET, uri, "").await
    }

    pub(crate) async fn upload(&self, user: &str, repository: &str, content: &[u8]) -> Answer {
        let uri = format!("/v2/{repository}/blobs/uploads/?digest={}", digest(content));
        self.send(user, Method::POST, &uri, content.to_vec()).await
    }

    /// Uploads the blobs of an image and then its manifest.
    pub(crate) async fn push(&self, user: &str, repository: &str, tag: &str, blobs: &[&[u8]]) -> Digest {
        for blob in blobs {
            assert_eq!(self.upload(user, repository, blob).await.status, StatusCode::CREATED);
        }
        let manifest = image(blobs);
        let pushed = self.put(user, repository, tag, &manifest).await;
        assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
        manifest.digest().clone()
    }

    pub(crate) async fn put(&self, user: &str, repository: &str, tag: &str, manifest: &Manifest) -> Answer {
        let uri = format!("/v2/{repository}/manifests/{tag}");
        self.send(user, Method::PUT, &uri, manifest.payload().clone()).await
    }

    /// Asks for a mount. 201 says that it was done, 202 that an upload began instead.
    pub(crate) async fn mount(&self, user: &str, to: &str, from: &str, blob: &[u8]) -> StatusCode {
        let uri = format!("/v2/{to}/blobs/uploads/?mount={}&from={from}", digest(blob));
        self.send(user, Method::POST, &uri, "").await.status
    }
}
