//! The listener of an emulator: it writes the log, makes what the fault plan says go wrong, and hands everything
//! else to the protocol.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use http::{HeaderMap, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::Body;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::faults::{Effect, Faults};
use super::log::{Kind, Log, Request, decode};

pub(super) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(super) type Answer = Result<Response<Body>, Error>;

/// How many entries a page of a listing may have, in the extensions of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShortListing(pub(super) usize);

/// A protocol over a store.
pub(super) trait Protocol: Send + Sync + 'static {
    /// What a request does. `key` is decoded and without the bucket.
    fn kind(&self, method: &Method, key: &str, query: &str, headers: &HeaderMap) -> Kind;

    /// How many segments of the path come before the key.
    fn root(&self) -> usize;

    /// An error as this protocol words it.
    fn refuse(&self, status: StatusCode, code: &str) -> Response<Body>;

    /// Does what is asked.
    fn call(&self, request: http::Request<Body>) -> BoxFuture<'static, Answer>;
}

/// Does what is asked, to the end even if the client goes away.
async fn call(protocol: &dyn Protocol, request: http::Request<Body>) -> Answer {
    tokio::spawn(protocol.call(request)).await?
}

/// A server on a free port of this machine, until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) shared: Arc<Shared>,
    accepting: AbortHandle,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) log: Log,
    pub(super) faults: Faults,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        if std::thread::panicking()
            && let Some(again) = self.shared.faults.again()
        {
            eprintln!("{again}");
        }
    }
}

impl Server {
    /// Serves on `address`, port 0 for any that is free.
    pub(super) async fn start(address: SocketAddr, protocol: Arc<dyn Protocol>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, protocol, Arc::clone(&shared))).abort_handle();
        Ok(Self { address, shared, accepting })
    }
}

/// Connections end with the task that accepts them.
async fn accept(listener: TcpListener, protocol: Arc<dyn Protocol>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let _ = stream.set_nodelay(true);
        let reset = Arc::new(AtomicBool::new(false));
        let wire = TokioIo::new(Wire { stream, reset: Arc::clone(&reset) });
        let (protocol, shared) = (Arc::clone(&protocol), Arc::clone(&shared));
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            serve(Arc::clone(&protocol), Arc::clone(&shared), Arc::clone(&reset), request.map(Body::from))
        });
        connections.spawn(async move {
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(wire, service).await;
        });
    }
}

async fn serve(
    protocol: Arc<dyn Protocol>,
    shared: Arc<Shared>,
    reset: Arc<AtomicBool>,
    mut request: http::Request<Body>,
) -> Answer {
    let path = request.uri().path().trim_start_matches('/');
    let key = decode(path.splitn(protocol.root() + 1, '/').nth(protocol.root()).unwrap_or(""));
    let query = request.uri().query().unwrap_or("").to_owned();
    let kind = protocol.kind(request.method(), &key, &query, request.headers());
    let effect = shared.faults.strike(kind, &key);
    let number = shared.log.arrived(Request {
        kind,
        method: request.method().clone(),
        key,
        query,
        headers: request.headers().clone(),
        status: None,
    });
    let answer = match effect {
        None => call(&*protocol, request).await?,
        Some(Effect::SlowFirstByte(time)) => {
            tokio::time::sleep(time).await;
            call(&*protocol, request).await?
        }
        Some(Effect::ShortListing(most)) => {
            request.extensions_mut().insert(ShortListing(most));
            call(&*protocol, request).await?
        }
        Some(Effect::ResetBefore) => return Err(cut(&reset)),
        Some(Effect::ResetAfter) => {
            // The body too: some of what is done is done while it is written.
            let body = call(&*protocol, request).await?.into_body();
            let _ = BodyExt::collect(body).await;
            return Err(cut(&reset));
        }
        Some(Effect::ResetInBody(bytes)) if has_body(&request) => {
            let request = request.map(|body| cut_after(body, bytes, &reset));
            call(&*protocol, request).await?;
            return Err(cut(&reset));
        }
        Some(Effect::ResetInBody(bytes)) => {
            call(&*protocol, request).await?.map(|body| cut_after(body, bytes, &reset))
        }
        Some(Effect::SlowDown(after)) => {
            let mut answer = refuse(&*protocol, request, StatusCode::SERVICE_UNAVAILABLE, "SlowDown").await;
            if let Some(after) = after {
                answer.headers_mut().insert(header::RETRY_AFTER, after.as_secs().into());
            }
            answer
        }
        Some(Effect::InternalError) => {
            refuse(&*protocol, request, StatusCode::INTERNAL_SERVER_ERROR, "InternalError").await
        }
        Some(Effect::ClockSkew) => {
            refuse(&*protocol, request, StatusCode::FORBIDDEN, "RequestTimeTooSkewed").await
        }
        Some(Effect::ExpiredToken) => {
            refuse(&*protocol, request, StatusCode::BAD_REQUEST, "ExpiredToken").await
        }
    };
    shared.log.answered(number, answer.status());
    Ok(answer)
}

fn has_body(request: &http::Request<Body>) -> bool {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.is_some_and(|length| length != "0") || request.headers().contains_key(header::TRANSFER_ENCODING)
}

/// A refusal, after the whole of the request: half a body would be a reset of its own.
async fn refuse(
    protocol: &dyn Protocol,
    request: http::Request<Body>,
    status: StatusCode,
    code: &str,
) -> Response<Body> {
    let head = request.method() == Method::HEAD;
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let answer = protocol.refuse(status, code);
    if head { answer.map(|_| Body::empty()) } else { answer }
}

fn cut(reset: &AtomicBool) -> Error {
    reset.store(true, Ordering::Relaxed);
    "the fault plan resets this connection".into()
}

fn cut_after(body: Body, bytes: u64, reset: &Arc<AtomicBool>) -> Body {
    let (body, reset) = (Box::pin(body.into_data_stream()), Arc::clone(reset));
    let frames = stream::unfold((body, Some(bytes)), move |(mut body, left)| {
        let reset = Arc::clone(&reset);
        async move {
            let Some(left) = left else {
                // What came before is on its way first.
                tokio::time::sleep(Duration::from_millis(1)).await;
                return Some((Err(cut(&reset)), (body, None)));
            };
            match body.next().await? {
                Ok(chunk) if chunk.len() as u64 <= left => {
                    let left = left - chunk.len() as u64;
                    Some((Ok(Frame::data(chunk)), (body, Some(left))))
                }
                Ok(chunk) => Some((Ok(Frame::data(chunk.slice(..left as usize))), (body, None))),
                Err(error) => Some((Err(error), (body, None))),
            }
        }
    });
    Body::http_body_unsync(StreamBody::new(frames))
}

/// A connection that can be closed with a reset.
struct Wire {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.reset.load(Ordering::Relaxed) {
            // Closing in order would come before the reset.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut wire.stream).poll_shutdown(cx)
    }
}
