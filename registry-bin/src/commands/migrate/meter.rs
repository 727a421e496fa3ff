//! One line that says how far a migration is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use registry::storage::{MigrationReport, MigrationStage};

use crate::bench::size_text;

/// The rate and the rest of the time are told from what happened in the last while.
const WHILE: Duration = Duration::from_secs(60);

/// As wide as the bar is.
const BAR: usize = 24;

/// Remembers the last while.
#[derive(Debug, Default)]
pub(super) struct Meter {
    samples: VecDeque<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    share: f64,
    bytes: u64,
}

impl Meter {
    /// What `report` says at this moment.
    pub(super) fn line(&mut self, report: &MigrationReport, now: Instant) -> String {
        let total = report.total();
        let sample = Sample { at: now, share: report.share, bytes: report.transferred };
        self.samples.push_back(sample);
        while self.samples.len() > 2 && self.samples.front().is_some_and(|old| now - old.at > WHILE) {
            self.samples.pop_front();
        }
        let first = self.samples.front().copied().unwrap_or(sample);
        let seconds = (now - first.at).as_secs_f64();
        let mut line = match report.stage {
            MigrationStage::Waiting => "begins".to_owned(),
            MigrationStage::Content => {
                format!("content [{}] {:3.0} %", bar(report.share), report.share * 100.0)
            }
            MigrationStage::Repositories => format!("repositories: {}", report.repositories),
            MigrationStage::Removal => "removes what the source has no longer".to_owned(),
            MigrationStage::Done => "done".to_owned(),
        };
        line.push_str(&format!(
            "; {} copied, {} there, {}",
            count(total.copied),
            count(total.present),
            size_text(report.transferred)
        ));
        if seconds > 0.0 {
            let rate = (sample.bytes - first.bytes) as f64 / seconds;
            line.push_str(&format!(", {}/s", size_text(rate as u64)));
        }
        let gained = sample.share - first.share;
        if report.stage == MigrationStage::Content && gained > 0.0 && seconds > 0.0 {
            let left = Duration::from_secs_f64((1.0 - sample.share) / gained * seconds);
            line.push_str(&format!(", {} to go", time(left)));
        }
        if total.removed > 0 {
            line.push_str(&format!(", {} removed", count(total.removed)));
        }
        if report.failed > 0 {
            line.push_str(&format!(", {} failed", count(report.failed)));
        }
        line
    }
}

fn bar(share: f64) -> String {
    let full = (share.clamp(0.0, 1.0) * BAR as f64) as usize;
    format!("{}{}", "#".repeat(full), "-".repeat(BAR - full))
}

fn count(files: u64) -> String {
    files.to_string()
}

/// Hours and minutes, minutes and seconds, or seconds.
fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_share_the_rate_and_the_rest_of_the_time() {
        let mut meter = Meter::default();
        let begin = Instant::now();
        let mut report = MigrationReport::default();
        report.stage = MigrationStage::Content;
        meter.line(&report, begin);
        report.share = 0.25;
        report.transferred = 100 << 20;
        report.tallies[0].copied = 7;
        report.failed = 1;
        assert_eq!(
            meter.line(&report, begin + Duration::from_secs(10)),
            "content [######------------------]  25 %; 7 copied, 0 there, 100 MiB, 10 MiB/s, 30 s to go, 1 failed"
        );
        report.stage = MigrationStage::Repositories;
        report.repositories = 3;
        let line = meter.line(&report, begin + Duration::from_secs(20));
        assert_eq!(line, "repositories: 3; 7 copied, 0 there, 100 MiB, 5 MiB/s, 1 failed");
    }

    #[test]
    fn only_the_last_while_counts() {
        let mut meter = Meter::default();
        let begin = Instant::now();
        let mut report = MigrationReport::default();
        report.stage = MigrationStage::Content;
        for minute in 0..10_u32 {
            report.share = if minute < 8 { 0.0 } else { 0.5 };
            meter.line(&report, begin + WHILE * minute);
        }
        report.share = 0.75;
        let line = meter.line(&report, begin + WHILE * 10);
        assert!(line.ends_with("1 min 0 s to go"), "{line}");
        assert_eq!(time(Duration::from_secs(3 * 3600 + 120)), "3 h 2 min");
    }
}
