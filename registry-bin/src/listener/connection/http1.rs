//! HTTP/1.1 on a connection.
//!
//! Most connections wait for a request most of the time. What hyper holds for one that waits is 17 KiB, the two
//! buffers of 8 KiB above all, so there is no hyper on it meanwhile: it is put on when something comes, and taken
//! off when everything that was asked for is answered and the answer has gone out.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, timeout};
use tracing::debug;

use super::idle::{Judge, LAST_HEAD};
use super::service::OneClient;
use super::wire::Wire;
use super::{Answers, Pause, begun, drive};
use crate::config::Limits;
use crate::listener::Serve;
use crate::listener::traffic::Traffic;
use crate::listener::transport::Io;

/// Serves requests until the connection ends. A client may close its sending side early and still gets its answer.
pub(super) async fn serve<S, B>(
    io: Io,
    client: OneClient<S>,
    limits: &Limits,
    mut judge: Judge,
    mut drain: watch::Receiver<bool>,
) where
    S: Serve<B>,
    B: Answers,
{
    let traffic = Arc::clone(&client.traffic);
    let mut http = http1::Builder::new();
    http.max_header_size(limits.header_bytes).half_close(true);
    let mut head = pin!(Head::new(limits.header));
    let mut wire = Wire::new(io, Arc::clone(&traffic));
    let mut service = TowerToHyperService::new(client);
    loop {
        tokio::select! {
            came = wire.readable() => match came {
                Ok(true) => {}
                Ok(false) => return end(wire).await,
                Err(error) => return debug!(error = &error as &(dyn std::error::Error + 'static), "connection ended early"),
            },
            () = begun(&mut drain) => return end(wire).await,
            () = std::future::poll_fn(|cx| head.as_mut().poll(cx)) => return debug!("{TOO_LATE}"),
        }
        traffic.begin();
        // Apart, because it is not there for long.
        let mut connection = Box::new(http.serve_connection(TokioIo::new(wire), service));
        let pause = |cx: &mut Context<'_>| head.as_mut().pause(cx, &traffic);
        if drive(Pin::new(&mut *connection), &mut judge, &mut drain, pause).await.is_none() {
            return;
        }
        let parts = connection.into_parts();
        (wire, service) = (parts.io.into_inner(), parts.service);
        // The beginning of the next request may have come with the last one.
        wire.again(parts.read_buf);
    }
}

const TOO_LATE: &str = "a connection is closed: no head of a request came in time";

/// Says that nothing more comes from here.
async fn end(mut wire: Wire) {
    // Whoever is in the middle of sending a request gets a moment to hear it.
    let _ = timeout(LAST_HEAD, wire.shutdown()).await;
}
