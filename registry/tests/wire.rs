//! The HTTP suite over each driver, plain and behind pass-through wrappers of every hook; read-only,
//! without deletes, and with every form of `Location`.

use std::sync::Arc;

use http::{Request, Uri};
use registry::http::{HttpOptions, Locations, RegistryService};
use registry::middleware::{InterceptNamespace, InterceptRepository, InterceptStorage, PassThrough};
use registry::storage::{FilesystemDriver, MemoryCache, MemoryDriver};
use registry::{Registry, RegistryBuilder};
use registry_conformance::wire::{AUTHORITY, Body, Client, Reply};
use tower::ServiceExt;
use tower::util::MapRequest;

async fn service(builder: RegistryBuilder, options: HttpOptions) -> RegistryService {
    builder.build().await.expect("a registry without middleware of its own is built").service(options)
}

fn memory() -> RegistryBuilder {
    Registry::builder(MemoryDriver::new())
}

registry_conformance::wire_tests!(memory_driver, async {
    (service(memory(), HttpOptions::default()).await, ())
});

registry_conformance::wire_tests!(flat_driver, async {
    let builder = Registry::builder(MemoryDriver::flat());
    (service(builder, HttpOptions::default()).await, ())
});

registry_conformance::wire_tests!(flat_driver_with_a_cache, async {
    let cache = Arc::new(MemoryCache::default());
    let builder = Registry::builder(MemoryDriver::flat()).descriptor_cache(Some(cache));
    (service(builder, HttpOptions::default()).await, ())
});

registry_conformance::wire_tests!(filesystem_driver, async {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let builder = Registry::builder(FilesystemDriver::new(dir.path()));
    (service(builder, HttpOptions::default()).await, dir)
});

registry_conformance::wire_tests!(pass_through_wrappers, async {
    let builder = memory()
        .storage_middleware(InterceptStorage::new(Arc::new(PassThrough)))
        .registry_middleware(InterceptNamespace::new(Arc::new(PassThrough)))
        .repository_middleware(InterceptRepository::new(Arc::new(PassThrough)));
    (service(builder, HttpOptions::default()).await, ())
});

registry_conformance::wire_tests!(wrapped_filesystem_with_a_cache, async {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let builder = Registry::builder(FilesystemDriver::new(dir.path()))
        .descriptor_cache(Some(Arc::new(MemoryCache::default())))
        .storage_middleware(InterceptStorage::new(Arc::new(PassThrough)))
        .registry_middleware(InterceptNamespace::new(Arc::new(PassThrough)))
        .repository_middleware(InterceptRepository::new(Arc::new(PassThrough)));
    (service(builder, HttpOptions::default()).await, dir)
});

registry_conformance::wire_tests!(absolute_locations, async {
    let locations = Locations::FromRequest { trust_forwarded: true };
    (service(memory(), HttpOptions::default().with_locations(locations)).await, ())
});

registry_conformance::wire_tests!(under_a_prefix, async {
    (prefixed(service(memory(), HttpOptions::default().with_prefix("/some/where")).await), ())
});

registry_conformance::wire_read_only_tests!(read_only, async {
    let registry = memory().build().await.expect("a registry is built");
    let options = HttpOptions::default();
    ((registry.service(options.clone()), registry.service(options.with_read_only(true))), ())
});

registry_conformance::wire_delete_disabled_tests!(delete_disabled, async {
    (service(memory().deletes(false), HttpOptions::default()).await, ())
});

type Map = fn(Request<Body>) -> Request<Body>;

/// A service under `/some/where`, for clients that ask below `/v2` and follow what they are given.
fn prefixed(service: RegistryService) -> MapRequest<RegistryService, Map> {
    let map: Map = |mut request| {
        let uri = request.uri().to_string();
        if uri.starts_with("/v2") {
            *request.uri_mut() = format!("/some/where{uri}").parse().expect("a path may have a prefix");
        }
        request
    };
    service.map_request(map)
}

/// `Location` of every kind of answer that has one, and the URL that it has to begin with.
async fn assert_locations(options: HttpOptions, path: &str, headers: &[(&str, &str)], expected: &str) {
    let client = Client::new(service(memory(), options).await);
    let digest = registry::core::Algorithm::Sha256.digest(b"x");
    let mut upload = String::new();
    for (method, uri, begins) in [
        ("POST", format!("{path}/v2/a/b/blobs/uploads/"), format!("{expected}/v2/a/b/blobs/uploads/")),
        ("GET", "upload".to_owned(), format!("{expected}/v2/a/b/blobs/uploads/")),
        ("PUT", "upload".to_owned(), format!("{expected}/v2/a/b/blobs/{digest}")),
        (
            "POST",
            format!("{path}/v2/c/blobs/uploads/?mount={digest}&from=a/b"),
            format!("{expected}/v2/c/blobs/{digest}"),
        ),
        ("PUT", format!("{path}/v2/a/b/manifests/x"), format!("{expected}/v2/a/b/manifests/sha256:")),
    ] {
        let uri = match (uri.as_str(), method) {
            ("upload", "PUT") => format!("{path}{upload}&digest={digest}"),
            ("upload", _) => format!("{path}{upload}"),
            _ => uri,
        };
        let mut ask = client.request(method.parse().expect("a method"), &uri);
        for (name, value) in headers {
            ask = ask.header(*name, value);
        }
        let is_manifest = uri.contains("/manifests/");
        let ask = match is_manifest {
            true => ask.header("content-type", "application/vnd.example").body(r#"{"schemaVersion":2}"#),
            false => ask.body(if method == "PUT" { "x" } else { "" }),
        };
        let reply = ask.await;
        assert!(reply.status.is_success(), "{}", reply.summary());
        let location = reply.header("location");
        assert!(location.starts_with(&begins), "{location} does not begin with {begins}");
        if let Some((_, rest)) = location.split_once("/v2/a/b/blobs/uploads/") {
            upload = format!("/v2/a/b/blobs/uploads/{rest}");
        }
    }
}

fn from_request(trust_forwarded: bool) -> HttpOptions {
    HttpOptions::default().with_locations(Locations::FromRequest { trust_forwarded })
}

fn external(url: &'static str) -> HttpOptions {
    HttpOptions::default().with_locations(Locations::External(Uri::from_static(url)))
}

#[tokio::test]
async fn relative_locations_have_the_prefix() {
    assert_locations(HttpOptions::default(), "", &[], "").await;
    assert_locations(HttpOptions::default().with_prefix("sub/path/"), "/sub/path", &[], "/sub/path").await;
}

#[tokio::test]
async fn absolute_locations_have_the_host_of_the_request() {
    assert_locations(from_request(false), "", &[], &format!("http://{AUTHORITY}")).await;
    let options = from_request(false).with_prefix("/sub");
    assert_locations(options, "/sub", &[], &format!("http://{AUTHORITY}/sub")).await;
}

#[tokio::test]
async fn what_a_proxy_says_counts_if_it_is_trusted() {
    let x_forwarded =
        [("x-forwarded-proto", "https"), ("x-forwarded-host", "front.example:8443, inner.example")];
    let forwarded = [("forwarded", "for=1.2.3.4;Proto=https;host=\"front.example:8443\", host=inner")];
    for headers in [&x_forwarded[..], &forwarded[..]] {
        assert_locations(from_request(true), "", headers, "https://front.example:8443").await;
        assert_locations(from_request(false), "", headers, &format!("http://{AUTHORITY}")).await;
    }
    let ours = format!("http://{AUTHORITY}");
    for headers in [
        [("x-forwarded-proto", "gopher"), ("x-forwarded-host", "a b")],
        // `Forwarded` counts alone, even if it cannot be read.
        [("forwarded", "host=\"unfinished"), ("x-forwarded-host", "front.example")],
    ] {
        let reply = Client::new(service(memory(), from_request(true)).await)
            .post("/v2/a/blobs/uploads/")
            .header(headers[0].0, headers[0].1)
            .header(headers[1].0, headers[1].1)
            .await
            .expect(202);
        let location = reply.header("location");
        assert!(location.starts_with("/v2/") || location.starts_with(&ours), "{location}");
    }
}

#[tokio::test]
async fn an_external_url_counts_before_everything() {
    let headers = [("x-forwarded-proto", "http"), ("x-forwarded-host", "front.example")];
    assert_locations(external("https://reg.example"), "", &headers, "https://reg.example").await;
    assert_locations(external("https://reg.example/"), "", &[], "https://reg.example").await;
    assert_locations(external("https://reg.example/deep"), "", &[], "https://reg.example/deep").await;
    let options = external("https://reg.example").with_prefix("/sub");
    assert_locations(options, "/sub", &[], "https://reg.example/sub").await;
    // Whoever put the prefix into the URL already does not mean it twice.
    let options = external("https://reg.example/sub").with_prefix("/sub");
    assert_locations(options, "/sub", &[], "https://reg.example/sub").await;
}

#[tokio::test]
async fn links_have_the_prefix() {
    let client = Client::new(service(memory(), HttpOptions::default().with_prefix("/sub")).await);
    for tag in ["a", "b"] {
        let put = client.put(format!("/sub/v2/x/manifests/{tag}"));
        let put = put.header("content-type", "application/vnd.example").body(r#"{"schemaVersion":2}"#);
        put.await.expect(201);
    }
    let next = client.get("/sub/v2/x/tags/list?n=1").await.expect(200).next_page().expect("there is more");
    assert!(next.starts_with("/sub/v2/x/tags/list?"), "{next}");
    client.get(next).await.expect(200).lacks("link");
    client.get("/v2/x/tags/list").await.expect(404);
}

#[tokio::test]
async fn every_answer_of_the_api_has_the_configured_headers() {
    let name = http::HeaderName::from_static("x-content-type-options");
    let options = HttpOptions::default().with_header(name, http::HeaderValue::from_static("nosniff"));
    let client = Client::new(service(memory(), options).await);
    for uri in ["/v2/", "/v2/a/tags/list", "/v2/A/tags/list", "/elsewhere"] {
        assert_eq!(client.get(uri).await.header("x-content-type-options"), "nosniff");
    }
}

/// The strings in a member of an answer.
fn strings(reply: &Reply, member: &str) -> Vec<String> {
    let list = reply.json()[member].as_array().cloned().unwrap_or_default();
    list.iter().map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_page_is_no_larger_than_configured() {
    let options = HttpOptions::default().with_tags_max(2).with_catalog_max_entries(2);
    let client = Client::new(service(memory(), options).await);
    for name in ["x", "y", "z"] {
        for tag in ["a", "b", "c"] {
            let put = client.put(format!("/v2/{name}/manifests/{tag}"));
            let put = put.header("content-type", "application/vnd.example").body(r#"{"schemaVersion":2}"#);
            put.await.expect(201);
        }
    }
    let cut = client.get("/v2/x/tags/list?n=3").await.expect(200);
    assert_eq!(strings(&cut, "tags"), ["a", "b"]);
    let rest = client.get(cut.next_page().expect("there is more")).await.expect(200).lacks("link");
    assert_eq!(strings(&rest, "tags"), ["c"]);
    client.get("/v2/_catalog?n=3").await.fails(400, "PAGINATION_NUMBER_INVALID");
    let first = client.get("/v2/_catalog").await.expect(200);
    assert_eq!(strings(&first, "repositories"), ["x", "y"]);
    let rest = client.get(first.next_page().expect("there is more")).await.expect(200).lacks("link");
    assert_eq!(strings(&rest, "repositories"), ["z"]);
}

/// Requests of one upload in turn to registries of their own over one directory.
#[tokio::test]
async fn an_upload_goes_on_at_another_registry() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let at = async |secret: Option<&str>| {
        let options = HttpOptions::default().with_secret(secret.map(str::to_owned));
        Client::new(service(Registry::builder(FilesystemDriver::new(dir.path())), options).await)
    };
    for secret in [None, Some("shared")] {
        let (one, two) = (at(secret).await, at(secret).await);
        let mut location = one.post("/v2/a/blobs/uploads/").await.expect(202).location();
        for (client, chunk) in [(&two, "01"), (&one, "234"), (&two, "567")] {
            location = client.patch(location).body(chunk).await.expect(202).location();
        }
        let stranger = at(Some("another")).await;
        stranger.patch(&location).body("x").await.fails(404, "BLOB_UPLOAD_INVALID");
        let digest = registry::core::Algorithm::Sha256.digest(b"0123456789");
        one.put(format!("{location}&digest={digest}")).body("89").await.expect(201);
        assert_eq!(two.get(format!("/v2/a/blobs/{digest}")).await.expect(200).body, "0123456789");
        one.delete(format!("/v2/a/blobs/{digest}")).await.expect(202);
        two.get(format!("/v2/a/blobs/{digest}")).await.fails(404, "BLOB_UNKNOWN");
    }
}
