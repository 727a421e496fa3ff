//! Accepts connections, serves HTTP/1.1 on them, and drains them when told to stop.

mod bind;
mod connection;
mod signals;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::access_log::{InFlight, Sink, Tracked};

pub(crate) use self::bind::Listener;
pub(crate) use self::signals::{Stops, signals};

/// First and longest pause after a failed accept.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// A service that the listener can serve: hyper's requests in, any body out, no errors.
pub(crate) trait Serve<B>:
    tower_service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S, B> Serve<B> for S where
    S: tower_service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// How serving goes on once it has started.
#[derive(Clone)]
pub(crate) struct ServeOptions {
    /// What requests in flight get after the first stop.
    pub(crate) drain_timeout: Duration,
    /// Where request lines go, if anywhere.
    pub(crate) access_log: Option<Sink>,
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every request got its answer.
    Drained,
    /// The time was up with this many requests unanswered.
    TimedOut(usize),
    /// A second stop cut this many requests off.
    Forced(usize),
}

/// Serves until `stops` counts one stop, then drains; a second stop ends at once.
pub(crate) async fn serve<S, B>(
    listener: Listener,
    service: S,
    mut stops: Stops,
    options: ServeOptions,
) -> Outcome
where
    S: Serve<B>,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let in_flight = InFlight::default();
    let service = Tracked::new(service, in_flight.clone(), options.access_log);
    let connections = GracefulShutdown::new();
    tokio::select! {
        () = accept(&listener, service, &connections) => {}
        () = stopped(&mut stops, 1) => {}
    }
    drop(listener);
    info!("stopping server gracefully. Draining connections for {:?}", options.drain_timeout);
    tokio::select! {
        () = connections.shutdown() => Outcome::Drained,
        () = stopped(&mut stops, 2) => Outcome::Forced(in_flight.count()),
        () = tokio::time::sleep(options.drain_timeout) => match in_flight.count() {
            // What is still open never became a request.
            0 => Outcome::Drained,
            count => Outcome::TimedOut(count),
        },
    }
}

/// Waits for the `count`th stop; for ever when there can be none any more.
async fn stopped(stops: &mut watch::Receiver<usize>, count: usize) {
    if stops.wait_for(|stops| *stops >= count).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Hands out connections for as long as it is polled.
async fn accept<S, B>(listener: &Listener, service: Tracked<S>, connections: &GracefulShutdown)
where
    S: Serve<B>,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let mut pause = BACK_OFF.0;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                pause = BACK_OFF.0;
                connection::spawn(stream, peer, service.clone(), connections.watcher());
            }
            // The client gave up before it was its turn; the next one may be there already.
            Err(error) if is_about_one_client(&error) => {}
            Err(error) => {
                warn!(
                    error = &error as &(dyn Error + 'static),
                    "cannot accept connections, trying again in {pause:?}"
                );
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(BACK_OFF.1);
            }
        }
    }
}

fn is_about_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
