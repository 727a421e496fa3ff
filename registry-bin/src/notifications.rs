//! From `notifications` to a running notifier, and its end.

use std::time::Duration;

use registry_notifications::{
    EndpointOptions, Format, Left, Notifier, NotifierError, NotifierOptions, QueueOptions,
};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::model::{Address, Endpoint, EventFormat, Notifications};
use crate::listener::Stops;

/// Starts telling the configured endpoints; `None` if there is none.
///
/// # Errors
/// Those of the queues.
pub(crate) fn start(
    notifications: &Notifications,
    address: &Address,
) -> Result<Option<Notifier>, NotifierError> {
    if notifications.endpoints.is_empty() {
        return Ok(None);
    }
    let mut queue = QueueOptions::default().with_max_bytes(notifications.max_bytes);
    if let Some(directory) = &notifications.directory {
        queue = queue.with_directory(directory);
    }
    let options = NotifierOptions::new(source(address))
        .with_references(notifications.include_references)
        .with_queue(queue);
    let options = notifications.endpoints.iter().map(endpoint).fold(options, NotifierOptions::with_endpoint);
    let notifier = Notifier::start(options)?;
    for endpoint in notifier.stats() {
        info!(
            "notifications: endpoint {} at {}, {} events wait",
            endpoint.name, endpoint.url, endpoint.pending
        );
    }
    Ok(Some(notifier))
}

fn endpoint(endpoint: &Endpoint) -> EndpointOptions {
    let format = match endpoint.format {
        EventFormat::Distribution => Format::Distribution,
        EventFormat::CloudEvents => Format::CloudEvents,
        EventFormat::CloudEventsBinary => Format::CloudEventsBinary,
    };
    EndpointOptions::new(&endpoint.name, endpoint.url.clone())
        .with_headers(endpoint.headers.clone())
        .with_timeout(endpoint.timeout)
        .with_backoff(endpoint.threshold, endpoint.backoff)
        .with_ignored(endpoint.ignored_media_types.clone(), endpoint.ignored_actions.clone())
        .with_format(format)
        .with_batch(endpoint.batch)
}

/// The name of this machine, with the port of `http.addr`, as Distribution has it.
fn source(address: &Address) -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    match address {
        Address::Tcp { port, .. } => format!("{name}:{port}"),
        Address::Unix(_) => name,
    }
}

/// When the first stop was asked for; waits for it.
pub(crate) async fn first_stop(mut stops: Stops) -> Instant {
    let _ = stops.wait_for(|stops| *stops >= 1).await;
    Instant::now()
}

/// Tells what is left, for as long as draining may take in all, and until a second stop; says what could not be
/// told.
pub(crate) async fn finish(notifier: &Notifier, stopped: Instant, drain: Duration, mut stops: Stops) {
    let rest = drain.saturating_sub(stopped.elapsed());
    let second = async {
        if stops.wait_for(|stops| *stops >= 2).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let left = tokio::select! {
        left = notifier.shutdown(rest) => left,
        () = second => notifier.shutdown(Duration::ZERO).await,
    };
    for Left { endpoint, events, kept, .. } in left {
        if kept {
            info!("notifications: {events} events for {endpoint} are kept for the next start");
        } else {
            warn!(
                "notifications: {events} events for {endpoint} are lost (notifications.queue.directory keeps them)"
            );
        }
    }
}
