//! Threads for calls that wait for the disk.
//!
//! Tokio has such threads, but wakes them through one lock that whoever wakes them still holds: they go to
//! sleep again until it is free. A push hands over a dozen syncs, and a fifth of all its task switches were
//! those. Here every idle thread waits for itself alone.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

/// Something to be done on a thread of its own.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// How many calls of one request run side by side at most, each on a thread.
pub(super) const SIDE_BY_SIDE: usize = 64;

/// How long a thread without work stays.
const STAY: Duration = Duration::from_secs(10);

/// Threads that are started when they are needed.
#[derive(Debug, Default)]
pub(super) struct Threads {
    /// The one that was busy last is at the end, and is taken first: its memory is still in the caches.
    idle: Mutex<Vec<Idle>>,
    started: AtomicU64,
}

#[derive(Debug)]
struct Idle {
    id: u64,
    jobs: Sender<Job>,
}

impl Threads {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `job` on a thread that does nothing else meanwhile.
    ///
    /// # Errors
    /// The job, if no thread can be started.
    pub(super) fn run(self: &Arc<Self>, job: Job) -> Result<(), (Job, io::Error)> {
        // A statement of its own, so that the lock is free when the thread wakes up.
        let idle = self.idle().pop();
        let jobs = match idle {
            Some(Idle { jobs, .. }) => jobs,
            None => match self.start() {
                Ok(jobs) => jobs,
                Err(error) => return Err((job, error)),
            },
        };
        // A thread takes itself off the list before it ends.
        jobs.send(job).map_err(|unsent| (unsent.0, io::Error::other("a thread ended early")))
    }

    fn start(self: &Arc<Self>) -> io::Result<Sender<Job>> {
        let (sender, jobs) = channel();
        let threads = Arc::clone(self);
        let own = sender.clone();
        thread::Builder::new().name("disk".to_owned()).spawn(move || threads.work(&own, &jobs))?;
        Ok(sender)
    }

    fn work(&self, own: &Sender<Job>, jobs: &Receiver<Job>) {
        let id = self.started.fetch_add(1, Ordering::Relaxed);
        loop {
            match jobs.recv_timeout(STAY) {
                Ok(job) => {
                    // Whoever waits for the job sees that it ended without a result.
                    let _ = catch_unwind(AssertUnwindSafe(job));
                    self.idle().push(Idle { id, jobs: own.clone() });
                }
                Err(RecvTimeoutError::Timeout) => {
                    let mut idle = self.idle();
                    // One that is not on the list is about to get a job.
                    if let Some(position) = idle.iter().position(|idle| idle.id == id) {
                        idle.remove(position);
                        return;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Runs all of `calls` side by side, one of them here, and waits for every one of them, also after a
    /// failure: none may still run when this returns. Fails if any does. Where they are more than
    /// [`SIDE_BY_SIDE`], they run in several rounds.
    pub(super) fn run_all<F>(self: &Arc<Self>, mut calls: Vec<F>) -> io::Result<()>
    where
        F: FnOnce() -> io::Result<()> + Send + 'static,
    {
        while calls.len() > SIDE_BY_SIDE {
            let rest = calls.split_off(SIDE_BY_SIDE);
            self.run_round(std::mem::replace(&mut calls, rest))?;
        }
        self.run_round(calls)
    }

    fn run_round<F>(self: &Arc<Self>, mut calls: Vec<F>) -> io::Result<()>
    where
        F: FnOnce() -> io::Result<()> + Send + 'static,
    {
        let Some(own) = calls.pop() else { return Ok(()) };
        let together = Arc::new(Together {
            left: AtomicUsize::new(calls.len()),
            failure: Mutex::new(None),
            waiting: thread::current(),
        });
        for call in calls {
            let part = Part { together: Arc::clone(&together), result: None };
            let job = Box::new(move || {
                let mut part = part;
                part.result = Some(call());
            });
            if let Err((job, _)) = self.run(job) {
                job();
            }
        }
        let result = own();
        while together.left.load(Ordering::Acquire) > 0 {
            thread::park();
        }
        let failure = together.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.and(failure.map_or(Ok(()), Err))
    }
}

/// Calls that somebody waits for.
struct Together {
    left: AtomicUsize,
    failure: Mutex<Option<io::Error>>,
    waiting: Thread,
}

/// One of them. It is over when this is dropped, with or without a result.
struct Part {
    together: Arc<Together>,
    result: Option<io::Result<()>>,
}

impl Drop for Part {
    fn drop(&mut self) {
        let result = self.result.take().unwrap_or_else(|| Err(io::Error::other("a call panicked")));
        if let Err(error) = result {
            *self.together.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
        if self.together.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.together.waiting.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    type Call = Box<dyn FnOnce() -> io::Result<()> + Send>;

    #[test]
    fn calls_run_side_by_side_and_threads_are_used_again() {
        let threads = Arc::new(Threads::default());
        for _ in 0..10 {
            let barrier = Arc::new(Barrier::new(5));
            let call = |_| {
                let barrier = Arc::clone(&barrier);
                move || {
                    barrier.wait();
                    Ok(())
                }
            };
            threads.run_all((0..5).map(call).collect()).unwrap();
            while threads.idle().len() < threads.started.load(Ordering::Relaxed) as usize {
                thread::yield_now();
            }
        }
        assert_eq!(threads.started.load(Ordering::Relaxed), 4);
    }

    /// What was found in a store of Distribution is put into the index of referrers at once, however many they are.
    #[test]
    fn very_many_calls_take_a_bounded_number_of_threads() {
        let threads = Arc::new(Threads::default());
        let (now, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let call = |_| {
            let (now, done) = (Arc::clone(&now), Arc::clone(&done));
            move || {
                let more = now.fetch_add(1, Ordering::SeqCst) + 1;
                thread::sleep(Duration::from_millis(1));
                now.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
                if more > SIDE_BY_SIDE { Err(io::Error::other(format!("{more} at once"))) } else { Ok(()) }
            }
        };
        threads.run_all((0..1000).map(call).collect()).unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 1000);
    }

    #[test]
    fn a_failure_or_panic_of_any_is_one_of_all() {
        let threads = Arc::new(Threads::default());
        let good = || -> Call { Box::new(|| Ok(())) };
        threads.run_all(Vec::<Call>::new()).unwrap();
        threads.run_all(vec![good(), good()]).unwrap();
        let bad: Call = Box::new(|| Err(io::ErrorKind::StorageFull.into()));
        let error = threads.run_all(vec![good(), bad, good()]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let worse: Call = Box::new(|| panic!("on purpose"));
        assert!(threads.run_all(vec![worse, good()]).is_err());
        threads.run_all(vec![good(), good()]).unwrap();
    }
}
