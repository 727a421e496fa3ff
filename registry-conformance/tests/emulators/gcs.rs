//! Google Cloud Storage, as `object_store` and a plain HTTP client see it.

use std::time::Duration;

use futures::TryStreamExt;
use http::Method;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::multipart::MultipartStore;
use object_store::signer::Signer;
use object_store::{
    ClientOptions, CopyMode, CopyOptions, Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    RetryConfig, UpdateVersion,
};
use registry_conformance::emulator::{BUCKET, Effect, Fault, FaultPlan, GcsEmulator, Kind, Options};
use reqwest::StatusCode;

use super::s3::path;

fn client(emulator: &GcsEmulator) -> GoogleCloudStorage {
    GoogleCloudStorageBuilder::new()
        .with_base_url(&emulator.endpoint())
        .with_bucket_name(BUCKET)
        .with_service_account_key(emulator.service_account())
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(RetryConfig { max_retries: 0, ..Default::default() })
        .build()
        .unwrap()
}

#[tokio::test]
async fn objects_are_written_read_copied_listed_and_deleted() {
    let emulator = GcsEmulator::start().await;
    let store = client(&emulator);
    store.put(&path("d/a"), "0123456789".into()).await.unwrap();
    assert_eq!(store.get_range(&path("d/a"), 3..6).await.unwrap(), "345");
    store.copy(&path("d/a"), &path("d/b")).await.unwrap();
    let absent = CopyOptions::new().with_mode(CopyMode::Create);
    let copied = store.copy_opts(&path("d/a"), &path("d/b"), absent).await;
    assert!(matches!(copied, Err(Error::AlreadyExists { .. })), "{copied:?}");
    let options = PaginatedListOptions { max_keys: Some(1), ..Default::default() };
    let page = store.list_paginated(Some("d/"), options).await.unwrap();
    assert_eq!(page.result.objects.len(), 1);
    assert!(page.page_token.is_some());
    assert_eq!(store.list(None).try_collect::<Vec<_>>().await.unwrap().len(), 2);
    store.delete(&path("d/a")).await.unwrap();
    let again = store.delete(&path("d/a")).await;
    assert!(matches!(again, Err(Error::NotFound { .. })), "{again:?}");
    let kinds: Vec<_> = emulator.requests().iter().map(|request| request.kind).collect();
    assert_eq!(
        kinds,
        [Kind::Put, Kind::Get, Kind::Copy, Kind::Copy, Kind::List, Kind::List, Kind::Delete, Kind::Delete]
    );
}

#[tokio::test]
async fn generations_are_compared() {
    let emulator = GcsEmulator::start().await;
    let store = client(&emulator);
    let create = PutOptions::from(PutMode::Create);
    let first = store.put_opts(&path("a"), "1".into(), create.clone()).await.unwrap();
    first.version.as_ref().unwrap().parse::<u64>().unwrap();
    let second = store.put_opts(&path("a"), "2".into(), create).await;
    assert!(matches!(second, Err(Error::AlreadyExists { .. })));
    let update = |from: object_store::PutResult| {
        PutOptions::from(PutMode::Update(UpdateVersion { e_tag: None, version: from.version }))
    };
    store.put_opts(&path("a"), "3".into(), update(first.clone())).await.unwrap();
    let stale = store.put_opts(&path("a"), "4".into(), update(first)).await;
    assert!(matches!(stale, Err(Error::Precondition { .. })));

    let id = store.create_multipart(&path("b")).await.unwrap();
    let part = store.put_part(&path("b"), &id, 0, "x".into()).await.unwrap();
    let made = store.complete_multipart(&path("b"), &id, vec![part]).await.unwrap();
    assert_eq!(store.head(&path("b")).await.unwrap().version, made.version);
    store.put_opts(&path("b"), "5".into(), update(made)).await.unwrap();
}

#[tokio::test]
async fn uploads_are_made_of_their_parts_and_can_be_aborted() {
    let emulator = GcsEmulator::with(Options::new().with_min_part(4)).await;
    let store = client(&emulator);
    let id = store.create_multipart(&path("a")).await.unwrap();
    let mut parts = Vec::new();
    for (number, text) in ["0123", "4567", "8"].into_iter().enumerate() {
        parts.push(store.put_part(&path("a"), &id, number, text.into()).await.unwrap());
    }
    store.complete_multipart(&path("a"), &id, parts).await.unwrap();
    assert_eq!(store.get(&path("a")).await.unwrap().bytes().await.unwrap(), "012345678");
    let id = store.create_multipart(&path("b")).await.unwrap();
    assert_eq!(emulator.uploads().len(), 1);
    store.abort_multipart(&path("b"), &id).await.unwrap();
    assert!(emulator.uploads().is_empty());
}

#[tokio::test]
async fn a_signed_url_is_good_for_what_was_signed() {
    let emulator = GcsEmulator::start().await;
    let store = client(&emulator);
    store.put(&path("a b"), "text".into()).await.unwrap();
    store.put(&path("other"), "secret".into()).await.unwrap();
    let url = store.signed_url(Method::GET, &path("a b"), Duration::from_secs(60)).await.unwrap();
    let answer = reqwest::get(url.clone()).await.unwrap();
    assert_eq!((answer.status(), answer.text().await.unwrap().as_str()), (StatusCode::OK, "text"));
    let elsewhere = url.as_str().replace("a%20b", "other");
    assert_ne!(elsewhere, url.as_str());
    assert_eq!(reqwest::get(elsewhere).await.unwrap().status(), StatusCode::FORBIDDEN);
    let head = reqwest::Client::new().head(url).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::FORBIDDEN, "signed for another method");
    let plain = format!("{}/{BUCKET}/other", emulator.endpoint());
    assert_eq!(reqwest::get(plain).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_goes_wrong_goes_wrong_here_too() {
    let emulator = GcsEmulator::start().await;
    emulator.inject(FaultPlan::none().with(Fault::new(Effect::ResetAfter).on(Kind::Put).nth(1)));
    client(&emulator).put(&path("a"), "x".into()).await.unwrap_err();
    assert_eq!(emulator.objects(), [("a".to_owned(), 1)]);
    client(&emulator).put(&path("a"), "y".into()).await.unwrap();
}
