//! The server over a real socket, spoken to byte by byte.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::SocketAddr;
use std::time::Duration;

use example_embed_hyper::serve;
use registry::core::{Algorithm, MediaType};
use registry::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<bool>,
}

async fn start(patience: Duration) -> Server {
    let registry = Registry::builder(MemoryDriver::new()).build().await.unwrap();
    let service = registry.service(HttpOptions::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let stopped = async { drop(stopped.await) };
    let done = tokio::spawn(serve(listener, service, stopped, patience));
    Server { address, stop, done }
}

/// A response, taken apart.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    async fn read(stream: &mut TcpStream) -> Self {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        let split = all.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(all[..split].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body: all[split + 4..].to_vec() }
    }

    fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).unwrap().1
    }
}

fn head(method: &str, target: &str, headers: &str, len: usize) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {len}\r\n{headers}\r\n"
    )
}

async fn send(server: &Server, method: &str, target: &str, headers: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head(method, target, headers, body.len()).as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    Answer::read(&mut stream).await
}

#[tokio::test]
async fn a_manifest_is_pushed_and_pulled_over_a_socket() {
    let server = start(Duration::from_secs(10)).await;
    let digest = Algorithm::Sha256.digest(b"{}");
    let target = format!("/v2/a/b/blobs/uploads/?digest={digest}");
    assert_eq!(send(&server, "POST", &target, "", b"{}").await.status, 201);
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{digest}","size":2}},"layers":[]}}"#
    );
    let content_type = format!("Content-Type: {}\r\n", MediaType::OCI_IMAGE);
    let pushed = send(&server, "PUT", "/v2/a/b/manifests/v1", &content_type, manifest.as_bytes()).await;
    assert_eq!(pushed.status, 201, "{pushed:?}");
    let pulled = send(&server, "GET", "/v2/a/b/manifests/v1", "", b"").await;
    assert_eq!((pulled.status, pulled.body), (200, manifest.into_bytes()));

    server.stop.send(()).unwrap();
    assert!(server.done.await.unwrap(), "nothing was under way");
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

/// An upload whose body has come half-way.
async fn half_an_upload(server: &Server) -> TcpStream {
    let started = send(server, "POST", "/v2/a/blobs/uploads/", "", b"").await;
    let target = started.header("location").to_owned();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head("PATCH", &target, "Expect: 100-continue\r\n", 10).as_bytes()).await.unwrap();
    // The server asks for the body when a handler reads it: from here on the request is under way.
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"));
    stream.write_all(b"first").await.unwrap();
    stream
}

#[tokio::test]
async fn an_upload_that_is_under_way_finishes_before_the_server_stops() {
    let server = start(Duration::from_secs(10)).await;
    let mut stream = half_an_upload(&server).await;
    server.stop.send(()).unwrap();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!server.done.is_finished(), "the upload holds the server");
    stream.write_all(b"-last").await.unwrap();
    let answer = Answer::read(&mut stream).await;
    assert_eq!((answer.status, answer.header("range")), (202, "0-9"), "{answer:?}");
    assert!(server.done.await.unwrap(), "everything finished");
}

#[tokio::test]
async fn a_client_that_never_finishes_does_not_keep_the_server() {
    let server = start(Duration::from_millis(50)).await;
    let _stream = half_an_upload(&server).await;
    server.stop.send(()).unwrap();
    assert!(!server.done.await.unwrap(), "patience ended first");
}
