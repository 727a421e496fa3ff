//! Clients that send too slowly, too much or nothing, and those that do not read.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::StatusCode;
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};

use super::*;

/// A time that is over soon.
const SOON: Duration = Duration::from_millis(50);

pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// `/refuse` reads nothing, `/read` everything, and `/endless` has no end; a message of `gone` says that
/// nobody reads its body any more.
#[derive(Clone, Default)]
pub(super) struct Service {
    pub(super) gone: Arc<Notify>,
}

impl Service {
    pub(super) async fn answer(self, request: Request<Intake>) -> Result<Answer, Infallible> {
        let path = request.uri().path().to_owned();
        let text = |status: StatusCode, text: String| {
            let mut response = Response::new(Full::from(text).boxed_unsync());
            *response.status_mut() = status;
            response
        };
        Ok(match path.as_str() {
            "/refuse" => text(StatusCode::RANGE_NOT_SATISFIABLE, "refused".to_owned()),
            "/endless" => Response::new(Endless { gone: self.gone }.boxed_unsync()),
            _ => match request.into_body().collect().await {
                Ok(body) => text(StatusCode::OK, format!("{} bytes", body.to_bytes().len())),
                Err(error) => {
                    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
                    text(StatusCode::BAD_REQUEST, format!("{kind:?}"))
                }
            },
        })
    }

    async fn serve(&self, address: &Address, limits: Limits) -> Server {
        let service = self.clone();
        let service = tower::service_fn(move |request| service.clone().answer(request));
        Server::over(service, address, BOUND, limits).await
    }
}

/// More and more zeros.
struct Endless {
    gone: Arc<Notify>,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 4096])))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(1 << 50)
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.gone.notify_one();
    }
}

async fn server(limits: Limits) -> Server {
    Service::default().serve(&anywhere(), limits).await
}

fn put(path: &str, len: usize) -> String {
    format!("PUT {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {len}\r\n\r\n")
}

/// What comes until the connection ends, which it has to do without a reset.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    within(stream.read_to_end(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_short_body_that_nobody_reads_does_not_cost_the_connection() {
    let server = server(Limits::default()).await;
    let mut stream = server.connect().await;
    for together in [true, false].repeat(20) {
        let (head, body) = (put("/refuse", 1000), "x".repeat(1000));
        let first = if together { format!("{head}{body}") } else { head };
        within(stream.write_all(first.as_bytes())).await.unwrap();
        let answer = response(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 416 ") && !answer.contains("connection: close"), "{answer}");
        if !together {
            within(stream.write_all(body.as_bytes())).await.unwrap();
        }
    }
    assert!(ask(&mut stream, "/read").await.ends_with("0 bytes"));
}

#[tokio::test]
async fn a_client_that_sends_a_long_body_first_hears_that_it_is_refused() {
    let server = server(Limits::default()).await;
    for head in [
        put("/refuse", 8 << 20),
        // Without a length nobody knows how much is to come.
        "PUT /refuse HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n800000\r\n".to_owned(),
    ] {
        let mut stream = server.connect().await;
        within(stream.write_all(head.as_bytes())).await.unwrap();
        within(stream.write_all(&vec![b'x'; 8 << 20])).await.expect("all of it is taken");
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 416 ") && answer.contains("connection: close"), "{answer}");
        assert!(answer.ends_with("refused"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_is_refused_is_not_asked_for() {
    let server = server(Limits::default()).await;
    for (path, interim) in [("/refuse", false), ("/read", true)] {
        let mut stream = server.connect().await;
        let head = put(path, 5).replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
        within(stream.write_all(head.as_bytes())).await.unwrap();
        if interim {
            let mut answer = [0; 25];
            within(stream.read_exact(&mut answer)).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
            within(stream.write_all(b"bytes")).await.unwrap();
            assert!(response(&mut stream).await.ends_with("5 bytes"));
        } else {
            let answer = response(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 416 ") && answer.contains("connection: close"), "{answer}");
            within(stream.shutdown()).await.unwrap();
            assert!(closed(&mut stream).await);
        }
    }
}

#[tokio::test]
async fn a_body_that_stalls_fails_as_out_of_time() {
    let server = server(limits(|limits| limits.body = SOON)).await;
    for head in [
        put("/read", 10),
        "PUT /read HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\na\r\n".to_owned(),
    ] {
        let mut stream = server.connect().await;
        within(stream.write_all(head.as_bytes())).await.unwrap();
        within(stream.write_all(b"half")).await.unwrap();
        let answer = response(&mut stream).await;
        assert!(answer.ends_with("Some(TimedOut)") && answer.contains("connection: close"), "{answer}");
        within(stream.shutdown()).await.unwrap();
        assert!(closed(&mut stream).await);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_does_not_fail_as_out_of_time() {
    let server = server(Limits::default()).await;
    let mut stream = server.connect().await;
    within(stream.write_all((put("/read", 10) + "half").as_bytes())).await.unwrap();
    within(stream.shutdown()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("None"), "{answer}");
}

#[tokio::test]
async fn a_head_that_never_comes_ends_the_connection() {
    let server = server(limits(|limits| limits.header = SOON)).await;
    for start in ["", "GET / HTTP/1.1\r\nhost: te"] {
        let mut stream = server.connect().await;
        within(stream.write_all(start.as_bytes())).await.unwrap();
        assert!(closed(&mut stream).await, "{start:?}");
    }
    let mut stream = server.connect().await;
    ask(&mut stream, "/read").await;
    assert!(closed(&mut stream).await, "also after a request");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused_and_the_client_hears_it() {
    let server = server(limits(|limits| limits.header_bytes = 10_000)).await;
    let mut stream = server.connect().await;
    let header = |len: usize| format!("GET /read HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n", "y".repeat(len));
    within(stream.write_all(header(9_000).as_bytes())).await.unwrap();
    assert!(response(&mut stream).await.starts_with("HTTP/1.1 200 "));
    for long in [header(10_000), header(4 << 20)] {
        let mut stream = server.connect().await;
        within(stream.write_all(long.as_bytes())).await.expect("all of it is taken");
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 431 ") && answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn what_comes_after_a_refused_head_does_not_reset_the_connection() {
    let server = server(limits(|limits| limits.header_bytes = 10_000)).await;
    let mut stream = server.connect().await;
    let start = b"GET /read HTTP/1.1\r\nhost: test\r\nx: ";
    within(stream.write_all(start)).await.unwrap();
    within(stream.write_all(&[b'y'; 10_000])).await.unwrap();
    assert!(response(&mut stream).await.starts_with("HTTP/1.1 431 "));
    for _ in 0..16 {
        within(stream.write_all(&vec![b'y'; 64 << 10])).await.expect("it is taken");
    }
    within(stream.shutdown()).await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let server = server(limits(|limits| limits.connections = Some(2))).await;
    let mut first = server.connect().await;
    ask(&mut first, "/read").await;
    let mut second = server.connect().await;
    ask(&mut second, "/read").await;
    // The system takes the connection, the registry does not.
    let mut third = server.connect().await;
    within(third.write_all(b"GET /read HTTP/1.1\r\nhost: test\r\n\r\n")).await.unwrap();
    assert!(timeout(SOON * 4, third.readable()).await.is_err(), "a third one is answered");
    assert!(ask(&mut second, "/read").await.ends_with("0 bytes"), "the others are served");
    drop(first);
    assert!(response(&mut third).await.ends_with("0 bytes"));
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("registry.sock");
    // The system watches over one of the sockets, and we over the other.
    for address in [anywhere(), Address::Unix(path.clone())] {
        let service = Service::default();
        let server = service.serve(&address, limits(|limits| limits.write = SOON)).await;
        let request = b"GET /endless HTTP/1.1\r\nhost: test\r\n\r\n";
        let (mut tcp, mut unix);
        match address {
            Address::Tcp { .. } => {
                tcp = server.connect().await;
                within(tcp.write_all(request)).await.unwrap();
            }
            Address::Unix(_) => {
                unix = within(UnixStream::connect(&path)).await.unwrap();
                within(unix.write_all(request)).await.unwrap();
            }
        }
        within(service.gone.notified()).await;
        server.stop();
        assert_eq!(server.outcome().await, Outcome::Drained, "nothing of it is in flight");
    }
}

#[tokio::test]
async fn a_body_in_another_coding_is_refused() {
    let server = server(Limits::default()).await;
    for coding in ["gzip, chunked", "chunked\r\ntransfer-encoding: chunked"] {
        let mut stream = server.connect().await;
        let head =
            format!("PUT /read HTTP/1.1\r\nhost: test\r\ntransfer-encoding: {coding}\r\n\r\n0\r\n\r\n");
        within(stream.write_all(head.as_bytes())).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 501 ") && answer.contains("connection: close"), "{answer}");
    }
    let mut stream = server.connect().await;
    let head = "PUT /read HTTP/1.1\r\nhost: test\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n";
    within(stream.write_all(head.as_bytes())).await.unwrap();
    assert!(response(&mut stream).await.ends_with("0 bytes"));
}

#[tokio::test]
async fn a_length_beside_chunks_ends_the_connection() {
    let server = server(Limits::default()).await;
    for headers in
        ["content-length: 5\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 5"]
    {
        let mut stream = server.connect().await;
        let head = format!("PUT /read HTTP/1.1\r\nhost: test\r\n{headers}\r\n\r\n0\r\n\r\n");
        // What comes after may be a request in the eyes of one and a body in those of another.
        within(stream.write_all(format!("{head}GET /read HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()))
            .await
            .unwrap();
        let answer = rest(&mut stream).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn half_a_head_does_not_hold_up_the_end() {
    let server = server(Limits::default()).await;
    let mut stream = server.connect().await;
    within(stream.write_all(b"GET /re")).await.unwrap();
    let mut kept = server.connect().await;
    ask(&mut kept, "/read").await;
    let start = Instant::now();
    server.stop();
    assert_eq!(server.outcome().await, Outcome::Drained);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// So many connections that one more is one of many. They are accepted in the order in which they are made.
async fn crowd(server: &Server) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..FEW {
        streams.push(server.connect().await);
    }
    streams
}

#[tokio::test]
async fn requests_that_come_in_pieces_across_answers_are_all_answered() {
    let server = server(Limits::default()).await;
    let head = "GET /read HTTP/1.1\r\nhost: test\r\n\r\n";
    let with_body = put("/read", 5) + "bytes";
    let chunked =
        "PUT /read HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbytes\r\n0\r\n\r\n";
    let refused = put("/refuse", 5) + "bytes";
    let requests = [head, &with_body, head, chunked, &refused, head, head, &refused, chunked, head];
    let (all, expected) = (requests.concat(), ["0", "5", "0", "5", "r", "0", "0", "r", "5", "0"]);
    let mut others = Vec::new();
    for many in [false, true] {
        if many {
            others = crowd(&server).await;
        }
        // Each piece ends somewhere else in a request; what comes with the end of one is the beginning of the next.
        for piece in [1, 7, 30, 41, 64, 100, all.len()] {
            let mut stream = server.connect().await;
            for bytes in all.as_bytes().chunks(piece) {
                within(stream.write_all(bytes)).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            for expected in expected {
                let answer = response(&mut stream).await;
                let body = answer.rsplit("\r\n").next().unwrap();
                assert!(body.starts_with(expected), "in pieces of {piece}: {answer}");
            }
        }
    }
    for mut other in others {
        assert!(ask(&mut other, "/read").await.ends_with("0 bytes"), "the others are served still");
    }
}

/// With many connections as with few.
#[tokio::test]
async fn the_rest_of_a_body_that_nobody_reads_is_no_request() {
    let server = server(Limits::default()).await;
    let _others = crowd(&server).await;
    let mut stream = server.connect().await;
    let inner = "GET /read HTTP/1.1\r\nhost: test\r\n\r\n";
    for _ in 0..20 {
        within(stream.write_all(put("/refuse", inner.len()).as_bytes())).await.unwrap();
        let answer = response(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 416 ") && !answer.contains("connection: close"), "{answer}");
        within(stream.write_all(inner.as_bytes())).await.unwrap();
        within(stream.write_all(put("/read", 3).as_bytes())).await.unwrap();
        within(stream.write_all(b"end")).await.unwrap();
        assert!(response(&mut stream).await.ends_with("3 bytes"));
    }
}

/// The time for a head does not run while an answer is taken.
#[tokio::test]
async fn a_client_may_read_an_answer_longer_than_a_head_may_take() {
    let service = tower::service_fn(|_: Request<Intake>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(vec![b'x'; 32 << 20])))
    });
    let server = Server::over(service, &anywhere(), BOUND, limits(|limits| limits.header = SOON)).await;
    let mut others = Vec::new();
    for many in [false, true] {
        if many {
            others = crowd(&server).await;
        }
        let mut stream = server.connect().await;
        within(stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")).await.unwrap();
        tokio::time::sleep(SOON * 4).await;
        let answer = rest(&mut stream).await;
        assert!(answer.len() > 32 << 20, "{}", answer.len());
    }
    drop(others);
}

/// Waiting for the first byte and for the rest of the head are one time.
#[tokio::test]
async fn a_head_gets_what_the_wait_for_its_first_byte_has_left() {
    let server = server(limits(|limits| limits.header = Duration::from_secs(1))).await;
    for (asked_before, many) in [(false, false), (true, false), (true, true)] {
        let _others = if many { crowd(&server).await } else { Vec::new() };
        let mut stream = server.connect().await;
        if asked_before {
            ask(&mut stream, "/read").await;
        }
        let start = Instant::now();
        tokio::time::sleep(Duration::from_millis(700)).await;
        within(stream.write_all(b"GET / HT")).await.unwrap();
        assert!(closed(&mut stream).await);
        let took = start.elapsed();
        assert!((Duration::from_millis(900)..Duration::from_millis(1500)).contains(&took), "{took:?}");
    }
}
