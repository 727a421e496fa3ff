//! How many mails there may be.

use std::time::{Duration, Instant};

/// Mails that may follow each other at once.
const BURST: u32 = 10;

/// What it takes until there may be one more.
const EVERY: Duration = Duration::from_secs(6);

/// A bucket of tokens, one for each mail.
#[derive(Debug)]
pub(super) struct Limit {
    burst: u32,
    every: Duration,
    left: u32,
    /// When the tokens were counted last.
    since: Option<Instant>,
}

impl Default for Limit {
    fn default() -> Self {
        Self::new(BURST, EVERY)
    }
}

impl Limit {
    pub(super) fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every, left: burst, since: None }
    }

    /// How long to wait before the next mail.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        self.refill(now);
        match self.since {
            Some(since) if self.left == 0 => (since + self.every).saturating_duration_since(now),
            _ => Duration::ZERO,
        }
    }

    /// Counts a mail.
    pub(super) fn take(&mut self, now: Instant) {
        self.refill(now);
        self.left = self.left.saturating_sub(1);
    }

    fn refill(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since).as_nanos() / self.every.as_nanos().max(1);
        let whole = u32::try_from(passed).unwrap_or(u32::MAX);
        let refilled = self.left.saturating_add(whole);
        if refilled >= self.burst {
            (self.left, self.since) = (self.burst, Some(now));
        } else if whole > 0 {
            (self.left, self.since) = (refilled, Some(since + self.every * whole));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_there_is_one_at_a_time() {
        let second = Duration::from_secs(1);
        let mut limit = Limit::new(3, 6 * second);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(limit.wait(start), Duration::ZERO);
            limit.take(start);
        }
        assert_eq!(limit.wait(start), 6 * second);
        assert_eq!(limit.wait(start + 2 * second), 4 * second);
        assert_eq!(limit.wait(start + 7 * second), Duration::ZERO);
        limit.take(start + 7 * second);
        assert_eq!(limit.wait(start + 7 * second), 5 * second);
        // After a quiet time all are there again, and no more than that.
        let later = start + 600 * second;
        for _ in 0..3 {
            assert_eq!(limit.wait(later), Duration::ZERO);
            limit.take(later);
        }
        assert_eq!(limit.wait(later), 6 * second);
    }
}
