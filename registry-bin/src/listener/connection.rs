//! One connection: what is spoken on it, its task, its end.

mod http1;
mod idle;
mod opening;
mod service;
mod wire;

use std::error::Error;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::Body;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tracing::debug;

use self::idle::{Judge, Verdict};
use self::opening::{Opened, open};
use self::service::OneClient;
use super::stream::{Socket, Stream};
use super::traffic::Traffic;
use super::transport::{Protocol, Transport};
use super::{Serve, Slot};
use crate::config::Limits;

/// Requests at the same time on one connection. The standard advises against fewer.
const STREAMS: u32 = 100;

/// What may be on its way to us: of one request's body, and of all on a connection. It has to last for one round
/// trip, or uploads over long distances are slow.
const WINDOWS: (u32, u32) = (1 << 20, 2 << 20);

/// What is kept of one answer until the client takes it.
const SEND_BUFFER: usize = 256 << 10;

/// How long nothing comes until the other side is asked whether it is still there.
const ASK_AGAIN: std::time::Duration = std::time::Duration::from_secs(30);

/// Serves `socket` in a task of its own, which gives `slot` back when it ends.
pub(super) fn spawn<S, B>(
    socket: Socket,
    peer: Option<SocketAddr>,
    service: S,
    drain: watch::Receiver<bool>,
    limits: &Limits,
    transport: &Transport,
    slot: Slot,
) where
    S: Serve<B>,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let (limits, transport) = (*limits, transport.clone());
    tokio::spawn(async move {
        let traffic = Arc::new(Traffic::default());
        let stream = Stream::new(socket, limits.write, Arc::clone(&traffic));
        // Apart, because what it needs is not needed for long.
        let opening = Box::pin(open(stream, peer, &transport, &traffic, limits.header));
        let mut stop = drain.clone();
        let opened = tokio::select! {
            opened = opening => opened,
            // There was no request yet.
            () = begun(&mut stop) => None,
        };
        if let Some(opened) = opened {
            serve(opened, service, stop, &limits, traffic, &slot).await;
        }
        drop(slot);
    });
}

async fn serve<S, B>(
    Opened { io, protocol, peer, secure, certificate }: Opened,
    service: S,
    drain: watch::Receiver<bool>,
    limits: &Limits,
    traffic: Arc<Traffic>,
    slot: &Slot,
) where
    S: Serve<B>,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let client =
        OneClient { inner: service, peer, certificate, secure, body: limits.body, protocol, traffic };
    let mut judge = Judge::new(&client.traffic, limits, protocol);
    match protocol {
        Protocol::Http1 => http1::serve(io, client, limits, judge, drain, slot).await,
        Protocol::Http2 => {
            let (io, service) = (TokioIo::new(io), TowerToHyperService::new(client));
            let mut http = http2::Builder::new(TokioExecutor::new());
            http.timer(TokioTimer::new())
                .keep_alive_interval(ASK_AGAIN)
                .keep_alive_timeout(limits.write)
                .max_concurrent_streams(STREAMS)
                .initial_stream_window_size(WINDOWS.0)
                .initial_connection_window_size(WINDOWS.1)
                .max_send_buf_size(SEND_BUFFER)
                .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX));
            let mut connection = Box::pin(http.serve_connection(io, service));
            let mut drain = drain;
            drive(connection.as_mut(), &mut judge, &mut drain, |_| Poll::Pending).await;
        }
    }
}

/// A connection that can be asked to take no more requests.
trait Ends: Future<Output = hyper::Result<()>> {
    fn finish(self: Pin<&mut Self>);
}

impl<I, B, S> Ends for hyper::server::conn::http1::Connection<I, S>
where
    S: hyper::service::HttpService<
            hyper::body::Incoming,
            ResBody = B,
            Error: Into<Box<dyn Error + Send + Sync>>,
        >,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, B, S, E> Ends for http2::Connection<I, S, E>
where
    S: hyper::service::HttpService<
            hyper::body::Incoming,
            ResBody = B,
            Error: Into<Box<dyn Error + Send + Sync>>,
        >,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Why a connection does not go on for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// There is nothing to do.
    Rest,
    /// The next request has not come in time.
    Late,
}

/// Lets the connection run until it ends, finishes or is not worth waiting for, which is the end of it, or until it is
/// at rest, and then it says so. `pause` is asked when the connection has been polled.
async fn drive<C: Ends>(
    mut connection: Pin<&mut C>,
    judge: &mut Judge,
    drain: &mut watch::Receiver<bool>,
    mut pause: impl FnMut(&mut Context<'_>) -> Poll<Pause> + Send,
) -> bool {
    let mut draining = false;
    loop {
        tokio::select! {
            result = poll_fn(|cx| match connection.as_mut().poll(cx) {
                Poll::Ready(result) => Poll::Ready(Ok(result)),
                Poll::Pending => pause(cx).map(Err),
            }) => match result {
                Ok(Ok(())) => return false,
                Ok(Err(error)) => {
                    debug!(error = &error as &(dyn Error + 'static), "connection ended early");
                    return false;
                }
                Err(Pause::Late) => {
                    debug!("a connection is closed: no head of a request came in time");
                    return false;
                }
                Err(Pause::Rest) => return true,
            },
            () = begun(drain), if !draining => {
                draining = true;
                judge.drain();
                connection.as_mut().finish();
            }
            verdict = judge.verdict() => match verdict {
                Verdict::Finish => connection.as_mut().finish(),
                Verdict::Drop(why) => {
                    debug!("a connection is closed: {why}");
                    return false;
                }
            }
        }
    }
}

/// Waits for the drain; for ever if there can be none any more.
async fn begun(drain: &mut watch::Receiver<bool>) {
    if drain.wait_for(|begun| *begun).await.is_err() {
        std::future::pending::<()>().await;
    }
}
