//! HTTP/1.1 on a connection.
//!
//! Most connections wait for a request most of the time. Hyper holds some 18 KiB for one that waits, two buffers of
//! 8 KiB above all. So where there are many there is no hyper on those meanwhile: it comes when there is something to
//! read, and goes when everything that was asked for has been answered and sent. That costs a request a microsecond.

use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::Body;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tracing::debug;

use super::idle::{Judge, LAST_HEAD};
use super::service::OneClient;
use super::wire::Wire;
use super::{Pause, begun, drive};
use crate::config::Limits;
use crate::listener::traffic::Traffic;
use crate::listener::transport::Io;
use crate::listener::{Serve, Slot};

/// Serves requests until the connection ends. A client may close its sending side early and still gets its answer.
pub(super) async fn serve<S, B>(
    io: Io,
    client: OneClient<S>,
    limits: &Limits,
    mut judge: Judge,
    mut drain: watch::Receiver<bool>,
    slot: &Slot,
) where
    S: Serve<B>,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let traffic = Arc::clone(&client.traffic);
    let mut http = http1::Builder::new();
    if let Some(bytes) = limits.read_ahead {
        http.max_buf_size(bytes.max(2 * limits.header_bytes));
    }
    http.max_header_size(limits.header_bytes).half_close(true);
    let mut head = Head::new(limits.header);
    let mut wire = Wire::new(io, Arc::clone(&traffic));
    let mut service = TowerToHyperService::new(client);
    while request(&mut wire, &mut head, &mut drain).await {
        traffic.begin();
        // Apart, because it is not there for long.
        let mut connection = Box::new(http.serve_connection(TokioIo::new(wire), service));
        let pause = |cx: &mut Context<'_>| head.pause(cx, &traffic, slot);
        if !drive(Pin::new(&mut *connection), &mut judge, &mut drain, pause).await {
            return;
        }
        let parts = connection.into_parts();
        (wire, service) = (parts.io.into_inner(), parts.service);
        // The beginning of the next request may have come with the last one.
        if !parts.read_buf.is_empty() {
            wire.again(&parts.read_buf);
        }
    }
    // A client that is about to send something gets a moment to hear that it ends here.
    let _ = timeout(LAST_HEAD, wire.shutdown()).await;
}

/// Whether a request begins; otherwise the connection is to be closed.
async fn request(wire: &mut Wire, head: &mut Head, drain: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        came = wire.readable() => came.unwrap_or_else(|error| {
            debug!(error = &error as &(dyn Error + 'static), "connection ended early");
            false
        }),
        () = begun(drain) => false,
        () = poll_fn(|cx| head.poll(cx)) => {
            debug!("a connection is closed: no request came in time");
            false
        }
    }
}

/// The time that a client has for the head of its next request.
#[derive(Debug)]
struct Head {
    time: Duration,
    until: Instant,
    /// Whether the time runs.
    runs: bool,
    /// Ends before `until` or with it: most heads come in time, so it is seldom set anew.
    sleep: Pin<Box<Sleep>>,
}

impl Head {
    fn new(time: Duration) -> Self {
        Self { time, until: Instant::now() + time, runs: true, sleep: Box::pin(sleep(time)) }
    }

    /// Ready when the time is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if Instant::now() >= self.until {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(self.until);
        }
    }

    /// Ready when hyper has nothing to do any more and should go, or the time is over. To be asked whenever hyper has been polled:
    /// nothing else changes what this depends on.
    fn pause(&mut self, cx: &mut Context<'_>, traffic: &Traffic, slot: &Slot) -> Poll<Pause> {
        if !traffic.is_calm() {
            self.runs = false;
            return Poll::Pending;
        }
        if !self.runs {
            self.runs = true;
            self.until = Instant::now() + self.time;
        }
        if traffic.is_at_rest() && slot.is_one_of_many() {
            return Poll::Ready(Pause::Rest);
        }
        ready!(self.poll(cx));
        Poll::Ready(Pause::Late)
    }
}
