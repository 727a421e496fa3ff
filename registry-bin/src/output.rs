//! Standard output and standard error as logs use them: many threads have lines, one writes.
//!
//! A system call for each line costs a request more than everything else that its lines cost. Lines are collected
//! for a few milliseconds and written together; what cannot wait is written at once. A reader that has stopped
//! reading makes writers wait when there is a MiB to be written, as it would without all this.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a line may wait for others.
const TOGETHER: Duration = Duration::from_millis(5);

/// Bytes that may wait; who has more to write waits too.
const MOST_WAITING: usize = 1 << 20;

/// How long the end of the process waits for a reader that has stopped.
const PATIENCE: Duration = Duration::from_secs(2);

/// A way out for lines; clones lead to the same one.
#[derive(Debug, Clone)]
pub(crate) struct Output(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write, or it cannot wait.
    news: Condvar,
    /// Something has been written.
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Whether what waits has to go out now.
    urgent: bool,
    /// Whether the thread has taken bytes that are not written yet.
    writing: bool,
}

static STANDARD_OUTPUT: OnceLock<Output> = OnceLock::new();
static STANDARD_ERROR: OnceLock<Output> = OnceLock::new();

/// The access log's way out.
pub(crate) fn standard_output() -> Output {
    STANDARD_OUTPUT.get_or_init(|| Output::new(io::stdout())).clone()
}

/// The log's way out.
pub(crate) fn standard_error() -> Output {
    STANDARD_ERROR.get_or_init(|| Output::new(io::stderr())).clone()
}

/// Waits until everything has been written, before something else is or the process ends; not for ever.
pub(crate) fn finish() {
    let until = Instant::now() + PATIENCE;
    for output in [&STANDARD_OUTPUT, &STANDARD_ERROR] {
        if let Some(output) = output.get() {
            output.finish(until);
        }
    }
}

impl Output {
    fn new(target: impl Write + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        thread::spawn(move || writer.write_to(target));
        Self(shared)
    }

    /// Takes a line, newline included.
    pub(crate) fn line(&self, line: &[u8], urgent: bool) {
        let mut state = self.0.lock();
        while state.waiting.len() > MOST_WAITING {
            state = self.0.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let first = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        state.urgent |= urgent;
        drop(state);
        if first || urgent {
            self.0.news.notify_one();
        }
    }

    fn finish(&self, until: Instant) {
        let mut state = self.0.lock();
        state.urgent = true;
        self.0.news.notify_one();
        while state.writing || !state.waiting.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.0.room.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    /// A thread that panics while it holds the lock leaves whole lines.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut target: impl Write) {
        let mut taken = Vec::new();
        loop {
            self.take(&mut taken);
            // There is nowhere to report that an output of the process is gone.
            let _ = target.write_all(&taken).and_then(|()| target.flush());
            taken.clear();
            self.lock().writing = false;
            self.room.notify_all();
        }
    }

    /// Waits for lines, a little longer for more of them, and takes them all.
    fn take(&self, taken: &mut Vec<u8>) {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let since = Instant::now();
        while !state.urgent && state.waiting.len() < MOST_WAITING {
            let left = TOGETHER.saturating_sub(since.elapsed());
            if left.is_zero() {
                break;
            }
            state = self.news.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::swap(&mut state.waiting, taken);
        (state.urgent, state.writing) = (false, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written so far, and by how many calls.
    #[derive(Clone, Default)]
    struct Target(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Write for Target {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.0.lock().unwrap();
            written.0.extend_from_slice(bytes);
            written.1 += 1;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn lines_of_many_threads_stay_whole_and_are_written_together() {
        let target = Target::default();
        let output = Output::new(target.clone());
        thread::scope(|scope| {
            for thread in 0..4 {
                let output = output.clone();
                scope.spawn(move || {
                    for line in 0..5000 {
                        output.line(format!("{thread} {line}\n").as_bytes(), false);
                    }
                });
            }
        });
        output.finish(soon());
        let (bytes, calls) = &*target.0.lock().unwrap();
        let text = std::str::from_utf8(bytes).unwrap();
        for thread in 0..4 {
            let own = text.lines().filter_map(|line| line.strip_prefix(&format!("{thread} ")));
            assert!(own.map(|line| line.parse::<usize>().unwrap()).eq(0..5000), "each thread's in order");
        }
        assert!(*calls < 2000, "{calls}");
    }

    #[test]
    fn a_reader_that_stops_makes_the_writers_wait_and_the_end_does_not_wait_for_ever() {
        struct Stuck(std::sync::mpsc::Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (go, stuck) = std::sync::mpsc::channel();
        let output = Output::new(Stuck(stuck));
        let writer = {
            let output = output.clone();
            thread::spawn(move || (0..50).for_each(|_| output.line(&[b'x'; 100_000], false)))
        };
        output.finish(Instant::now() + Duration::from_millis(200));
        assert!(!writer.is_finished(), "five MB fit nowhere");
        drop(go);
        writer.join().unwrap();
        output.finish(soon());
    }
}
