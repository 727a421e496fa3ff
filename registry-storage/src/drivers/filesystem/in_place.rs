//! Doing where the caller is what seldom waits.
//!
//! Writing into the kernel's memory, making a directory or opening a file takes some microseconds, and
//! handing it to a blocking thread and back costs more than that, all the more as the bytes then have to
//! come out of another core's cache. Only now and then does the kernel make such a call wait: too much is
//! waiting to be written back, a journal is full, a server for files is away. So it is done in place, with
//! two precautions. Never are more than half of the runtime's threads in such a call, so the others go on
//! even if it hangs; and after one that took long everything is handed over for a while.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

/// A call that took this long has waited. On a busy machine one whose thread was merely preempted takes
/// half as long.
const LONG: Duration = Duration::from_millis(50);

/// How long nothing is done in place after that.
const WHILE: Duration = Duration::from_secs(1);

/// Who may do something in place now.
#[derive(Debug)]
pub(super) struct InPlace {
    under_way: AtomicUsize,
    /// In milliseconds from `epoch` on.
    not_before: AtomicU64,
    epoch: Instant,
}

impl InPlace {
    pub(super) fn new() -> Self {
        Self { under_way: AtomicUsize::new(0), not_before: AtomicU64::new(0), epoch: Instant::now() }
    }

    /// Does `work` here, if that is all right now, or else gives it back.
    pub(super) fn run<T, F: FnOnce() -> T>(&self, work: F) -> Result<T, F> {
        // A runtime with a single thread has none to spare.
        let spare = Handle::try_current().map_or(0, |runtime| runtime.metrics().num_workers() / 2);
        self.run_with(spare, work)
    }

    fn run_with<T, F: FnOnce() -> T>(&self, spare: usize, work: F) -> Result<T, F> {
        let begin = Instant::now();
        if self.millis(begin) < self.not_before.load(Ordering::Relaxed) {
            return Err(work);
        }
        let turn = Turn(&self.under_way);
        if self.under_way.fetch_add(1, Ordering::Relaxed) >= spare {
            return Err(work);
        }
        let result = work();
        drop(turn);
        let end = Instant::now();
        if end - begin >= LONG {
            self.not_before.store(self.millis(end + WHILE), Ordering::Relaxed);
        }
        Ok(result)
    }

    fn millis(&self, moment: Instant) -> u64 {
        u64::try_from((moment - self.epoch).as_millis()).unwrap_or(u64::MAX)
    }
}

/// Counts as under way until it is dropped, also by a panic.
struct Turn<'a>(&'a AtomicUsize);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_can_be_spared_are_in_place_at_once() {
        let in_place = InPlace::new();
        let inner = in_place.run_with(1, || in_place.run_with(1, || ()).is_ok());
        assert!(matches!(inner, Ok(false)), "the second has to be handed over");
        assert!(in_place.run_with(1, || ()).is_ok(), "the first is done");
        assert!(in_place.run_with(0, || ()).is_err());
    }

    #[test]
    fn after_one_that_took_long_others_are_handed_over() {
        let in_place = InPlace::new();
        assert!(in_place.run_with(1, || std::thread::sleep(LONG)).is_ok());
        assert!(in_place.run_with(1, || ()).is_err());
        in_place.not_before.store(0, Ordering::Relaxed);
        assert!(in_place.run_with(1, || ()).is_ok());
    }
}
