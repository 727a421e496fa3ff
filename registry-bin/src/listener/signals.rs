//! Counts the signals that ask the process to stop.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How many stops have been asked for so far.
pub(crate) type Stops = watch::Receiver<usize>;

/// Starts counting SIGHUP, which from here on does not end the process.
pub(crate) fn hangups() -> io::Result<watch::Receiver<usize>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let (count, hangups) = watch::channel(0);
    tokio::spawn(async move {
        while !count.is_closed() && hangup.recv().await.is_some() {
            count.send_modify(|count| *count += 1);
        }
    });
    Ok(hangups)
}

/// Starts counting SIGTERM and SIGINT. From here on neither ends the process by itself.
pub(crate) fn signals() -> io::Result<Stops> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (count, stops) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = count.closed() => return,
            }
            count.send_modify(|count| *count += 1);
        }
    });
    Ok(stops)
}
