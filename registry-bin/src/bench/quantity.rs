//! Sizes and durations on the command line.

use std::time::Duration;

/// Writes a number of bytes with three digits that count: `512 B`, `64 MiB`, `1.25 GiB`.
pub(crate) fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} {}", UNITS[unit])
}

/// Reads `3s`, `500ms`, `1.5s` or `2m`; at most an hour.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let scale = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err("not a duration such as 3s, 500ms or 1m".to_owned()),
    };
    match number.parse::<f64>().map(|number| number * scale) {
        Ok(seconds) if seconds > 0.0 && seconds <= 3600.0 => Ok(Duration::from_secs_f64(seconds)),
        Ok(_) => Err("it has to be longer than nothing and no longer than an hour".to_owned()),
        Err(_) => Err("not a duration such as 3s, 500ms or 1m".to_owned()),
    }
}

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_with_three_digits() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (64 << 20, "64 MiB"),
            (5 << 28, "1.25 GiB"),
            (1000 << 20, "1000 MiB"),
            ((1 << 30) - 1, "1 GiB"),
            (12_345_678, "11.8 MiB"),
            (123_456_789, "118 MiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(size_text(bytes), expected);
        }
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("3s", Some(3000)),
            ("500ms", Some(500)),
            ("1.5s", Some(1500)),
            ("2m", Some(120_000)),
            ("60m", Some(3_600_000)),
            ("61m", None),
            ("0s", None),
            ("3", None),
            ("s", None),
            ("-3s", None),
            ("3 s", None),
            ("1.2.3s", None),
        ] {
            assert_eq!(duration(text).ok(), expected.map(Duration::from_millis), "{text}");
        }
    }
}
