//! The result: a table for people, one JSON document for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::Options;
use super::drive::Tally;
use super::process::Memory;
use super::workload::Workload;

/// What a run found out.
#[derive(Debug)]
pub(crate) struct Report {
    pub(super) options: Options,
    pub(super) repository: String,
    pub(super) rows: Vec<Row>,
    pub(super) server: Option<Server>,
    /// What became of the content that was pushed.
    pub(super) left: String,
    pub(crate) interrupted: bool,
}

/// The server's process as a whole.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) pid: u32,
    pub(super) idle: Memory,
    pub(super) end: Memory,
}

/// One workload.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) workload: Workload,
    pub(super) clients: usize,
    pub(super) tally: Tally,
    /// What the server used for all of it.
    pub(super) cpu: Option<Duration>,
    /// The server's memory right after it, in bytes.
    pub(super) resident: Option<u64>,
    /// The most that was seen during it.
    pub(super) highest: Option<u64>,
}

impl Row {
    fn per_second(&self) -> f64 {
        rate(self.tally.latencies.count() as f64, self.tally.elapsed)
    }

    fn bytes_per_second(&self) -> f64 {
        rate(self.tally.bytes as f64, self.tally.elapsed)
    }

    /// Microseconds of processor time per operation; operations that failed have cost something too.
    fn cpu_per_operation(&self) -> Option<f64> {
        let operations = self.tally.latencies.count() + self.tally.errors;
        Some(self.cpu?.as_secs_f64() * 1e6 / operations as f64).filter(|cpu| cpu.is_finite())
    }

    /// Seconds of processor time per gigabyte (10⁹ bytes) of content.
    fn cpu_per_gigabyte(&self) -> Option<f64> {
        Some(self.cpu?.as_secs_f64() * 1e9 / self.tally.bytes as f64).filter(|cpu| cpu.is_finite())
    }
}

fn rate(amount: f64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { amount / time.as_secs_f64() }
}

impl Report {
    /// The table, and below it what does not fit in.
    pub(crate) fn table(&self) -> String {
        let mut header = vec!["workload", "per s", "MB/s", "p50", "p99", "errors"];
        if self.server.is_some() {
            header.extend(["CPU each", "RSS MiB", "peak MiB"]);
        }
        let mut lines = vec![header.into_iter().map(str::to_owned).collect()];
        lines.extend(self.rows.iter().map(|row| self.line(row)));
        let mut text = aligned(&lines);
        for row in &self.rows {
            if let Some(error) = &row.tally.first_error {
                text.push_str(&format!("{}: first error: {error}\n", row.workload.name()));
            }
        }
        if let Some(server) = &self.server {
            text.push_str(&format!(
                "server {}: {} MiB before, {} MiB after, at most {} MiB since it started\n",
                server.pid,
                mebibytes(server.idle.now),
                mebibytes(server.end.now),
                mebibytes(server.end.peak)
            ));
        }
        text
    }

    fn line(&self, row: &Row) -> Vec<String> {
        let percentile = |share| row.tally.latencies.percentile(share).map_or("-".to_owned(), time);
        let mut line = vec![
            row.workload.name(),
            number(row.per_second()),
            match row.tally.bytes {
                0 => "-".to_owned(),
                _ => number(row.bytes_per_second() / 1e6),
            },
            percentile(0.5),
            percentile(0.99),
            row.tally.errors.to_string(),
        ];
        if self.server.is_some() {
            let cpu = if row.workload.is_large() {
                row.cpu_per_gigabyte().map(|cpu| format!("{cpu:.2} s/GB"))
            } else {
                row.cpu_per_operation().map(|cpu| format!("{} µs", number(cpu)))
            };
            line.push(cpu.unwrap_or("-".to_owned()));
            line.extend([row.resident, row.highest].map(|bytes| bytes.map_or("-".to_owned(), mebibytes)));
        }
        line
    }

    /// Everything, in base units.
    pub(crate) fn json(&self) -> Value {
        let options = &self.options;
        let memory = |memory: &Memory| json!({"resident": memory.now, "peak": memory.peak});
        json!({
            "url": options.target.to_string(),
            "repository": self.repository,
            "duration_seconds": options.duration.as_secs_f64(),
            "tags": options.tags,
            "large_bytes": options.large_size,
            "interrupted": self.interrupted,
            "left": self.left,
            "server": self.server.as_ref().map(|server| json!({
                "pid": server.pid,
                "bytes_before": memory(&server.idle),
                "bytes_after": memory(&server.end),
            })),
            "workloads": self.rows.iter().map(row_json).collect::<Vec<_>>(),
        })
    }

    /// What became of the content that was pushed.
    pub(crate) fn left(&self) -> &str {
        &self.left
    }
}

fn row_json(row: &Row) -> Value {
    let percentile = |share| row.tally.latencies.percentile(share).map(|latency| latency.as_secs_f64());
    json!({
        "name": row.workload.name(),
        "clients": row.clients,
        "requests": row.tally.latencies.count(),
        "errors": row.tally.errors,
        "first_error": row.tally.first_error,
        "seconds": row.tally.elapsed.as_secs_f64(),
        "bytes": row.tally.bytes,
        "requests_per_second": row.per_second(),
        "bytes_per_second": row.bytes_per_second(),
        "p50_seconds": percentile(0.5),
        "p99_seconds": percentile(0.99),
        "cpu_seconds": row.cpu.map(|cpu| cpu.as_secs_f64()),
        "cpu_microseconds_per_request": row.cpu_per_operation(),
        "cpu_seconds_per_gigabyte": row.cpu_per_gigabyte(),
        "resident_bytes": row.resident,
        "highest_resident_bytes": row.highest,
    })
}

/// Three digits that count, more when there are more before the point.
fn number(value: f64) -> String {
    let decimals = if value >= 100.0 { 0 } else { usize::from(value < 10.0) + 1 };
    format!("{value:.decimals$}")
}

fn time(latency: Duration) -> String {
    let seconds = latency.as_secs_f64();
    match seconds {
        ..0.001 => format!("{} µs", number(seconds * 1e6)),
        ..1.0 => format!("{} ms", number(seconds * 1e3)),
        _ => format!("{} s", number(seconds)),
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

/// Columns as wide as their widest cell: the first to the left, the others to the right.
pub(crate) fn aligned(lines: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..lines.first().map_or(0, Vec::len)).map(width).collect();
    let mut text = String::new();
    for line in lines {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            text.push_str(&match column {
                0 => format!("{cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            });
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(workload: Workload, latencies: &[u64], bytes: u64, errors: u64) -> Row {
        let mut tally = Tally { errors, bytes, elapsed: Duration::from_secs(2), ..Tally::default() };
        latencies.iter().for_each(|latency| tally.latencies.record(Duration::from_micros(*latency)));
        tally.first_error = (errors > 0).then(|| "GET /v2/: answered 500".to_owned());
        let cpu = Some(Duration::from_millis(40));
        Row { workload, clients: 1, tally, cpu, resident: Some(18 << 20), highest: Some(20 << 20) }
    }

    fn report(server: Option<Server>) -> Report {
        let rows = vec![
            row(Workload::Ping, &[100, 100, 100, 2000], 0, 1),
            row(Workload::BlobGetLarge, &[1_500_000; 4], 400_000_000, 0),
            row(Workload::Tags, &[], 0, 0),
        ];
        let options = Options {
            target: "http://h:5000".parse().unwrap(),
            pid: None,
            duration: Duration::from_secs(2),
            clients: 1,
            large_clients: 1,
            large_size: 100,
            workloads: vec![],
            repository: None,
            tags: 5,
            keep: false,
        };
        Report { options, repository: "r".into(), rows, server, left: "nothing".into(), interrupted: false }
    }

    fn server() -> Server {
        let memory = Memory { now: 17 << 20, peak: 21 << 20 };
        Server { pid: 7, idle: memory, end: memory }
    }

    #[test]
    fn the_table_lines_up() {
        let expected = "\
workload        per s  MB/s      p50      p99  errors   CPU each  RSS MiB  peak MiB
ping             2.00     -  99.8 µs  2.00 ms       1    8000 µs     18.0      20.0
blob-get-large   2.00   200   1.50 s   1.50 s       0  0.10 s/GB     18.0      20.0
tags             0.00     -        -        -       0          -     18.0      20.0
ping: first error: GET /v2/: answered 500
server 7: 17.0 MiB before, 17.0 MiB after, at most 21.0 MiB since it started
";
        let found = report(Some(server())).table();
        assert_eq!(found, expected, "\n{found}");
    }

    #[test]
    fn without_the_process_there_is_nothing_about_it() {
        let table = report(None).table();
        assert!(!table.contains("CPU") && !table.contains("RSS") && !table.contains("server"), "{table}");
    }

    #[test]
    fn json_has_base_units_and_null_for_what_is_unknown() {
        let json = report(Some(server())).json();
        let rows = json["workloads"].as_array().unwrap();
        assert_eq!(rows[0]["requests"], 4);
        assert_eq!(rows[0]["first_error"], "GET /v2/: answered 500");
        assert_eq!(rows[1]["cpu_seconds_per_gigabyte"], 0.1);
        assert_eq!(rows[1]["bytes_per_second"], 2e8);
        assert_eq!(rows[2]["p50_seconds"], Value::Null);
        assert_eq!(json["server"]["bytes_after"]["peak"], 21 << 20);
        assert_eq!(report(None).json()["server"], Value::Null);
    }

    #[test]
    fn numbers_keep_the_digits_that_count() {
        for (value, expected) in [(0.0, "0.00"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1234")] {
            assert_eq!(number(value), expected);
        }
        for (microseconds, expected) in
            [(5, "5.00 µs"), (250, "250 µs"), (1500, "1.50 ms"), (2_000_000, "2.00 s")]
        {
            assert_eq!(time(Duration::from_micros(microseconds)), expected);
        }
    }
}
