//! The bucket against services that are played here.

mod identities;
mod signatures;

use registry_conformance::emulator::GcsEmulator;

use super::super::options::{GcsCredentials, Secret};
use super::super::played::{Played, said};
use super::super::{broken, contract};
use super::*;

fn no_env(_: &str) -> Option<String> {
    None
}

fn gcs(emulator: &GcsEmulator) -> Gcs {
    let mut options = GcsOptions::new(emulator.bucket());
    options.endpoint = Some(emulator.endpoint());
    options.credentials = GcsCredentials::Json(Secret::new(emulator.service_account()));
    Gcs::with(&options, BucketHealth::new(), &no_env, "http://127.0.0.1:1").unwrap()
}

#[tokio::test]
async fn bodies_that_break_off_are_gone_on_with() {
    let emulator = GcsEmulator::start().await;
    let mut gcs = gcs(&emulator);
    (gcs.patience.retries, gcs.patience.first) = (4, Duration::from_millis(2));
    gcs.patience.progress = broken::PROGRESS;
    broken::hold(&gcs, &emulator, 4).await;
}

#[tokio::test]
async fn the_emulator_keeps_the_contract() {
    let emulator = GcsEmulator::start().await;
    contract::hold(&gcs(&emulator)).await;
    assert!(emulator.uploads().is_empty());
}

#[tokio::test]
async fn what_a_request_costs() {
    let emulator = GcsEmulator::start().await;
    let gcs = gcs(&emulator);
    gcs.put("a", "content".into(), false).await.unwrap();
    gcs.copy("a", "b", 7).await.unwrap();
    gcs.head("b").await.unwrap();
    gcs.get("b", Some(GetRange::Suffix(2))).await.unwrap();
    gcs.delete(&["a".to_owned(), "b".to_owned()]).await.unwrap();
    // And none for tokens, which an account with a key signs itself.
    assert_eq!(emulator.requests().len(), 6, "{:?}", emulator.requests());
}

/// Keys that other programs wrote and that no path of ours has are listed as they are, and are no reason to see
/// nothing of what is beside them.
#[tokio::test]
async fn odd_keys_are_listed_with_the_others() {
    let emulator = GcsEmulator::start().await;
    let gcs = gcs(&emulator);
    let odd = ["d//empty", "d/a", "d/a//", "d/mark/", "d/with?mark", "d/z"];
    for key in odd {
        gcs.put(key, "content".into(), false).await.unwrap();
    }
    let stored: Vec<String> = emulator.objects().into_iter().map(|(key, _)| key).collect();
    assert_eq!(stored, odd, "the emulator takes them as they are");
    let list = async |fold, after, limit| {
        let request = ListKeys { prefix: "d/", fold, after, limit };
        let page = gcs.list(&request).await.unwrap();
        (page.keys.into_iter().map(|key| key.key).collect::<Vec<_>>(), page.more)
    };
    assert_eq!(list(false, None, 100).await, (stored.clone(), false));
    assert_eq!(list(false, Some("d//empty"), 2).await, (stored[1..3].to_vec(), true));
    let folded = ["d//", "d/a", "d/a/", "d/mark/", "d/with?mark", "d/z"].map(str::to_owned);
    assert_eq!(list(true, None, 100).await, (folded.to_vec(), false));
    gcs.delete(&stored).await.unwrap();
    assert!(emulator.objects().is_empty());
}

/// In the path of a URL it would be another key.
#[tokio::test]
async fn a_key_that_no_url_has_is_deleted_by_its_name() {
    let played = Played::new(|_| said(204, ""));
    let (endpoint, bucket) = ("http://service".to_owned(), "b".to_owned());
    let api = Api { http: played.client(), endpoint, bucket };
    api.delete("d/../up").await.unwrap();
    assert_eq!(played.asked()[0].uri(), "http://service/storage/v1/b/b/o/d%2F..%2Fup");
}

#[tokio::test]
async fn an_upload_of_distribution_that_is_not_done_is_not_there() {
    let emulator = GcsEmulator::start().await;
    let gcs = gcs(&emulator);
    let url = format!("{}/{}/session", emulator.endpoint(), emulator.bucket());
    let request = http::Request::put(url).header(header::CONTENT_TYPE, SESSION);
    gcs.api.http.execute(request.body("rest".to_owned().into()).unwrap()).await.unwrap();
    assert!(emulator.objects().iter().any(|(key, _)| key == "session"));
    assert!(matches!(gcs.head("session").await, Err(BucketError::NotFound)));
    assert!(matches!(gcs.get("session", None).await, Err(BucketError::NotFound)));
    assert!(matches!(gcs.get("session", Some(GetRange::From(1))).await, Err(BucketError::NotFound)));
    gcs.put("session", "ours".into(), false).await.unwrap();
    assert_eq!(gcs.head("session").await.unwrap().size, 4);
}

#[tokio::test]
async fn a_signed_url_serves_whoever_has_it_and_nothing_else() {
    let emulator = GcsEmulator::start().await;
    let gcs = gcs(&emulator);
    gcs.put("a b+c/d", "content".into(), false).await.unwrap();
    let client = object_store::client::ReqwestConnector::default()
        .connect(&client_options(&super::super::options::BucketOptions::new("x"), true).unwrap())
        .unwrap();
    for method in [Method::GET, Method::HEAD] {
        let url = gcs.sign("a b+c/d", &RedirectHint::new(method.clone(), None)).await.unwrap().unwrap();
        let ask = |url: String| {
            let request = http::Request::builder().method(method.clone()).uri(url);
            client.execute(request.body(object_store::client::HttpRequestBody::empty()).unwrap())
        };
        assert_eq!(ask(url.to_string()).await.unwrap().status(), StatusCode::OK, "{url}");
        let other = url.to_string().replace("/d?", "/e?");
        assert_eq!(ask(other).await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    let put = gcs.sign("a", &RedirectHint::new(Method::PUT, None)).await.unwrap();
    assert_eq!(put, None);
}
