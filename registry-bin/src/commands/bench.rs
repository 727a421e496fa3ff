//! `registry bench`

use std::io::Write;
use std::time::Duration;

use super::Failure;
use crate::bench::{self, Options, Progress, Report, Target, Workload};
use crate::config::size;
use crate::listener;

/// What the command line says about a measurement.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArguments {
    /// The registry, such as http://127.0.0.1:5000
    #[arg(value_name = "URL")]
    target: Target,
    /// The server's process on this machine: adds its CPU time and memory
    #[arg(long)]
    pid: Option<u32>,
    /// Print one JSON document instead of the table
    #[arg(long)]
    json: bool,
    /// Time for each workload
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = bench::duration)]
    duration: Duration,
    /// Connections, each with one request at a time
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clients)]
    clients: usize,
    /// Connections of the workloads on large blobs
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clients)]
    large_clients: usize,
    /// Size of large blobs
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size::parse)]
    large_size: u64,
    /// Workloads to run, separated by commas [default: all but delete]
    #[arg(long, value_name = "WORKLOAD", value_delimiter = ',')]
    only: Vec<Workload>,
    /// Repository to push to [default: bench/ and a random name]
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// Tags in the repository with many tags
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    tags: u64,
    /// Leave what was pushed in the registry
    #[arg(long)]
    keep: bool,
}

/// More connections than any one machine's measurement is about.
const MOST_CLIENTS: usize = 1024;

fn clients(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST_CLIENTS).contains(number));
    number.ok_or_else(|| format!("not a number from 1 to {MOST_CLIENTS}"))
}

/// Measures a registry and writes what it found to `output`.
pub(crate) fn bench(arguments: &BenchArguments, output: &mut impl Write) -> Result<(), Failure> {
    let mut workloads = arguments.only.clone();
    if workloads.is_empty() {
        workloads = Workload::usual();
    }
    let options = Options {
        target: arguments.target.clone(),
        pid: arguments.pid,
        duration: arguments.duration,
        clients: arguments.clients,
        large_clients: arguments.large_clients,
        large_size: arguments.large_size,
        workloads,
        repository: arguments.repository.clone(),
        tags: arguments.tags,
        keep: arguments.keep,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(run(&options))?;
    runtime.shutdown_background();
    let text = if arguments.json { format!("{:#}\n", report.json()) } else { report.table() };
    // Whoever closed standard output does not want to know.
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    let _ = writeln!(std::io::stderr(), "{}", report.left());
    match report.interrupted {
        true => Err(Failure(vec!["stopped by a signal; the measurement is not complete".to_owned()])),
        false => Ok(()),
    }
}

async fn run(options: &Options) -> Result<Report, Failure> {
    let stops = listener::signals()?;
    Ok(bench::run(options, &stops, Progress::standard_error()).await?)
}
