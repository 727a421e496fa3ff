//! Telling one endpoint, one request at a time, until each event is accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use registry_core::BoxError;
use tokio::time::Instant;

use crate::client::Client;
use crate::format::message;
use crate::options::{EndpointOptions, Format};
use crate::queue::{Drops, Queue};
use crate::record::Record;
use crate::stats::{Counters, EndpointStats};

/// How long until it is said again that an endpoint does not answer.
const AGAIN: Duration = Duration::from_secs(60);

/// An endpoint and what waits for it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) options: EndpointOptions,
    /// The URL, without a password.
    pub(crate) shown: String,
    pub(crate) queue: Queue,
    pub(crate) drops: Arc<Drops>,
    pub(crate) counters: Counters,
    /// Whether its last requests have failed so often that there is a pause between them.
    pub(crate) backing_off: AtomicBool,
}

impl Endpoint {
    /// Whether the endpoint is told of this.
    pub(crate) fn wants(&self, record: &Record) -> bool {
        let among = |list: &[String], word: &str| list.iter().any(|ignored| ignored == word);
        !among(&self.options.ignored_actions, record.action.as_str())
            && !among(&self.options.ignored_media_types, &record.media_type)
    }

    pub(crate) fn stats(&self) -> EndpointStats {
        let mut stats = EndpointStats {
            name: self.options.name.clone(),
            url: self.shown.clone(),
            pending: self.queue.pending(),
            dropped: self.drops.count(),
            ..EndpointStats::default()
        };
        self.counters.read(&mut stats);
        stats
    }

    /// Delivers for as long as it is polled.
    pub(crate) async fn deliver(self: Arc<Self>, mut client: Client) {
        let format = self.options.format;
        let most = if format == Format::CloudEventsBinary { 1 } else { self.options.batch.max(1) };
        let mut breaker = Breaker::new(self.options.threshold, self.options.backoff);
        loop {
            breaker.pause().await;
            // Anew before each try: what was dropped meanwhile, because the queue is full, is not sent.
            let batch = self.queue.peek(most).await;
            let count = batch.lines.len() as u64;
            let message = match message(format, most > 1, &batch.lines) {
                Ok(message) => message,
                Err(error) => {
                    tracing::error!(endpoint = self.options.name, %error, "notifications: no event, skipped");
                    self.queue.done(&batch);
                    self.drops.add(count, "they cannot be read");
                    continue;
                }
            };
            let sent = tokio::time::timeout(self.options.timeout, client.post(&message)).await;
            let sent =
                sent.unwrap_or_else(|_| Err(format!("no answer within {:?}", self.options.timeout).into()));
            match sent {
                Ok(status) if is_accepted(status) => {
                    self.counters.answered(status, true, count);
                    self.queue.done(&batch);
                    self.recovered(&mut breaker);
                }
                Ok(status) => {
                    self.counters.answered(status, false, count);
                    self.failed(&mut breaker, &format!("it answered {status}").into());
                }
                Err(error) => {
                    client.forget();
                    self.counters.failed(count);
                    self.failed(&mut breaker, &error);
                }
            }
        }
    }

    fn recovered(&self, breaker: &mut Breaker) {
        if let Some(failures) = breaker.success() {
            self.backing_off.store(false, Ordering::Relaxed);
            let pending = self.queue.pending();
            tracing::info!(
                endpoint = self.options.name,
                failures,
                pending,
                "notifications: the endpoint accepts events again"
            );
        }
    }

    fn failed(&self, breaker: &mut Breaker, error: &BoxError) {
        let say = breaker.failure();
        self.backing_off.store(breaker.is_open(), Ordering::Relaxed);
        if say {
            tracing::warn!(
                endpoint = self.options.name,
                url = self.shown,
                failures = breaker.failures,
                pending = self.queue.pending(),
                error = error.as_ref() as &dyn std::error::Error,
                "notifications: the endpoint does not accept an event, trying again"
            );
        }
    }
}

/// What counts as accepted in Distribution, redirects without a target included.
fn is_accepted(status: StatusCode) -> bool {
    (200..400).contains(&status.as_u16())
}

/// Tries again at once, up to a number of failures in a row, and then after a pause.
#[derive(Debug)]
struct Breaker {
    threshold: u64,
    backoff: Duration,
    failures: u64,
    last: Option<Instant>,
    said: Option<Instant>,
}

impl Breaker {
    fn new(threshold: u32, backoff: Duration) -> Self {
        Self { threshold: threshold.into(), backoff, failures: 0, last: None, said: None }
    }

    fn is_open(&self) -> bool {
        self.failures >= self.threshold
    }

    async fn pause(&self) {
        if self.is_open()
            && let Some(last) = self.last
        {
            tokio::time::sleep_until(last + self.backoff).await;
        }
    }

    /// Counts one; whether it is worth a line in the log.
    fn failure(&mut self) -> bool {
        let now = Instant::now();
        self.failures += 1;
        self.last = Some(now);
        let say = self.said.is_none_or(|said| now - said > AGAIN) || self.failures == self.threshold;
        if say {
            self.said = Some(now);
        }
        say
    }

    /// Forgets the failures; how many there were, if it was said that there are.
    fn success(&mut self) -> Option<u64> {
        let failures = std::mem::take(&mut self.failures);
        let worth_it = failures >= self.threshold;
        if failures > 0 {
            self.last = None;
        }
        if worth_it {
            self.said = None;
        }
        worth_it.then_some(failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tries_at_once_up_to_the_threshold_and_then_pauses() {
        let mut breaker = Breaker::new(3, Duration::from_secs(5));
        let start = Instant::now();
        for _ in 0..2 {
            breaker.failure();
            breaker.pause().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..2 {
            breaker.failure();
            breaker.pause().await;
        }
        assert_eq!(start.elapsed(), Duration::from_secs(10));
        assert_eq!(breaker.success(), Some(4));
        breaker.failure();
        breaker.pause().await;
        assert_eq!(start.elapsed(), Duration::from_secs(10), "a success resets");
    }

    #[test]
    fn a_flapping_endpoint_is_not_a_line_for_each_failure() {
        let mut breaker = Breaker::new(3, Duration::ZERO);
        let said: Vec<bool> = (0..5).map(|_| breaker.failure()).collect();
        assert_eq!(said, [true, false, true, false, false]);
        let mut breaker = Breaker::new(10, Duration::ZERO);
        let said = (0..100)
            .filter(|_| {
                let said = breaker.failure();
                assert_eq!(breaker.success(), None);
                said
            })
            .count();
        assert_eq!(said, 1);
    }
}
