//! JSON on many lines, as Go's encoder indents it.

/// What one level is indented by in Distribution's envelope.
const STEP: &[u8] = b"   ";

/// Writes `compact`, a JSON text without white space between its parts, with each part on a line of its own.
/// `level` is that of the line on which it begins.
pub(crate) fn indent(out: &mut Vec<u8>, compact: &[u8], mut level: usize) {
    let mut bytes = compact.iter().copied().peekable();
    let mut in_text = false;
    let mut escaped = false;
    while let Some(byte) = bytes.next() {
        if in_text {
            out.push(byte);
            (in_text, escaped) = match byte {
                _ if escaped => (true, false),
                b'\\' => (true, true),
                b'"' => (false, false),
                _ => (true, false),
            };
            continue;
        }
        match byte {
            b'"' => {
                in_text = true;
                out.push(byte);
            }
            b'{' | b'[' => {
                out.push(byte);
                // Both kinds of bracket close two characters on.
                let close = byte + 2;
                if bytes.next_if_eq(&close).is_some() {
                    out.push(close);
                } else {
                    level += 1;
                    new_line(out, level);
                }
            }
            b'}' | b']' => {
                level = level.saturating_sub(1);
                new_line(out, level);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(out, level);
            }
            b':' => out.extend_from_slice(b": "),
            _ => out.push(byte),
        }
    }
}

fn new_line(out: &mut Vec<u8>, level: usize) {
    out.push(b'\n');
    for _ in 0..level {
        out.extend_from_slice(STEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_like_a_pretty_printer_with_three_spaces() {
        let value = serde_json::json!({
            "a": [1, 2.5, {"b": []}], "c": {}, "d": "x\"{[,:]}\\", "e": [null, true], "f": "\\\"", "g": [[], {}],
        });
        let mut expected = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(STEP);
        let mut serializer = serde_json::Serializer::with_formatter(&mut expected, formatter);
        serde::Serialize::serialize(&value, &mut serializer).unwrap();
        let mut out = Vec::new();
        indent(&mut out, value.to_string().as_bytes(), 0);
        assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(expected).unwrap());
    }
}
