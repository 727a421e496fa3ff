//! Drives a registry, this one or another, and says what it does per second and what that costs the server.

mod client;
mod drive;
mod fixture;
mod histogram;
mod operation;
mod payload;
mod prepare;
mod process;
mod progress;
mod quantity;
mod report;
mod target;
#[cfg(test)]
mod tests;
mod workload;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use self::drive::{Limit, drive};
use self::fixture::{Fixture, VICTIMS};
use self::operation::Operation;
use self::process::{Process, ProcessError};
use crate::listener::Stops;

pub(crate) use self::progress::Progress;
pub(crate) use self::quantity::{duration, size_text};
pub(crate) use self::report::{Report, aligned};
use self::report::{Row, Server};
pub(crate) use self::target::Target;
pub(crate) use self::workload::Workload;

/// What to measure, and how.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) target: Target,
    /// The server's process, if it runs on this machine.
    pub(crate) pid: Option<u32>,
    /// Of each workload.
    pub(crate) duration: Duration,
    /// Connections, each with one request at a time.
    pub(crate) clients: usize,
    /// Connections of workloads on large blobs.
    pub(crate) large_clients: usize,
    /// Size of large blobs in bytes.
    pub(crate) large_size: u64,
    pub(crate) workloads: Vec<Workload>,
    /// Where to work; a name that nobody uses yet unless given.
    pub(crate) repository: Option<String>,
    /// How many tags the repository with many tags has to begin with.
    pub(crate) tags: u64,
    /// Whether to leave what was pushed.
    pub(crate) keep: bool,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("{url}: {reason}")]
    Unusable { url: String, reason: String },
    #[error("cannot prepare {what}: {reason}")]
    SetUp { what: &'static str, reason: String },
}

/// Measures the workloads one after the other. The first of `stops` ends it with what there is by then, a second
/// one also leaves what was pushed where it is.
pub(crate) async fn run(
    options: &Options,
    stops: &Stops,
    mut progress: Progress,
) -> Result<Report, BenchError> {
    let process = options.pid.map(Process::new).transpose()?;
    prepare::probe(&options.target).await?;
    let idle = process.as_ref().map(Process::memory).transpose()?;
    let run = Uuid::new_v4();
    let repository = options.repository.clone().unwrap_or_else(|| format!("bench/{}", run.simple()));
    let fixture = Fixture::new(&options.target, &repository, options.large_size, *run.as_bytes());
    let mut bench = Bench {
        options,
        process,
        fixture: Arc::new(fixture),
        stops,
        progress: &mut progress,
        rows: Vec::new(),
    };
    let outcome = bench.measure_all().await;
    let left = match options.keep {
        true => format!("{repository} and {repository}/tags were kept"),
        false => prepare::clean(&bench.fixture, stops, bench.progress).await,
    };
    let end = bench.process.as_ref().map(Process::memory).transpose();
    let rows = bench.rows;
    let process = bench.process;
    progress.finish();
    outcome?;
    let server = process.zip(idle).zip(end?);
    Ok(Report {
        options: options.clone(),
        repository,
        rows,
        server: server.map(|((process, idle), end)| Server { pid: process.pid(), idle, end }),
        left,
        interrupted: *stops.borrow() > 0,
    })
}

/// One run under way.
struct Bench<'a> {
    options: &'a Options,
    process: Option<Process>,
    fixture: Arc<Fixture>,
    stops: &'a Stops,
    progress: &'a mut Progress,
    rows: Vec<Row>,
}

impl Bench<'_> {
    async fn measure_all(&mut self) -> Result<(), BenchError> {
        let mut ready = Vec::new();
        for workload in &self.options.workloads {
            for need in workload.needs() {
                if !ready.contains(need) {
                    let (fixture, options) = (&self.fixture, self.options);
                    prepare::prepare(*need, fixture, options, self.stops, self.progress).await?;
                    ready.push(*need);
                }
            }
            if *self.stops.borrow() > 0 {
                return Ok(());
            }
            let row = self.measure(*workload).await?;
            self.rows.push(row);
        }
        Ok(())
    }

    async fn measure(&mut self, workload: Workload) -> Result<Row, BenchError> {
        let clients = if workload.is_large() { self.options.large_clients } else { self.options.clients };
        let count = if workload == Workload::Delete { VICTIMS } else { u64::MAX };
        let limit = Limit { time: self.options.duration, count, tolerant: true, stops: 1 };
        let name = workload.name();
        self.progress.phase(&name);
        let process = self.process.as_ref();
        let before = process.map(Process::cpu).transpose()?;
        let mut highest = process.map(Process::memory).transpose()?;
        let tally = drive(&self.fixture, Operation::Measured(workload), clients, limit, self.stops, |done| {
            self.progress.update(&format!("{name}: {done}"));
            if let (Some(Ok(now)), Some(highest)) = (process.map(Process::memory), &mut highest) {
                highest.now = highest.now.max(now.now);
            }
        })
        .await;
        let cpu = process.map(Process::cpu).transpose()?.zip(before);
        let memory = process.map(Process::memory).transpose()?;
        Ok(Row {
            workload,
            clients,
            tally,
            cpu: cpu.map(|(after, before)| after.saturating_sub(before)),
            resident: memory.map(|memory| memory.now),
            highest: memory.zip(highest).map(|(end, highest)| end.now.max(highest.now)),
        })
    }
}
