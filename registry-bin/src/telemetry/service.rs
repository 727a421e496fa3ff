//! The span of a request.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context as Poller, Poll, ready};

use http::header::{HOST, USER_AGENT};
use http::{HeaderName, Request, Response};
use http_body::{Body, Frame, SizeHint};
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::trace::SdkTracer;
use pin_project_lite::pin_project;
use tower_service::Service;

/// Begins a span for each request, as a part of the trace that the client names, and ends it with the answer.
///
/// What is inside sees the span as the current one, and finds it in the header `traceparent`, by which the log
/// tells of which trace its lines are.
#[derive(Debug, Clone)]
pub(crate) struct Traced<S> {
    inner: S,
    tracer: Option<SdkTracer>,
}

impl<S> Traced<S> {
    /// Without a tracer this does nothing.
    pub(super) fn new(inner: S, tracer: Option<SdkTracer>) -> Self {
        Self { inner, tracer }
    }
}

impl<S, B, R> Service<Request<B>> for Traced<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    type Response = Response<TracedBody<R>>;
    type Error = S::Error;
    type Future = TracedAnswer<S::Future>;

    fn poll_ready(&mut self, cx: &mut Poller<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(tracer) = &self.tracer else {
            return TracedAnswer { inner: self.inner.call(request), context: None };
        };
        let context = begin(tracer, &request);
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&context, &mut HeaderInjector(request.headers_mut()));
        });
        let current = context.clone().attach();
        let inner = self.inner.call(request);
        drop(current);
        TracedAnswer { inner, context: Some(Open(context)) }
    }
}

fn begin<B>(tracer: &SdkTracer, request: &Request<B>) -> Context {
    let parent =
        global::get_text_map_propagator(|propagator| propagator.extract(&HeaderExtractor(request.headers())));
    let (method, path) = (request.method().as_str(), request.uri().path());
    let mut attributes = vec![
        KeyValue::new("http.request.method", method.to_owned()),
        KeyValue::new("url.path", path.to_owned()),
    ];
    let mut header = |key: &'static str, name: HeaderName| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        attributes.extend(value.map(|value| KeyValue::new(key, value.to_owned())));
    };
    header("server.address", HOST);
    header("user_agent.original", USER_AGENT);
    if let Some(peer) = request.extensions().get::<SocketAddr>() {
        attributes.push(KeyValue::new("client.address", peer.ip().to_canonical().to_string()));
    }
    let span = SpanBuilder::from_name(format!("{method} {path}"));
    let span = span.with_kind(SpanKind::Server).with_attributes(attributes);
    let span = tracer.build_with_context(span, &parent);
    parent.with_span(span)
}

/// A span that ends when this is dropped.
#[derive(Debug)]
struct Open(Context);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.span().end();
    }
}

pin_project! {
    /// Waits for the answer.
    pub(crate) struct TracedAnswer<F> {
        #[pin]
        inner: F,
        context: Option<Open>,
    }
}

impl<F, R, E> Future for TracedAnswer<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<TracedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let current = this.context.as_ref().map(|open| open.0.clone().attach());
        let polled = this.inner.poll(cx);
        drop(current);
        let response = ready!(polled)?;
        let open = this.context.take();
        if let Some(Open(context)) = &open {
            let status = response.status();
            let span = context.span();
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
            if status.is_server_error() {
                span.set_status(Status::error(""));
            }
        }
        Poll::Ready(Ok(response.map(|inner| TracedBody { inner, _open: open })))
    }
}

pin_project! {
    /// The body of an answer, with which the span ends.
    #[derive(Debug)]
    pub(crate) struct TracedBody<B> {
        #[pin]
        inner: B,
        _open: Option<Open>,
    }
}

impl<B: Body> Body for TracedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Poller<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().inner.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
