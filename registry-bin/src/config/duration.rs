//! Durations in the notation of the original registry: `1h30m`, `1.5s`, or a bare count of nanoseconds.

use super::scalar;

/// One millisecond; anything shorter is almost always a number whose unit was forgotten.
pub(crate) const MILLISECOND: i64 = 1_000_000;

const UNITS: [(&str, i64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", MILLISECOND),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads an unquoted value: an integer counts nanoseconds, all else needs units.
pub(crate) fn plain(text: &str) -> Result<i64, String> {
    match scalar::integer(text) {
        Some(nanoseconds) => Ok(nanoseconds),
        None => quoted(text),
    }
}

/// Reads `[+-](<number><unit>)+`, or `0`, into nanoseconds.
pub(crate) fn quoted(text: &str) -> Result<i64, String> {
    let refuse = |why: &str| Err(format!("{text:?} is not a duration such as 30s or 1h30m: {why}"));
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return refuse("it is empty");
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let Some((whole, fraction)) = split_number(number) else {
            return refuse("a number has to come before each unit");
        };
        if unit.is_empty() {
            return refuse("a number without a unit (ns, us, ms, s, m, h)");
        }
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return refuse(&format!("unknown unit {unit:?}, use ns, us, ms, s, m or h"));
        };
        let Some(part) = amount(whole, fraction, i128::from(*scale)) else {
            return refuse("it is too long");
        };
        total = total.saturating_add(part);
        rest = tail;
    }
    match i64::try_from(if negative { -total } else { total }) {
        Ok(nanoseconds) => Ok(nanoseconds),
        Err(_) => refuse("it is too long"),
    }
}

/// Splits `1.5` into its digits before and after the point; one side may be empty, not both.
fn split_number(number: &str) -> Option<(&str, &str)> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = !whole.is_empty() || !fraction.is_empty();
    (digits && !fraction.contains('.')).then_some((whole, fraction))
}

/// `whole.fraction` units of `scale` nanoseconds; what is below one nanosecond is cut off.
fn amount(whole: &str, fraction: &str, scale: i128) -> Option<i128> {
    let fraction = &fraction[..fraction.len().min(18)];
    let places = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
    Some(digits.checked_mul(scale)? / places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_go_notation() {
        const S: i64 = 1_000_000_000;
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("60s", 60 * S),
            ("1h30m", 5400 * S),
            ("1.5h", 5400 * S),
            (".5s", S / 2),
            ("1.s", S),
            ("1.25s", S / 4 * 5),
            ("1.000000001s", S + 1),
            ("-1s", -S),
            ("+5s", 5 * S),
            ("100ms", S / 10),
            ("3us", 3_000),
            ("3µs", 3_000),
            ("7ns", 7),
            ("168h", 168 * 3600 * S),
        ] {
            assert_eq!(quoted(text), Ok(value), "{text}");
        }
        assert_eq!(plain("60"), Ok(60));
        assert_eq!(plain("1_0"), Ok(10));
    }

    #[test]
    fn what_is_not_a_duration_says_why() {
        for (text, why) in [
            ("", "empty"),
            ("10", "without a unit"),
            ("1d", "unknown unit \"d\""),
            ("1h 30m", "unknown unit \"h \""),
            ("s", "number has to come before"),
            (".s", "number has to come before"),
            ("1..5s", "number has to come before"),
            ("99999999999h", "too long"),
            ("1.5", "without a unit"),
        ] {
            let error = quoted(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
