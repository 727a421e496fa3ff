//! One of the two stores, and the patience with it.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use registry_core::{Metadata, Shape, StorageDriver, StorageError, StoragePath};

use super::tally::Counters;

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
}

/// A store and how often it is asked.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) driver: Arc<dyn StorageDriver>,
    pub(super) end: End,
    pub(super) patience: Patience,
    pub(super) counters: Arc<Counters>,
}

/// A store did not do what it was asked for.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) end: End,
    pub(super) error: StorageError,
}

impl Broken {
    /// Whether there is no sense in going on: nothing can be written any more.
    pub(super) fn is_final(&self) -> bool {
        let hopeless = matches!(self.error, StorageError::Full { .. } | StorageError::ReadOnly { .. });
        self.end == End::Destination && hopeless
    }
}

impl fmt::Display for Broken {
    /// One line, with the chain of causes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match self.end {
            End::Source => "source",
            End::Destination => "destination",
        };
        write!(f, "{end}: {}", self.error)?;
        let mut source = std::error::Error::source(&self.error);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// How often something is tried, and how long the first pause is; each further one is twice as long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) tries: u32,
    pub(super) pause: Duration,
}

impl Patience {
    /// Waits before another try after this many, if there is to be one.
    pub(super) async fn again(&self, tried: u32, counters: &Counters) -> bool {
        if tried >= self.tries {
            return false;
        }
        counters.retries.fetch_add(1, Ordering::Relaxed);
        let pause = self.pause.saturating_mul(1 << tried.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
        // Between half of it and all of it, so that those who failed together do not come back together.
        let share = f64::from(RandomState::new().hash_one(tried) as u32) / f64::from(u32::MAX);
        tokio::time::sleep(pause.mul_f64(0.5 + share / 2.0)).await;
        true
    }
}

impl Store {
    /// Asks the store, and again while it is temporarily unavailable.
    pub(super) async fn call<'a, T, F>(
        &'a self,
        ask: impl Fn(&'a dyn StorageDriver) -> F,
    ) -> Result<T, Broken>
    where
        F: Future<Output = Result<T, StorageError>> + Send,
    {
        let mut tried = 0;
        loop {
            tried += 1;
            match ask(self.driver.as_ref()).await {
                Ok(answer) => return Ok(answer),
                Err(error @ StorageError::Unavailable { .. }) => {
                    if !self.patience.again(tried, &self.counters).await {
                        return Err(self.broken(error));
                    }
                }
                Err(error) => return Err(self.broken(error)),
            }
        }
    }

    pub(super) fn broken(&self, error: StorageError) -> Broken {
        Broken { end: self.end, error }
    }

    pub(super) fn is_tree(&self) -> bool {
        self.driver.shape() == Shape::Tree
    }

    /// What is at a path, or `None`.
    pub(super) async fn stat(&self, path: &StoragePath) -> Result<Option<Metadata>, Broken> {
        absent_as_none(self.call(|driver| driver.stat(path)).await)
    }

    /// Whether something is at a path.
    pub(super) async fn has(&self, path: &StoragePath) -> Result<bool, Broken> {
        Ok(self.stat(path).await?.is_some())
    }
}

/// What is not there as `None`.
pub(super) fn absent_as_none<T>(result: Result<T, Broken>) -> Result<Option<T>, Broken> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(broken) if broken.error.is_not_found() => Ok(None),
        Err(broken) => Err(broken),
    }
}

#[cfg(test)]
pub(super) mod tests {
    //! Tries and pauses.

    use registry_conformance::faults::{Call, Fault, FaultyDriver};

    use super::*;
    use crate::MemoryDriver;

    pub(in crate::migrate) fn store(driver: impl StorageDriver) -> Arc<Store> {
        Arc::new(Store {
            driver: Arc::new(driver),
            end: End::Source,
            patience: Patience { tries: 3, pause: Duration::from_millis(1) },
            counters: Arc::default(),
        })
    }

    #[tokio::test]
    async fn only_what_is_temporary_is_tried_again() {
        let driver = FaultyDriver::new(Arc::new(MemoryDriver::new()));
        let faults = driver.faults();
        let store = store(driver);
        let path = StoragePath::parse("/a").unwrap();
        faults.arm(Fault::Unavailable, 0, |call| call == Call::Stat);
        assert!(store.stat(&path).await.unwrap().is_none(), "the second try says that nothing is there");
        assert_eq!(store.counters.retries.load(Ordering::Relaxed), 1);
        faults.arm(Fault::Backend, 0, |call| call == Call::Stat);
        let broken = store.stat(&path).await.unwrap_err();
        assert_eq!(broken.to_string(), "source: inmemory: stat failed: a fault of the test");
        assert_eq!(store.counters.retries.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn patience_has_an_end() {
        let patience = Patience { tries: 3, pause: Duration::from_millis(1) };
        let counters = Counters::default();
        let mut tried = 1;
        while patience.again(tried, &counters).await {
            tried += 1;
        }
        assert_eq!(tried, 3);
    }
}
