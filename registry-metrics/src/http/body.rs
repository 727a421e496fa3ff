//! Bodies that are counted on their way.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::Requests;
use super::endpoint::Endpoint;
use super::requests::Tracked;

pin_project! {
    /// The body of a request.
    #[derive(Debug)]
    pub struct Received<B> {
        #[pin]
        inner: B,
        counted: Option<(Arc<Requests>, Endpoint)>,
    }
}

impl<B> Received<B> {
    pub(super) fn new(inner: B, counted: Option<(Arc<Requests>, Endpoint)>) -> Self {
        Self { inner, counted }
    }
}

impl<B: Body> Body for Received<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        if let Some((requests, endpoint)) = this.counted
            && let Some(bytes) = length(&frame)
        {
            requests.received(*endpoint, bytes);
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

pin_project! {
    /// The body of an answer. The request ends with it.
    #[derive(Debug)]
    pub struct Sent<B> {
        #[pin]
        inner: B,
        tracked: Option<Tracked>,
    }
}

impl<B> Sent<B> {
    pub(super) fn new(inner: B, tracked: Option<Tracked>) -> Self {
        Self { inner, tracked }
    }

    /// The body of the service below, for a server that can send it in a better way. What is sent like that is
    /// not counted as sent bytes.
    pub fn get_ref(&self) -> &B {
        &self.inner
    }
}

impl<B: Body> Body for Sent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        if let Some(tracked) = this.tracked
            && let Some(bytes) = length(&frame)
        {
            tracked.sent(bytes);
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

fn length<D: Buf, E>(frame: &Option<Result<Frame<D>, E>>) -> Option<u64> {
    let data = frame.as_ref()?.as_ref().ok()?.data_ref()?;
    Some(data.remaining() as u64)
}
