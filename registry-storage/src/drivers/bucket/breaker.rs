//! Stops asking a service that does not answer.
//!
//! A request that has used up its tries took many seconds and a slot of whoever waits for it. When several
//! in a row end like that, the following fail at once, and one at a time is let through to see whether the
//! service is back.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many requests in a row, each with all of its tries, open it.
const FAILURES: u32 = 5;
/// How long it is open at first, and at most.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// Whether a bucket answers, as the requests of this process have found it.
#[derive(Clone)]
pub struct BucketHealth(Arc<Mutex<State>>);

/// What [`BucketHealth`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketState {
    /// Whether requests are sent. If not, they fail at once, but for one now and then.
    pub answering: bool,
    /// How many requests in a row got no answer.
    pub failures: u32,
    /// What became of the last of them.
    pub last_error: Option<String>,
    /// How often a request was sent once more, since the beginning.
    pub retries: u64,
}

#[derive(Debug)]
struct State {
    failures: u32,
    last_error: Option<String>,
    retries: u64,
    /// Until when nobody is let through, and how long that is.
    open: Option<(Instant, Duration)>,
    /// Whether somebody is finding out.
    trial: bool,
}

/// A request that was let through. Dropped without a word, it says nothing of the service.
#[derive(Debug)]
pub(crate) struct Pass {
    health: BucketHealth,
    trial: bool,
}

impl BucketHealth {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            failures: 0,
            last_error: None,
            retries: 0,
            open: None,
            trial: false,
        })))
    }

    /// The state now. Asks nobody.
    pub fn state(&self) -> BucketState {
        let state = self.lock();
        BucketState {
            answering: state.open.is_none(),
            failures: state.failures,
            last_error: state.last_error.clone(),
            retries: state.retries,
        }
    }

    /// A request is about to be sent once more.
    pub(crate) fn retried(&self) {
        let mut state = self.lock();
        state.retries = state.retries.saturating_add(1);
    }

    /// Asks to be let through.
    ///
    /// # Errors
    /// After how long it is worth asking again.
    pub(crate) fn enter(&self) -> Result<Pass, Duration> {
        self.enter_at(Instant::now())
    }

    fn enter_at(&self, now: Instant) -> Result<Pass, Duration> {
        let mut state = self.lock();
        let Some((until, _)) = state.open else {
            return Ok(Pass { health: self.clone(), trial: false });
        };
        if now < until {
            return Err(until - now);
        }
        if state.trial {
            return Err(FIRST);
        }
        state.trial = true;
        Ok(Pass { health: self.clone(), trial: true })
    }

    fn failed_at(&self, now: Instant, trial: bool, error: String) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        state.last_error = Some(error);
        state.open = match state.open {
            Some((_, last)) if trial => {
                let next = (last * 2).min(LONGEST);
                Some((now + next, next))
            }
            None if state.failures >= FAILURES => {
                tracing::warn!(
                    failures = state.failures,
                    error = state.last_error,
                    "the bucket does not answer; requests fail at once until it does"
                );
                Some((now + FIRST, FIRST))
            }
            // Requests that were under way when it opened say nothing new.
            open => open,
        };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// The service answered, whatever it said.
    pub(crate) fn answered(self) {
        let mut state = self.health.lock();
        if state.open.take().is_some() {
            tracing::info!("the bucket answers again");
        }
        state.failures = 0;
        state.last_error = None;
    }

    /// It did not, after every try.
    pub(crate) fn failed(self, error: &dyn fmt::Display) {
        self.health.failed_at(Instant::now(), self.trial, error.to_string());
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.trial {
            self.health.lock().trial = false;
        }
    }
}

impl fmt::Debug for BucketHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BucketHealth").field(&self.state()).finish()
    }
}

#[cfg(test)]
mod tests {
    //! When requests are let through.

    use super::*;

    fn broken() -> (BucketHealth, Instant) {
        let health = BucketHealth::new();
        let now = Instant::now();
        for _ in 0..FAILURES {
            let pass = health.enter_at(now).unwrap();
            health.failed_at(now, pass.trial, "no route".to_owned());
        }
        (health, now)
    }

    #[test]
    fn failures_in_a_row_open_it_and_others_do_not() {
        let health = BucketHealth::new();
        for _ in 0..3 {
            for _ in 1..FAILURES {
                health.enter().unwrap().failed(&"no route");
            }
            assert!(health.state().answering);
            health.enter().unwrap().answered();
            assert_eq!(health.state().failures, 0);
        }
        let (health, now) = broken();
        assert!(!health.state().answering);
        assert_eq!(health.state().last_error.as_deref(), Some("no route"));
        assert_eq!(health.enter_at(now).unwrap_err(), FIRST);
    }

    #[test]
    fn one_at_a_time_finds_out_and_the_wait_grows() {
        let (health, mut now) = broken();
        let mut wait = FIRST;
        for _ in 0..8 {
            now += wait;
            let trial = health.enter_at(now).unwrap();
            assert!(health.enter_at(now).is_err(), "a second one");
            health.failed_at(now, trial.trial, "no route".to_owned());
            drop(trial);
            wait = (wait * 2).min(LONGEST);
            assert_eq!(health.enter_at(now).unwrap_err(), wait);
        }
        assert_eq!(wait, LONGEST);
        health.enter_at(now + wait).unwrap().answered();
        assert!(health.state().answering);
        assert!(health.enter_at(now).is_ok());
    }

    #[test]
    fn whoever_gives_up_finding_out_makes_room_for_the_next() {
        let (health, now) = broken();
        let trial = health.enter_at(now + FIRST).unwrap();
        drop(trial);
        assert!(health.enter_at(now + FIRST).unwrap().trial);
    }
}
