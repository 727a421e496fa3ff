//! `text` lines: `time="…" level=info msg="…" key=value`, fields sorted by name.

use std::fmt::Write as _;

use serde_json::Value;

use super::Head;
use super::fields::Pair;

pub(super) fn line(head: &Head<'_>, fields: &[Pair<'_>]) -> String {
    let mut line = format!("time=\"{}\" level={} msg=", head.time.rfc3339(), head.severity.name());
    value(&mut line, head.message);
    for (name, field) in fields {
        line.push(' ');
        // A name with a space or a newline would end the field early.
        line.extend(
            name.chars().map(|c| if c.is_whitespace() || c.is_control() || c == '=' { '_' } else { c }),
        );
        line.push('=');
        match field {
            Value::String(text) => value(&mut line, text),
            other => value(&mut line, &other.to_string()),
        }
    }
    line
}

/// The fields alone, one a line, for people.
pub(super) fn list(fields: &[Pair<'_>]) -> String {
    let mut list = String::new();
    for (name, field) in fields {
        list.push_str(name);
        list.push('=');
        match field {
            Value::String(text) => value(&mut list, text),
            other => value(&mut list, &other.to_string()),
        }
        list.push('\n');
    }
    list
}

/// Appends `text`, in quotes unless it is one harmless word.
fn value(line: &mut String, text: &str) {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b"-._/@^+".contains(&b);
    if text.bytes().all(bare) {
        line.push_str(text);
        return;
    }
    line.push('"');
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if c.is_ascii_control() => _ = write!(line, "\\x{:02x}", u32::from(c)),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_when_they_have_to_be() {
        for (text, expected) in [
            ("", ""),
            ("a-b._/@^+9", "a-b._/@^+9"),
            ("a b", "\"a b\""),
            ("a=b", "\"a=b\""),
            ("line\nnext", "\"line\\nnext\""),
            ("\u{1b}[31m", "\"\\x1b[31m\""),
            ("\u{85}", "\"\\u0085\""),
            ("größe", "\"größe\""),
            ("\\\"", "\"\\\\\\\"\""),
        ] {
            let mut line = String::new();
            value(&mut line, text);
            assert_eq!(line, expected);
        }
    }
}
