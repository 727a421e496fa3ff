//! The text format of Prometheus, version 0.0.4, written as Go's library does.

use std::fmt::Write as _;

use crate::family::{Family, Sample, Value};

/// Metrics without samples are left out, like there.
pub(crate) fn encode(families: &[Family]) -> String {
    let mut text = String::with_capacity(32 << 10);
    for Family { name, samples } in families.iter().filter(|family| !family.samples.is_empty()) {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "# HELP {} {}", name.name, escaped(name.help, false));
        let _ = writeln!(text, "# TYPE {} {}", name.name, name.kind.as_str());
        for sample in samples {
            match &sample.value {
                Value::Number(value) => line(&mut text, name.name, "", sample, None, &number(*value)),
                Value::Histogram { buckets, count, sum } => {
                    for (bound, below) in buckets {
                        line(&mut text, name.name, "_bucket", sample, Some(bound), &below.to_string());
                    }
                    line(&mut text, name.name, "_bucket", sample, Some("+Inf"), &count.to_string());
                    line(&mut text, name.name, "_sum", sample, None, &number(*sum));
                    line(&mut text, name.name, "_count", sample, None, &count.to_string());
                }
            }
        }
    }
    text
}

fn line(text: &mut String, name: &str, suffix: &str, sample: &Sample, bound: Option<&str>, value: &str) {
    text.push_str(name);
    text.push_str(suffix);
    let labels = sample.labels.iter().map(|(name, value)| (*name, value.as_ref()));
    let mut separator = '{';
    for (name, value) in labels.chain(bound.map(|bound| ("le", bound))) {
        let _ = write!(text, "{separator}{name}=\"{}\"", escaped(value, true));
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}

fn escaped(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}

/// The shortest text that reads as the number. Go writes large ones with an exponent; no reader minds.
fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    #[test]
    fn labels_are_escaped_and_numbers_are_plain() {
        let sample = Sample::new([("check", "a\"b\\c\nd")], Value::Number(0.5));
        let family = Family { name: &names::HEALTH_CHECK_UP, samples: vec![sample] };
        let text = encode(&[family, Family { name: &names::SCRAPES, samples: Vec::new() }]);
        let expected = "registry_health_check_up{check=\"a\\\"b\\\\c\\nd\"} 0.5\n";
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.ends_with(expected), "{text}");
        for (value, expected) in
            [(3.0, "3"), (1.5e9, "1500000000"), (f64::INFINITY, "+Inf"), (f64::NAN, "NaN")]
        {
            assert_eq!(number(value), expected);
        }
    }
}
