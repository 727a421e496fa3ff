//! `json` lines: one object with `level`, `msg`, `time` and the fields, keys sorted. `logstash` lines: the same,
//! with the names that Logstash looks for besides.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Head;
use super::fields::Pair;

pub(super) fn line(head: &Head<'_>, fields: &[Pair<'_>]) -> String {
    let own = own(head);
    let mut object: BTreeMap<&str, &Value> = fields.iter().copied().collect();
    object.extend(own.iter().map(|(name, value)| (*name, value)));
    write(&object)
}

/// Distribution 3 writes its `json` lines here, with `function` for `func`; 2.8 wrote what Logstash calls an
/// event. These lines are both.
pub(super) fn logstash_line(head: &Head<'_>, fields: &[Pair<'_>]) -> String {
    let own = own(head);
    let event =
        [("@timestamp", own[2].1.clone()), ("@version", Value::from("1")), ("message", own[1].1.clone())];
    let named = |(name, value)| (if name == "func" { "function" } else { name }, value);
    let mut object: BTreeMap<&str, &Value> = fields.iter().copied().map(named).collect();
    object.extend(own.iter().chain(&event).map(|(name, value)| (*name, value)));
    write(&object)
}

fn own(head: &Head<'_>) -> [(&'static str, Value); 3] {
    [
        ("level", Value::from(head.severity.name())),
        ("msg", Value::from(head.message)),
        ("time", Value::from(head.time.rfc3339().to_string())),
    ]
}

fn write(object: &BTreeMap<&str, &Value>) -> String {
    // Text keys and plain values always serialise.
    serde_json::to_string(object).unwrap_or_default()
}
