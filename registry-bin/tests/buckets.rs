//! Stores in buckets, through the program as a whole: by what their services are asked, and by how the start
//! ends without them.

#![cfg(all(feature = "s3", feature = "gcs", feature = "azure"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;
#[path = "support/tls.rs"]
mod tls;

use std::time::{Duration, Instant};

use registry_conformance::emulator::{
    ACCESS_KEY, ACCOUNT, ACCOUNT_KEY, AzureEmulator, BUCKET, Effect, Fault, FaultPlan, GcsEmulator, Kind,
    Options, Request, S3Emulator, SECRET_KEY,
};
use tokio::runtime::Runtime;

use support::{Answer, Server, ask, directory_with, get, run};

const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const DEBUG: &str = "http: {addr: '127.0.0.1:0', secret: x}";

/// An emulator, and what it runs on.
struct Store<E> {
    emulator: E,
    runtime: Runtime,
}

fn s3(options: Options) -> Store<S3Emulator> {
    let runtime = Runtime::new().unwrap();
    let emulator = runtime.block_on(S3Emulator::with(options));
    Store { emulator, runtime }
}

impl Store<S3Emulator> {
    /// A configuration with `keys` for the driver beside what leads there, and `settings` beside the driver.
    fn config(&self, keys: &str, settings: &str) -> String {
        let endpoint = self.emulator.endpoint();
        config(
            &format!(
                "{{accesskey: {ACCESS_KEY}, secretkey: {SECRET_KEY}, region: eu-test-1, bucket: {BUCKET}, \
             regionendpoint: '{endpoint}'{keys}}}"
            ),
            settings,
        )
    }
}

fn config(s3: &str, settings: &str) -> String {
    format!("version: 0.1\nlog: {{level: debug}}\nstorage: {{s3: {s3}{settings}}}\n{DEBUG}\n")
}

fn serve(config: &str) -> (Server, String, tempfile::TempDir) {
    let directory = directory_with(config);
    let (server, address) = Server::serve(directory.path());
    (server, address, directory)
}

/// The one line that says why there was no start.
fn refused(config: &str) -> String {
    let directory = directory_with(config);
    let (code, _, errors) = run(directory.path(), &["serve", "c.yml"]);
    assert_eq!(code, 1, "{errors}");
    let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with("registry: ")).collect();
    assert_eq!(lines.len(), 1, "{errors}");
    assert!(!errors.contains("listening on"), "{errors}");
    lines[0].to_owned()
}

fn push(address: &str, digest: &str, body: &str) -> Answer {
    let path = format!("/v2/a/blobs/uploads/?digest={digest}");
    ask(address, "POST", &path, &["content-type: application/octet-stream"], body)
}

fn push_empty(address: &str) -> Answer {
    push(address, EMPTY, "")
}

/// The request that wrote the content of the empty blob.
fn written(requests: &[Request]) -> &Request {
    let content = |request: &&Request| {
        matches!(request.kind, Kind::Put | Kind::CreateMultipart) && request.key.ends_with("/data")
    };
    requests.iter().find(content).unwrap_or_else(|| panic!("{requests:#?}"))
}

#[test]
fn keys_of_s3_are_in_what_the_service_is_asked() {
    let store = s3(Options::default());
    let keys = ", sessiontoken: temporary, rootdirectory: /images, encrypt: true, keyid: kms-key, \
                storageclass: standard_ia, objectacl: bucket-owner-full-control, useragent: agent/7, \
                redirectendpoint: 'https://cdn.example.com'";
    let (server, address, _directory) = serve(&store.config(keys, ""));
    assert_eq!(push_empty(&address).status, 201);
    let requests = store.emulator.requests();
    let written = written(&requests);
    let header = |name: &str| written.header(name).unwrap_or_default();
    assert!(written.key.starts_with("images/docker/registry/v2/blobs/"), "{}", written.key);
    assert_eq!(header("x-amz-server-side-encryption"), "aws:kms");
    assert_eq!(header("x-amz-server-side-encryption-aws-kms-key-id"), "kms-key");
    assert_eq!(header("x-amz-storage-class"), "STANDARD_IA");
    assert_eq!(header("x-amz-acl"), "bucket-owner-full-control");
    assert_eq!(header("x-amz-security-token"), "temporary");
    assert!(header("user-agent").ends_with(" agent/7"), "{}", header("user-agent"));
    let signed = header("authorization");
    assert!(signed.contains(ACCESS_KEY) && signed.contains("/eu-test-1/s3/aws4_request"), "{signed}");
    assert!(!format!("{requests:?}").contains(SECRET_KEY));
    let answer = get(&address, &format!("/v2/a/blobs/{EMPTY}"));
    let location = answer.header("location").unwrap_or_default();
    assert!(answer.status == 307 && location.starts_with("https://"), "{answer:?}");
    assert!(location.contains("cdn.example.com") && location.contains("X-Amz-Signature="), "{location}");
    let (_, log) = server.stop();
    assert!(!log.contains(SECRET_KEY) && !log.contains("temporary"), "{log}");
}

#[test]
fn what_is_left_out_is_not_said() {
    let store = s3(Options::default());
    let (server, address, _directory) = serve(&store.config(", objectacl: private", ""));
    assert_eq!(push_empty(&address).status, 201);
    let requests = store.emulator.requests();
    let written = written(&requests);
    assert!(written.key.starts_with("docker/registry/v2/blobs/"), "{}", written.key);
    assert_eq!(written.header("x-amz-storage-class"), Some("STANDARD"));
    for name in ["x-amz-acl", "x-amz-server-side-encryption", "x-amz-security-token"] {
        assert_eq!(written.header(name), None, "{name}");
    }
    server.stop();
}

#[test]
fn a_part_has_the_size_that_is_configured() {
    let store = s3(Options::default());
    let (server, address, _directory) = serve(&store.config(", chunksize: 6291456", ""));
    store.emulator.clear_requests();
    let begun = ask(&address, "POST", "/v2/a/blobs/uploads/", &[], "");
    let location = begun.header("location").unwrap().split_once("/v2/").unwrap().1.to_owned();
    let body = "x".repeat(13 << 20);
    assert_eq!(ask(&address, "PATCH", &format!("/v2/{location}"), &[], &body).status, 202);
    let parts = store.emulator.requests();
    let parts: Vec<_> = parts.iter().filter(|request| request.kind == Kind::UploadPart).collect();
    assert!(parts.len() >= 2, "{parts:#?}");
    for part in &parts[..2] {
        assert_eq!(part.header("content-length"), Some("6291456"), "{part:?}");
    }
    server.stop();
}

#[test]
fn requests_to_the_service_are_logged() {
    let store = s3(Options::default());
    for (level, expected) in [("off", false), ("debug", true)] {
        let (server, address, _directory) = serve(&store.config(&format!(", loglevel: {level}"), ""));
        assert_eq!(push_empty(&address).status, 201);
        let (_, log) = server.stop();
        assert_eq!(log.contains("bucket request"), expected, "{level}: {log}");
        assert!(!log.contains(SECRET_KEY), "{log}");
    }
}

#[test]
fn what_fails_is_tried_again_as_often_as_the_key_says() {
    let store = s3(Options::default());
    let busy = || Fault::new(Effect::SlowDown(None)).on(Kind::Put).key("/blobs/sha256/");
    for (keys, status, tries) in
        [(", retries: 0", 503, 1), (", retries: 2", 503, 3), (", retries: 100, retrydeadline: 1s", 503, 3)]
    {
        let (server, address, _directory) = serve(&store.config(keys, ""));
        store.emulator.clear_requests();
        store.emulator.inject(FaultPlan::none().with(busy()));
        assert_eq!(push_empty(&address).status, status, "{keys}");
        let found = store.emulator.requests();
        let found = found
            .iter()
            .filter(|request| request.kind == Kind::Put && request.key.contains("/blobs/sha256/"))
            .count();
        assert!(
            if keys.contains("deadline") { (tries..10).contains(&found) } else { found == tries },
            "{keys}: {found}"
        );
        store.emulator.heal();
        server.stop();
    }
}

#[test]
fn whether_the_service_is_asked_in_the_clear() {
    let store = s3(Options::default());
    let endpoint = store.emulator.endpoint();
    let authority = endpoint.trim_start_matches("http://").to_owned();
    let keys = |endpoint: &str, more: &str| {
        config(
            &format!(
                "{{accesskey: {ACCESS_KEY}, secretkey: {SECRET_KEY}, bucket: {BUCKET}, \
             regionendpoint: '{endpoint}', retries: 0{more}}}"
            ),
            "",
        )
    };
    let (server, address, _directory) = serve(&keys(&authority, ", secure: false"));
    assert_eq!(push_empty(&address).status, 201);
    server.stop();
    refused(&keys(&authority, ", secure: true"));
    let tls = store.runtime.block_on(tls::in_front_of(&authority));
    let refusal = refused(&keys(&tls, ""));
    assert!(refusal.contains("certificate"), "{refusal}");
    let (server, address, _directory) = serve(&keys(&tls, ", skipverify: true"));
    assert_eq!(push_empty(&address).status, 201);
    server.stop();
}

#[test]
fn a_store_that_cannot_be_reached_ends_the_start() {
    let store = s3(Options::default());
    let config = store.config(", retries: 0", "");
    drop(store);
    let line = refused(&config);
    assert!(line.contains("storage.s3") && line.contains("127.0.0.1"), "{line}");
}

#[test]
fn a_bucket_that_is_missing_ends_the_start() {
    let store = s3(Options::default());
    let config = store.config("", "").replace(&format!("bucket: {BUCKET}"), "bucket: elsewhere");
    let line = refused(&config);
    assert!(line.contains("NoSuchBucket") && line.contains("elsewhere"), "{line}");
}

#[test]
fn a_wrong_key_ends_the_start() {
    let store = s3(Options::default());
    let line = refused(&store.config("", "").replace(SECRET_KEY, "wrong"));
    assert!(line.contains("SignatureDoesNotMatch"), "{line}");
}

#[test]
fn requests_are_signed_with_the_version_that_is_configured() {
    let store = s3(Options::default());
    for (keys, start) in [("", "AWS4-HMAC-SHA256 "), (", v4auth: false", "AWS ")] {
        store.emulator.clear_requests();
        let (server, address, _directory) = serve(&store.config(keys, ""));
        assert_eq!(push_empty(&address).status, 201);
        let requests = store.emulator.requests();
        let signed =
            |request: &Request| request.header("authorization").unwrap_or_default().starts_with(start);
        assert!(requests.iter().all(signed), "{keys}: {requests:#?}");
        server.stop();
    }
}

#[test]
fn several_replicas_over_a_store_that_is_not_safe_end_the_start() {
    let unsafe_store = s3(Options::default().without_conditions());
    let line = refused(&unsafe_store.config("", ", replicas: 2"));
    assert!(line.contains("storage.replicas"), "{line}");
    let (server, address, _directory) = serve(&unsafe_store.config("", ""));
    assert_eq!(push_empty(&address).status, 201);
    let (_, log) = server.stop();
    assert!(log.lines().any(|line| line.contains("level=warning") && line.contains("replica")), "{log}");
    let safe = s3(Options::default());
    let (server, ..) = serve(&safe.config("", ", replicas: 2"));
    let (_, log) = server.stop();
    assert!(!log.contains("level=warning"), "{log}");
}

#[test]
fn readyz_says_that_the_bucket_does_not_answer() {
    let store = s3(Options::default());
    let text = store.config(", retries: 0", "").replace(
        DEBUG,
        "http: {addr: '127.0.0.1:0', secret: x, debug: {addr: '127.0.0.1:0', prometheus: {enabled: true}}}",
    );
    let (server, address, _directory) = serve(&text);
    assert_eq!(get(&address, "/readyz").status, 200);
    store.emulator.inject(FaultPlan::none().with(Fault::new(Effect::SlowDown(None))));
    for _ in 0..8 {
        get(&address, &format!("/v2/a/blobs/{EMPTY}"));
    }
    let answer = get(&address, "/readyz");
    assert_eq!((answer.status, answer.body.as_str()), (503, "the storage does not answer\n"));
    assert_eq!(get(&address, "/healthz").status, 200);
    // Nobody sends requests to a replica that is not ready: it has to find out by itself.
    store.emulator.heal();
    let begun = Instant::now();
    while get(&address, "/readyz").status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is ready never more");
        std::thread::sleep(Duration::from_millis(50));
    }
    let debug = server
        .lines
        .iter()
        .find_map(|line| line.split_once("debug server listening "))
        .map(|(_, rest)| rest.split('"').next().unwrap_or_default().to_owned());
    let metrics = get(&debug.unwrap(), "/metrics").body;
    assert!(
        metrics
            .lines()
            .any(|line| line.starts_with("registry_storage_bucket_calls_total{") && !line.ends_with(" 0")),
        "{metrics}"
    );
    assert!(metrics.contains("registry_storage_bucket_up{driver="), "{metrics}");
    server.stop();
}

#[test]
fn keys_of_gcs_are_in_what_the_service_is_asked() {
    let runtime = Runtime::new().unwrap();
    let emulator = runtime.block_on(GcsEmulator::start());
    let directory = directory_with("");
    std::fs::write(directory.path().join("key.json"), emulator.service_account()).unwrap();
    let endpoint = emulator.endpoint();
    for keys in ["", ", keyfile: key.json"] {
        emulator.clear_requests();
        let text = format!(
            "version: 0.1\nstorage: {{gcs: {{bucket: {BUCKET}, endpoint: '{endpoint}', rootdirectory: images, useragent: agent/7{keys}}}, redirect: {{disable: true}}}}\n{DEBUG}\n"
        );
        std::fs::write(directory.path().join("c.yml"), text).unwrap();
        let (server, address) = Server::serve(directory.path());
        assert_eq!(push_empty(&address).status, 201);
        assert_eq!(get(&address, &format!("/v2/a/blobs/{EMPTY}")).status, 200);
        server.stop();
        let objects = emulator.objects();
        assert!(objects.iter().all(|(key, _)| key.starts_with("images/docker/")), "{objects:?}");
        let requests = emulator.requests();
        let written = requests.iter().find(|request| request.key.contains("docker")).unwrap();
        assert!(written.header("user-agent").unwrap_or_default().ends_with(" agent/7"), "{written:?}");
        assert!(written.header("authorization").unwrap_or_default().starts_with("Bearer "), "{written:?}");
    }
    let text = format!(
        "version: 0.1\nstorage: {{gcs: {{bucket: {BUCKET}, endpoint: '{endpoint}', keyfile: none.json}}}}\n"
    );
    std::fs::write(directory.path().join("c.yml"), text).unwrap();
    let (code, _, errors) = run(directory.path(), &["serve", "c.yml"]);
    assert!(code == 1 && errors.contains("none.json"), "{errors}");
}

#[test]
fn keys_of_azure_are_in_what_the_service_is_asked() {
    let runtime = Runtime::new().unwrap();
    let emulator = runtime.block_on(AzureEmulator::start());
    let endpoint = emulator.endpoint();
    let text = format!(
        "version: 0.1\nstorage: {{azure: {{accountname: {ACCOUNT}, accountkey: '{ACCOUNT_KEY}', container: {BUCKET}, credentials: {{type: shared_key}}, serviceurl: '{endpoint}', rootdirectory: /images}}, redirect: {{disable: true}}}}\n{DEBUG}\n"
    );
    let (server, address, _directory) = serve(&text);
    assert_eq!(push_empty(&address).status, 201);
    assert_eq!(get(&address, &format!("/v2/a/blobs/{EMPTY}")).status, 200);
    let (_, log) = server.stop();
    assert!(!log.contains(ACCOUNT_KEY), "{log}");
    let objects = emulator.objects();
    assert!(
        !objects.is_empty() && objects.iter().all(|(key, _)| key.starts_with("images/docker/")),
        "{objects:?}"
    );
    let requests = emulator.requests();
    let signed = requests[0].header("authorization").unwrap_or_default();
    assert!(signed.starts_with(&format!("SharedKey {ACCOUNT}:")), "{signed}");
    let wrong = text.replace(ACCOUNT_KEY, "d3Jvbmc=");
    let directory = directory_with(&wrong);
    let (code, _, errors) = run(directory.path(), &["serve", "c.yml"]);
    assert_eq!(code, 1, "{errors}");
}

#[test]
fn the_health_check_of_the_storage_asks_the_bucket() {
    let store = s3(Options::default());
    let check = "health: {storagedriver: {enabled: true, interval: 50ms}}\n";
    let (server, address, _directory) = serve(&(store.config(", retries: 0", "") + check));
    let until = |status: u16| {
        let begun = Instant::now();
        while get(&address, "/v2/").status != status {
            assert!(begun.elapsed() < Duration::from_secs(60), "never {status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    until(200);
    store.emulator.inject(FaultPlan::none().with(Fault::new(Effect::InternalError)));
    until(503);
    store.emulator.heal();
    until(200);
    server.stop();
}
