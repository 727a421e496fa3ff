//! Accepts connections, serves HTTP/1.1 and HTTP/2 on them, with or without TLS, and drains them when told to stop.

mod bind;
mod connection;
mod files;
mod intake;
mod outgoing;
mod proxy_protocol;
mod signals;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod traffic;
mod transport;

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::access_log::{InFlight, Sink, Tracked};
use crate::config::Limits;

pub(crate) use self::bind::{BindError, Listener};
pub(crate) use self::files::raise_limit;
pub(crate) use self::intake::Intake;
pub(crate) use self::signals::{Stops, hangups, signals};
pub(crate) use self::tls::Tls;
pub(crate) use self::transport::Transport;

/// First and longest pause after a failed accept.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// How long it takes until it is said again that there are too many connections.
const FULL_AGAIN: Duration = Duration::from_secs(60);

/// As many connections may hold what they like while they wait for requests: a MiB is not worth the microsecond.
const FEW: usize = 64;

/// A service that the listener can serve: hyper's requests in, any body out, no errors.
pub(crate) trait Serve<B>:
    tower_service::Service<Request<Intake>, Response = Response<B>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S, B> Serve<B> for S where
    S: tower_service::Service<Request<Intake>, Response = Response<B>, Error = Infallible, Future: Send>
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
    /// What one client may cost.
    pub(crate) limits: Limits,
    /// What lies between the sockets and HTTP.
    pub(crate) transport: Transport,
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
    let service = Tracked::new(service, in_flight.clone(), options.access_log.clone());
    let (drain, _) = watch::channel(false);
    tokio::select! {
        () = accept(&listener, service, &drain, &options) => {}
        () = stopped(&mut stops, 1) => {}
    }
    drop(listener);
    info!("stopping server gracefully. Draining connections for {:?}", options.drain_timeout);
    drain.send_replace(true);
    tokio::select! {
        // Every connection holds a receiver.
        () = drain.closed() => Outcome::Drained,
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
async fn accept<S, B>(
    listener: &Listener,
    service: Tracked<S>,
    drain: &watch::Sender<bool>,
    options: &ServeOptions,
) where
    S: Serve<B>,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let ServeOptions { limits, transport, .. } = options;
    let mut slots = Slots::new(limits.connections.unwrap_or_else(files::connections));
    let mut pause = BACK_OFF.0;
    loop {
        let slot = slots.take().await;
        match listener.accept().await {
            Ok((socket, peer)) => {
                pause = BACK_OFF.0;
                let drain = drain.subscribe();
                connection::spawn(socket, peer, service.clone(), drain, limits, transport, slot);
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

/// A connection's place among as many as there may be.
#[derive(Debug)]
struct Slot {
    permit: OwnedSemaphorePermit,
    count: usize,
}

impl Slot {
    /// Whether there are so many connections that it matters what each of them holds while it waits.
    fn is_one_of_many(&self) -> bool {
        self.count.saturating_sub(self.permit.semaphore().available_permits()) > FEW
    }
}

/// As many connections as there may be. Those beyond wait where the system keeps what was not accepted yet.
struct Slots {
    free: Arc<Semaphore>,
    count: usize,
    warned: Option<Instant>,
}

impl Slots {
    fn new(count: usize) -> Self {
        let count = count.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(count)), count, warned: None }
    }

    async fn take(&mut self) -> Slot {
        let count = self.count;
        loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                return Slot { permit, count };
            }
            // Connections may come and go at the limit, many a second: not a line for each.
            if self.warned.is_none_or(|warned| warned.elapsed() > FULL_AGAIN) {
                self.warned = Some(Instant::now());
                warn!("{} connections are open, others have to wait (http.limits.connections)", self.count);
            }
            if let Ok(permit) = Arc::clone(&self.free).acquire_owned().await {
                return Slot { permit, count };
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
