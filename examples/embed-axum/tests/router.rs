//! The router, asked without a network and over one.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use example_embed_axum::{AdminToken, Count, app};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use registry::core::{Algorithm, Digest, MediaType, RepositoryMiddleware};
use registry::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

async fn program() -> (Router, Count) {
    let registry = Registry::builder(MemoryDriver::new())
        .access_controller(AdminToken::new("secret"))
        .build()
        .await
        .unwrap();
    let count = Count::default();
    (app(registry, count.clone()), count)
}

async fn send(app: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

async fn get(app: &Router, uri: &str) -> (StatusCode, HeaderMap, Bytes) {
    send(app, Request::get(uri).body(Body::empty()).unwrap()).await
}

async fn push_blob(app: &Router, name: &str, content: &'static [u8]) -> Digest {
    let digest = Algorithm::Sha256.digest(content);
    let start = Request::post(format!("/v2/{name}/blobs/uploads/")).body(Body::empty()).unwrap();
    let (status, headers, _) = send(app, start).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let location = headers[header::LOCATION].to_str().unwrap();
    let finish = Request::put(format!("{location}&digest={digest}")).body(content.into()).unwrap();
    assert_eq!(send(app, finish).await.0, StatusCode::CREATED);
    digest
}

async fn push_image(app: &Router, name: &str, tag: &str) -> String {
    let config = push_blob(app, name, b"{}").await;
    let layer = push_blob(app, name, b"a layer").await;
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{0}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}","size":7}}]}}"#,
        MediaType::OCI_IMAGE
    );
    let put = Request::put(format!("/v2/{name}/manifests/{tag}"))
        .header(header::CONTENT_TYPE, MediaType::OCI_IMAGE)
        .body(manifest.clone().into())
        .unwrap();
    assert_eq!(send(app, put).await.0, StatusCode::CREATED);
    manifest
}

#[tokio::test]
async fn images_are_pushed_and_pulled_through_the_router() {
    let (app, count) = program().await;
    assert_eq!(get(&app, "/healthz").await.2, "ok");
    for base in ["/v2", "/v2/"] {
        assert_eq!(get(&app, base).await.0, StatusCode::OK, "{base}");
    }
    let manifest = push_image(&app, "team/app", "v1").await;
    let (status, headers, body) = get(&app, "/v2/team/app/manifests/v1").await;
    assert_eq!((status, body), (StatusCode::OK, manifest.into()));
    assert_eq!(headers[header::CONTENT_TYPE], MediaType::OCI_IMAGE);
    let layer = Algorithm::Sha256.digest(b"a layer");
    assert_eq!(get(&app, &format!("/v2/team/app/blobs/{layer}")).await.2, "a layer");
    let (_, _, catalog) = get(&app, "/v2/_catalog").await;
    assert_eq!(catalog, "{\"repositories\":[\"team/app\"]}\n");
    assert_eq!(count.get(), 11, "the layer sees every request, whoever answers it");
}

#[tokio::test]
async fn the_admin_route_asks_the_access_controller_and_answers_in_the_envelope() {
    let (app, _) = program().await;
    push_image(&app, "old/app", "v1").await;
    let remove = |name: &str, token: Option<&str>| {
        let request = Request::delete(format!("/admin/repositories/{name}"));
        let request = match token {
            Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        };
        send(&app, request.body(Body::empty()).unwrap())
    };

    let (status, headers, body) = remove("old/app", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(headers[header::WWW_AUTHENTICATE], "Bearer realm=\"admin\"");
    assert!(std::str::from_utf8(&body).unwrap().contains(r#""Type":"admin""#), "{body:?}");
    assert_eq!(remove("old/app", Some("wrong")).await.0, StatusCode::UNAUTHORIZED);

    let (status, _, body) = remove("Old", Some("secret")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(std::str::from_utf8(&body).unwrap().contains("NAME_INVALID"), "{body:?}");

    assert_eq!(remove("old/app", Some("secret")).await.0, StatusCode::NO_CONTENT);
    assert_eq!(get(&app, "/v2/old/app/manifests/v1").await.0, StatusCode::NOT_FOUND);
    assert_eq!(remove("old/app", Some("secret")).await.0, StatusCode::NOT_FOUND);
}

/// Remembers who called.
#[derive(Debug, Clone, Default)]
struct Callers(Arc<Mutex<Vec<Option<IpAddr>>>>);

#[async_trait]
impl RepositoryMiddleware for Callers {
    async fn wrap(
        &self,
        cx: &Arc<RequestContext>,
        inner: Arc<dyn Repository>,
    ) -> Result<Arc<dyn Repository>, Error> {
        self.0.lock().unwrap().push(cx.client_addr);
        Ok(inner)
    }
}

#[tokio::test]
async fn the_layer_tells_the_registry_who_calls() {
    let callers = Callers::default();
    let registry =
        Registry::builder(MemoryDriver::new()).repository_middleware(callers.clone()).build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let make_service = app(registry, Count::default()).into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async { axum::serve(listener, make_service).await });

    let mut client = TcpStream::connect(address).await.unwrap();
    let request = "GET /v2/a/tags/list HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert_eq!(*callers.0.lock().unwrap(), [Some(IpAddr::V4(Ipv4Addr::LOCALHOST))]);
    server.abort();
}
