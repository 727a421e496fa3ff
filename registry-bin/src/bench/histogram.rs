//! Latencies in a fixed amount of memory, exact to about one percent.

use std::time::Duration;

/// Each power of two is cut into this many steps, as a power of two itself.
const STEP_BITS: u32 = 6;
const STEPS: u64 = 1 << STEP_BITS;

/// Longest latency that is told apart from longer ones: about 73 minutes, in nanoseconds.
const LONGEST: u64 = (1 << 42) - 1;

/// Counts durations in steps that grow with them. Two of these merge without loss.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; step(LONGEST) + 1], total: 0, longest: 0 }
    }
}

impl Histogram {
    pub(super) fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(LONGEST).min(LONGEST);
        self.counts[step(nanoseconds)] += 1;
        self.total += 1;
        self.longest = self.longest.max(nanoseconds);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    pub(super) fn count(&self) -> u64 {
        self.total
    }

    /// The shortest latency that at least `share` (0 to 1) of all recorded ones do not exceed, give or take
    /// a step; `None` when nothing was recorded.
    pub(super) fn percentile(&self, share: f64) -> Option<Duration> {
        let wanted = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(Duration::from_nanos(middle(found).min(self.longest)))
    }
}

/// The step that a value falls into. The first `STEPS` values have one each; after that every power of two
/// begins a row of `STEPS` steps.
fn step(value: u64) -> usize {
    let row = value.checked_ilog2().unwrap_or_default().saturating_sub(STEP_BITS);
    (u64::from(row) * STEPS + (value >> row)) as usize
}

/// The value in the middle of a step.
fn middle(step: usize) -> u64 {
    let step = step as u64;
    let row = (step / STEPS).saturating_sub(1);
    let width = 1 << row;
    (step - row * STEPS) * width + width / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(values: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        values.into_iter().for_each(|value| histogram.record(Duration::from_nanos(value)));
        histogram
    }

    #[test]
    fn steps_follow_one_another_and_stay_within_one_part_in_64() {
        let mut before = step(0);
        for value in 1..100_000 {
            let now = step(value);
            assert!(now == before || now == before + 1, "{value}");
            before = now;
        }
        for value in (0..42).flat_map(|power| [1 << power, (1 << power) + 1, (2 << power) - 1]) {
            let error = middle(step(value)).abs_diff(value);
            assert!(error * STEPS <= value, "{value} reads as {}", middle(step(value)));
        }
    }

    #[test]
    fn percentiles_of_a_straight_line() {
        let histogram = filled((1..=1000).map(|value| value * 1000));
        for (share, expected) in [(0.0, 1_000), (0.5, 500_000), (0.99, 990_000), (1.0, 1_000_000)] {
            let found = histogram.percentile(share).unwrap().as_nanos() as u64;
            assert!(found.abs_diff(expected) * STEPS <= expected, "{share}: {found}");
        }
    }

    #[test]
    fn one_value_is_every_percentile_and_none_is_none() {
        let histogram = filled([42]);
        assert_eq!(histogram.percentile(0.5), Some(Duration::from_nanos(42)));
        assert_eq!(histogram.percentile(0.99), Some(Duration::from_nanos(42)));
        assert_eq!(Histogram::default().percentile(0.5), None);
    }

    #[test]
    fn merging_is_the_same_as_recording_all_in_one() {
        let mut merged = filled((0..500).map(|value| value * 7919));
        merged.merge(&filled((500..900).map(|value| value * 7919)));
        let all = filled((0..900).map(|value| value * 7919));
        assert_eq!((merged.counts, merged.total, merged.longest), (all.counts, all.total, all.longest));
    }

    #[test]
    fn what_is_too_long_counts_as_the_longest() {
        let mut histogram = filled([]);
        histogram.record(Duration::from_secs(1 << 40));
        assert_eq!(histogram.count(), 1);
        assert!(histogram.percentile(1.0).unwrap() >= Duration::from_secs(4000));
    }
}
