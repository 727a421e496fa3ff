//! Health over a store that can be made to hang or fail, and without a network.

use std::convert::Infallible;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use registry::core::StorageMiddleware;
use registry::middleware::{Call, InterceptStorage, Interceptor};
use registry::storage::MemoryDriver;
use tokio::sync::{Notify, watch};
use tower::ServiceExt;

use super::*;
use crate::config::model::Target;

/// Hangs or fails as the test wants.
#[derive(Debug, Default)]
struct Moody {
    hangs: AtomicBool,
    fails: AtomicBool,
    asked: AtomicUsize,
    go_on: Notify,
}

#[async_trait::async_trait]
impl Interceptor for Moody {
    async fn before(&self, _: &Call<'_>) -> registry::core::Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            self.go_on.notified().await;
        }
        if self.fails.load(Ordering::SeqCst) {
            return Err(registry::core::Error::internal(
                "test",
                std::io::Error::other("the disk is on fire"),
            ));
        }
        Ok(())
    }

    fn after(&self, _: &Call<'_>, _: Duration, _: registry::middleware::Outcome<'_>) {}
}

async fn moody() -> (Arc<Moody>, Arc<dyn StorageDriver>) {
    let moody = Arc::new(Moody::default());
    let middleware = InterceptStorage::new(Arc::<Moody>::clone(&moody));
    (moody, middleware.wrap(Arc::new(MemoryDriver::new())).await.unwrap())
}

fn rhythm(seconds: u64, threshold: u32) -> Rhythm {
    Rhythm { interval: Duration::from_secs(seconds), threshold }
}

fn started(
    config: &model::Health,
    driver: &Arc<dyn StorageDriver>,
) -> (Health, Checking, watch::Sender<usize>) {
    let (stop, stops) = watch::channel(0);
    let (health, checking) = start(config, &Driver::InMemory, driver, None, stops).unwrap();
    (health, checking, stop)
}

fn storage(rhythm: Rhythm) -> model::Health {
    model::Health { storage: Some(rhythm), checks: Vec::new() }
}

/// Lets time pass, which costs none: it is the test's.
async fn pass(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_check_fails_when_it_has_failed_as_often_as_its_threshold_and_passes_at_once() {
    let (moody, driver) = moody().await;
    let (health, _checking, _stop) = started(&storage(rhythm(10, 3)), &driver);
    pass(1.0).await;
    assert!(health.is_good() && health.failures().is_empty());
    assert_eq!(health.checks(), [("storagedriver_inmemory".to_owned(), true)]);
    moody.fails.store(true, Ordering::SeqCst);
    pass(20.0).await;
    assert!(health.is_good(), "two failures are not three");
    pass(10.0).await;
    assert!(!health.is_good());
    let failures = health.failures();
    assert!(failures["storagedriver_inmemory"].contains("the disk is on fire"), "{failures:?}");
    assert_eq!(health.checks(), [("storagedriver_inmemory".to_owned(), false)]);
    moody.fails.store(false, Ordering::SeqCst);
    pass(10.0).await;
    assert!(health.is_good());
    moody.fails.store(true, Ordering::SeqCst);
    pass(20.0).await;
    assert!(health.is_good(), "failures are counted from the last success");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_noticed_and_so_is_its_recovery() {
    let (moody, driver) = moody().await;
    moody.hangs.store(true, Ordering::SeqCst);
    let (health, _checking, _stop) = started(&storage(rhythm(10, 2)), &driver);
    pass(15.0).await;
    assert!(health.is_good(), "it has been asked once");
    pass(10.0).await;
    let failures = health.failures();
    assert_eq!(failures["storagedriver_inmemory"], "the storage has not answered for 10s");
    pass(300.0).await;
    assert_eq!(moody.asked.load(Ordering::SeqCst), 1, "questions without an answer do not add up");
    moody.hangs.store(false, Ordering::SeqCst);
    moody.go_on.notify_one();
    pass(0.1).await;
    assert!(health.is_good());
    pass(10.0).await;
    assert!(health.is_good() && moody.asked.load(Ordering::SeqCst) > 1);
}

#[tokio::test]
async fn a_directory_that_is_gone_is_no_empty_store() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("store");
    std::fs::create_dir(&root).unwrap();
    let driver: Arc<dyn StorageDriver> = Arc::new(registry::storage::FilesystemDriver::new(&root));
    let mut probe = Probe::store(driver, Some(root.clone()), Duration::from_secs(10));
    assert_eq!(probe.run().await, Ok(()));
    std::fs::rename(&root, place.path().join("elsewhere")).unwrap();
    let reason = probe.run().await.unwrap_err();
    assert!(reason.contains(&root.display().to_string()) && reason.contains("No such file"), "{reason}");
    std::fs::rename(place.path().join("elsewhere"), &root).unwrap();
    assert_eq!(probe.run().await, Ok(()));
}

fn probe(name: &str, target: Target) -> Probe {
    Probe::of(name, &target, checks::client).unwrap()
}

#[tokio::test]
async fn a_file_that_exists_means_down() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("down");
    let mut probe = probe("down", Target::File(path.clone()));
    assert_eq!(probe.run().await, Ok(()));
    std::fs::write(&path, "").unwrap();
    assert_eq!(probe.run().await, Err("file exists".to_owned()));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(probe.run().await, Ok(()));
    let mut odd = self::probe("odd", Target::File("/dev/null/down".into()));
    assert_eq!(odd.run().await, Err("stat /dev/null/down: not a directory".to_owned()));
}

/// The port of a server on the loopback that gives this answer to every request, and takes note of it.
async fn server(answer: &'static str) -> (u16, Arc<Mutex<String>>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(String::new()));
    let requests = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let read = socket.read(&mut head).await.unwrap_or(0);
            requests.lock().unwrap().push_str(&String::from_utf8_lossy(&head[..read]));
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (port, seen)
}

fn web(uri: &str, status: StatusCode) -> Probe {
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, "Basic abc".parse().unwrap())]);
    let timeout = Duration::from_secs(5);
    probe(uri, Target::Http { uri: uri.parse().unwrap(), headers, status, timeout })
}

#[tokio::test]
async fn a_server_has_to_answer_with_the_status_that_is_wanted() {
    let (port, seen) = server("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
    let uri = format!("http://127.0.0.1:{port}/ok?x=1");
    assert_eq!(web(&uri, StatusCode::NO_CONTENT).run().await, Ok(()));
    let request = seen.lock().unwrap().to_lowercase();
    assert!(
        request.starts_with("head /ok?x=1 ") && request.contains("authorization: basic abc"),
        "{request}"
    );
    let expected = format!("{uri}: downstream service returned unexpected status: 204");
    assert_eq!(web(&uri, StatusCode::OK).run().await, Err(expected));
}

#[tokio::test]
async fn what_nobody_listens_on_is_said_in_distributions_words() {
    // Bound and not accepted from, so that the port is nobody else's; closed before it is asked.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let addr = format!("127.0.0.1:{port}");
    let refused = format!("dial tcp {addr}: connect: connection refused");
    let mut tcp = probe(&addr, Target::Tcp { addr: addr.clone(), timeout: Duration::from_secs(5) });
    assert_eq!(tcp.run().await, Err(format!("{addr}: connection failed: {refused}")));
    let uri = format!("http://{addr}/");
    let expected = format!("{uri}: error while checking: Head \"{uri}\": {refused}");
    assert_eq!(web(&uri, StatusCode::OK).run().await, Err(expected));
}

#[tokio::test]
async fn a_port_that_somebody_listens_on_is_up() {
    let (port, _) = server("").await;
    let addr = format!("127.0.0.1:{port}");
    let mut tcp = probe(&addr, Target::Tcp { addr: addr.clone(), timeout: Duration::from_secs(5) });
    assert_eq!(tcp.run().await, Ok(()));
}

async fn ask(gate: Gate<impl Api>, method: Method, path: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::builder().method(method).uri(path).body(()).unwrap();
    let (parts, body) = gate.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

trait Api:
    tower_service::Service<Request<()>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
    + Clone
{
}

impl<S> Api for S where
    S: tower_service::Service<
            Request<()>,
            Response = Response<Full<Bytes>>,
            Error = Infallible,
            Future: Send,
        > + Clone
{
}

#[tokio::test(start_paused = true)]
async fn everything_is_503_while_a_check_fails_and_probes_are_not() {
    let (moody, driver) = moody().await;
    let (health, _checking, stop) = started(&storage(rhythm(1, 1)), &driver);
    let api = tower::service_fn(|_: Request<()>| async { Ok(Response::new(Full::from("api"))) });
    let gate = Gate::new(api, health);
    pass(0.5).await;
    assert_eq!(ask(gate.clone(), Method::GET, "/v2/").await.2, "api");
    assert_eq!(ask(gate.clone(), Method::GET, "/readyz").await.0, StatusCode::OK);
    moody.fails.store(true, Ordering::SeqCst);
    pass(1.0).await;
    for path in ["/", "/v2/", "/v2/a/manifests/v1", "/nothing"] {
        let (status, headers, body) = ask(gate.clone(), Method::GET, path).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(headers["content-type"], "application/json");
        assert!(!headers.contains_key("docker-distribution-api-version"));
        let expected = concat!(
            "{\"errors\":[{\"code\":\"UNAVAILABLE\",\"message\":\"service unavailable\",",
            "\"detail\":\"health check failed: please see /debug/health\"}]}\n"
        );
        assert_eq!(body, expected);
    }
    let (status, headers, body) = ask(gate.clone(), Method::HEAD, "/v2/").await;
    assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, ""));
    assert_eq!(headers["content-length"], "125");
    assert_eq!(ask(gate.clone(), Method::GET, "/healthz").await.0, StatusCode::OK);
    let (status, _, body) = ask(gate.clone(), Method::GET, "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!body.contains("disk"), "who may not see the reason is told none: {body}");
    moody.fails.store(false, Ordering::SeqCst);
    pass(1.0).await;
    assert_eq!(ask(gate.clone(), Method::GET, "/readyz").await.0, StatusCode::OK);
    stop.send_replace(1);
    let (status, _, body) = ask(gate.clone(), Method::GET, "/readyz").await;
    assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"));
    assert_eq!(ask(gate.clone(), Method::GET, "/healthz").await.0, StatusCode::OK);
    assert_eq!(
        ask(gate.clone(), Method::GET, "/v2/").await.2,
        "api",
        "requests under way are still answered"
    );
    assert_eq!(ask(gate.clone(), Method::POST, "/healthz").await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_asked_until_it_does_and_only_then() {
    let (moody, driver) = moody().await;
    let answering = Arc::new(AtomicBool::new(true));
    let answers = Answers::new({
        let answering = Arc::clone(&answering);
        move || answering.load(Ordering::SeqCst)
    });
    let (_stop, stops) = watch::channel(0);
    let none = model::Health { storage: None, checks: Vec::new() };
    let (health, _checking) = start(&none, &Driver::InMemory, &driver, Some(answers), stops).unwrap();
    let ready = || readiness(&health, &Method::GET, "/readyz").unwrap().status();
    pass(5.5).await;
    assert_eq!((ready(), moody.asked.load(Ordering::SeqCst)), (StatusCode::OK, 0));
    answering.store(false, Ordering::SeqCst);
    pass(3.0).await;
    assert_eq!((ready(), moody.asked.load(Ordering::SeqCst)), (StatusCode::SERVICE_UNAVAILABLE, 3));
    assert!(health.is_good(), "the API answers what it can");
    answering.store(true, Ordering::SeqCst);
    pass(3.0).await;
    assert_eq!((ready(), moody.asked.load(Ordering::SeqCst)), (StatusCode::OK, 3));
}
