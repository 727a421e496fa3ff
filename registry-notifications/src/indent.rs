//! JSON on many lines, as Go's encoder indents it.

/// What one level is indented by in Distribution's envelope.
const STEP: &[u8] = b"   ";

/// Writes `compact`, a JSON text without white space between its parts, with each part on a line of its own.
/// `level` is that of the line on which it begins.
pub(crate) fn indent(out: &mut Vec<u8>, compact: &[u8], mut level: usize) {
    let mut rest = compact;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => {
                let (text, after) = after.split_at(text_length(after));
                out.push(byte);
                out.extend_from_slice(text);
                rest = after;
            }
            b'{' | b'[' => {
                out.push(byte);
                // Both kinds of bracket close two characters on.
                let close = byte + 2;
                if let Some(after) = rest.strip_prefix(&[close]) {
                    out.push(close);
                    rest = after;
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

/// How much of `rest` is a text that has begun, with the quote that ends it.
fn text_length(rest: &[u8]) -> usize {
    let mut length = 0;
    while let Some(at) = rest[length..].iter().position(|byte| matches!(byte, b'"' | b'\\')) {
        length += at + 1;
        if rest[length - 1] == b'"' {
            return length;
        }
        // Whatever is escaped ends nothing.
        length = rest.len().min(length + 1);
    }
    rest.len()
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
