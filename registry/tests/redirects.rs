//! Who is sent elsewhere for the bytes of blobs, through the whole stack.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, Request};
use registry::Registry;
use registry::core::{Algorithm, Digest, Error, Network, Options};
use registry::http::{HttpOptions, RedirectPolicy};
use registry::middleware::storage::{BaseUrl, Redirect, Rewrite};
use registry::middleware::{Call, InterceptStorage, Interceptor, Middlewares, Operation, Outcome};
use registry::storage::MemoryDriver;
use registry_conformance::wire::{Body, Client};
use tower::ServiceExt;

const CONTENT: &str = "0123456789";

/// Counts how often the bytes of a file are asked for.
#[derive(Debug, Default)]
struct Opened(AtomicUsize);

#[async_trait::async_trait]
impl Interceptor for Opened {
    async fn before(&self, call: &Call<'_>) -> Result<(), Error> {
        if call.operation == Operation::DriverReader {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    fn after(&self, _: &Call<'_>, _: Duration, _: Outcome<'_>) {}
}

/// A registry over a store that is also at `https://cdn.example.com/base`, with one blob in it.
async fn redirecting(options: HttpOptions) -> (Client, Digest, Arc<Opened>) {
    let opened = Arc::new(Opened::default());
    let registry = Registry::builder(MemoryDriver::new())
        .storage_middleware(InterceptStorage::new(Arc::<Opened>::clone(&opened)))
        .storage_middleware(Redirect::to(BaseUrl::parse("https://cdn.example.com/base").unwrap()))
        .build()
        .await
        .unwrap();
    let service = registry.service(options);
    // What a listener knows of the client.
    let service = service.map_request(|mut request: Request<Body>| {
        let client = request.headers().get("x-client").map(|text| text.to_str().unwrap().to_owned());
        if let Some(client) = client {
            request.extensions_mut().insert(client.parse::<SocketAddr>().unwrap());
        }
        request
    });
    let client = Client::new(service);
    let digest = Algorithm::Sha256.digest(CONTENT.as_bytes());
    let begun = client.post(format!("/v2/a/b/blobs/uploads/?digest={digest}")).body(CONTENT).await;
    begun.expect(201);
    (client, digest, opened)
}

#[tokio::test]
async fn blobs_are_redirected_whole_and_with_one_range_and_never_with_several() {
    let (client, digest, opened) = redirecting(HttpOptions::default()).await;
    let path = format!("/v2/a/b/blobs/{digest}");
    let hex = digest.encoded();
    let url =
        format!("https://cdn.example.com/base/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
    for method in [Method::GET, Method::HEAD] {
        let reply = client.request(method, &path).await.expect(307);
        reply.has("location", &url).has("docker-content-digest", &digest).lacks("cache-control");
    }
    for range in ["bytes=2-4", "bytes=2-", "bytes=-3"] {
        client.get(&path).header("range", range).await.expect(307).has("location", &url);
    }
    assert_eq!(opened.0.load(Ordering::SeqCst), 0, "nothing is read for a redirect");
    for range in ["bytes=0-1,5-6", "bytes=0-1,100-200", "bytes=0-1,1-6"] {
        client.get(&path).header("range", range).await.expect(206).lacks("location");
    }
    let part =
        client.get(&path).header("range", "bytes=2-4").header("if-range", format!("\"{digest}\"")).await;
    assert_eq!(part.expect(206).body, "234");
    client.get(&path).header("if-match", format!("\"{digest}\"")).await.expect(200);
    client.get(&path).header("if-none-match", format!("\"{digest}\"")).await.expect(304);
    let other = Algorithm::Sha256.digest(b"other");
    for method in [Method::GET, Method::HEAD] {
        client.request(method, format!("/v2/a/b/blobs/{other}")).await.expect(404);
    }
}

#[tokio::test]
async fn methods_sizes_and_networks_decide_who_is_redirected() {
    let methods = |methods: &[Method]| RedirectPolicy::default().with_methods(methods.to_vec());
    let networks = [Network::parse("10.0.0.0/8").unwrap()];
    for (policy, client, get, head) in [
        (methods(&[Method::GET]), None, 307, 200),
        (methods(&[Method::HEAD]), None, 200, 307),
        (RedirectPolicy::default().with_min_size(10), None, 307, 307),
        (RedirectPolicy::default().with_min_size(11), None, 200, 200),
        (RedirectPolicy::default().with_only(networks), Some("10.1.2.3:5"), 307, 307),
        (RedirectPolicy::default().with_only(networks), Some("192.0.2.1:5"), 200, 200),
        (RedirectPolicy::default().with_only(networks), None, 200, 200),
        (RedirectPolicy::default().with_except(networks), Some("10.1.2.3:5"), 200, 200),
        (RedirectPolicy::default().with_except(networks), Some("192.0.2.1:5"), 307, 307),
        (RedirectPolicy::default().with_except(networks), None, 307, 307),
    ] {
        let case = format!("{policy:?} {client:?}");
        let (asking, digest, opened) = redirecting(HttpOptions::default().with_redirects(policy)).await;
        for (method, expected) in [(Method::HEAD, head), (Method::GET, get)] {
            let mut ask = asking.request(method.clone(), format!("/v2/a/b/blobs/{digest}"));
            if let Some(client) = client {
                ask = ask.header("x-client", client);
            }
            let reply = ask.await;
            assert_eq!(reply.status, expected, "{method} {case}");
            if expected == 200 {
                reply.has("content-length", CONTENT.len()).has("docker-content-digest", &digest);
            }
            let read = usize::from(method == Method::GET && expected == 200);
            assert_eq!(opened.0.load(Ordering::SeqCst), read, "{method} {case}");
        }
    }
}

#[tokio::test]
async fn storage_middleware_applies_in_order_and_the_last_is_outermost() {
    let redirect = |url: &str| Redirect::to(BaseUrl::parse(url).unwrap());
    let rewrite = |host: &str| Rewrite::new().with_host(host).unwrap();
    let one = Registry::builder(MemoryDriver::new())
        .storage_middleware(redirect("https://one.example.com"))
        .storage_middleware(rewrite("two.example.com"));
    let other = Registry::builder(MemoryDriver::new())
        .storage_middleware(rewrite("two.example.com"))
        .storage_middleware(redirect("https://one.example.com"));
    for (builder, host) in [(one, "two.example.com"), (other, "one.example.com")] {
        let service = builder.build().await.unwrap().service(HttpOptions::default());
        let client = Client::new(service);
        let digest = Algorithm::Sha256.digest(CONTENT.as_bytes());
        client.post(format!("/v2/a/blobs/uploads/?digest={digest}")).body(CONTENT).await.expect(201);
        let reply = client.get(format!("/v2/a/blobs/{digest}")).await.expect(307);
        assert!(reply.header("location").starts_with(&format!("https://{host}/docker/")));
    }
}

#[tokio::test]
async fn middleware_is_made_by_the_names_of_the_configuration() {
    let options = serde_json::from_str(r#"{"baseurl": "https://cdn.example.com"}"#).unwrap();
    let redirect = Middlewares::builtin().storage.build("redirect", Options::new(options)).await.unwrap();
    let registry =
        Registry::builder(MemoryDriver::new()).storage_middleware_over(redirect).build().await.unwrap();
    let hint = registry::core::RedirectHint::new(Method::GET, None);
    let path = registry::core::StoragePath::parse("/docker/data").unwrap();
    let url = registry.driver().redirect_url(&path, &hint).await.unwrap().unwrap();
    assert_eq!(url, "https://cdn.example.com/docker/data");
}
