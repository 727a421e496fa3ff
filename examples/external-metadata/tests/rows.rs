//! One test for each row of the table in `README.md`.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "rows/setup.rs"]
mod setup;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use example_external_metadata::{App, Image, Pruned};
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use registry::core::{CacheScope, Descriptor, DescriptorCache, StorageDriverExt, StoragePath, Tag};
use registry::prelude::*;
use serde_json::json;

use setup::{Setup, digest, image, name};

const IMAGE: [&[u8]; 2] = [b"{}", b"a layer"];

#[tokio::test]
async fn one_application_object_behind_all_hooks() {
    let setup = Setup::new().await;
    let app = App::new(Arc::clone(&setup.cluster) as _, Arc::clone(&setup.upstream) as _);
    let registry = app.configured_registry(MemoryDriver::new()).await.unwrap();
    // Made by name, every part still finds the same cluster, users included.
    let mut setup = setup.over(registry);
    setup.app = Arc::clone(&app);
    setup.push("alice", "app", "v1", &IMAGE).await;
    assert!(setup.cluster.stream(&name("app")).is_some());
    assert!(app.cache().get(CacheScope::Content, &digest(IMAGE[1])).await.is_some());
    let twice = app.registry(MemoryDriver::new()).await.unwrap_err();
    assert!(twice.to_string().contains("has a registry already"), "{twice}");
}

#[tokio::test]
async fn manifests_and_tags_in_an_external_api() {
    let setup = Setup::new().await;
    let v1 = setup.push("alice", "app", "latest", &IMAGE).await;
    let uri = "/v2/app/manifests/latest";
    let pulled = setup.get("alice", uri).await;
    assert_eq!(pulled.body.unwrap(), image(&IMAGE).payload());
    assert_eq!(setup.cluster.writes(), ["alice put_image app"], "image and tag are one write");

    let v2 = setup.push("bob", "app", "latest", &[b"{}"]).await;
    let history = &setup.cluster.stream(&name("app")).unwrap().tags[&Tag::parse("latest").unwrap()];
    let images: Vec<_> = history.iter().map(|event| &event.image).collect();
    assert_eq!(images, [&v1, &v2], "the tag has a history");
    assert_eq!(setup.get("alice", "/v2/app/tags/list").await.json()["tags"], json!(["latest"]));

    let driver = setup.registry.driver();
    let stored = StoragePath::parse("/docker/registry/v2/repositories/app/_manifests").unwrap();
    assert!(!driver.exists(&stored).await.unwrap(), "storage has blobs and nothing else");
    let by_digest = format!("/v2/app/manifests/{v2}");
    assert_eq!(setup.send("bob", Method::DELETE, &by_digest, "").await.status, StatusCode::ACCEPTED);
    assert_eq!(setup.get("alice", uri).await.code(), (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN".to_owned()));
}

#[tokio::test]
async fn catalog_from_the_external_api() {
    let setup = Setup::new().await;
    for stream in ["b", "a/x", "a", "a-b", "secret"] {
        setup.cluster.configure(&name(stream), |_| {});
    }
    let members = Some(BTreeSet::from(["alice".to_owned()]));
    setup.cluster.configure(&name("secret"), |stream| stream.members = members);
    let first = setup.get("bob", "/v2/_catalog?n=2").await;
    assert_eq!(first.json()["repositories"], json!(["a", "a/x"]));
    assert!(first.headers[header::LINK].to_str().unwrap().contains("last=a%2Fx"), "{first:?}");
    let rest = setup.get("bob", "/v2/_catalog?n=9&last=a/x").await;
    assert_eq!(rest.json()["repositories"], json!(["a-b", "b"]), "bob sees what bob may read");
    let rest = setup.get("alice", "/v2/_catalog?n=9&last=a/x").await;
    assert_eq!(rest.json()["repositories"], json!(["a-b", "b", "secret"]));
}

#[tokio::test]
async fn blob_readable_because_metadata_refers_to_it_though_not_linked() {
    let setup = Setup::new().await;
    setup.push("alice", "team/app", "v1", &IMAGE).await;
    let uri = format!("/v2/copy/blobs/{}", digest(IMAGE[1]));
    assert_eq!(setup.get("alice", &uri).await.status, StatusCode::NOT_FOUND);

    setup.cluster.import(&name("copy"), Image::new(image(&IMAGE)).unwrap());
    let pulled = setup.get("alice", &uri).await;
    assert_eq!((pulled.status, pulled.body.unwrap()), (StatusCode::OK, Bytes::from_static(IMAGE[1])));
    let links = StoragePath::parse("/docker/registry/v2/repositories/copy").unwrap();
    assert!(!setup.registry.driver().exists(&links).await.unwrap(), "nothing was linked");

    let by_digest = format!("/v2/copy/manifests/{}", image(&IMAGE).digest());
    assert_eq!(setup.send("alice", Method::DELETE, &by_digest, "").await.status, StatusCode::ACCEPTED);
    assert_eq!(setup.get("alice", &uri).await.status, StatusCode::NOT_FOUND, "and gone with the image");
}

#[tokio::test]
async fn mount_must_obey_the_rules_of_the_source() {
    let setup = Setup::new().await;
    setup.push("alice", "base", "v1", &IMAGE).await;
    assert_eq!(setup.mount("bob", "app1", "base", IMAGE[1]).await, StatusCode::CREATED);
    // The access controller knows nothing of quarantine; the source's own wrapper does.
    setup.cluster.configure(&name("base"), |stream| stream.quarantined = true);
    let direct = setup.get("bob", &format!("/v2/base/blobs/{}", digest(IMAGE[1]))).await;
    assert_eq!(direct.code(), (StatusCode::FORBIDDEN, "DENIED".to_owned()));
    assert_eq!(setup.mount("bob", "app2", "base", IMAGE[1]).await, StatusCode::ACCEPTED);
    // What a source shows only because its metadata refers to it can be mounted from there.
    setup.cluster.import(&name("copy"), Image::new(image(&IMAGE)).unwrap());
    assert_eq!(setup.mount("bob", "app3", "copy", IMAGE[1]).await, StatusCode::CREATED);
    // What it would have to fetch from upstream cannot.
    let remote = setup.upstream.add_blob("vendor/app", "a remote layer");
    setup.cluster.configure(&name("proxy"), |stream| stream.upstream = Some("vendor/app".to_owned()));
    assert_eq!(setup.mount("bob", "app4", "proxy", b"a remote layer").await, StatusCode::ACCEPTED);
    assert_eq!(setup.upstream.fetches(&remote), 0);
}

#[tokio::test]
async fn denied_pull_on_a_mount_source_must_not_fail_the_push() {
    let setup = Setup::new().await;
    setup.push("alice", "secret", "v1", &IMAGE).await;
    let members = Some(BTreeSet::from(["alice".to_owned()]));
    setup.cluster.configure(&name("secret"), |stream| stream.members = members);
    let direct = setup.get("bob", &format!("/v2/secret/blobs/{}", digest(IMAGE[1]))).await;
    assert_eq!(direct.code(), (StatusCode::FORBIDDEN, "DENIED".to_owned()));
    assert_eq!(setup.mount("bob", "app", "secret", IMAGE[1]).await, StatusCode::ACCEPTED);
    assert_eq!(setup.mount("alice", "app", "secret", IMAGE[1]).await, StatusCode::CREATED);
    let denied = setup.mount("bob", "secret", "app", IMAGE[1]).await;
    assert_eq!(denied, StatusCode::FORBIDDEN, "pushing itself is not optional");
}

#[tokio::test]
async fn act_as_the_calling_user() {
    let setup = Setup::new().await;
    setup.push("alice", "app", "v1", &IMAGE).await;
    setup.push("bob", "app", "v1", &IMAGE).await;
    assert_eq!(setup.cluster.writes(), ["alice put_image app", "bob put_image app"]);
    let nobody = Request::get("/v2/").body(Full::default()).unwrap();
    let refused = setup.exchange(nobody).await;
    assert_eq!(refused.code(), (StatusCode::UNAUTHORIZED, "UNAUTHORIZED".to_owned()));
    assert_eq!(refused.headers[header::WWW_AUTHENTICATE], "Bearer realm=\"cluster\"");
    assert_eq!(setup.get("mallory", "/v2/").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn quota_when_a_layer_is_completed() {
    let setup = Setup::new().await;
    setup.cluster.configure(&name("app"), |stream| stream.largest_layer = Some(8));
    assert_eq!(setup.upload("alice", "app", b"12345678").await.status, StatusCode::CREATED);
    let refused = setup.upload("alice", "app", b"123456789").await;
    assert_eq!(refused.code(), (StatusCode::FORBIDDEN, "DENIED".to_owned()));
    assert_eq!(refused.json()["errors"][0]["detail"], json!({ "size": 9, "limit": 8 }));

    // In chunks, over several requests: what counts is the whole.
    let started = setup.send("alice", Method::POST, "/v2/app/blobs/uploads/", "").await;
    let location = |headers: &http::HeaderMap| headers[header::LOCATION].to_str().unwrap().to_owned();
    let patched = setup.send("alice", Method::PATCH, &location(&started.headers), "12345").await;
    assert_eq!(patched.status, StatusCode::ACCEPTED);
    let target = location(&patched.headers);
    let finish = format!("{target}&digest={}", digest(b"123456789"));
    assert_eq!(setup.send("alice", Method::PUT, &finish, "6789").await.status, StatusCode::FORBIDDEN);
    assert_eq!(setup.get("alice", &target).await.status, StatusCode::NOT_FOUND, "the session is gone");
}

#[tokio::test]
async fn pull_through_and_mirroring_in_the_background() {
    let setup = Setup::new().await;
    let layer = vec![7_u8; 10_000];
    let manifest = image(&[b"{}", &layer]);
    setup.upstream.add_manifest("vendor/app", &manifest);
    let blob = setup.upstream.add_blob("vendor/app", layer.clone());
    setup.cluster.configure(&name("proxy"), |stream| stream.upstream = Some("vendor/app".to_owned()));

    let pull = async |reference: String| setup.get("alice", &format!("/v2/proxy/{reference}")).await;
    for _ in 0..2 {
        let pulled = pull(format!("manifests/{}", manifest.digest())).await;
        assert_eq!(pulled.body.unwrap(), manifest.payload());
        let head = setup.send("alice", Method::HEAD, &format!("/v2/proxy/blobs/{blob}"), "").await;
        assert_eq!(head.headers[header::CONTENT_LENGTH], "10000");
        assert_eq!(pull(format!("blobs/{blob}")).await.body.unwrap(), layer);
        setup.app.settle().await;
    }
    assert_eq!(setup.upstream.fetches(manifest.digest()), 1, "the second time it is ours");
    assert_eq!(setup.upstream.fetches(&blob), 1);

    // A part: the whole is stored and verified first.
    let other = setup.upstream.add_blob("vendor/app", "0123456789");
    let request = Request::get(format!("/v2/proxy/blobs/{other}"))
        .header(header::AUTHORIZATION, "Bearer alice-token")
        .header(header::RANGE, "bytes=2-4");
    let part = setup.exchange(request.body(Full::default()).unwrap()).await;
    assert_eq!((part.status, part.body.unwrap()), (StatusCode::PARTIAL_CONTENT, "234".into()));

    // The client goes away half-way; what was begun is stored all the same.
    let abandoned = setup.upstream.add_blob("vendor/app", vec![8_u8; 100_000]);
    setup.abandon("alice", &format!("/v2/proxy/blobs/{abandoned}")).await;
    setup.app.settle().await;
    assert_eq!(pull(format!("blobs/{abandoned}")).await.body.unwrap().len(), 100_000);
    assert_eq!(setup.upstream.fetches(&abandoned), 1);

    // Content that is not what it says breaks off, and is not kept.
    let wrong = digest(b"what was asked for");
    setup.upstream.add_under("vendor/app", &wrong, "something entirely different");
    for fetches in 1..3 {
        assert!(pull(format!("blobs/{wrong}")).await.body.is_err());
        setup.app.settle().await;
        assert_eq!(setup.upstream.fetches(&wrong), fetches);
    }
    assert_eq!(pull(format!("blobs/{}", digest(b"nowhere"))).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn references_checked_by_the_wrapper_itself() {
    let setup = Setup::new().await;
    setup.upload("alice", "app", IMAGE[0]).await;
    let refused = setup.put("alice", "app", "v1", &image(&[IMAGE[0], b"absent", b"too"])).await;
    assert_eq!(refused.code(), (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN".to_owned()));
    assert_eq!(refused.json()["errors"].as_array().unwrap().len(), 2, "all that is missing is named");
    assert_eq!(setup.cluster.writes(), [""; 0]);
    // Its own rule: what is upstream counts as present.
    setup.upstream.add_blob("vendor/base", "absent");
    setup.upstream.add_blob("vendor/base", "too");
    setup.cluster.configure(&name("app"), |stream| stream.upstream = Some("vendor/base".to_owned()));
    let pushed = setup.put("alice", "app", "v1", &image(&[IMAGE[0], b"absent", b"too"])).await;
    assert_eq!(pushed.status, StatusCode::CREATED);
}

#[tokio::test]
async fn own_admin_routes_with_own_permissions() {
    let setup = Setup::new().await;
    let pushed = setup.push("alice", "secret", "v1", &IMAGE).await;
    let members = Some(BTreeSet::from(["alice".to_owned()]));
    setup.cluster.configure(&name("secret"), |stream| stream.members = members);
    let history = setup.get("alice", "/admin/history/secret:v1").await;
    assert_eq!(history.json(), json!([{ "image": pushed, "by": "alice" }]));
    let denied = setup.get("bob", "/admin/history/secret:v1").await;
    assert_eq!(denied.code(), (StatusCode::FORBIDDEN, "DENIED".to_owned()));
    let unknown = setup.get("alice", "/admin/history/secret:v9").await;
    assert_eq!(unknown.code(), (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN".to_owned()));

    let denied = setup.send("alice", Method::POST, "/admin/prune", "").await;
    assert_eq!(denied.code(), (StatusCode::FORBIDDEN, "DENIED".to_owned()));
    let pruned = setup.send("root", Method::POST, "/admin/prune", "").await;
    assert_eq!(pruned.json(), json!({ "blobs": 0, "uploads": 0 }), "everything is young");
}

#[tokio::test]
async fn own_descriptor_cache() {
    let setup = Setup::new().await;
    let cache = setup.app.cache();
    setup.push("alice", "app", "v1", &IMAGE).await;
    let layer = digest(IMAGE[1]);
    let known = Descriptor::blob(layer.clone(), IMAGE[1].len() as u64);
    assert_eq!(cache.get(CacheScope::Content, &layer).await, Some(known.clone()), "storage fills it");

    let copy = name("copy");
    assert_eq!(cache.get(CacheScope::Repository(&copy), &layer).await, None);
    setup.cluster.import(&copy, Image::new(image(&IMAGE)).unwrap());
    setup.get("alice", &format!("/v2/copy/blobs/{layer}")).await;
    assert_eq!(cache.get(CacheScope::Repository(&copy), &layer).await, Some(known), "and so do we");

    setup.registry.namespace().blobs().delete(&layer).await.unwrap();
    assert_eq!(cache.get(CacheScope::Content, &layer).await, None);
    assert_eq!(cache.get(CacheScope::Repository(&copy), &layer).await, None, "one removal for all");
}

#[tokio::test]
async fn own_error_codes_unwrapped() {
    let setup = Setup::new().await;
    setup.push("alice", "app", "v1", &IMAGE).await;
    setup.cluster.configure(&name("app"), |stream| stream.frozen = true);
    let refused = setup.put("alice", "app", "v2", &image(&IMAGE)).await;
    assert_eq!(refused.code(), (StatusCode::CONFLICT, "STREAM_FROZEN".to_owned()));
    let refused = setup.send("alice", Method::DELETE, "/v2/app/manifests/v1", "").await;
    assert_eq!(refused.code(), (StatusCode::CONFLICT, "STREAM_FROZEN".to_owned()));
}

#[tokio::test]
async fn raw_driver_for_pruning() {
    let setup = Setup::new().await;
    setup.push("alice", "app", "v1", &IMAGE).await;
    setup.upload("alice", "app", b"nobody's layer").await;
    setup.send("alice", Method::POST, "/v2/app/blobs/uploads/", "").await;
    assert_eq!(setup.app.prune(Duration::from_secs(3600)).await.unwrap(), Pruned::default());
    assert_eq!(setup.app.prune(Duration::ZERO).await.unwrap(), Pruned { blobs: 1, uploads: 1 });
    let blob = |content: &[u8]| format!("/v2/app/blobs/{}", digest(content));
    assert_eq!(setup.get("alice", &blob(b"nobody's layer")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(setup.get("alice", &blob(IMAGE[1])).await.status, StatusCode::OK);
    let left = StoragePath::parse("/docker/registry/v2/repositories/app/_uploads").unwrap();
    assert!(!setup.registry.driver().exists(&left).await.unwrap());
}
