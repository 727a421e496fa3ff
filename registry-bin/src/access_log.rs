//! Wraps the service so that every request is counted while in flight and, if wanted, leaves a line in the
//! access log: Apache's combined format, written when the response has been sent or given up.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Buf;
use http::header::{REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::time::Civil;

/// Takes finished lines, newline included.
pub(crate) type Sink = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// The sink for standard output.
pub(crate) fn standard_output() -> Sink {
    Arc::new(|line| {
        // A closed standard output must not stop the registry.
        let mut output = std::io::stdout().lock();
        let _ = output.write_all(line).and_then(|()| output.flush());
    })
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

/// A line under construction; written when it is dropped, so an aborted response leaves one too.
struct Line {
    before_status: String,
    after_size: String,
    status: u16,
    bytes: u64,
    sink: Sink,
}

impl Line {
    fn new<B>(request: &Request<B>, sink: &Sink) -> Self {
        let peer = request
            .extensions()
            .get::<SocketAddr>()
            .map_or_else(|| "-".to_owned(), |peer| peer.ip().to_canonical().to_string());
        let mut start = format!("{peer} - - [{}] \"", Civil::new(SystemTime::now()).common_log());
        escape(&mut start, request.method().as_str().as_bytes());
        start.push(' ');
        escape(&mut start, request.uri().to_string().as_bytes());
        _ = write!(start, " {:?}\"", request.version());
        let after_size = format!(
            "\"{}\" \"{}\"",
            escaped(request.headers(), &REFERER),
            escaped(request.headers(), &USER_AGENT)
        );
        Self { before_status: start, after_size, status: 0, bytes: 0, sink: Arc::clone(sink) }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.status == 0 {
            return; // the connection went away before there was an answer
        }
        let Self { before_status, after_size, status, bytes, .. } = self;
        (self.sink)(format!("{before_status} {status} {bytes} {after_size}\n").as_bytes());
    }
}

fn escaped(headers: &HeaderMap, name: &HeaderName) -> String {
    let mut text = String::new();
    escape(&mut text, headers.get(name).map_or(b"", |value| value.as_bytes()));
    text
}

/// Appends client-supplied bytes so that they can neither end their field nor the line.
fn escape(text: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b' '..=b'~' => text.push(char::from(byte)),
            _ => _ = write!(text, "\\x{byte:02x}"),
        }
    }
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
        let response = std::task::ready!(this.inner.poll(cx))?;
        let (mut line, entered) = (this.line.take(), this.entered.take());
        if let Some(line) = &mut line {
            line.status = response.status().as_u16();
        }
        Poll::Ready(Ok(response.map(|inner| TrackedBody { inner, line, entered })))
    }
}

pin_project! {
    /// The response body, counting what is sent.
    pub(crate) struct TrackedBody<B> {
        #[pin]
        inner: B,
        line: Option<Line>,
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
                if let (Some(line), Some(data)) = (this.line.as_mut(), frame.data_ref()) {
                    line.bytes += data.remaining() as u64;
                }
            }
            Some(Err(_)) | None => {
                this.line.take();
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
