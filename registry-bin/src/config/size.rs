//! Sizes with units, in the configuration and on the command line.

const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
];

/// Reads `64MiB`, `4KiB`, `1GB` or a plain number of bytes.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = if unit.is_empty() { "B".to_owned() } else { unit.to_ascii_uppercase() };
    let scale = SIZES.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
    number
        .parse::<u64>()
        .ok()
        .zip(scale)
        .and_then(|(number, scale)| number.checked_mul(scale))
        .ok_or_else(|| "not a size such as 64MiB or 4KiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("4KiB", Some(4096)),
            ("64MiB", Some(64 << 20)),
            ("64mib", Some(64 << 20)),
            ("2GB", Some(2_000_000_000)),
            ("7B", Some(7)),
            ("", None),
            ("MiB", None),
            ("1.5MiB", None),
            ("-1", None),
            ("4 KiB", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }
}
