//! The container against services, and what is signed.

mod copies;
mod listings;
mod signatures;

use futures::TryStreamExt;
use http::Request;
use registry_conformance::emulator::{
    self, ACCOUNT_KEY, AzureEmulator, Effect, Fault, FaultPlan, Kind, Options,
};

use super::super::options::{BucketOptions, Secret};
use super::super::{broken, contract};
use super::*;

/// The account of azurite and its key, which Microsoft publishes.
pub(super) const ACCOUNT: &str = "devstoreaccount1";
pub(super) const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

fn azure(service: String, container: &str, account: &str, key: &str) -> Azure {
    let mut options = AzureOptions::new(account, container, AzureCredentials::SharedKey(Secret::new(key)));
    options.service_url = Some(service);
    options.copy_delay = Duration::from_millis(1);
    Azure::with(&options, BucketHealth::new(), &|_| None).unwrap()
}

fn emulated(emulator: &AzureEmulator) -> Azure {
    azure(emulator.endpoint(), emulator.bucket(), emulator::ACCOUNT, ACCOUNT_KEY)
}

#[tokio::test]
async fn bodies_that_break_off_are_gone_on_with() {
    let emulator = AzureEmulator::start().await;
    let mut azure = emulated(&emulator);
    (azure.patience.retries, azure.patience.first) = (4, Duration::from_millis(2));
    azure.patience.progress = broken::PROGRESS;
    broken::hold(&azure, &emulator, 4).await;
}

#[tokio::test]
async fn the_emulator_keeps_the_contract() {
    let emulator = AzureEmulator::start().await;
    contract::hold(&emulated(&emulator)).await;
}

#[tokio::test]
async fn what_a_request_costs() {
    let emulator = AzureEmulator::start().await;
    let azure = emulated(&emulator);
    azure.put("a", "content".into(), false).await.unwrap();
    azure.copy("a", "b", 7).await.unwrap();
    azure.head("b").await.unwrap();
    azure.get("b", Some(GetRange::From(2))).await.unwrap();
    let upload = azure.begin("c").await.unwrap();
    let part = azure.put_part("c", &upload, 1, vec!["content".into()]).await.unwrap();
    azure.complete("c", &upload, &[part]).await.unwrap();
    azure.abort("c", &upload).await.unwrap();
    azure.delete(&["a".to_owned(), "b".to_owned(), "c".to_owned()]).await.unwrap();
    assert_eq!(emulator.requests().len(), 9, "{:?}", emulator.requests());
    emulator.clear_requests();
    // Which bytes these are the service has to be asked first.
    assert!(azure.get("b", Some(GetRange::Suffix(2))).await.is_err());
    assert_eq!(emulator.requests().len(), 1);
}

#[tokio::test]
async fn a_copy_that_is_pending_is_waited_for() {
    let emulator = AzureEmulator::with(Options::default().with_pending_copies(3)).await;
    let azure = emulated(&emulator);
    azure.put("a", "content".into(), false).await.unwrap();
    azure.copy("a", "b", 7).await.unwrap();
    assert_eq!(text(&azure, "b").await, "content");
}

#[tokio::test]
async fn an_answer_that_is_lost_is_looked_after() {
    let emulator = AzureEmulator::start().await;
    let azure = emulated(&emulator);
    let lost = |kind| FaultPlan::none().with(Fault::new(Effect::ResetAfter).on(kind).nth(1));
    emulator.inject(lost(Kind::Put));
    azure.put("a", "content".into(), true).await.unwrap();
    assert!(matches!(azure.put("a", "another".into(), true).await, Err(BucketError::AlreadyExists)));
    let upload = azure.begin("b").await.unwrap();
    let part = azure.put_part("b", &upload, 1, vec!["content".into()]).await.unwrap();
    emulator.inject(lost(Kind::Complete));
    azure.complete("b", &upload, &[part]).await.unwrap();
    assert_eq!(text(&azure, "b").await, "content");
}

#[test]
fn what_cannot_be_used_is_told() {
    let with = |change: fn(&mut AzureOptions)| {
        let credentials = AzureCredentials::SharedKey(Secret::new(KEY));
        let mut options = AzureOptions::new("account", "c", credentials);
        change(&mut options);
        Azure::with(&options, BucketHealth::new(), &|_| None).map(|azure| azure.api.service)
    };
    assert_eq!(with(|_| {}).unwrap(), "https://account.blob.core.windows.net");
    let realm = with(|options| options.realm = "core.chinacloudapi.cn".to_owned());
    assert_eq!(realm.unwrap(), "https://account.blob.core.chinacloudapi.cn");
    let key = with(|options| options.credentials = AzureCredentials::SharedKey(Secret::new("?hidden")));
    let key = key.unwrap_err().to_string();
    assert!(key.contains("base64") && !key.contains("hidden"), "{key}");
    let url = with(|options| options.service_url = Some("blobs.example.com".to_owned()));
    assert!(url.unwrap_err().to_string().contains("serviceurl"));
}

/// A new container of azurite, which `REGISTRY_TEST_AZURITE` says where to find.
async fn azurite() -> Azure {
    let endpoint = std::env::var("REGISTRY_TEST_AZURITE").expect("REGISTRY_TEST_AZURITE is where azurite is");
    let container = format!("test-{}", uuid::Uuid::new_v4().simple());
    let azure = azure(format!("{endpoint}/{ACCOUNT}"), &container, ACCOUNT, KEY);
    azure.api.ask(Request::put(format!("{}?restype=container", azure.api.container()))).await.unwrap();
    azure
}

#[tokio::test]
#[ignore = "needs azurite: e2e/azure.sh"]
async fn azurite_keeps_the_contract() {
    contract::hold(&azurite().await).await;
}

/// What Distribution has written.
async fn append(azure: &Azure, key: &str, content: &'static str) {
    let create = azure.api.request(Method::PUT, key, "").header("x-ms-blob-type", "AppendBlob");
    azure.api.ask(create).await.unwrap();
    let more = azure.api.request(Method::PUT, key, "comp=appendblock");
    azure.api.send(more, Bytes::from_static(content.as_bytes())).await.unwrap();
}

async fn text(azure: &Azure, key: &str) -> String {
    let body = azure.get(key, None).await.unwrap().body;
    String::from_utf8(body.try_collect::<Vec<_>>().await.unwrap().concat()).unwrap()
}

async fn keys(azure: &Azure) -> Vec<String> {
    let request = ListKeys { prefix: "", fold: false, after: None, limit: 100 };
    azure.list(&request).await.unwrap().keys.into_iter().map(|key| key.key).collect()
}

#[tokio::test]
#[ignore = "needs azurite: e2e/azure.sh"]
async fn azurite_blobs_of_distribution_are_read_copied_and_replaced() {
    let azure = azurite().await;
    append(&azure, "a", "old").await;
    assert_eq!(text(&azure, "a").await, "old");
    azure.copy("a", "b", 3).await.unwrap();
    assert_eq!(text(&azure, "b").await, "old");
    azure.put("a", "new!".into(), false).await.unwrap();
    assert_eq!(text(&azure, "a").await, "new!");
    azure.copy("a", "b", 4).await.unwrap();
    assert_eq!(text(&azure, "b").await, "new!");
}

#[tokio::test]
#[ignore = "needs azurite: e2e/azure.sh"]
async fn azurite_an_upload_replaces_a_blob_of_distribution_when_it_is_whole() {
    let azure = azurite().await;
    append(&azure, "a", "old").await;
    let upload = azure.begin("a").await.unwrap();
    let one = azure.put_part("a", &upload, 1, vec!["one ".into()]).await.unwrap();
    azure.put("source", "0123two89".into(), false).await.unwrap();
    let two = match azure.copy_part("a", &upload, 2, "source", 4..7).await.unwrap() {
        Some(copied) => copied,
        // Before azurite 3.37.
        None => azure.put_part("a", &upload, 2, vec!["two".into()]).await.unwrap(),
    };
    assert_eq!((two.number, two.size), (2, 3));
    assert_eq!(azure.parts("a", &upload).await.unwrap(), [one.clone(), two.clone()]);
    assert_eq!(text(&azure, "a").await, "old", "until it is whole");
    azure.complete("a", &upload, &[one.clone(), two.clone()]).await.unwrap();
    assert_eq!(text(&azure, "a").await, "one two");
    assert_eq!(keys(&azure).await, ["a", "source"], "nothing is left beside it");
}

#[tokio::test]
#[ignore = "needs azurite: e2e/azure.sh"]
async fn azurite_a_repeated_complete_does_the_same_again() {
    let azure = azurite().await;
    let upload = azure.begin("a").await.unwrap();
    let one = azure.put_part("a", &upload, 1, vec!["one".into()]).await.unwrap();
    for _ in 0..2 {
        azure.complete("a", &upload, std::slice::from_ref(&one)).await.unwrap();
        assert_eq!(text(&azure, "a").await, "one");
    }
}

#[tokio::test]
#[ignore = "needs azurite: e2e/azure.sh"]
async fn azurite_takes_a_signed_url_for_one_blob_and_for_reading() {
    let azure = azurite().await;
    azure.put("dir/a b+ä", "content".into(), false).await.unwrap();
    let url = azure.sign("dir/a b+ä", &RedirectHint::new(Method::HEAD, None)).await.unwrap().unwrap();
    let client = object_store::client::ReqwestConnector::default();
    let client = client.connect(&client_options(&BucketOptions::new("x"), true).unwrap()).unwrap();
    let ask = |method: Method, url: String| {
        let request = Request::builder().method(method).uri(url);
        client.execute(request.body(object_store::client::HttpRequestBody::empty()).unwrap())
    };
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(ask(method, url.to_string()).await.unwrap().status(), 200, "{url}");
    }
    assert_eq!(ask(Method::DELETE, url.to_string()).await.unwrap().status(), 403);
    assert_eq!(ask(Method::GET, url.to_string().replace("dir/", "other/")).await.unwrap().status(), 403);
    assert_eq!(ask(Method::GET, url.to_string().replace("sig=", "sig=x")).await.unwrap().status(), 403);
}
