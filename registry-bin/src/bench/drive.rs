//! Clients that repeat an operation until its time or its number is up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::fixture::Fixture;
use super::histogram::Histogram;
use super::operation::{Operation, Worker};
use crate::listener::Stops;

/// How long an operation that is under way when the time is up may still take.
const GRACE: Duration = Duration::from_secs(30);

/// Pause of a client whose operation failed, so that a server that refuses everything is not drowned.
const PAUSE: Duration = Duration::from_millis(10);

/// How often the caller is told about progress.
const TICK: Duration = Duration::from_millis(100);

/// When to end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) time: Duration,
    /// Operations in all.
    pub(super) count: u64,
    /// Whether to go on after an error.
    pub(super) tolerant: bool,
    /// How many stops, counted from the start of the program, end it early.
    pub(super) stops: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Of operations that succeeded.
    pub(super) latencies: Histogram,
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
    /// Content sent or received.
    pub(super) bytes: u64,
    /// From the first operation's begin to the last one's end.
    pub(super) elapsed: Duration,
}

impl Tally {
    fn fail(&mut self, error: impl std::fmt::Display) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_string());
    }

    fn add(&mut self, other: Self) {
        self.latencies.merge(&other.latencies);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
        self.bytes += other.bytes;
        self.elapsed = self.elapsed.max(other.elapsed);
    }
}

/// What the workers of one drive share.
#[derive(Debug)]
struct Shared {
    operation: Operation,
    limit: Limit,
    turn: AtomicU64,
    failed: AtomicBool,
    start: Instant,
}

/// Lets `clients` connections repeat `operation`, and tells `tick` now and then how many have begun. All
/// connections are open before the clock starts. A stop ends it early, with what there is.
pub(super) async fn drive(
    fixture: &Arc<Fixture>,
    operation: Operation,
    clients: usize,
    limit: Limit,
    stops: &Stops,
    mut tick: impl FnMut(u64) + Send,
) -> Tally {
    let mut tally = Tally::default();
    let mut workers = Vec::new();
    for _ in 0..clients {
        match Worker::new(fixture, &operation) {
            Ok(mut worker) => {
                // If it fails for good, the worker's first operation says so.
                let _ = worker.connect().await;
                workers.push(worker);
            }
            Err(error) => tally.fail(error),
        }
    }
    let shared = Arc::new(Shared {
        operation,
        limit,
        turn: AtomicU64::new(0),
        failed: AtomicBool::new(false),
        start: Instant::now(),
    });
    let mut running = JoinSet::new();
    for worker in workers {
        running.spawn(work(worker, Arc::clone(&shared), stops.clone()));
    }
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                Some(Ok(part)) => tally.add(part),
                Some(Err(error)) => tally.fail(error),
                None => return tally,
            },
            _ = ticks.tick() => tick(shared.turn.load(Ordering::Relaxed).min(limit.count)),
        }
    }
}

async fn work(mut worker: Worker, shared: Arc<Shared>, mut stops: Stops) -> Tally {
    let Shared { operation, limit, turn, failed, start } = &*shared;
    let mut tally = Tally::default();
    let mut cut_off = std::pin::pin!(async {
        tokio::select! {
            () = tokio::time::sleep_until((*start + limit.time + GRACE).into()) => {
                Some(format!("no answer {} s after the time was up", GRACE.as_secs()))
            }
            // A sender that is gone means that nobody can stop this, which is as good as a long time.
            Ok(_) = stops.wait_for(|stops| *stops >= limit.stops) => None,
        }
    });
    let mut begin = Instant::now();
    while begin.duration_since(*start) < limit.time && !failed.load(Ordering::Relaxed) {
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        if turn >= limit.count {
            break;
        }
        let result = tokio::select! {
            biased;
            result = worker.perform(operation, turn) => result,
            why = &mut cut_off => {
                why.into_iter().for_each(|why| tally.fail(why));
                return tally;
            }
        };
        let end = Instant::now();
        tally.elapsed = end.duration_since(*start);
        match result {
            Ok(bytes) => {
                tally.latencies.record(end.duration_since(begin));
                tally.bytes += bytes;
            }
            Err(error) => {
                tally.fail(error);
                failed.store(!limit.tolerant, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
        }
        begin = Instant::now();
    }
    tally
}
