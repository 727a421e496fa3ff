//! Records where the process spends its CPU time, and writes it as `profile.proto`, the form of `pprof`.

mod proto;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, UNIX_EPOCH};

use pprof::{ProfilerGuard, ProfilerGuardBuilder, Report, Symbol};
use tokio::sync::Mutex;

use self::proto::{Message, Strings};

/// Samples in a second of CPU time: prime, so that it does not run in step with what repeats. Go takes 100.
const FREQUENCY: i32 = 99;

/// One at a time: there is one timer in a process. What is kept is whether the first sample has been taken.
static RECORDING: Mutex<bool> = Mutex::const_new(false);

#[derive(Debug, thiserror::Error)]
pub(super) enum ProfileError {
    #[error("another profile is being recorded")]
    Busy,
    #[error("cannot record a profile: {0}")]
    Failed(String),
}

impl From<pprof::Error> for ProfileError {
    fn from(error: pprof::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Records for this time. If it is dropped, recording ends.
///
/// The stack is walked by framehop, which takes no lock. The usual way does, and would have to pass over samples
/// inside of libc, where a server spends much of its time.
pub(super) async fn record(time: Duration) -> Result<Vec<u8>, ProfileError> {
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

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ProfileError> + Send + 'static,
) -> Result<T, ProfileError> {
    tokio::task::spawn_blocking(work).await.map_err(|defect| ProfileError::Failed(defect.to_string()))?
}

/// A function in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Function {
    name: String,
    mangled: String,
    file: String,
}

/// A place in the code: functions that are inlined into each other, the innermost first, each with a line.
type Location = Vec<(u64, u64)>;

/// Values with numbers from one on.
#[derive(Debug)]
struct Numbered<T>(BTreeMap<T, u64>);

impl<T: Ord> Numbered<T> {
    fn number(&mut self, value: T) -> u64 {
        let next = self.0.len() as u64 + 1;
        *self.0.entry(value).or_insert(next)
    }
}

fn encode(report: &Report, time: Duration) -> Vec<u8> {
    let period = 1_000_000_000 / i64::from(FREQUENCY);
    let mut functions = Numbered(BTreeMap::new());
    let mut locations: Numbered<Location> = Numbered(BTreeMap::new());
    let mut strings = Strings::default();
    let mut profile = Message::default();
    for (kind, unit) in [("samples", "count"), ("cpu", "nanoseconds")] {
        profile.message(1, &value_type(&mut strings, kind, unit));
    }
    for (stack, count) in &report.data {
        let mut sample = Message::default();
        for frame in &stack.frames {
            let lines =
                frame.iter().map(|symbol| (functions.number(function(symbol)), u64::from(symbol.lineno())));
            sample.number(1, locations.number(lines.collect()));
        }
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        sample.signed(2, count);
        sample.signed(2, count.saturating_mul(period));
        let mut label = Message::default();
        label.number(1, strings.number("thread"));
        label.number(2, strings.number(&stack.thread_name));
        sample.message(3, &label);
        profile.message(2, &sample);
    }
    for (lines, id) in &locations.0 {
        let mut location = Message::default();
        location.number(1, *id);
        for (function, line) in lines {
            let mut message = Message::default();
            message.number(1, *function);
            message.number(2, *line);
            location.message(4, &message);
        }
        profile.message(4, &location);
    }
    for (function, id) in &functions.0 {
        let mut message = Message::default();
        message.number(1, *id);
        message.number(2, strings.number(&function.name));
        message.number(3, strings.number(&function.mangled));
        message.number(4, strings.number(&function.file));
        profile.message(5, &message);
    }
    let started = report.timing.start_time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    profile.signed(9, nanoseconds(started));
    profile.signed(10, nanoseconds(time));
    profile.message(11, &value_type(&mut strings, "cpu", "nanoseconds"));
    profile.signed(12, period);
    strings.write(6, &mut profile);
    profile.into_bytes()
}

fn value_type(strings: &mut Strings, kind: &str, unit: &str) -> Message {
    let mut message = Message::default();
    message.number(1, strings.number(kind));
    message.number(2, strings.number(unit));
    message
}

fn function(symbol: &Symbol) -> Function {
    Function {
        name: symbol.name(),
        mangled: symbol.sys_name().into_owned(),
        file: symbol.filename().into_owned(),
    }
}
