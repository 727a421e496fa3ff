//! Calendar time in UTC, written the two ways that log lines need.

use std::cell::Cell;
use std::fmt;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment in the proleptic Gregorian calendar, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    year: i64,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    nanosecond: u32,
}

impl Civil {
    /// The calendar time of `at`; a clock before 1970 reads as 1970.
    pub(crate) fn new(at: SystemTime) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX / 2);
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = date(days);
        let small = |value: i64| u8::try_from(value).unwrap_or_default();
        Self {
            year,
            month: small(month),
            day: small(day),
            hour: small(rest / 3600),
            minute: small(rest / 60 % 60),
            second: small(rest % 60),
            nanosecond: since.subsec_nanos(),
        }
    }

    /// `2026-11-21T03:03:05.000000001Z`
    pub(crate) fn rfc3339(self) -> impl fmt::Display {
        Rfc3339(self)
    }
}

/// A time as in access logs.
type CommonLog = [u8; 26];

/// `21/Nov/2026:03:03:05 +0000`, as in access logs, until the year 9999. Made once in a second on each thread.
pub(crate) fn common_log(at: SystemTime) -> CommonLog {
    thread_local! {
        static LAST: Cell<(u64, CommonLog)> = const { Cell::new((u64::MAX, [0; 26])) };
    }
    let second = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (of, text) = LAST.get();
    if of == second {
        return text;
    }
    let Civil { year, month, day, hour, minute, second: seconds, .. } = Civil::new(at);
    let month = MONTHS[usize::from(month.clamp(1, 12)) - 1];
    let mut text = [0; 26];
    // It fits.
    _ = write!(&mut text[..], "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{seconds:02} +0000");
    LAST.set((second, text));
    text
}

/// Year, month and day of a count of days since 1970-01-01.
///
/// The year is taken to start in March, which puts the leap day at its end and makes the lengths of the
/// months a straight line.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468; // from 0000-03-01
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

struct Rfc3339(Civil);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second, nanosecond } = self.0;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanosecond:09}Z")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn known_moments() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000000007Z"),
            (951_782_399, "2000-02-28T23:59:59.000000007Z"),
            (951_782_400, "2000-02-29T00:00:00.000000007Z"),
            (951_868_800, "2000-03-01T00:00:00.000000007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000007Z"),
            (1_795_230_185, "2026-11-21T03:03:05.000000007Z"),
        ] {
            let at = Civil::new(UNIX_EPOCH + Duration::new(seconds, 7));
            assert_eq!(at.rfc3339().to_string(), expected);
        }
    }

    #[test]
    fn access_log_form() {
        for (seconds, nanoseconds, expected) in [
            (1_795_230_185, 0, "21/Nov/2026:03:03:05 +0000"),
            (1_795_230_185, 999_999_999, "21/Nov/2026:03:03:05 +0000"),
            (1_795_230_186, 0, "21/Nov/2026:03:03:06 +0000"),
            (0, 0, "01/Jan/1970:00:00:00 +0000"),
        ] {
            let at = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
            assert_eq!(common_log(at), expected.as_bytes());
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = date(-1);
        assert_eq!(before, (1969, 12, 31));
        for days in 0..150_000 {
            let now = date(days);
            let next_day = now == (before.0, before.1, before.2 + 1);
            let next_month = now == (before.0, before.1 + 1, 1) && before.2 >= 28;
            let next_year = now == (before.0 + 1, 1, 1) && (before.1, before.2) == (12, 31);
            assert!(next_day || next_month || next_year, "{before:?} -> {now:?}");
            before = now;
        }
    }
}
