//! Wraps the service so that every request is counted while in flight and leaves its lines when the response has
//! been sent or given up: one in the log and, if wanted, one in the access log, in Apache's combined format.

use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Buf;
use http::header::{REFERER, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use registry::http::{RequestLog, loggable_target};

use crate::{output, time};

/// Takes finished lines, newline included.
pub(crate) type Sink = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// The sink for standard output.
pub(crate) fn standard_output() -> Sink {
    let output = output::standard_output();
    Arc::new(move |line| output.line(line, false))
}

/// Number of requests whose response is not finished.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    fn enter(&self) -> Entered {
        self.0.fetch_add(1, Ordering::AcqRel);
        Entered(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Entered(Arc<AtomicUsize>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What is known of a request so far. Both its lines are written when this is dropped, so an aborted response
/// leaves them too.
struct Exchange {
    access: Option<Line>,
    log: Option<RequestLog>,
    status: u16,
    /// Of the body, as far as it went.
    bytes: u64,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(line) = self.access.take() {
            line.finish(self.status, self.bytes);
        }
        if let Some(log) = &self.log {
            log.completed(self.bytes);
        }
    }
}

/// A line of the access log under construction, in memory that is asked for once.
struct Line {
    /// What stands behind the size, and from `start` on what stands before the status.
    text: Vec<u8>,
    start: usize,
    sink: Sink,
}

/// What a line has besides target and headers of the client: with an IPv6 address and escapes a little less.
const FRAME: usize = 160;

impl Line {
    fn new<B>(request: &Request<B>, sink: &Sink) -> Self {
        let header = |name: &HeaderName| request.headers().get(name).map_or(&b""[..], HeaderValue::as_bytes);
        let (referer, agent, target) =
            (header(&REFERER), header(&USER_AGENT), loggable_target(request.uri()));
        let mut text = Vec::with_capacity(FRAME + target.len() + 2 * (referer.len() + agent.len()));
        text.extend_from_slice(b" \"");
        escape(&mut text, referer);
        text.extend_from_slice(b"\" \"");
        escape(&mut text, agent);
        text.extend_from_slice(b"\"\n");
        let start = text.len();
        match request.extensions().get::<SocketAddr>() {
            Some(peer) => _ = write!(text, "{}", peer.ip().to_canonical()),
            None => text.push(b'-'),
        }
        text.extend_from_slice(b" - - [");
        text.extend_from_slice(&time::common_log(SystemTime::now()));
        text.extend_from_slice(b"] \"");
        escape(&mut text, request.method().as_str().as_bytes());
        text.push(b' ');
        escape(&mut text, target.as_bytes());
        text.push(b' ');
        match request.version() {
            Version::HTTP_11 => text.extend_from_slice(b"HTTP/1.1"),
            other => _ = write!(text, "{other:?}"),
        }
        text.extend_from_slice(b"\" ");
        Self { text, start, sink: Arc::clone(sink) }
    }

    fn finish(mut self, status: u16, bytes: u64) {
        _ = write!(self.text, "{status} {bytes}");
        self.text.extend_from_within(..self.start);
        (self.sink)(&self.text[self.start..]);
    }
}

/// Which bytes stay as they are; most of a line is looked up here.
const HARMLESS: [bool; 256] = {
    let mut harmless = [false; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        harmless[byte as usize] = !matches!(byte, b'"' | b'\\');
        byte += 1;
    }
    harmless
};

/// Appends client-supplied bytes so that they can neither end their field nor the line.
fn escape(text: &mut Vec<u8>, mut bytes: &[u8]) {
    while let Some(end) = bytes.iter().position(|byte| !HARMLESS[usize::from(*byte)]) {
        text.extend_from_slice(&bytes[..end]);
        match bytes[end] {
            byte @ (b'"' | b'\\') => text.extend_from_slice(&[b'\\', byte]),
            byte => _ = write!(text, "\\x{byte:02x}"),
        }
        bytes = &bytes[end + 1..];
    }
    text.extend_from_slice(bytes);
}

/// The wrapped service; see the module.
#[derive(Clone)]
pub(crate) struct Tracked<S> {
    inner: S,
    in_flight: InFlight,
    sink: Option<Sink>,
}

impl<S> Tracked<S> {
    pub(crate) fn new(inner: S, in_flight: InFlight, sink: Option<Sink>) -> Self {
        Self { inner, in_flight, sink }
    }
}

impl<S, R, B> tower_service::Service<Request<R>> for Tracked<S>
where
    S: tower_service::Service<Request<R>, Response = Response<B>>,
{
    type Response = Response<TrackedBody<B>>;
    type Error = S::Error;
    type Future = TrackedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let line = self.sink.as_ref().map(|sink| Line::new(&request, sink));
        let entered = Some(self.in_flight.enter());
        TrackedFuture { inner: self.inner.call(request), line, entered }
    }
}

pin_project! {
    /// Waits for the response and moves the bookkeeping into its body.
    pub(crate) struct TrackedFuture<F> {
        #[pin]
        inner: F,
        line: Option<Line>,
        entered: Option<Entered>,
    }
}

impl<F, B, E> Future for TrackedFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<TrackedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = std::task::ready!(this.inner.poll(cx))?;
        let log = response.extensions_mut().remove::<RequestLog>();
        let status = response.status().as_u16();
        let exchange = Some(Exchange { access: this.line.take(), log, status, bytes: 0 });
        let entered = this.entered.take();
        Poll::Ready(Ok(response.map(|inner| TrackedBody { inner, exchange, entered })))
    }
}

pin_project! {
    /// The response body, counting what is sent.
    pub(crate) struct TrackedBody<B> {
        #[pin]
        inner: B,
        exchange: Option<Exchange>,
        // Held until the connection is done with the body.
        entered: Option<Entered>,
    }
}

impl<B: Body> Body for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = std::task::ready!(this.inner.poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(exchange), Some(data)) = (this.exchange.as_mut(), frame.data_ref()) {
                    exchange.bytes += data.remaining() as u64;
                }
            }
            Some(Err(_)) | None => {
                this.exchange.take();
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests;
