//! How often and after how long a request is tried again.

use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

use super::options::BucketOptions;

/// How much is tried before a request is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patience {
    /// How often a request is tried again.
    pub(crate) retries: usize,
    /// How long all tries of a request may take together.
    pub(crate) deadline: Duration,
    /// The longest first wait; each is twice that of the one before.
    pub(crate) first: Duration,
    /// The longest wait.
    pub(crate) longest: Duration,
    /// After so many bytes a body that breaks off has all its tries again. One that breaks off sooner each time
    /// ends some time.
    pub(crate) progress: u64,
}

impl Patience {
    pub(crate) fn new(options: &BucketOptions) -> Self {
        Self {
            retries: options.retries,
            deadline: options.retry_deadline,
            first: options.retry_pause,
            longest: Duration::from_secs(5),
            progress: 1 << 20,
        }
    }

    /// For going on with bodies, which take as long as the client behind them.
    pub(crate) fn for_bodies(options: &BucketOptions) -> Self {
        Self { deadline: Duration::MAX, ..Self::new(options) }
    }
}

/// The tries of one request.
#[derive(Debug)]
pub(crate) struct Tries {
    patience: Patience,
    started: Instant,
    retried: usize,
}

impl Tries {
    /// The first one begins now.
    pub(crate) fn begin(patience: &Patience) -> Self {
        Self { patience: patience.clone(), started: Instant::now(), retried: 0 }
    }

    /// How long to wait for the next try, or `None` if there is none. `asked` is what the service said: no
    /// try comes before that has passed.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        if self.retried >= self.patience.retries {
            return None;
        }
        let wait = self.pause(random()).max(asked.unwrap_or_default());
        if self.started.elapsed() + wait > self.patience.deadline {
            return None;
        }
        self.retried += 1;
        Some(wait)
    }

    /// How many tries there were, with the one that is under way.
    pub(crate) fn count(&self) -> usize {
        self.retried + 1
    }

    /// Between half of the longest wait of this try and all of it, so that clients that failed together do
    /// not come back together.
    fn pause(&self, random: u32) -> Duration {
        let doubled = 1_u32.checked_shl(self.retried.min(31) as u32).unwrap_or(u32::MAX);
        let most = self.patience.first.saturating_mul(doubled).min(self.patience.longest);
        let half = most / 2;
        half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

/// Any number; none that could not be guessed is needed.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

/// What a service asks for with `Retry-After` (RFC 9110 10.2.3), in seconds or as a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    //! The waits between tries.

    use super::*;

    fn patience(retries: usize, deadline: u64) -> Patience {
        Patience {
            retries,
            deadline: Duration::from_secs(deadline),
            first: Duration::from_millis(100),
            longest: Duration::from_secs(1),
            progress: 1,
        }
    }

    #[test]
    fn waits_grow_up_to_a_limit_and_differ() {
        let patience = patience(10, 60);
        let mut tries = Tries::begin(&patience);
        for most in [100, 200, 400, 800, 1000, 1000] {
            assert_eq!(tries.pause(0), Duration::from_millis(most / 2));
            assert_eq!(tries.pause(u32::MAX), Duration::from_millis(most));
            let wait = tries.next(None).unwrap();
            assert!(wait >= Duration::from_millis(most / 2) && wait <= Duration::from_millis(most));
        }
    }

    #[test]
    fn there_are_no_more_tries_than_allowed() {
        let patience = patience(2, 60);
        let mut tries = Tries::begin(&patience);
        assert!(tries.next(None).is_some());
        assert!(tries.next(None).is_some());
        assert_eq!(tries.next(None), None);
        assert_eq!(tries.count(), 3);
    }

    #[test]
    fn what_the_service_asks_for_is_obeyed_or_there_is_no_other_try() {
        let patience = patience(5, 60);
        let mut tries = Tries::begin(&patience);
        assert_eq!(tries.next(Some(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(tries.next(Some(Duration::from_secs(61))), None);
    }

    #[test]
    fn a_service_asks_in_seconds_or_with_a_date() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(with("12"), Some(Duration::from_secs(12)));
        let soon = with(&httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90))).unwrap();
        assert!(soon > Duration::from_secs(60) && soon <= Duration::from_secs(90), "{soon:?}");
        assert_eq!(with("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(with("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
