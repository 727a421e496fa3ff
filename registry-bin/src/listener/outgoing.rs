//! The answer on its way out of the service.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::CONNECTION;
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::intake::Rest;
use super::traffic::UnderWay;

pin_project! {
    /// Waits for the answer and settles what is left of the request.
    pub(super) struct Answer<F> {
        #[pin]
        inner: Option<F>,
        rest: Option<Arc<Rest>>,
        expects: bool,
        under_way: Option<UnderWay>,
    }
}

impl<F> Answer<F> {
    pub(super) fn new(inner: F, rest: Option<Arc<Rest>>, expects: bool, under_way: UnderWay) -> Self {
        Self { inner: Some(inner), rest, expects, under_way: Some(under_way) }
    }

    /// For a request whose body comes in a coding that nobody here undoes.
    pub(super) fn refusal(under_way: UnderWay) -> Self {
        Self { inner: None, rest: None, expects: false, under_way: Some(under_way) }
    }
}

impl<F, B, E> Future for Answer<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<Outgoing<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            if let Some(under_way) = this.under_way.as_ref() {
                under_way.traffic().refused();
            }
            let mut response = Response::new(Outgoing::new(None, this.under_way.take()));
            *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return Poll::Ready(Ok(response));
        };
        let mut response = ready!(inner.poll(cx))?;
        if let Some(rest) = this.rest {
            rest.settle(*this.expects, &mut response);
        }
        let under_way = this.under_way.take();
        Poll::Ready(Ok(response.map(|body| Outgoing::new(Some(body), under_way))))
    }
}

pin_project! {
    /// The body of an answer, which knows whether the client keeps it waiting.
    pub(crate) struct Outgoing<B> {
        #[pin]
        inner: Option<B>,
        waiting: Waiting,
    }
}

/// Whether something was handed on and nothing more was asked for since.
struct Waiting {
    under_way: Option<UnderWay>,
    set: bool,
}

impl Waiting {
    fn set(&mut self, set: bool) {
        if let Some(under_way) = &self.under_way
            && self.set != set
        {
            if set {
                under_way.traffic().wait()
            } else {
                under_way.traffic().waited()
            }
            under_way.traffic().piece();
        }
        self.set = set;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.set(false);
    }
}

impl<B> Outgoing<B> {
    fn new(inner: Option<B>, under_way: Option<UnderWay>) -> Self {
        // The head is handed on already.
        let mut waiting = Waiting { under_way, set: false };
        waiting.set(inner.is_some());
        Self { inner, waiting }
    }
}

impl<B: Body> Body for Outgoing<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        this.waiting.set(false);
        let Some(inner) = this.inner.as_pin_mut() else { return Poll::Ready(None) };
        let frame = ready!(inner.poll_frame(cx));
        this.waiting.set(true);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
