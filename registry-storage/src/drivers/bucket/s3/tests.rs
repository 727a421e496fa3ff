//! The bucket against a server that checks signatures, with what can go wrong on the way.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::SystemTime;

use futures::TryStreamExt;
use registry_conformance::emulator::{
    ACCESS_KEY, BUCKET, Effect, Fault, FaultPlan, Kind, Options, S3Emulator, SECRET_KEY,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use registry_core::BoxError;

use super::credentials::Source;
use super::*;
use crate::drivers::bucket::contract;
use crate::drivers::bucket::options::{S3Credentials, S3Encryption, S3Log, Secret};
use crate::drivers::bucket::probe::{ProbeError, probe};

const MIB: usize = 1 << 20;

fn options(emulator: &S3Emulator) -> S3Options {
    let mut options = S3Options::new(BUCKET, "eu-west-1");
    options.endpoint = Some(emulator.endpoint());
    options.path_style = true;
    options.credentials = Some(S3Credentials {
        access_key: ACCESS_KEY.to_owned(),
        secret_key: Secret::new(SECRET_KEY),
        session_token: None,
    });
    options.bucket.retries = 4;
    options
}

fn bucket(options: &S3Options) -> S3 {
    S3::new(options, BucketHealth::new()).unwrap()
}

fn one(effect: Effect, kind: Kind) -> FaultPlan {
    FaultPlan::none().with(Fault::new(effect).on(kind).nth(1))
}

fn kinds(emulator: &S3Emulator) -> Vec<Kind> {
    emulator.requests().iter().map(|request| request.kind).collect()
}

async fn read(bucket: &S3, key: &str) -> Vec<u8> {
    let object = bucket.get(key, None).await.unwrap();
    object.body.try_collect::<Vec<Bytes>>().await.unwrap().concat()
}

#[tokio::test]
async fn it_keeps_what_a_bucket_promises() {
    let emulator = S3Emulator::start().await;
    contract::hold(&bucket(&options(&emulator))).await;
}

#[tokio::test]
async fn new_objects_and_copies_have_class_key_and_access() {
    let emulator = S3Emulator::with(Options::new().with_min_part(1)).await;
    let mut options = options(&emulator);
    options.storage_class = Some("STANDARD_IA".to_owned());
    options.encryption = S3Encryption::Kms("the-key".to_owned());
    options.acl = Some("bucket-owner-full-control".to_owned());
    options.bucket.user_agent = Some("blue/1".to_owned());
    (options.copy_threshold, options.copy_part) = (4, 4);
    let bucket = bucket(&options);
    bucket.put("a", "four".into(), false).await.unwrap();
    bucket.copy("a", "b", 4).await.unwrap();
    bucket.put("c", "five5".into(), false).await.unwrap();
    bucket.copy("c", "d", 5).await.unwrap();
    assert_eq!(read(&bucket, "d").await, b"five5");
    for request in emulator.requests() {
        let creates = matches!(request.kind, Kind::Put | Kind::Copy | Kind::CreateMultipart);
        for (name, value) in [
            ("x-amz-storage-class", "STANDARD_IA"),
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "the-key"),
            ("x-amz-acl", "bucket-owner-full-control"),
            ("content-type", "application/octet-stream"),
        ] {
            if creates || name != "content-type" {
                assert_eq!(request.header(name) == Some(value), creates, "{:?} {name}", request.kind);
            }
        }
        let agent = request.header("user-agent").unwrap();
        assert!(agent.starts_with("registry/") && agent.ends_with(" blue/1"), "{agent}");
    }
}

#[tokio::test]
async fn a_copy_above_the_threshold_is_made_in_parts_at_once_and_taken_back_when_it_fails() {
    let emulator = S3Emulator::with(Options::new().with_min_part(1).with_max_copy(8)).await;
    let mut options = options(&emulator);
    (options.copy_threshold, options.copy_part, options.copy_concurrency) = (8, 3, 2);
    let bucket = bucket(&options);
    for length in [0, 1, 8, 9, 10, 30] {
        let content: Vec<u8> = (0..length).collect();
        bucket.put("from", content.clone().into(), false).await.unwrap();
        emulator.clear_requests();
        bucket.copy("from", "to", u64::from(length)).await.unwrap();
        let parts = kinds(&emulator).iter().filter(|kind| **kind == Kind::UploadPartCopy).count();
        assert_eq!(parts, if length > 8 { usize::from(length.div_ceil(3)) } else { 0 }, "{length}");
        assert_eq!(read(&bucket, "to").await, content);
    }
    let error = bucket.copy("absent", "to", 30).await.unwrap_err();
    assert!(matches!(error, BucketError::NotFound), "{error:?}");
    assert_eq!(emulator.uploads(), []);
    assert!(matches!(bucket.copy("absent", "to", 3).await, Err(BucketError::NotFound)));
}

#[tokio::test]
async fn many_keys_are_deleted_by_the_thousand() {
    let emulator = S3Emulator::start().await;
    let bucket = bucket(&options(&emulator));
    let keys: Vec<String> = (0..2001).map(|number| format!("a/<{number}>&")).collect();
    bucket.put(&keys[0], Bytes::new(), false).await.unwrap();
    bucket.put(&keys[2000], Bytes::new(), false).await.unwrap();
    emulator.clear_requests();
    bucket.delete(&keys).await.unwrap();
    assert_eq!(kinds(&emulator), [Kind::DeleteObjects; 3]);
    assert_eq!(emulator.objects(), []);
    emulator.clear_requests();
    bucket.delete(&keys[..1]).await.unwrap();
    bucket.delete(&[]).await.unwrap();
    assert_eq!(kinds(&emulator), [Kind::Delete]);
}

#[tokio::test]
async fn throttling_and_resets_are_tried_again() {
    let emulator = S3Emulator::start().await;
    let bucket = bucket(&options(&emulator));
    for effect in [Effect::SlowDown(None), Effect::InternalError, Effect::ResetBefore, Effect::ResetInBody(3)]
    {
        for kind in [Kind::Put, Kind::List, Kind::CreateMultipart, Kind::UploadPart, Kind::DeleteObjects] {
            let fault = Fault::new(effect.clone()).on(kind).times(2);
            emulator.inject(FaultPlan::none().with(fault));
            emulator.clear_requests();
            bucket.put("k", "content".into(), false).await.unwrap();
            let page = ListKeys { prefix: "", fold: false, after: None, limit: 5 };
            bucket.list(&page).await.unwrap();
            let upload = bucket.begin("m").await.unwrap();
            bucket.put_part("m", &upload, 1, vec!["pi".into(), "ece".into()]).await.unwrap();
            bucket.abort("m", &upload).await.unwrap();
            bucket.delete(&["k".to_owned(), "m".to_owned()]).await.unwrap();
            let tries = kinds(&emulator).iter().filter(|other| **other == kind).count();
            assert_eq!(tries, 3, "{effect:?} {kind:?}");
        }
    }
}

#[tokio::test]
async fn a_service_that_asks_for_time_gets_it() {
    let emulator = S3Emulator::start().await;
    let bucket = bucket(&options(&emulator));
    let begun = std::time::Instant::now();
    emulator.inject(one(Effect::SlowDown(Some(Duration::from_secs(2))), Kind::Put));
    bucket.put("k", Bytes::new(), false).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(2));
    // More than there is patience for: the caller is told when to come back.
    emulator.inject(one(Effect::SlowDown(Some(Duration::from_secs(900))), Kind::Put));
    match bucket.put("k", Bytes::new(), false).await.unwrap_err() {
        BucketError::Unavailable { retry_after, source } => {
            assert_eq!(retry_after, Some(Duration::from_secs(900)));
            assert!(source.to_string().contains("503 SlowDown"), "{source}");
        }
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_gone_on_with() {
    let emulator = S3Emulator::start().await;
    let bucket = bucket(&options(&emulator));
    let content: Vec<u8> = (0..2 * MIB).map(|at| (at / 7) as u8).collect();
    bucket.put("k", content.clone().into(), false).await.unwrap();
    emulator.inject(one(Effect::ResetInBody(700_000), Kind::Get));
    emulator.clear_requests();
    assert!(read(&bucket, "k").await == content);
    let ranges: Vec<bool> = emulator.requests().iter().map(|get| get.header("range").is_some()).collect();
    assert_eq!(ranges, [false, true]);
}

#[tokio::test]
async fn a_lost_answer_to_what_was_done_is_looked_after() {
    let emulator = S3Emulator::start().await;
    let bucket = bucket(&options(&emulator));

    // The object is ours: its upload is gone because it was completed.
    let upload = bucket.begin("whole").await.unwrap();
    let part = bucket.put_part("whole", &upload, 1, vec!["content".into()]).await.unwrap();
    emulator.inject(one(Effect::ResetAfter, Kind::Complete));
    emulator.clear_requests();
    bucket.complete("whole", &upload, std::slice::from_ref(&part)).await.unwrap();
    assert_eq!(kinds(&emulator), [Kind::Complete, Kind::Complete, Kind::Head]);
    // Later, or by somebody else, too.
    bucket.complete("whole", &upload, &[part]).await.unwrap();

    // It is not: another size, or nothing at all.
    let wrong = Part { number: 1, size: 3, tag: "\"x\"".to_owned() };
    for key in ["whole", "nothing"] {
        let error = bucket.complete(key, &upload, std::slice::from_ref(&wrong)).await.unwrap_err();
        assert!(matches!(error, BucketError::NoSuchUpload), "{error:?}");
    }

    // What there is was written by us, and then by another.
    emulator.inject(one(Effect::ResetAfter, Kind::Put));
    bucket.put("lock", "mine".into(), true).await.unwrap();
    assert!(matches!(bucket.put("lock", "mine".into(), true).await, Err(BucketError::AlreadyExists)));
    emulator.inject(one(Effect::InternalError, Kind::Put));
    assert!(matches!(bucket.put("lock", "other".into(), true).await, Err(BucketError::AlreadyExists)));
}

/// Credentials of which the first are those of nobody.
#[derive(Debug)]
struct Rotating(Mutex<u32>);

#[async_trait]
impl Source for Rotating {
    async fn fetch(&self) -> Result<Credentials, BoxError> {
        let mut fetched = self.0.lock().unwrap();
        *fetched += 1;
        Ok(Credentials {
            access_key: ACCESS_KEY.to_owned(),
            secret_key: Secret::new(SECRET_KEY),
            session_token: None,
            expires: None,
        })
    }
}

#[tokio::test]
async fn expired_credentials_are_replaced_in_the_middle_of_an_upload() {
    let emulator = S3Emulator::start().await;
    let options = options(&emulator);
    let mut bucket = bucket(&options);
    let rotating = Keyring::fetched(Rotating(Mutex::new(0)));
    let endpoint = Arc::clone(&bucket.endpoint);
    let authority = Arc::new(Authority::new(rotating, "eu-west-1", true, options.log, endpoint));
    let transport = Transport {
        protocol: Arc::clone(&authority) as Arc<dyn crate::drivers::bucket::http::Protocol>,
        patience: Patience::new(&options.bucket),
        health: BucketHealth::new(),
        log: options.log,
    };
    bucket.client = transport.connect(&client_options(&options.bucket, true).unwrap()).unwrap();

    let upload = bucket.begin("k").await.unwrap();
    emulator.inject(one(Effect::ExpiredToken, Kind::UploadPart));
    let part = bucket.put_part("k", &upload, 1, vec!["content".into()]).await.unwrap();
    emulator.inject(one(Effect::ExpiredToken, Kind::Complete));
    bucket.complete("k", &upload, &[part]).await.unwrap();
    assert_eq!(authority.keyring.get().await.unwrap().0, 2);

    // Those that cannot be replaced are refused, not tried again.
    let fixed = super::tests::bucket(&options);
    emulator.inject(FaultPlan::none().with(Fault::new(Effect::ExpiredToken)));
    emulator.clear_requests();
    let error = fixed.put("k", Bytes::new(), false).await.unwrap_err();
    assert!(format!("{error:?}").contains("ExpiredToken"), "{error:?}");
    assert_eq!(kinds(&emulator), [Kind::Put]);
}

#[tokio::test]
async fn urls_are_signed_for_those_who_have_no_keys() {
    let emulator = S3Emulator::start().await;
    let bucket = bucket(&options(&emulator));
    bucket.put("a b+c", "content".into(), false).await.unwrap();
    emulator.clear_requests();
    let hint = |method| RedirectHint::new(method, None);
    let url = bucket.sign("a b+c", &hint(Method::GET)).await.unwrap().unwrap();
    assert!(url.query().unwrap().contains("X-Amz-Expires=1200&"), "{url}");
    assert_eq!(bucket.sign("a b+c", &hint(Method::PUT)).await.unwrap(), None);
    assert_eq!(kinds(&emulator), [], "signing asks nobody");

    let get = async |method: &str, url: &Uri| {
        let mut socket = tokio::net::TcpStream::connect(url.authority().unwrap().as_str()).await.unwrap();
        let (host, path) = (url.authority().unwrap(), url.path_and_query().unwrap());
        let request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = get("GET", &url).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("content"), "{answer}");
    let head = bucket.sign("a b+c", &hint(Method::HEAD)).await.unwrap().unwrap();
    assert!(get("HEAD", &head).await.starts_with("HTTP/1.1 200"));
    let forged: Uri = url.to_string().replace("Expires=1200", "Expires=9000").parse().unwrap();
    assert!(get("GET", &forged).await.starts_with("HTTP/1.1 403"));

    let mut for_long = hint(Method::GET);
    for_long.expires_in = Some(Duration::from_secs(30 * 24 * 3600));
    let url = bucket.sign("k", &for_long).await.unwrap().unwrap();
    assert!(url.query().unwrap().contains("X-Amz-Expires=604800&"), "{url}");

    let mut elsewhere = options(&emulator);
    elsewhere.redirect_endpoint = Some("https://cdn.example.org".to_owned());
    let url = super::tests::bucket(&elsewhere).sign("k", &hint(Method::GET)).await.unwrap().unwrap();
    assert!(url.to_string().starts_with("https://cdn.example.org/test/k?X-Amz-"), "{url}");
}

#[tokio::test]
async fn a_service_that_is_gone_is_not_asked_by_everyone() {
    let mut options = {
        let emulator = S3Emulator::start().await;
        options(&emulator)
    };
    options.bucket.retries = 0;
    let health = BucketHealth::new();
    let bucket = S3::new(&options, health.clone()).unwrap();
    for _ in 0..5 {
        assert!(health.state().answering);
        assert!(matches!(bucket.head("k").await, Err(BucketError::Unavailable { .. })));
    }
    let state = health.state();
    assert!(!state.answering && state.failures == 5, "{state:?}");
    let error = bucket.put("k", Bytes::new(), false).await.unwrap_err();
    assert!(format!("{error:?}").contains("Tripped"), "{error:?}");
}

/// A server that answers by script, once each, and gives what it was asked.
async fn script(answers: Vec<String>) -> (S3Options, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = S3Options::new("images", "");
    options.endpoint = Some(format!("http://{}", listener.local_addr().unwrap()));
    options.credentials = Some(S3Credentials {
        access_key: "AK".to_owned(),
        secret_key: Secret::new("SK"),
        session_token: None,
    });
    let server = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                socket.read_buf(&mut request).await.unwrap();
            }
            asked.push(String::from_utf8_lossy(&request).into_owned());
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
        }
        asked
    });
    (options, server)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let line = request.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("{name} is not in {request}")).split_once(": ").unwrap().1
}

#[tokio::test]
async fn the_time_of_the_service_is_taken_where_ours_is_wrong() {
    let hours = Duration::from_secs(5 * 3600);
    let date = httpdate::fmt_http_date(SystemTime::now() + hours);
    let skewed = "<Error><Code>RequestTimeTooSkewed</Code></Error>";
    let (options, server) = script(vec![
        answer("403 Forbidden", &format!("date: {date}\r\n"), skewed),
        answer("200 OK", "", ""),
        answer("403 Forbidden", &format!("date: {date}\r\n"), skewed),
    ])
    .await;
    let bucket = bucket(&options);
    bucket.put("k", "content".into(), false).await.unwrap();
    let error = bucket.put("k", "content".into(), false).await.unwrap_err();
    assert!(matches!(error, BucketError::Denied(_)), "the same time again does not help: {error:?}");
    let asked = server.await.unwrap();
    let hour =
        |at| humantime::format_rfc3339_seconds(at).to_string().replace(['-', ':'], "")[..11].to_owned();
    let (now, then) = (SystemTime::now(), SystemTime::now() + hours);
    // An hour may end while the test runs.
    let near = |at: SystemTime| HashSet::from([hour(at), hour(at - Duration::from_secs(60))]);
    assert!(near(now).contains(&header(&asked[0], "x-amz-date")[..11]));
    assert!(near(then).contains(&header(&asked[1], "x-amz-date")[..11]));
}

#[tokio::test]
async fn an_answer_of_200_can_be_a_refusal() {
    let busy = "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>again</Message></Error>";
    let denied = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    let (options, server) = script(vec![
        answer("200 OK", "", busy),
        answer("200 OK", "", "<CopyObjectResult><ETag>\"x\"</ETag></CopyObjectResult>"),
        answer("200 OK", "", denied),
    ])
    .await;
    let bucket = bucket(&options);
    bucket.copy("a", "b", 1).await.unwrap();
    let error = bucket.copy("a", "b", 1).await.unwrap_err();
    assert!(format!("{error:?}").contains("AccessDenied"), "{error:?}");
    assert_eq!(header(&server.await.unwrap()[0], "x-amz-copy-source"), "/images/a");
}

#[tokio::test]
async fn keys_that_a_service_could_not_delete_are_named_or_tried_again() {
    let error = |key: &str, code: &str| format!("<Error><Key>{key}</Key><Code>{code}</Code></Error>");
    let result = |errors: String| answer("200 OK", "", &format!("<DeleteResult>{errors}</DeleteResult>"));
    let (options, server) = script(vec![
        result(error("b", "InternalError") + &error("c", "NoSuchKey")),
        result(String::new()),
        result(error("b", "AccessDenied")),
    ])
    .await;
    let bucket = bucket(&options);
    let keys: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
    bucket.delete(&keys).await.unwrap();
    let error = bucket.delete(&keys).await.unwrap_err();
    assert!(matches!(error, BucketError::Denied(_)), "{error:?}");
    let asked = server.await.unwrap();
    assert_eq!(header(&asked[0], "content-md5").len(), 24);
}

#[tokio::test]
async fn version_2_signs_with_a_date() {
    let (mut options, server) = script(vec![answer("200 OK", "", "")]).await;
    options.v4_auth = false;
    let bucket = bucket(&options);
    bucket.put("k", "content".into(), false).await.unwrap();
    let asked = server.await.unwrap();
    assert!(header(&asked[0], "authorization").starts_with("AWS AK:"));
    assert!(header(&asked[0], "date").ends_with(" GMT"));
    let url = bucket.sign("k", &RedirectHint::new(Method::GET, None)).await.unwrap().unwrap();
    assert!(url.query().unwrap().starts_with("AWSAccessKeyId=AK&Expires="), "{url}");
}

#[tokio::test]
async fn a_probe_finds_what_a_service_can_do_and_leaves_nothing() {
    let all = Options::new();
    for (can, safe, said) in [
        (all.clone(), true, &[][..]),
        (all.clone().without_list_uploads(), true, &["list uploads: NO; set a lifecycle rule"][..]),
        (all.clone().without_part_copy(), true, &["multipart copy: NO; "][..]),
        (all.clone().without_conditions(), false, &["conditional put: NO; run one replica only"][..]),
    ] {
        let emulator = S3Emulator::with(can.clone()).await;
        let mut options = options(&emulator);
        options.bucket.root = "/some/root/".to_owned();
        let bucket = bucket(&options);
        let found = probe(&bucket, &options.bucket.root).await.unwrap();
        assert_eq!(found.is_safe_for_replicas(), safe, "{can:?}");
        let lines = found.describe();
        let bad: Vec<&String> = lines.iter().filter(|line| line.contains("NO; ")).collect();
        // Whether checksums are looked at is up to the crate behind the emulator.
        let bad: Vec<&&String> = bad.iter().filter(|line| !line.starts_with("checksums")).collect();
        assert_eq!(bad.len(), said.len(), "{lines:?}");
        assert!(bad.iter().zip(said).all(|(line, start)| line.starts_with(start)), "{lines:?}");
        assert_eq!((emulator.objects(), emulator.uploads()), (vec![], vec![]), "{can:?}");
        let away = emulator.requests().into_iter().find(|request| {
            !request.key.is_empty() && !request.key.starts_with("some/root/.registry-probe/")
        });
        assert!(away.is_none(), "{away:?}");
        bucket.learn(&found);
        assert_eq!(bucket.limits().creates, found.conditional_put);
        assert_eq!(bucket.limits().lists_uploads, found.lists_uploads);
    }
}

#[tokio::test]
async fn a_probe_tells_why_a_bucket_cannot_be_used() {
    let emulator = S3Emulator::start().await;
    let mut absent = options(&emulator);
    absent.bucket.bucket = "absent".to_owned();
    let error = probe(&bucket(&absent), "").await.unwrap_err();
    assert!(matches!(error, ProbeError::NoBucket(_)), "{error:?}");
    let mut nobody = options(&emulator);
    nobody.credentials.as_mut().unwrap().secret_key = Secret::new("wrong");
    let error = probe(&bucket(&nobody), "").await.unwrap_err();
    assert!(matches!(&error, ProbeError::Denied(why) if why.contains("SignatureDoesNotMatch")), "{error:?}");

    let denied = answer("403 Forbidden", "", "<Error><Code>AccessDenied</Code></Error>");
    let empty = answer("200 OK", "", "<ListBucketResult/>");
    let (options, server) = script(vec![denied.clone(), empty]).await;
    let error = probe(&bucket(&options), "").await.unwrap_err();
    assert!(matches!(error, ProbeError::ReadOnly(_)), "{error:?}");
    server.await.unwrap();

    let moved = "<Error><Code>PermanentRedirect</Code><Endpoint>x</Endpoint></Error>";
    let elsewhere = "x-amz-bucket-region: eu-north-1\r\n";
    let (options, server) = script(vec![answer("301 Moved Permanently", elsewhere, moved)]).await;
    let error = probe(&bucket(&options), "").await.unwrap_err();
    assert_eq!(error.to_string(), "the bucket is in another region: set region to eu-north-1");
    server.await.unwrap();

    let (mut options, server) = script(vec![]).await;
    server.await.unwrap();
    options.bucket.retries = 1;
    let error = probe(&bucket(&options), "").await.unwrap_err();
    assert!(matches!(&error, ProbeError::Unreachable(why) if why.contains("2 tries")), "{error:?}");
}

#[tokio::test]
async fn what_is_logged_has_no_secret() {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let emulator = S3Emulator::start().await;
    for (log, wanted, unwanted) in [
        (S3Log::Off, &[][..], &["bucket request"][..]),
        (S3Log::Requests, &["bucket request ", "status=200", "error=404"], &["is signed", "tried again"]),
        (
            S3Log::Signing,
            &["bucket request is signed", "key=\"emulator-access-key\"", "x-amz-security-token:***"],
            &[],
        ),
        (S3Log::Retries, &["is tried again", "503 SlowDown"], &["status=200"]),
        (S3Log::Errors, &["error=404", "503 SlowDown"], &["status=200"]),
    ] {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || writer.clone())
            .finish();
        let mut options = options(&emulator);
        options.log = log;
        options.credentials.as_mut().unwrap().session_token = Some(Secret::new("the-token"));
        let guard = tracing::subscriber::set_default(subscriber);
        let bucket = bucket(&options);
        emulator.inject(one(Effect::SlowDown(None), Kind::Put));
        bucket.put("k", "content".into(), false).await.unwrap();
        assert!(bucket.head("absent").await.is_err());
        drop(guard);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        // The emulator logs too, and has no secrets to keep.
        let ours = text.lines().filter(|line| line.contains("drivers::bucket::"));
        let text = ours.collect::<Vec<_>>().join("\n");
        for part in wanted {
            assert!(text.contains(part), "{log:?}: {part} is not in {text}");
        }
        for part in unwanted.iter().chain(&[SECRET_KEY, "the-token"]) {
            assert!(!text.contains(part), "{log:?}: {part} is in {text}");
        }
    }
}
