//! What came of a migration, for people and for programs.

use std::time::Duration;

use registry::storage::{MigrationKind, MigrationNote, MigrationReport, MigrationTally};
use serde_json::{Value, json};

use crate::bench::{aligned, size_text};

/// A migration that has ended.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) source: String,
    pub(super) destination: String,
    pub(super) dry_run: bool,
    pub(super) deleting: bool,
    pub(super) report: MigrationReport,
    /// By a signal.
    pub(super) interrupted: bool,
    pub(super) time: Duration,
}

impl Summary {
    /// A table and what else is worth a word.
    pub(super) fn text(&self) -> String {
        let report = &self.report;
        let head = ["", "copied", "bytes", "there already", "left out", "only at DST", "removed"];
        let mut lines = vec![head.map(str::to_owned).to_vec()];
        for kind in MigrationKind::ALL {
            lines.push(row(kind.as_str(), report.of(kind)));
        }
        let total = report.total();
        lines.push(row("total", total));
        let mut text = aligned(&lines);
        let mut say = |line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        if report.verified > 0 || report.replaced > 0 {
            say(format!("{} verified, {} replaced", blobs(report.verified), report.replaced));
        }
        if total.left_out > 0 {
            say(format!(
                "{} left out: what they lead to is missing or damaged at SRC",
                links(total.left_out)
            ));
        }
        if total.extra > 0 && !self.deleting {
            say(format!("{} only at DST; --delete removes them", files(total.extra, "is", "are")));
        }
        if report.uploads > 0 {
            say(format!("{} in progress at SRC, not copied", plural(report.uploads, "upload", "uploads")));
        }
        if report.unknown > 0 {
            say(format!("{} nothing of a registry, not copied:", files(report.unknown, "is", "are")));
            for note in &report.unknown_files {
                say(format!("  {}", note.path));
            }
            let more = report.unknown - report.unknown_files.len() as u64;
            if more > 0 {
                say(format!("  and {more} more"));
            }
        }
        if report.retries > 0 {
            say(format!("{} made again", plural(report.retries, "call was", "calls were")));
        }
        let end = match (self.dry_run, self.failures().is_empty()) {
            (true, _) => "nothing was written, this was a dry run of",
            (false, true) => "complete:",
            (false, false) => "not complete:",
        };
        let (source, destination) = (&self.source, &self.destination);
        say(format!("{end} {source} to {destination} in {:.1} s", self.time.as_secs_f64()));
        text
    }

    /// The same with all names and in base units.
    pub(super) fn json(&self) -> Value {
        let report = &self.report;
        let kinds = MigrationKind::ALL.map(|kind| (kind.as_str().to_owned(), tally(report.of(kind))));
        json!({
            "source": self.source,
            "destination": self.destination,
            "dryRun": self.dry_run,
            "complete": self.failures().is_empty(),
            "ended": self.ended(),
            "seconds": self.time.as_secs_f64(),
            "repositories": report.repositories,
            "files": serde_json::Map::from_iter(kinds),
            "total": tally(report.total()),
            "bytesRead": report.transferred,
            "verified": report.verified,
            "replaced": report.replaced,
            "retries": report.retries,
            "uploads": report.uploads,
            "unknown": report.unknown,
            "unknownFiles": notes(&report.unknown_files),
            "failed": report.failed,
            "failures": notes(&report.failures),
        })
    }

    fn ended(&self) -> Option<String> {
        match self.interrupted {
            true => Some("stopped by a signal".to_owned()),
            false => self.report.ended.clone(),
        }
    }

    /// Why it is not complete, a line each; none if it is.
    pub(super) fn failures(&self) -> Vec<String> {
        let report = &self.report;
        let mut lines: Vec<String> =
            report.failures.iter().map(|note| format!("{}: {}", note.path, note.reason)).collect();
        let more = report.failed - report.failures.len() as u64;
        if more > 0 {
            lines.push(format!("and {}", plural(more, "more file", "more files")));
        }
        lines.extend(self.ended());
        if lines.is_empty() && !report.is_complete() {
            lines.push("it ended early".to_owned());
        }
        if !lines.is_empty() {
            lines.push("not everything was copied; run it again to go on".to_owned());
        }
        lines
    }
}

fn row(name: &str, tally: MigrationTally) -> Vec<String> {
    let numbers =
        [tally.present, tally.left_out, tally.extra, tally.removed].map(|number| number.to_string());
    let mut row = vec![name.to_owned(), tally.copied.to_string(), size_text(tally.bytes)];
    row.extend(numbers);
    row
}

fn tally(tally: MigrationTally) -> Value {
    json!({
        "copied": tally.copied,
        "bytes": tally.bytes,
        "present": tally.present,
        "leftOut": tally.left_out,
        "onlyAtDestination": tally.extra,
        "removed": tally.removed,
    })
}

fn notes(notes: &[MigrationNote]) -> Value {
    notes.iter().map(|note| json!({ "path": note.path, "reason": note.reason })).collect()
}

fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn files(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 file {one}") } else { format!("{number} files {many}") }
}

fn links(number: u64) -> String {
    plural(number, "link was", "links were")
}

fn blobs(number: u64) -> String {
    plural(number, "blob was", "blobs were")
}

#[cfg(test)]
mod tests {
    use registry::storage::MigrationStage;

    use super::*;

    fn summary() -> Summary {
        let mut report = MigrationReport::default();
        report.stage = MigrationStage::Done;
        report.tallies[0].copied = 12;
        report.tallies[0].bytes = 3 << 20;
        report.tallies[4].present = 2;
        Summary {
            source: "a.yml".to_owned(),
            destination: "/b".to_owned(),
            dry_run: false,
            deleting: false,
            report,
            interrupted: false,
            time: Duration::from_millis(1520),
        }
    }

    #[test]
    fn what_went_well_is_a_table_and_a_line() {
        let text = summary().text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 8, "{text}");
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(lines[1]), ["blobs", "12", "3", "MiB", "0", "0", "0", "0"]);
        assert_eq!(words(lines[6]), ["total", "12", "3", "MiB", "2", "0", "0", "0"]);
        assert_eq!(lines[7], "complete: a.yml to /b in 1.5 s");
        assert!(summary().failures().is_empty());
    }

    #[test]
    fn what_did_not_is_said_and_counted() {
        let mut summary = summary();
        let report = &mut summary.report;
        report.failed = 2;
        report.tallies[3].extra = 1;
        report.tallies[1].left_out = 2;
        report.uploads = 1;
        let text = summary.text();
        for part in [
            "2 links were left out: what they lead to is missing or damaged at SRC\n",
            "1 file is only at DST; --delete removes them\n",
            "1 upload in progress at SRC, not copied\n",
            "not complete: a.yml to /b in 1.5 s\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(
            summary.failures(),
            ["and 2 more files", "not everything was copied; run it again to go on"]
        );
    }

    #[test]
    fn json_has_everything_in_base_units() {
        let mut summary = summary();
        summary.interrupted = true;
        let json = summary.json();
        assert_eq!(json["complete"], false);
        assert_eq!(json["ended"], "stopped by a signal");
        assert_eq!(json["files"]["blobs"]["bytes"], 3 << 20);
        assert_eq!(json["total"]["present"], 2);
        assert_eq!(json["seconds"], 1.52);
    }
}
