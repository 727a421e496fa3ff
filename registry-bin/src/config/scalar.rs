//! How unquoted words are read: the YAML 1.1 rules that existing configuration files rely on.

/// Reads the words that mean true or false.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// True for the words that mean nothing.
pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Reads an integer: decimal, `0x`, `0b`, `0o` or a leading zero for octal, `_` between digits.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits = digits.replace('_', "");
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits.as_str()),
    };
    // from_str_radix would take a second sign here.
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -value } else { value }).ok()
}

/// Reads a decimal fraction or an exponent form; integers are not floats here.
pub(crate) fn float(text: &str) -> Option<f64> {
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !numeric || !text.bytes().any(|b| b.is_ascii_digit()) || integer(text).is_some() {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_old_yaml_are_booleans() {
        for word in ["yes", "On", "TRUE", "y"] {
            assert_eq!(boolean(word), Some(true), "{word}");
        }
        for word in ["no", "Off", "FALSE", "N"] {
            assert_eq!(boolean(word), Some(false), "{word}");
        }
        for word in ["tRue", "1", "", "enable"] {
            assert_eq!(boolean(word), None, "{word}");
        }
    }

    #[test]
    fn integers_in_every_base() {
        for (text, value) in [
            ("0", Some(0)),
            ("012", Some(10)),
            ("0x1f", Some(31)),
            ("0b101", Some(5)),
            ("0o17", Some(15)),
            ("1_000", Some(1000)),
            ("-5", Some(-5)),
            ("+5", Some(5)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("08", None),
            ("0x", None),
            ("0x-1", None),
            ("--1", None),
            ("", None),
            ("-", None),
            ("5MB", None),
            ("1.5", None),
            ("_1", None),
        ] {
            assert_eq!(integer(text), value, "{text}");
        }
    }

    #[test]
    fn floats_are_not_integers() {
        assert_eq!(float("1.5"), Some(1.5));
        assert_eq!(float("1e3"), Some(1000.0));
        assert_eq!(float("15"), None);
        assert_eq!(float("1.2.3"), None);
        assert_eq!(float("e"), None);
    }
}
