//! The listener in this process, against plain sockets.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::config::Address;

mod clients;
mod http2;
mod proxied;
mod tls;

/// No test gets near this; it turns a hang into a failure.
const BOUND: Duration = Duration::from_secs(20);

fn anywhere() -> Address {
    Address::Tcp { host: "127.0.0.1".into(), port: 0 }
}

/// `/slow` waits for the test, everything else says who asked.
#[derive(Clone, Default)]
struct Gate {
    entered: Arc<Notify>,
    release: Arc<Notify>,
}

impl Gate {
    async fn answer(self, request: Request<Intake>) -> Result<Response<Full<Bytes>>, Infallible> {
        if request.uri().path() == "/slow" {
            self.entered.notify_one();
            self.release.notified().await;
            return Ok(Response::new(Full::from("slow")));
        }
        let peer = request.extensions().get::<SocketAddr>().map(SocketAddr::ip);
        Ok(Response::new(Full::from(format!("{peer:?}"))))
    }
}

struct Server {
    local: String,
    stop: watch::Sender<usize>,
    done: JoinHandle<Outcome>,
    gate: Gate,
    lines: Arc<Mutex<Vec<String>>>,
}

/// Short times for a test that waits for one of them; the others are as usual.
fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

impl Server {
    async fn start(address: &Address, drain_timeout: Duration) -> Self {
        let gate = Gate::default();
        let service = gate.clone();
        let service = tower::service_fn(move |request| service.clone().answer(request));
        Self { gate, ..Self::over(service, address, drain_timeout, Limits::default()).await }
    }

    async fn over<S, B>(service: S, address: &Address, drain_timeout: Duration, limits: Limits) -> Self
    where
        S: Serve<B>,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        Self::with(service, address, drain_timeout, limits, Transport::default()).await
    }

    async fn with<S, B>(
        service: S,
        address: &Address,
        drain_timeout: Duration,
        limits: Limits,
        transport: Transport,
    ) -> Self
    where
        S: Serve<B>,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let listener = Listener::bind(address).await.unwrap();
        let local = listener.local().to_owned();
        let (stop, stops) = watch::channel(0);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&lines);
        let sink: Sink = Arc::new(move |line: &[u8]| {
            writer.lock().unwrap().push(String::from_utf8(line.to_vec()).unwrap())
        });
        let options = ServeOptions { drain_timeout, access_log: Some(sink), limits, transport };
        let done = tokio::spawn(serve(listener, service, stops, options));
        Self { local, stop, done, gate: Gate::default(), lines }
    }

    async fn connect(&self) -> TcpStream {
        within(TcpStream::connect(&self.local)).await.unwrap()
    }

    fn stop(&self) {
        self.stop.send_modify(|count| *count += 1);
    }

    async fn outcome(self) -> Outcome {
        within(self.done).await.unwrap()
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    timeout(BOUND, future).await.expect("takes far too long")
}

/// Sends a request and reads one response with a `content-length`.
async fn ask<S: AsyncReadExt + AsyncWriteExt + Unpin>(stream: &mut S, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n");
    within(stream.write_all(request.as_bytes())).await.unwrap();
    response(stream).await
}

async fn response<S: AsyncReadExt + Unpin>(stream: &mut S) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                return text.into_owned();
            }
        }
        let mut byte = [0];
        let read = within(stream.read(&mut byte)).await.unwrap();
        assert_eq!(read, 1, "closed after {:?}", String::from_utf8_lossy(&bytes));
        bytes.extend(byte);
    }
}

async fn closed<S: AsyncReadExt + Unpin>(stream: &mut S) -> bool {
    within(stream.read_u8()).await.is_err()
}

#[tokio::test]
async fn a_connection_is_kept_for_several_requests_and_the_service_knows_the_peer() {
    let server = Server::start(&anywhere(), BOUND).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        let answer = ask(&mut stream, "/").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("Some(127.0.0.1)"), "{answer}");
    }
    server.stop();
    assert!(closed(&mut stream).await, "idle connections are closed by the drain");
    let lines = Arc::clone(&server.lines);
    assert_eq!(server.outcome().await, Outcome::Drained);
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 3);
    assert!(
        lines[0].starts_with("127.0.0.1 - - [")
            && lines[0].ends_with("\"GET / HTTP/1.1\" 200 15 \"\" \"\"\n"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn draining_lets_a_request_finish_and_takes_no_new_connection() {
    let server = Server::start(&anywhere(), BOUND).await;
    let mut stream = server.connect().await;
    let gate = server.gate.clone();
    let client = tokio::spawn(async move { ask(&mut stream, "/slow").await });
    within(gate.entered.notified()).await;
    server.stop();
    // The socket closes once the drain has begun; connects in its backlog are reset.
    within(async {
        while TcpStream::connect(&server.local).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.release.notify_one();
    let answer = within(client).await.unwrap();
    assert!(answer.ends_with("slow") && answer.contains("connection: close"), "{answer}");
    assert_eq!(server.outcome().await, Outcome::Drained);
}

#[tokio::test]
async fn a_request_that_outlives_the_drain_is_reported() {
    let server = Server::start(&anywhere(), Duration::from_millis(20)).await;
    let mut stream = server.connect().await;
    within(stream.write_all(b"GET /slow HTTP/1.1\r\nhost: test\r\n\r\n")).await.unwrap();
    within(server.gate.entered.notified()).await;
    server.stop();
    assert_eq!(server.outcome().await, Outcome::TimedOut(1));
}

#[tokio::test]
async fn a_second_stop_does_not_wait() {
    let server = Server::start(&anywhere(), BOUND * 10).await;
    let mut stream = server.connect().await;
    within(stream.write_all(b"GET /slow HTTP/1.1\r\nhost: test\r\n\r\n")).await.unwrap();
    within(server.gate.entered.notified()).await;
    server.stop();
    server.stop();
    assert_eq!(server.outcome().await, Outcome::Forced(1));
}

#[tokio::test]
async fn half_a_request_head_does_not_count_as_unfinished() {
    let server = Server::start(&anywhere(), Duration::from_millis(20)).await;
    let mut half = server.connect().await;
    within(half.write_all(b"GET /sl")).await.unwrap();
    let mut whole = server.connect().await;
    ask(&mut whole, "/").await;
    server.stop();
    assert_eq!(server.outcome().await, Outcome::Drained);
}

#[tokio::test]
async fn a_client_that_has_finished_sending_still_gets_its_answer() {
    let server = Server::start(&anywhere(), BOUND).await;
    let mut stream = server.connect().await;
    within(stream.write_all(b"GET /slow HTTP/1.1\r\nhost: test\r\n\r\n")).await.unwrap();
    within(stream.shutdown()).await.unwrap();
    within(server.gate.entered.notified()).await;
    server.gate.release.notify_one();
    assert!(response(&mut stream).await.ends_with("slow"));
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_line() {
    let server = Server::start(&anywhere(), BOUND).await;
    let port = server.local.rsplit(':').next().unwrap().parse().unwrap();
    for host in ["127.0.0.1", "localhost", ""] {
        let error = Listener::bind(&Address::Tcp { host: host.into(), port }).await.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen on {host}:{port}: another process is using it"));
    }
}

#[tokio::test]
async fn addresses_that_cannot_be_bound_are_one_clear_line() {
    let error = Listener::bind(&Address::Tcp { host: "203.0.113.1".into(), port: 0 }).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot listen on 203.0.113.1:0: this machine does not have that address");
    let error = Listener::bind(&Address::Unix("/nonexistent/directory/s".into())).await.unwrap_err();
    assert!(
        error.to_string().starts_with("cannot listen on unix:/nonexistent/directory/s: No such file"),
        "{error}"
    );
}

#[tokio::test]
async fn every_interface_means_both_protocols() {
    let server = Server::start(&Address::Tcp { host: String::new(), port: 0 }, BOUND).await;
    let port = server.local.rsplit(':').next().unwrap();
    let mut stream = within(TcpStream::connect(format!("127.0.0.1:{port}"))).await.unwrap();
    assert!(
        ask(&mut stream, "/").await.ends_with("Some(127.0.0.1)"),
        "the peer is not shown as ::ffff:127.0.0.1"
    );
}

#[tokio::test]
async fn a_unix_socket_replaces_a_stale_one_and_goes_away_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("registry.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = Server::start(&Address::Unix(path.clone()), BOUND).await;
    let mut stream = within(UnixStream::connect(&path)).await.unwrap();
    assert!(ask(&mut stream, "/").await.ends_with("None"));
    drop(stream);
    server.stop();
    assert_eq!(server.outcome().await, Outcome::Drained);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious");
    std::fs::write(&path, "data").unwrap();
    let error = Listener::bind(&Address::Unix(path.clone())).await.unwrap_err();
    let expected = format!("cannot listen on unix:{}: the file exists and is not a socket", path.display());
    assert_eq!(error.to_string(), expected);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
}

#[tokio::test]
async fn a_socket_that_somebody_listens_on_is_not_taken_away() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("registry.sock");
    let server = Server::start(&Address::Unix(path.clone()), BOUND).await;
    let error = Listener::bind(&Address::Unix(path.clone())).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot listen on unix:{}: another process is using it", path.display())
    );
    let mut stream = within(UnixStream::connect(&path)).await.unwrap();
    assert!(ask(&mut stream, "/").await.ends_with("None"));
    drop(server);
}

#[tokio::test]
async fn all_addresses_are_served_or_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("registry.sock");
    let addresses = [anywhere(), Address::Tcp { host: "::1".into(), port: 0 }, Address::Unix(path.clone())];
    let listener = Listener::bind_all(&addresses).await.unwrap();
    let local: Vec<String> = listener.local().split(", ").map(str::to_owned).collect();
    let service = tower::service_fn(|request| Gate::default().answer(request));
    let (_stop, stops) = watch::channel(0);
    let limits = Limits::default();
    let options =
        ServeOptions { drain_timeout: BOUND, access_log: None, limits, transport: Transport::default() };
    tokio::spawn(serve(listener, service, stops, options));
    for (local, peer) in local.iter().zip(["Some(127.0.0.1)", "Some(::1)"]) {
        let mut stream = within(TcpStream::connect(local)).await.unwrap();
        assert!(ask(&mut stream, "/").await.ends_with(peer));
    }
    let mut stream = within(UnixStream::connect(&path)).await.unwrap();
    assert!(ask(&mut stream, "/").await.ends_with("None"));
    let taken = Address::Tcp {
        host: "127.0.0.1".into(),
        port: local[0].rsplit(':').next().unwrap().parse().unwrap(),
    };
    let other = directory.path().join("other.sock");
    assert!(Listener::bind_all(&[Address::Unix(other.clone()), taken]).await.is_err());
    assert!(!other.exists(), "nothing is left of a start that failed");
}
