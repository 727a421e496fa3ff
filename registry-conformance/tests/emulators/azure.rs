//! Azure's Blob service, as `object_store` and a plain HTTP client see it.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use http::Method;
use object_store::azure::{
    AzureAccessKey, AzureAuthorizer, AzureCredential, MicrosoftAzure, MicrosoftAzureBuilder,
};
use object_store::client::HttpRequestBody;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::multipart::MultipartStore;
use object_store::signer::Signer;
use object_store::{
    ClientOptions, CopyMode, CopyOptions, Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    RetryConfig, UpdateVersion,
};
use registry_conformance::emulator::{
    ACCOUNT, ACCOUNT_KEY, AzureEmulator, BUCKET, Effect, Fault, FaultPlan, Kind, Options,
};
use reqwest::StatusCode;

use super::s3::path;

fn builder(emulator: &AzureEmulator) -> MicrosoftAzureBuilder {
    MicrosoftAzureBuilder::new()
        .with_endpoint(emulator.endpoint())
        .with_account(ACCOUNT)
        .with_access_key(ACCOUNT_KEY)
        .with_container_name(BUCKET)
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(RetryConfig { max_retries: 0, ..Default::default() })
}

fn client(emulator: &AzureEmulator) -> MicrosoftAzure {
    builder(emulator).build().unwrap()
}

/// A request that `object_store` has no call for, signed with the account's key.
async fn raw(
    emulator: &AzureEmulator,
    method: Method,
    target: &str,
    headers: &[(&str, &str)],
) -> reqwest::Response {
    let mut request = http::Request::builder()
        .method(method.clone())
        .uri(format!("{}/{BUCKET}/{target}", emulator.endpoint()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.header("content-length", 0).body(HttpRequestBody::empty()).unwrap();
    let credential = AzureCredential::AccessKey(AzureAccessKey::try_new(ACCOUNT_KEY).unwrap());
    AzureAuthorizer::new(&credential, ACCOUNT).try_authorize(&mut request).unwrap();
    let (parts, _) = request.into_parts();
    let client = reqwest::Client::new().request(method, parts.uri.to_string()).headers(parts.headers);
    client.send().await.unwrap()
}

#[tokio::test]
async fn blobs_are_written_read_copied_listed_and_deleted() {
    let emulator = AzureEmulator::start().await;
    let store = client(&emulator);
    store.put(&path("d/a b"), "0123456789".into()).await.unwrap();
    assert_eq!(store.get(&path("d/a b")).await.unwrap().bytes().await.unwrap(), "0123456789");
    assert_eq!(store.get_range(&path("d/a b"), 3..6).await.unwrap(), "345");
    assert_eq!(store.head(&path("d/a b")).await.unwrap().size, 10);
    store.copy(&path("d/a b"), &path("d/b")).await.unwrap();
    let absent = CopyOptions::new().with_mode(CopyMode::Create);
    let copied = store.copy_opts(&path("d/a b"), &path("d/b"), absent).await;
    assert!(matches!(copied, Err(Error::AlreadyExists { .. })), "{copied:?}");
    store.put(&path("d/c/1"), "x".into()).await.unwrap();
    let mut options =
        PaginatedListOptions { max_keys: Some(2), delimiter: Some("/".into()), ..Default::default() };
    let page = store.list_paginated(Some("d/"), options.clone()).await.unwrap();
    assert_eq!((page.result.objects.len(), page.result.common_prefixes.len()), (2, 0));
    options.page_token = page.page_token;
    let page = store.list_paginated(Some("d/"), options).await.unwrap();
    assert_eq!((page.result.objects.len(), page.result.common_prefixes.len()), (0, 1));
    assert!(page.page_token.is_none());
    store.delete(&path("d/b")).await.unwrap();
    for missing in [store.delete(&path("d/b")).await, store.head(&path("d")).await.map(drop)] {
        assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    }
    assert_eq!(store.list(None).try_collect::<Vec<_>>().await.unwrap().len(), 2);
    let range = store.get_range(&path("d/a b"), 20..30).await;
    assert!(range.is_err());
    let kinds: Vec<_> = emulator.requests().iter().map(|request| request.kind).collect();
    assert_eq!(&kinds[..5], [Kind::Put, Kind::Get, Kind::Get, Kind::Head, Kind::Copy]);
    assert_eq!(emulator.requests()[0].key, "d/a b");
}

#[tokio::test]
async fn many_are_deleted_at_once() {
    let emulator = AzureEmulator::start().await;
    let store = client(&emulator);
    for key in ["a", "b", "c"] {
        store.put(&path(key), "x".into()).await.unwrap();
    }
    let paths = futures::stream::iter(["a", "absent", "c"].map(|key| Ok(path(key)))).boxed();
    let deleted: Vec<_> = store.delete_stream(paths).collect().await;
    assert!(matches!(deleted[1], Err(Error::NotFound { .. })), "{deleted:?}");
    assert_eq!(deleted.iter().filter(|result| result.is_ok()).count(), 2);
    assert_eq!(emulator.objects(), [("b".to_owned(), 1)]);
    assert_eq!(emulator.requests().last().unwrap().kind, Kind::DeleteObjects);
}

#[tokio::test]
async fn conditions_of_writes_hold() {
    let emulator = AzureEmulator::start().await;
    let store = client(&emulator);
    let create = PutOptions::from(PutMode::Create);
    let first = store.put_opts(&path("a"), "1".into(), create.clone()).await.unwrap();
    let second = store.put_opts(&path("a"), "2".into(), create).await;
    assert!(matches!(second, Err(Error::AlreadyExists { .. })), "{second:?}");
    let update = PutOptions::from(PutMode::Update(UpdateVersion { e_tag: first.e_tag, version: None }));
    store.put_opts(&path("a"), "3".into(), update.clone()).await.unwrap();
    let stale = store.put_opts(&path("a"), "4".into(), update).await;
    assert!(matches!(stale, Err(Error::Precondition { .. })), "{stale:?}");
}

#[tokio::test]
async fn a_blob_is_made_of_its_blocks_in_the_order_of_the_list() {
    let emulator = AzureEmulator::start().await;
    let store = client(&emulator);
    let first = store.put_part(&path("a"), &String::new(), 0, "first ".into()).await.unwrap();
    let second = store.put_part(&path("a"), &String::new(), 1, "second ".into()).await.unwrap();
    store.put_part(&path("a"), &String::new(), 2, "left out".into()).await.unwrap();
    let listed = raw(&emulator, Method::GET, "a?comp=blocklist&blocklisttype=uncommitted", &[]).await;
    assert_eq!(listed.text().await.unwrap().matches("<Block>").count(), 3);
    assert!(emulator.objects().is_empty());
    assert_eq!(emulator.uploads()[0].bytes, 21);
    store
        .complete_multipart(&path("a"), &String::new(), vec![second.clone(), first.clone(), second])
        .await
        .unwrap();
    assert_eq!(store.get(&path("a")).await.unwrap().bytes().await.unwrap(), "second first second ");
    assert!(emulator.uploads().is_empty());
    let listed = raw(&emulator, Method::GET, "a?comp=blocklist&blocklisttype=all", &[]).await;
    let listed = listed.text().await.unwrap();
    assert!(listed.contains("<UncommittedBlocks></UncommittedBlocks>"), "{listed}");
    // object_store names uncommitted blocks only, and there are none any more.
    store.complete_multipart(&path("a"), &String::new(), vec![first]).await.unwrap_err();
    let unequal = raw(&emulator, Method::PUT, "b?comp=block&blockid=YQ%3D%3D", &[]).await;
    assert_eq!(unequal.status(), StatusCode::CREATED);
    let unequal = raw(&emulator, Method::PUT, "b?comp=block&blockid=YWFhYWFh", &[]).await;
    assert_eq!(unequal.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_copy_is_pending_as_long_as_it_is_told_to_be() {
    let emulator = AzureEmulator::with(Options::new().with_pending_copies(2)).await;
    let store = client(&emulator);
    store.put(&path("a"), "x".into()).await.unwrap();
    store.copy(&path("a"), &path("b")).await.unwrap();
    for expected in ["pending", "pending", "success", "success"] {
        let answer = raw(&emulator, Method::HEAD, "b", &[]).await;
        assert_eq!(answer.headers()["x-ms-copy-status"], expected);
    }
}

#[tokio::test]
async fn whoever_has_no_right_is_refused() {
    let emulator = AzureEmulator::start().await;
    let store = client(&emulator);
    store.put(&path("a b"), "text".into()).await.unwrap();
    let guessed = "Z3Vlc3NlZA==";
    builder(&emulator).with_access_key(guessed).build().unwrap().get(&path("a b")).await.unwrap_err();
    let plain = reqwest::get(format!("{}/{BUCKET}/a%20b", emulator.endpoint())).await.unwrap();
    assert_eq!(plain.status(), StatusCode::FORBIDDEN);
    let url = store.signed_url(Method::GET, &path("a b"), Duration::from_secs(60)).await.unwrap();
    assert_eq!(reqwest::get(url).await.unwrap().text().await.unwrap(), "text");
    let other = builder(&emulator).with_container_name("other").build().unwrap();
    let answer = other.put(&path("a"), "x".into()).await.unwrap_err();
    assert!(format!("{answer:?}").contains("ContainerNotFound"), "{answer:?}");
}

#[tokio::test]
async fn what_goes_wrong_goes_wrong_in_the_words_of_azure() {
    let emulator = AzureEmulator::start().await;
    emulator.inject(FaultPlan::none().with(Fault::new(Effect::SlowDown(None)).on(Kind::UploadPart)));
    let busy = client(&emulator).put_part(&path("a"), &String::new(), 0, "x".into()).await.unwrap_err();
    assert!(format!("{busy:?}").contains("ServerBusy"), "{busy:?}");
    emulator.inject(FaultPlan::none().with(Fault::new(Effect::ExpiredToken)));
    let expired = client(&emulator).put(&path("a"), "x".into()).await.unwrap_err();
    assert!(format!("{expired:?}").contains("AuthenticationFailed"), "{expired:?}");
}
