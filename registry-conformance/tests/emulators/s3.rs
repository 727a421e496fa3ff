//! S3, as `object_store` and a plain HTTP client see it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use http::Method;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use object_store::{
    BackoffConfig, ClientOptions, Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, RetryConfig,
};
use registry_conformance::emulator::{ACCESS_KEY, BUCKET, Kind, Options, S3Emulator, SECRET_KEY};
use reqwest::StatusCode;

pub(crate) fn client(emulator: &S3Emulator) -> AmazonS3 {
    builder(emulator).build().unwrap()
}

fn builder(emulator: &S3Emulator) -> AmazonS3Builder {
    AmazonS3Builder::new()
        .with_endpoint(emulator.endpoint())
        .with_bucket_name(BUCKET)
        .with_region("us-east-1")
        .with_access_key_id(ACCESS_KEY)
        .with_secret_access_key(SECRET_KEY)
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(RetryConfig {
            backoff: BackoffConfig { init_backoff: Duration::from_millis(1), ..Default::default() },
            max_retries: 0,
            ..Default::default()
        })
}

pub(crate) fn path(key: &str) -> Path {
    Path::parse(key).unwrap()
}

pub(crate) fn kinds(emulator: &S3Emulator) -> Vec<Kind> {
    emulator.requests().iter().map(|request| request.kind).collect()
}

/// A signed request with signed headers, as a driver makes it where `object_store` has no call.
async fn raw(
    emulator: &S3Emulator,
    method: Method,
    key: &str,
    query: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> (StatusCode, String) {
    let mut options = SignedUrlOptions::new();
    for (name, value) in query {
        options = options.with_query([(*name, *value)]);
    }
    for (name, value) in headers {
        options = options.with_signed_header(
            name.parse::<http::HeaderName>().unwrap(),
            value.parse::<http::HeaderValue>().unwrap(),
        );
    }
    let url = client(emulator)
        .signed_url_opts(method.clone(), &path(key), Duration::from_secs(60), &options)
        .await
        .unwrap();
    let mut request = reqwest::Client::new().request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn objects_come_back_whole_and_in_ranges() {
    let emulator = S3Emulator::start().await;
    let store = client(&emulator);
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    store.put(&path("a/b"), bytes.clone().into()).await.unwrap();
    store.put(&path("a"), "a name that another begins with".into()).await.unwrap();
    assert_eq!(store.get(&path("a/b")).await.unwrap().bytes().await.unwrap(), bytes);
    assert_eq!(store.get_range(&path("a/b"), 300_000..700_001).await.unwrap(), bytes[300_000..700_001]);
    let head = store.head(&path("a/b")).await.unwrap();
    assert_eq!(head.size, 1_000_000);
    store.put(&path("empty"), Bytes::new().into()).await.unwrap();
    assert_eq!(store.get(&path("empty")).await.unwrap().bytes().await.unwrap(), "");
    for absent in ["docker", "a/b/c"] {
        assert!(matches!(store.head(&path(absent)).await, Err(Error::NotFound { .. })));
        assert!(matches!(store.get(&path(absent)).await, Err(Error::NotFound { .. })));
    }
    store.delete(&path("a")).await.unwrap();
    store.delete(&path("a")).await.unwrap();
    assert_eq!(emulator.objects(), [("a/b".to_owned(), 1_000_000), ("empty".to_owned(), 0)]);
}

#[tokio::test]
async fn the_log_has_each_request_with_its_kind() {
    let emulator = S3Emulator::start().await;
    let store = client(&emulator);
    store.put(&path("a b/ü"), "x".into()).await.unwrap();
    store.copy(&path("a b/ü"), &path("b")).await.unwrap();
    store.get(&path("b")).await.unwrap();
    store.head(&path("b")).await.unwrap();
    store.list(None).try_collect::<Vec<_>>().await.unwrap();
    store.delete(&path("b")).await.unwrap();
    let id = store.create_multipart(&path("c")).await.unwrap();
    store.put_part(&path("c"), &id, 0, "x".into()).await.unwrap();
    store.abort_multipart(&path("c"), &id).await.unwrap();
    assert_eq!(
        kinds(&emulator),
        [
            Kind::Put,
            Kind::Copy,
            Kind::Get,
            Kind::Head,
            Kind::List,
            Kind::DeleteObjects,
            Kind::CreateMultipart,
            Kind::UploadPart,
            Kind::Abort
        ]
    );
    let requests = emulator.requests();
    assert_eq!(requests[0].key, "a b/ü");
    assert_eq!(requests[0].status, Some(StatusCode::OK));
    assert_eq!(requests[7].parameter("uploadId"), Some(id));
    emulator.clear_requests();
    assert!(emulator.requests().is_empty());
    let missing = store.head(&path("nothing")).await;
    assert!(missing.is_err());
    assert_eq!(emulator.requests()[0].status, Some(StatusCode::NOT_FOUND));
}

#[tokio::test]
async fn a_wrong_signature_is_refused() {
    let emulator = S3Emulator::start().await;
    let stranger = builder(&emulator).with_secret_access_key("guessed").build().unwrap();
    stranger.put(&path("a"), "x".into()).await.unwrap_err();
    let url = stranger.signed_url(Method::PUT, &path("a"), Duration::from_secs(60)).await.unwrap();
    let answer = reqwest::Client::new().put(url).body("x").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let plain = format!("{}/{BUCKET}/a", emulator.endpoint());
    assert_eq!(reqwest::get(plain).await.unwrap().status(), StatusCode::FORBIDDEN);
    assert!(emulator.objects().is_empty());
}

#[tokio::test]
async fn conditions_of_writes_hold() {
    let emulator = S3Emulator::start().await;
    let store = client(&emulator);
    let create = PutOptions::from(PutMode::Create);
    let first = store.put_opts(&path("a"), "1".into(), create.clone()).await.unwrap();
    let second = store.put_opts(&path("a"), "2".into(), create.clone()).await;
    assert!(matches!(second, Err(Error::AlreadyExists { .. })));
    let version = object_store::UpdateVersion { e_tag: first.e_tag, version: None };
    let update = PutOptions::from(PutMode::Update(version));
    store.put_opts(&path("a"), "1".into(), update.clone()).await.unwrap();
    let stale = store.put_opts(&path("a"), "3".into(), update).await;
    assert!(matches!(stale, Err(Error::Precondition { .. })), "a tag is new even for equal bytes");

    let old = S3Emulator::with(Options::new().without_conditions()).await;
    let store = client(&old);
    store.put_opts(&path("a"), "1".into(), create.clone()).await.unwrap();
    store.put_opts(&path("a"), "2".into(), create).await.unwrap();
}

#[tokio::test]
async fn uploads_are_made_of_their_parts() {
    const MIB: usize = 1024 * 1024;
    let emulator = S3Emulator::start().await;
    let store = client(&emulator);
    let key = path("blob");
    let id = store.create_multipart(&key).await.unwrap();
    let large: Vec<u8> = (0..5 * MIB).map(|i| (i / 7) as u8).collect();
    // In no order, from another client, and one of them twice.
    let third = client(&emulator).put_part(&key, &id, 2, "end".into()).await.unwrap();
    store.put_part(&key, &id, 0, "not this".into()).await.unwrap();
    let first = store.put_part(&key, &id, 0, large.clone().into()).await.unwrap();
    let second = store.put_part(&key, &id, 1, vec![0; 6 * MIB].into()).await.unwrap();
    assert_eq!(emulator.uploads()[0].bytes, 11 * MIB as u64 + 3);
    let (status, text) = raw(&emulator, Method::GET, "blob", &[("uploadId", &id)], &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(text.matches("<PartNumber>").count(), 3);
    assert_eq!(text.matches("<ETag>").count(), 3);

    let named = vec![first.clone(), second.clone(), third.clone()];
    let wrong = vec![first.clone(), PartId { content_id: "\"0\"".to_owned() }, third.clone()];
    store.complete_multipart(&key, &id, wrong).await.unwrap_err();
    assert_eq!(emulator.uploads().len(), 1, "a refused completion leaves the upload");
    store.complete_multipart(&key, &id, named.clone()).await.unwrap();
    let mut whole = large;
    whole.resize(11 * MIB, 0);
    whole.extend(b"end");
    assert_eq!(store.get(&key).await.unwrap().bytes().await.unwrap(), whole);
    assert!(emulator.uploads().is_empty());

    let again = store.complete_multipart(&key, &id, named).await.unwrap_err();
    assert!(format!("{again:?}").contains("NoSuchUpload"), "{again:?}");
    let (status, text) = raw(&emulator, Method::GET, "blob", &[("uploadId", &id)], &[]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(text.contains("NoSuchUpload"));
}

#[tokio::test]
async fn a_part_below_the_least_is_refused_and_the_upload_stays() {
    let emulator = S3Emulator::start().await;
    let store = client(&emulator);
    let key = path("blob");
    let id = store.create_multipart(&key).await.unwrap();
    let mut parts = Vec::new();
    for number in 0..2 {
        parts.push(store.put_part(&key, &id, number, "small".into()).await.unwrap());
    }
    let refused = store.complete_multipart(&key, &id, parts).await.unwrap_err();
    assert!(format!("{refused:?}").contains("EntityTooSmall"), "{refused:?}");
    assert_eq!(emulator.uploads().len(), 1);
    assert!(emulator.objects().is_empty());
}

#[tokio::test]
async fn parts_are_copied_from_ranges_and_limits_can_be_lowered() {
    let emulator = S3Emulator::with(Options::new().with_max_copy(10).with_min_part(4)).await;
    let store = client(&emulator);
    store.put(&path("from"), "0123456789abcdef".into()).await.unwrap();
    store.copy(&path("from"), &path("to")).await.unwrap_err();
    let id = store.create_multipart(&path("to")).await.unwrap();
    let mut parts = Vec::new();
    for (number, range) in ["bytes=0-9", "bytes=10-15"].into_iter().enumerate() {
        let number = (number + 1).to_string();
        let source = format!("/{BUCKET}/from");
        let headers = [("x-amz-copy-source", source.as_str()), ("x-amz-copy-source-range", range)];
        let query = [("partNumber", number.as_str()), ("uploadId", id.as_str())];
        let (status, text) = raw(&emulator, Method::PUT, "to", &query, &headers).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        let tag = text.split("<ETag>").nth(1).unwrap().split("</ETag>").next().unwrap();
        parts.push(PartId { content_id: tag.replace("&quot;", "\"") });
    }
    store.complete_multipart(&path("to"), &id, parts).await.unwrap();
    assert_eq!(store.get(&path("to")).await.unwrap().bytes().await.unwrap(), "0123456789abcdef");

    let id = store.create_multipart(&path("to")).await.unwrap();
    let source = format!("/{BUCKET}/from");
    let query = [("partNumber", "1"), ("uploadId", id.as_str())];
    for range in ["bytes=0-15", "bytes=10-16", "bytes=3-", "bytes=-3"] {
        let headers = [("x-amz-copy-source", source.as_str()), ("x-amz-copy-source-range", range)];
        let (status, text) = raw(&emulator, Method::PUT, "to", &query, &headers).await;
        assert!(status.is_client_error(), "{range}: {status} {text}");
    }
}

#[tokio::test]
async fn listings_are_paged_in_byte_order() {
    let emulator = S3Emulator::start().await;
    let store = client(&emulator);
    for key in ["d/1/x", "d/1/y", "d/10/x", "d/2", "d/3/x", "d/a", "e"] {
        store.put(&path(key), "x".into()).await.unwrap();
    }
    let list = |prefix: &'static str, options: PaginatedListOptions| {
        let store = &store;
        async move {
            let page = store.list_paginated(Some(prefix), options).await.unwrap();
            let objects = page.result.objects.iter().map(|object| object.location.to_string());
            let prefixes = page.result.common_prefixes.iter().map(|prefix| format!("{prefix}/"));
            let mut names: Vec<_> = objects.chain(prefixes).collect();
            names.sort();
            (names, page.page_token)
        }
    };
    let mut options =
        PaginatedListOptions { delimiter: Some("/".into()), max_keys: Some(2), ..Default::default() };
    let mut seen = Vec::new();
    loop {
        let (names, token) = list("d/", options.clone()).await;
        assert!(names.len() <= 2);
        seen.extend(names);
        let Some(token) = token else { break };
        options.page_token = Some(token);
    }
    assert_eq!(seen, ["d/1/", "d/10/", "d/2", "d/3/", "d/a"]);
    let after = PaginatedListOptions {
        delimiter: Some("/".into()),
        offset: Some("d/1/\u{10ffff}".into()),
        ..Default::default()
    };
    assert_eq!(list("d/", after).await.0, ["d/10/", "d/2", "d/3/", "d/a"]);
    let after = PaginatedListOptions { offset: Some("d/1/x".into()), ..Default::default() };
    assert_eq!(list("d/", after).await.0, ["d/1/y", "d/10/x", "d/2", "d/3/x", "d/a"]);
    assert_eq!(list("f/", PaginatedListOptions::default()).await.0, [""; 0]);
}

#[tokio::test]
async fn uploads_under_way_are_listed_unless_the_store_cannot() {
    let emulator = S3Emulator::start().await;
    let store = client(&emulator);
    for key in ["u/b", "u/a", "v"] {
        store.create_multipart(&path(key)).await.unwrap();
    }
    // The bucket itself has no key to sign: the same with a key, which a path style endpoint can leave out.
    let list = |query: &'static str| {
        let emulator = &emulator;
        async move { bucket_request(emulator, query).await }
    };
    let (status, text) = list("uploads=&prefix=u%2F&max-uploads=1").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(text.contains("<Key>u/a</Key>") && !text.contains("<Key>u/b</Key>"), "{text}");
    assert!(text.contains("<IsTruncated>true</IsTruncated>"), "{text}");
    let (_, text) = list("uploads=&prefix=u%2F&key-marker=u%2Fa").await;
    assert!(text.contains("<Key>u/b</Key>") && !text.contains("<Key>u/a</Key>"), "{text}");
    assert!(!text.contains("<Key>v</Key>"), "{text}");

    let emulator = S3Emulator::with(Options::new().without_list_uploads().without_part_copy()).await;
    assert_eq!(bucket_request(&emulator, "uploads=").await.0, StatusCode::NOT_IMPLEMENTED);
}

/// A GET of the bucket, signed in a header.
async fn bucket_request(emulator: &S3Emulator, query: &str) -> (StatusCode, String) {
    use object_store::aws::{AwsAuthorizer, AwsCredential};
    let credential =
        AwsCredential { key_id: ACCESS_KEY.to_owned(), secret_key: SECRET_KEY.to_owned(), token: None };
    let url = format!("{}/{BUCKET}?{query}", emulator.endpoint());
    let mut request = http::Request::get(url).body(object_store::client::HttpRequestBody::empty()).unwrap();
    AwsAuthorizer::new(&credential, "s3", "us-east-1").try_authorize(&mut request, None).unwrap();
    let (parts, _) = request.into_parts();
    let answer =
        reqwest::Client::new().get(parts.uri.to_string()).headers(parts.headers).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn answers_have_the_type_that_a_presigned_url_names() {
    let emulator = S3Emulator::start().await;
    client(&emulator).put(&path("a"), "text".into()).await.unwrap();
    let options = SignedUrlOptions::new().with_query([("response-content-type", "text/x")]);
    let url = client(&emulator)
        .signed_url_opts(Method::GET, &path("a"), Duration::from_secs(60), &options)
        .await
        .unwrap();
    let answer = reqwest::get(url.clone()).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/x");
    assert_eq!(answer.text().await.unwrap(), "text");
    let other = url.as_str().replace("text%2Fx", "text%2Fy");
    assert_eq!(reqwest::get(other).await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_a_writer_says_of_an_object_stays_with_it() {
    let emulator = S3Emulator::start().await;
    let store = builder(&emulator)
        .with_config("aws_server_side_encryption".parse().unwrap(), "aws:kms")
        .with_config("aws_sse_kms_key_id".parse().unwrap(), "a-key")
        .with_config("aws_checksum_algorithm".parse().unwrap(), "SHA256")
        .build()
        .unwrap();
    let mut attributes = object_store::Attributes::new();
    attributes.insert(object_store::Attribute::ContentType, "application/octet-stream".into());
    attributes.insert(object_store::Attribute::StorageClass, "STANDARD_IA".into());
    store.put_opts(&path("a"), "x".into(), PutOptions::from(attributes)).await.unwrap();
    let request = reqwest::Client::new()
        .head(store.signed_url(Method::HEAD, &path("a"), Duration::from_secs(60)).await.unwrap());
    let answer = request.send().await.unwrap();
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "a-key"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
    store.copy(&path("a"), &path("b")).await.unwrap();
    let copied = store.get_opts(&path("b"), GetOptions { head: true, ..Default::default() }).await.unwrap();
    let class = copied.attributes.get(&object_store::Attribute::StorageClass);
    assert_eq!(class, None, "a copy has the class that its request names");
    let kind = copied.attributes.get(&object_store::Attribute::ContentType).unwrap();
    assert_eq!(&**kind, "application/octet-stream");
}

#[tokio::test]
async fn many_clients_write_side_by_side() {
    let emulator = S3Emulator::start().await;
    let store = Arc::new(client(&emulator));
    let zeros = Bytes::from(vec![0; 16 * 1024 * 1024]);
    let writes = (0..8).map(|number| {
        let (store, zeros) = (Arc::clone(&store), zeros.clone());
        async move {
            let payload = PutPayload::from_bytes(zeros);
            store.put(&path(&format!("{number}")), payload).await
        }
    });
    futures::future::try_join_all(writes).await.unwrap();
    assert_eq!(emulator.objects().iter().map(|(_, length)| length).sum::<u64>(), 128 * 1024 * 1024);
}
