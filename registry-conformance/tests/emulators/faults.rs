//! What goes wrong on demand, and what of the request was done.

use std::time::{Duration, Instant, SystemTime};

use object_store::ObjectStoreExt;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::multipart::MultipartStore;
use object_store::signer::Signer;
use registry_conformance::emulator::{Effect, Fault, FaultPlan, Kind, Options, S3Emulator};
use reqwest::{Method, StatusCode};
use s3s::dto::{Timestamp, TimestampFormat};

use super::s3::{client, kinds, path};

async fn put(emulator: &S3Emulator, key: &str) -> object_store::Result<()> {
    client(emulator).put(&path(key), "x".into()).await.map(drop)
}

async fn signed(emulator: &S3Emulator, method: Method, key: &str) -> reqwest::Result<reqwest::Response> {
    let url = client(emulator).signed_url(method.clone(), &path(key), Duration::from_secs(60)).await.unwrap();
    reqwest::Client::new().request(method, url).send().await
}

#[tokio::test]
async fn refusals_have_their_status_and_code_and_nothing_is_done() {
    let emulator = S3Emulator::start().await;
    put(&emulator, "there").await.unwrap();
    for (effect, status, code) in [
        (Effect::SlowDown(Some(Duration::from_secs(7))), 503, "SlowDown"),
        (Effect::InternalError, 500, "InternalError"),
        (Effect::ClockSkew, 403, "RequestTimeTooSkewed"),
        (Effect::ExpiredToken, 400, "ExpiredToken"),
    ] {
        emulator.inject(FaultPlan::none().with(Fault::new(effect)));
        let answer = signed(&emulator, Method::GET, "there").await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        let after = answer.headers().get("retry-after").map(|after| after.to_str().unwrap().to_owned());
        assert_eq!(after.as_deref(), (status == 503).then_some("7"));
        assert!(answer.text().await.unwrap().contains(&format!("<Code>{code}</Code>")));
        let answer = signed(&emulator, Method::HEAD, "there").await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        put(&emulator, "new").await.unwrap_err();
        assert_eq!(emulator.objects().len(), 1, "{code}");
    }
    emulator.heal();
    put(&emulator, "new").await.unwrap();
}

#[tokio::test]
async fn a_reset_comes_before_or_after_what_was_asked() {
    let emulator = S3Emulator::start().await;
    emulator.inject(FaultPlan::none().with(Fault::new(Effect::ResetBefore).on(Kind::Put)));
    let error = put(&emulator, "before").await.unwrap_err();
    assert!(format!("{error:?}").contains("ConnectionReset"), "{error:?}");
    assert!(emulator.objects().is_empty());
    assert_eq!(emulator.requests()[0].status, None);

    emulator.inject(FaultPlan::none().with(Fault::new(Effect::ResetAfter).on(Kind::Put).on(Kind::Complete)));
    put(&emulator, "after").await.unwrap_err();
    assert_eq!(emulator.objects(), [("after".to_owned(), 1)]);
    let store = client(&emulator);
    let id = store.create_multipart(&path("blob")).await.unwrap();
    let part = store.put_part(&path("blob"), &id, 0, "bytes".into()).await.unwrap();
    store.complete_multipart(&path("blob"), &id, vec![part]).await.unwrap_err();
    assert_eq!(emulator.objects()[1], ("blob".to_owned(), 5), "a lost answer is not a lost object");
}

#[tokio::test]
async fn a_reset_in_a_body_leaves_no_part_and_half_an_answer() {
    let emulator = S3Emulator::start().await;
    let store = client(&emulator);
    let id = store.create_multipart(&path("blob")).await.unwrap();
    let fault = Fault::new(Effect::ResetInBody(1_000_000)).nth(1);
    emulator.inject(FaultPlan::none().with(fault.clone().on(Kind::UploadPart)).with(fault.on(Kind::Get)));
    let bytes = vec![1; 3_000_000];
    store.put_part(&path("blob"), &id, 0, bytes.clone().into()).await.unwrap_err();
    assert_eq!(emulator.uploads()[0].bytes, 0);
    store.put_part(&path("blob"), &id, 0, bytes.clone().into()).await.unwrap();
    assert_eq!(emulator.uploads()[0].bytes, 3_000_000);

    store.put(&path("a"), bytes.into()).await.unwrap();
    let mut answer = signed(&emulator, Method::GET, "a").await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let mut read = 0;
    let broken = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => read += chunk.len(),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken && read <= 1_000_000, "{read} bytes, broken: {broken}");
}

/// What is refused says what time it is there, with which a request would be taken.
#[tokio::test]
async fn a_service_of_another_time_refuses_ours() {
    let emulator = S3Emulator::with(Options::new().with_clock_ahead(Duration::from_secs(3600))).await;
    let error = put(&emulator, "a").await.unwrap_err();
    assert!(format!("{error:?}").contains("RequestTimeTooSkewed"), "{error:?}");
    let answer = reqwest::get(emulator.endpoint()).await.unwrap();
    let date = answer.headers()["date"].to_str().unwrap();
    let said = Timestamp::parse(TimestampFormat::HttpDate, date).unwrap();
    let (now, minute) = (SystemTime::now() + Duration::from_secs(3600), Duration::from_secs(60));
    assert!((Timestamp::from(now - minute)..Timestamp::from(now + minute)).contains(&said), "{date}");
}

#[tokio::test]
async fn a_slow_answer_is_whole() {
    let emulator = S3Emulator::start().await;
    put(&emulator, "a").await.unwrap();
    let slow = Duration::from_millis(300);
    emulator.inject(FaultPlan::none().with(Fault::new(Effect::SlowFirstByte(slow)).on(Kind::Get)));
    let asked = Instant::now();
    let answer = signed(&emulator, Method::GET, "a").await.unwrap();
    assert!(asked.elapsed() >= slow);
    assert_eq!(answer.text().await.unwrap(), "x");
}

#[tokio::test]
async fn a_short_page_says_that_there_is_more() {
    let emulator = S3Emulator::start().await;
    for key in ["a", "b", "c", "d", "e"] {
        put(&emulator, key).await.unwrap();
    }
    emulator.inject(FaultPlan::none().with(Fault::new(Effect::ShortListing(2)).nth(1)));
    let store = client(&emulator);
    let page = store.list_paginated(None, PaginatedListOptions::default()).await.unwrap();
    assert_eq!(page.result.objects.len(), 2);
    let options = PaginatedListOptions { page_token: page.page_token, ..Default::default() };
    let page = store.list_paginated(None, options).await.unwrap();
    assert_eq!(page.result.objects.len(), 3);
    assert!(page.page_token.is_none());
}

#[tokio::test]
async fn faults_strike_the_kinds_keys_and_times_that_are_named() {
    let emulator = S3Emulator::start().await;
    let ok =
        |results: Vec<bool>| -> String { results.iter().map(|ok| if *ok { '.' } else { 'x' }).collect() };
    for (fault, expected) in [
        (Fault::new(Effect::InternalError), "xxxxxx"),
        (Fault::new(Effect::InternalError).nth(3), "..x..."),
        (Fault::new(Effect::InternalError).from(3), "..xxxx"),
        (Fault::new(Effect::InternalError).every(2), ".x.x.x"),
        (Fault::new(Effect::InternalError).times(2), "xx...."),
        (Fault::new(Effect::InternalError).on(Kind::Get), "......"),
        (Fault::new(Effect::InternalError).on(Kind::Get).on(Kind::Put).key("3"), "...x.."),
        (Fault::new(Effect::InternalError).chance(0.0), "......"),
        (Fault::new(Effect::InternalError).chance(1.0), "xxxxxx"),
    ] {
        emulator.inject(FaultPlan::none().with(fault));
        let mut results = Vec::new();
        for number in 0..6 {
            results.push(put(&emulator, &number.to_string()).await.is_ok());
        }
        assert_eq!(ok(results), expected);
    }
    assert!(kinds(&emulator).iter().all(|kind| *kind == Kind::Put));
}

#[tokio::test]
async fn a_seed_gives_the_same_faults_again() {
    async fn run(plan: FaultPlan) -> Vec<bool> {
        let emulator = S3Emulator::start().await;
        emulator.inject(plan);
        let mut results = Vec::new();
        for number in 0..40 {
            results.push(put(&emulator, &number.to_string()).await.is_ok());
        }
        results
    }
    let fault = || Fault::new(Effect::SlowDown(None)).chance(0.5);
    let first = run(FaultPlan::seeded(7).with(fault())).await;
    assert!(first.iter().any(|ok| *ok) && first.iter().any(|ok| !ok));
    assert_eq!(run(FaultPlan::seeded(7).with(fault())).await, first);
    assert_ne!(run(FaultPlan::seeded(8).with(fault())).await, first);
    // A fault beside it, for others, changes nothing.
    let beside = Fault::new(Effect::InternalError).on(Kind::Get).chance(0.5);
    assert_eq!(run(FaultPlan::seeded(7).with(fault()).with(beside)).await, first);
}
