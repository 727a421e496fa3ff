//! `log.hooks`: lines of some levels as mail.
//!
//! Writing a line must never wait for a mail server. A hook has a queue, which takes what it has room for, and a
//! thread that empties it. Ten mails in a row go out one line each, as the original sends them; after that there
//! is one every six seconds, with all that has come in since.

mod compose;
mod limit;
mod smtp;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use lettre::Message;

use self::compose::Composer;
use self::limit::Limit;
pub(crate) use self::smtp::MailError;
use crate::config::{MailHook, Severity};

/// Marks events of the hooks themselves.
pub(super) const TARGET: &str = "mail";

/// Lines that wait for their turn; more are dropped, and the next mail says how many.
const WAITING: usize = 256;

/// Lines in one mail.
const MOST_LINES: usize = 100;

/// A line on its way.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    severity: Severity,
    at: SystemTime,
    message: String,
    /// One field a line.
    fields: String,
}

impl Entry {
    pub(super) fn new(severity: Severity, at: SystemTime, message: String, fields: String) -> Self {
        Self { severity, at, message, fields }
    }
}

enum Job {
    Line(Box<Entry>),
    /// Send what there is, answer, and end.
    Finish(SyncSender<()>),
}

/// The way into a hook; clones lead to the same one.
#[derive(Clone)]
pub(super) struct Queue {
    levels: Arc<[Severity]>,
    jobs: SyncSender<Job>,
    dropped: Arc<AtomicUsize>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("levels", &self.levels).finish_non_exhaustive()
    }
}

impl Queue {
    /// Starts the thread of a hook.
    pub(super) fn start(hook: &MailHook) -> Result<Self, MailError> {
        let transport = smtp::transport(hook)?;
        let send = move |message: &Message| smtp::send(&transport, message);
        Ok(Self::with(hook, Limit::default(), send))
    }

    fn with(
        hook: &MailHook,
        limit: Limit,
        send: impl Fn(&Message) -> Result<(), MailError> + Send + 'static,
    ) -> Self {
        let (jobs, received) = sync_channel(WAITING);
        let dropped = Arc::new(AtomicUsize::new(0));
        let composer = Composer::new(hook);
        let worker = Worker { jobs: received, dropped: Arc::clone(&dropped), composer, limit, send };
        thread::spawn(move || worker.run());
        Self { levels: hook.levels.clone().into(), jobs, dropped }
    }

    pub(super) fn wants(&self, severity: Severity) -> bool {
        self.levels.contains(&severity)
    }

    /// Takes a line if there is room; never waits.
    pub(super) fn push(&self, entry: Entry) {
        if let Err(TrySendError::Full(_)) = self.jobs.try_send(Job::Line(Box::new(entry))) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what is in the queue has been sent, at most until then.
    pub(super) fn finish(self, until: Instant) {
        const STEP: Duration = Duration::from_millis(20);
        let (done, finished) = sync_channel(1);
        let mut job = Job::Finish(done);
        while let Err(TrySendError::Full(full)) = self.jobs.try_send(job) {
            if Instant::now() >= until {
                return;
            }
            thread::sleep(STEP);
            job = full;
        }
        let _ = finished.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

struct Worker<F> {
    jobs: Receiver<Job>,
    dropped: Arc<AtomicUsize>,
    composer: Composer,
    limit: Limit,
    send: F,
}

impl<F: Fn(&Message) -> Result<(), MailError>> Worker<F> {
    fn run(mut self) {
        while let Ok(job) = self.jobs.recv() {
            let mut lines = Vec::new();
            let finish = match job {
                Job::Line(entry) => {
                    lines.push(*entry);
                    let until = Instant::now() + self.limit.wait(Instant::now());
                    self.collect(&mut lines, until)
                }
                Job::Finish(done) => Some(done),
            };
            self.mail(&lines);
            if let Some(done) = finish {
                let _ = done.send(());
                return;
            }
        }
    }

    /// Adds what comes in until it is time to send; returns who waits for the end, if somebody does.
    fn collect(&self, lines: &mut Vec<Entry>, until: Instant) -> Option<SyncSender<()>> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            match self.jobs.recv_timeout(left) {
                Ok(Job::Line(entry)) if lines.len() < MOST_LINES => lines.push(*entry),
                Ok(Job::Line(_)) => {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Job::Finish(done)) => return Some(done),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn mail(&mut self, lines: &[Entry]) {
        if lines.is_empty() {
            return;
        }
        self.limit.take(Instant::now());
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let result = self.composer.message(lines, dropped).and_then(|message| (self.send)(&message));
        if let Err(error) = result {
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(target: TARGET, error, lines = lines.len(), "a mail of log.hooks could not be sent");
        }
    }
}
