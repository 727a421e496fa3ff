//! HTTP/2, and what it costs to be unkind with it.

use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::clients::Service;
use super::*;

pub(super) async fn start(transport: Transport, limits: Limits) -> Server {
    let gate = Gate::default();
    let service = gate.clone();
    let service = tower::service_fn(move |request| service.clone().answer(request));
    Server { gate, ..Server::with(service, &anywhere(), BOUND, limits, transport).await }
}

pub(super) async fn get<T>(client: &mut http2::SendRequest<Empty<Bytes>>, uri: T) -> (http::StatusCode, Bytes)
where
    T: TryInto<http::Uri, Error: std::fmt::Debug>,
{
    let request = Request::builder().uri(uri.try_into().unwrap()).body(Empty::new()).unwrap();
    let response = within(client.send_request(request)).await.unwrap();
    (response.status(), within(response.into_body().collect()).await.unwrap().to_bytes())
}

pub(super) async fn http2_over<S>(
    stream: S,
) -> (http2::SendRequest<Empty<Bytes>>, JoinHandle<hyper::Result<()>>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) =
        within(http2::handshake(TokioExecutor::new(), TokioIo::new(stream))).await.unwrap();
    (client, tokio::spawn(connection))
}

fn h2c() -> Transport {
    Transport { h2c: true, ..Transport::default() }
}

#[tokio::test]
async fn http2_without_tls_is_spoken_where_it_is_wanted() {
    let server = start(h2c(), Limits::default()).await;
    let (mut client, _connection) = http2_over(server.connect().await).await;
    assert_eq!(get(&mut client, "http://server.test/").await.0, 200);
    let mut stream = server.connect().await;
    assert!(ask(&mut stream, "/").await.ends_with("Some(127.0.0.1)"), "HTTP/1.1 beside it");
    // Slowly, and like the start of HTTP/2 for a while.
    let mut stream = server.connect().await;
    for part in ["P", "UT / HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n"] {
        within(stream.write_all(part.as_bytes())).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(response(&mut stream).await.ends_with("Some(127.0.0.1)"));
    let server = start(Transport::default(), Limits::default()).await;
    let (mut client, _connection) = http2_over(server.connect().await).await;
    let request = Request::builder().uri("http://server.test/").body(Empty::<Bytes>::new()).unwrap();
    assert!(within(client.send_request(request)).await.is_err(), "not where it is not");
}

#[tokio::test]
async fn a_drain_lets_requests_of_http2_finish() {
    let server = start(h2c(), Limits::default()).await;
    let (mut client, connection) = http2_over(server.connect().await).await;
    let gate = server.gate.clone();
    let slow = tokio::spawn(async move { get(&mut client, "http://server.test/slow").await });
    within(gate.entered.notified()).await;
    server.stop();
    tokio::time::sleep(Duration::from_millis(20)).await;
    gate.release.notify_one();
    assert_eq!(within(slow).await.unwrap().1, Bytes::from("slow"));
    assert_eq!(server.outcome().await, Outcome::Drained);
    within(connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_http2_connection_is_closed_in_the_end() {
    let server = start(h2c(), limits(|limits| limits.header = Duration::from_millis(50))).await;
    let (mut client, connection) = http2_over(server.connect().await).await;
    assert_eq!(get(&mut client, "http://server.test/").await.0, 200);
    within(connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_slow_service_is_not_taken_for_an_idle_client() {
    let times = |limits: &mut Limits| {
        (limits.header, limits.write) = (Duration::from_millis(30), Duration::from_millis(30))
    };
    let server = start(h2c(), limits(times)).await;
    let (mut client, _connection) = http2_over(server.connect().await).await;
    let gate = server.gate.clone();
    let slow = tokio::spawn(async move { get(&mut client, "http://server.test/slow").await });
    within(gate.entered.notified()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    gate.release.notify_one();
    assert_eq!(within(slow).await.unwrap().1, Bytes::from("slow"));
}

/// A frame: its type, flags, stream and content.
fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Everything that a request needs, as HPACK has it.
fn head(path: &str) -> Vec<u8> {
    let len = u8::try_from(path.len()).unwrap();
    [&[0x82, 0x86, 0x41, 4], b"test".as_slice(), &[0x44, len], path.as_bytes()].concat()
}

/// A connection on which HTTP/2 has begun, with these settings.
async fn raw(server: &Server, settings: &[u8]) -> TcpStream {
    let mut stream = server.connect().await;
    let start = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(SETTINGS, 0, 0, settings)].concat();
    within(stream.write_all(&start)).await.unwrap();
    stream
}

/// The frames up to the end of the connection: type and content.
async fn frames<S: AsyncReadExt + Unpin>(stream: &mut S) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    let mut head = [0; 9];
    while within(stream.read_exact(&mut head)).await.is_ok() {
        let mut content =
            vec![0; usize::try_from(u32::from_be_bytes([0, head[0], head[1], head[2]])).unwrap()];
        if within(stream.read_exact(&mut content)).await.is_err() {
            break;
        }
        frames.push((head[3], content));
    }
    frames
}

/// The error code that the server left with.
fn left(frames: &[(u8, Vec<u8>)]) -> Option<u32> {
    let (_, content) = frames.iter().rfind(|(kind, _)| *kind == GOAWAY)?;
    Some(u32::from_be_bytes(content[4..8].try_into().unwrap()))
}

const ENHANCE_YOUR_CALM: u32 = 11;

#[tokio::test]
async fn a_client_that_opens_no_window_is_given_up() {
    let service = Service::default();
    let limits = limits(|limits| limits.write = Duration::from_millis(50));
    let inner = service.clone();
    let inner = tower::service_fn(move |request| inner.clone().answer(request));
    let server = Server::with(inner, &anywhere(), BOUND, limits, h2c()).await;
    // Nothing of any answer may be sent.
    let mut stream = raw(&server, &[0, 4, 0, 0, 0, 0]).await;
    let request = frame(HEADERS, END_STREAM | END_HEADERS, 1, &head("/endless"));
    within(stream.write_all(&request)).await.unwrap();
    within(service.gone.notified()).await;
    let frames = frames(&mut stream).await;
    assert!(frames.iter().any(|(kind, _)| *kind == HEADERS), "{frames:?}");
    assert!(!frames.iter().any(|(kind, content)| *kind == DATA && !content.is_empty()), "{frames:?}");
}

#[tokio::test]
async fn a_head_without_an_end_is_not_kept() {
    let server = start(h2c(), Limits::default()).await;
    let mut stream = raw(&server, &[]).await;
    within(stream.write_all(&frame(HEADERS, END_STREAM, 1, &head("/")))).await.unwrap();
    // A header that is never indexed, over and over.
    let header = [&[0x10, 1], b"x".as_slice(), &[100], &[b'y'; 100]].concat();
    let more = frame(CONTINUATION, 0, 1, &header.repeat(100));
    for _ in 0..1000 {
        if stream.write_all(&more).await.is_err() {
            break;
        }
    }
    assert!(within(stream.read_to_end(&mut Vec::new())).await.is_err() || closed(&mut stream).await);
}

#[tokio::test]
async fn requests_that_are_taken_back_at_once_are_not_served_for_ever() {
    let server = start(h2c(), Limits::default()).await;
    let mut stream = raw(&server, &[]).await;
    let mut flood = Vec::new();
    for at in 0..20_000_u32 {
        flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, at * 2 + 1, &head("/slow")));
        flood.extend(frame(RESET, 0, at * 2 + 1, &8_u32.to_be_bytes()));
    }
    let (mut reading, mut writing) = stream.split();
    // The connection ends while the flood goes on, so this side may fail.
    let (_, frames) = within(async { tokio::join!(writing.write_all(&flood), frames(&mut reading)) }).await;
    assert_eq!(left(&frames), Some(ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn more_requests_at_once_than_the_limit_are_refused_one_by_one() {
    let server = start(h2c(), Limits::default()).await;
    let mut stream = raw(&server, &[]).await;
    for at in 0..101_u32 {
        let request = frame(HEADERS, END_STREAM | END_HEADERS, at * 2 + 1, &head("/slow"));
        within(stream.write_all(&request)).await.unwrap();
    }
    let mut head = [0; 9];
    loop {
        within(stream.read_exact(&mut head)).await.unwrap();
        let mut content = vec![0; usize::from(head[2])];
        within(stream.read_exact(&mut content)).await.unwrap();
        if head[3] == RESET {
            // REFUSED_STREAM, of the last one.
            assert_eq!(
                (&head[5..], content.as_slice()),
                (201_u32.to_be_bytes().as_slice(), [0, 0, 0, 7].as_slice())
            );
            break;
        }
        assert_ne!(head[3], GOAWAY);
    }
}
