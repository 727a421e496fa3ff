//! Records where the process spends its CPU time.

use std::time::{Duration, Instant};

use pprof::{ProfilerGuard, ProfilerGuardBuilder, Report, Symbol};
use tokio::sync::Mutex;

use super::document::{Document, Function, Kind};
use super::{ProfileError, blocking};

/// Samples in a second of CPU time: prime, so that it does not run in step with what repeats. Go takes 100.
const FREQUENCY: i32 = 99;

/// One at a time: there is one timer in a process. What is kept is whether the first sample has been taken.
static RECORDING: Mutex<bool> = Mutex::const_new(false);

impl From<pprof::Error> for ProfileError {
    fn from(error: pprof::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Records for this time. If it is dropped, recording ends.
///
/// The stack is walked by framehop, which takes no lock. The usual way does, and would have to pass over samples
/// inside of libc, where a server spends much of its time.
pub(in crate::debug) async fn record(time: Duration) -> Result<Vec<u8>, ProfileError> {
    let mut recording = RECORDING.try_lock().map_err(|_| ProfileError::Busy)?;
    if !*recording {
        blocking(prepare).await?;
        *recording = true;
    }
    let guard: ProfilerGuard<'static> = ProfilerGuardBuilder::default().frequency(FREQUENCY).build()?;
    tokio::time::sleep(time).await;
    // Reading the debug information takes a while.
    blocking(move || Ok(encode(&guard.report().build()?, time))).await
}

/// Takes the first sample of the process, for which tables are made in memory that has to be asked for: while
/// samples inside of libc are passed over, because there the allocator may be locked already.
fn prepare() -> Result<(), ProfileError> {
    const AT_MOST: Duration = Duration::from_secs(2);
    let guard = ProfilerGuardBuilder::default().frequency(FREQUENCY).blocklist(&["libc"]).build()?;
    let until = Instant::now() + AT_MOST;
    while Instant::now() < until && guard.report().build_unresolved()?.data.is_empty() {
        // The timer counts CPU time.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(20) {
            std::hint::black_box((0..10_000_u64).fold(0, u64::wrapping_add));
        }
    }
    Ok(())
}

fn encode(report: &Report, time: Duration) -> Vec<u8> {
    const TIME: Kind = ("cpu", "nanoseconds");
    let period = 1_000_000_000 / i64::from(FREQUENCY);
    let mut document = Document::new(&[("samples", "count"), TIME]);
    for (stack, count) in &report.data {
        let frames = stack
            .frames
            .iter()
            .map(|frame| frame.iter().map(|symbol| (function(symbol), u64::from(symbol.lineno()))).collect());
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        let values = [count, count.saturating_mul(period)];
        document.sample(frames, &values, Some(("thread", &stack.thread_name)));
    }
    document.finish(report.timing.start_time, time, (TIME, period))
}

fn function(symbol: &Symbol) -> Function {
    Function {
        name: symbol.name(),
        mangled: symbol.sys_name().into_owned(),
        file: symbol.filename().into_owned(),
    }
}
