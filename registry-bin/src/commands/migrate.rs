//! `registry migrate`

mod meter;
mod side;
mod summary;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use registry::storage::{Migration, MigrationProgress, MigrationReport};

use self::meter::Meter;
use self::side::Side;
use self::summary::Summary;
use super::Failure;
use crate::bench::Progress;
use crate::listener::{self, Stops};

/// Which stores, and how.
#[derive(Debug, Args)]
pub(crate) struct MigrateArguments {
    /// The store to copy from: a configuration file, whose storage section counts, or the root directory of a
    /// store. Variables lie over the file with SRC_ in front, SRC_REGISTRY_STORAGE_S3_ACCESSKEY; those without
    /// do not count
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// The store to copy to, likewise; variables with DST_ in front
    #[arg(value_name = "DST")]
    destination: PathBuf,
    /// Files to copy at a time, each with up to 4 MiB in memory
    #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = jobs)]
    jobs: usize,
    /// Read content that is at the destination already, compare it with its digest, and replace it if it does not match
    #[arg(long)]
    verify: bool,
    /// Remove from the destination what the source has no longer, tags first, once everything is copied. Not after
    /// clients have pushed to the destination
    #[arg(long)]
    delete: bool,
    /// Write nothing, only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document instead of the summary
    #[arg(long)]
    json: bool,
}

/// More than any store is faster with.
const MOST_JOBS: usize = 1024;

/// How often a terminal is told, and how often a file is.
const TICKS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

fn jobs(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST_JOBS).contains(number));
    number.ok_or_else(|| format!("not a number from 1 to {MOST_JOBS}"))
}

/// Copies a store into another and writes what came of it to `output`.
pub(crate) fn migrate(arguments: &MigrateArguments, output: &mut impl Write) -> Result<(), Failure> {
    let variables: Vec<_> = std::env::vars_os().collect();
    let source = Side::source(&arguments.source, &variables)?;
    let destination = Side::destination(&arguments.destination, &variables)?;
    source.is_other_than(&destination)?;
    for warning in source.warnings().chain(destination.warnings()).chain(side::ignored(&variables)) {
        let _ = writeln!(std::io::stderr(), "registry: warning: {warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let summary = runtime.block_on(run(arguments, &source, &destination))?;
    // A blocking file operation that hangs must not keep the process.
    runtime.shutdown_background();
    let text = if arguments.json { format!("{:#}\n", summary.json()) } else { summary.text() };
    // Whoever closed standard output still gets the exit code.
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    let failures = summary.failures();
    if failures.is_empty() { Ok(()) } else { Err(Failure(failures)) }
}

async fn run(arguments: &MigrateArguments, source: &Side, destination: &Side) -> Result<Summary, Failure> {
    let stops = listener::signals()?;
    listener::raise_limit();
    let from = source.open(arguments.dry_run).await?;
    let to = destination.open(arguments.dry_run).await?;
    let migration = Migration::new(from, to)
        .jobs(arguments.jobs)
        .verify(arguments.verify)
        .delete(arguments.delete)
        .dry_run(arguments.dry_run);
    let progress = migration.progress();
    let began = Instant::now();
    let report = tokio::select! {
        report = migration.run() => Some(report),
        () = stopped(stops) => None,
        never = show(&progress, Progress::standard_error()) => match never {},
    };
    let interrupted = report.is_none();
    let report: MigrationReport = report.unwrap_or_else(|| progress.report());
    Ok(Summary {
        source: source.to_string(),
        destination: destination.to_string(),
        dry_run: arguments.dry_run,
        deleting: arguments.delete,
        report,
        interrupted,
        time: began.elapsed(),
    })
}

async fn stopped(mut stops: Stops) {
    if stops.wait_for(|count| *count > 0).await.is_err() {
        // No signal can come any more.
        std::future::pending::<()>().await;
    }
}

/// Shows how far it is, until it is dropped.
async fn show(progress: &MigrationProgress, mut line: Progress) -> std::convert::Infallible {
    let mut meter = Meter::default();
    let pause = if line.is_terminal() { TICKS.0 } else { TICKS.1 };
    loop {
        tokio::time::sleep(pause).await;
        let text = meter.line(&progress.report(), Instant::now());
        match line.is_terminal() {
            true => line.update(&text),
            false => line.phase(&text),
        }
    }
}
