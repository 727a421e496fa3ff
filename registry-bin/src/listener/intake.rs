//! The body of a request on its way into the service, and what becomes of it when the service answers without
//! having read it.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::stream::Timer;
use super::traffic::Traffic;

/// A rest of a body that is shorter than this is read and forgotten after an early answer, which keeps the
/// connection. Of a longer one the client is told that the connection is closed.
const SHORT: u64 = 64 << 10;

/// The body of a request.
///
/// It fails with [`io::ErrorKind::TimedOut`] when it is waited for and nothing comes for a while. The time that
/// the service needs between two pieces does not count.
#[derive(Debug)]
pub(crate) struct Intake(Option<Held>);

/// A body that has not ended.
#[derive(Debug)]
struct Held {
    body: Incoming,
    /// Whether anybody has waited for it, so that the client was told to send it.
    wanted: bool,
    timer: Timer,
    rest: Arc<Rest>,
}

/// What is left of the body of one request; shared by the body and the answer.
#[derive(Debug)]
pub(super) struct Rest {
    state: Mutex<State>,
    time: Duration,
    traffic: Arc<Traffic>,
}

#[derive(Debug)]
enum State {
    /// The service has the body, or it broke off.
    Unknown,
    /// It was read to its end.
    Whole,
    /// The service has dropped the body before its end.
    Left { body: Incoming, wanted: bool },
}

impl Intake {
    /// Nothing is left to be watched of a body that is empty.
    pub(super) fn new(body: Incoming, time: Duration, traffic: &Arc<Traffic>) -> (Self, Option<Arc<Rest>>) {
        if body.is_end_stream() {
            return (Self(None), None);
        }
        traffic.body();
        let rest = Arc::new(Rest { state: Mutex::new(State::Unknown), time, traffic: Arc::clone(traffic) });
        let held = Held { body, wanted: false, timer: Timer::new(time), rest: Arc::clone(&rest) };
        (Self(Some(held)), Some(rest))
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        if let Some(Held { body, wanted, rest, .. }) = self.0.take() {
            if body.is_end_stream() { rest.whole() } else { rest.set(State::Left { body, wanted }) }
        }
    }
}

impl Rest {
    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn whole(&self) {
        self.traffic.taken();
        self.traffic.whole();
        self.set(State::Whole);
    }

    /// Decides what the answer means for the connection. `expects` says that the client waits to be told before
    /// it sends the body.
    pub(super) fn settle<B>(&self, expects: bool, response: &mut Response<B>) {
        let state = std::mem::replace(
            &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner),
            State::Unknown,
        );
        match state {
            State::Whole => return,
            // A client that was not told may send the body or not: nobody can say what comes next from it.
            State::Left { body, wanted }
                if (wanted || !expects) && body.size_hint().exact().is_some_and(|left| left <= SHORT) =>
            {
                tokio::spawn(finish(body, self.time));
                return;
            }
            State::Left { .. } | State::Unknown => {}
        }
        // Said in time, so that no client sends its next request into a connection that ends here.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        self.traffic.refused();
    }
}

/// Reads the rest of a body. If it stalls, dropping it closes the connection.
async fn finish(mut body: Incoming, time: Duration) {
    while let Ok(Some(Ok(_))) = timeout(time, body.frame()).await {}
}

impl Body for Intake {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let Some(held) = &mut this.0 else { return Poll::Ready(None) };
        held.wanted = true;
        let end = match Pin::new(&mut held.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                held.timer.stop();
                held.rest.traffic.piece();
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(Some(Err(error))) => Some(Err(error.into())),
            Poll::Ready(None) => {
                held.rest.whole();
                None
            }
            Poll::Pending => {
                ready!(held.timer.poll(cx));
                Some(Err(io::Error::new(io::ErrorKind::TimedOut, "the client sends no more").into()))
            }
        };
        // Not by way of drop, which would offer what is left of it. (Hyper closes when its end is dropped.)
        this.0 = None;
        Poll::Ready(end)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|held| held.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |held| held.body.size_hint())
    }
}
