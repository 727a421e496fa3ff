//! Calls of the storage driver, counted by storage middleware.

mod driver;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use registry_core::{Batch, BuildError, Change, StorageDriver, StorageError, StorageMiddleware};

use crate::family::{Family, Sample};
use crate::names;
use crate::number::{ACTION_SECONDS, Counter, Gauge, Histogram};

/// Puts counting around a storage driver; see [`Metrics::storage`](crate::Metrics::storage).
#[derive(Debug, Clone)]
pub struct StorageMetrics {
    drivers: Arc<Drivers>,
}

impl StorageMetrics {
    pub(crate) fn new(drivers: Arc<Drivers>) -> Self {
        Self { drivers }
    }

    /// Puts this around a driver; cannot fail.
    pub fn around(&self, inner: Arc<dyn StorageDriver>) -> Arc<dyn StorageDriver> {
        let numbers = self.drivers.of(inner.name());
        Arc::new(driver::Counted::new(inner, numbers))
    }
}

#[async_trait]
impl StorageMiddleware for StorageMetrics {
    async fn wrap(&self, inner: Arc<dyn StorageDriver>) -> Result<Arc<dyn StorageDriver>, BuildError> {
        Ok(self.around(inner))
    }
}

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($variant),* }

        impl $name {
            /// In the order of their words.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}

words! {
    /// What a driver is asked to do. `GetContent`, `PutContent`, `Stat`, `List`, `Move`, `Delete` and
    /// `RedirectURL` are those that Distribution times, under its names; a batch of changes is what its weightiest
    /// change is called there.
    Action {
        Cancel = "Cancel",
        Close = "Close",
        Commit = "Commit",
        Delete = "Delete",
        GetContent = "GetContent",
        List = "List",
        Move = "Move",
        PutContent = "PutContent",
        Reader = "Reader",
        RedirectUrl = "RedirectURL",
        Stat = "Stat",
        Write = "Write",
        Writer = "Writer",
    }
}

words! {
    /// How it failed.
    Cause {
        Backend = "backend",
        Busy = "busy",
        Dropped = "dropped",
        Full = "full",
        Other = "other",
        ReadOnly = "read_only",
        TooLarge = "too_large",
        Unavailable = "unavailable",
        Unsupported = "unsupported",
    }
}

impl Action {
    fn of(batch: &Batch) -> Self {
        let mut action = Self::Delete;
        for step in batch.stages().iter().flatten() {
            match step.change {
                Change::Rename { .. } => return Self::Move,
                Change::Put { .. } => action = Self::PutContent,
                Change::Delete { .. } | Change::Remove { .. } => {}
            }
        }
        action
    }
}

impl Cause {
    /// `None` for answers that are no failure of the storage: that nothing is there, or something already, or not
    /// that range of it.
    fn of(error: &StorageError) -> Option<Self> {
        match error {
            StorageError::NotFound { .. }
            | StorageError::AlreadyExists { .. }
            | StorageError::InvalidRange { .. } => None,
            StorageError::Backend { .. } => Some(Self::Backend),
            StorageError::Busy { .. } => Some(Self::Busy),
            StorageError::Full { .. } => Some(Self::Full),
            StorageError::ReadOnly { .. } => Some(Self::ReadOnly),
            StorageError::TooLarge { .. } => Some(Self::TooLarge),
            StorageError::Unavailable { .. } => Some(Self::Unavailable),
            StorageError::Unsupported { .. } => Some(Self::Unsupported),
            _ => Some(Self::Other),
        }
    }
}

/// The numbers about each driver that there is, by its name.
#[derive(Debug, Default)]
pub(crate) struct Drivers(Mutex<BTreeMap<&'static str, Arc<Numbers>>>);

impl Drivers {
    fn of(&self, driver: &'static str) -> Arc<Numbers> {
        let mut drivers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(drivers.entry(driver).or_default())
    }

    pub(crate) fn read(&self, families: &mut Vec<Family>) {
        let drivers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut seconds, mut errors) = (Vec::new(), Vec::new());
        let (mut in_flight, mut written) = (Vec::new(), Vec::new());
        for action in Action::ALL {
            for (driver, numbers) in drivers.iter() {
                let numbers = &numbers.actions[*action as usize];
                let labels = [("action", action.word()), ("driver", *driver)];
                seconds.push(Sample::new(labels, numbers.seconds.value()));
                for cause in Cause::ALL {
                    let counter = &numbers.errors[*cause as usize];
                    if counter.get() > 0 {
                        let labels =
                            [("action", action.word()), ("driver", *driver), ("error", cause.word())];
                        errors.push(Sample::new(labels, counter.value()));
                    }
                }
            }
        }
        for (driver, numbers) in drivers.iter() {
            in_flight.push(Sample::new([("driver", *driver)], numbers.in_flight.value()));
            written.push(Sample::new([("driver", *driver)], numbers.written.value()));
        }
        families.push(Family { name: &names::ACTION_SECONDS, samples: seconds });
        families.push(Family { name: &names::STORAGE_ERRORS, samples: errors });
        families.push(Family { name: &names::STORAGE_IN_FLIGHT, samples: in_flight });
        families.push(Family { name: &names::STORAGE_WRITTEN, samples: written });
    }
}

/// What is counted about a driver.
#[derive(Debug)]
struct Numbers {
    actions: Box<[PerAction]>,
    in_flight: Gauge,
    written: Counter,
}

#[derive(Debug)]
struct PerAction {
    seconds: Histogram,
    errors: [Counter; Cause::ALL.len()],
}

impl Default for Numbers {
    fn default() -> Self {
        let action = |_| PerAction { seconds: Histogram::new(&ACTION_SECONDS), errors: Default::default() };
        Self {
            actions: Action::ALL.iter().map(action).collect(),
            in_flight: Gauge::default(),
            written: Counter::default(),
        }
    }
}

impl Numbers {
    fn begin(&self, action: Action) -> Running<'_> {
        self.in_flight.enter();
        Running { numbers: self, action, started: Instant::now(), over: false }
    }
}

/// A call under way.
struct Running<'a> {
    numbers: &'a Numbers,
    action: Action,
    started: Instant,
    over: bool,
}

impl Running<'_> {
    fn end<T>(mut self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        self.over = true;
        let numbers = &self.numbers.actions[self.action as usize];
        numbers.seconds.observe_time(self.started.elapsed());
        if let Err(error) = &result
            && let Some(cause) = Cause::of(error)
        {
            numbers.errors[cause as usize].add(1);
        }
        result
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.numbers.in_flight.leave();
        if !self.over {
            // Its client is gone, or its time was up: how long it would have taken nobody knows.
            self.numbers.actions[self.action as usize].errors[Cause::Dropped as usize].add(1);
        }
    }
}

#[cfg(test)]
mod tests;
