//! `json` lines: one object with `level`, `msg`, `time` and the fields, keys sorted.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Head;
use super::fields::Fields;

pub(super) fn line(head: &Head<'_>, fields: &Fields) -> String {
    let own = [
        ("level", Value::from(head.level)),
        ("msg", Value::from(head.message)),
        ("time", Value::from(head.time.rfc3339().to_string())),
    ];
    let mut object: BTreeMap<&str, &Value> = fields.iter().collect();
    object.extend(own.iter().map(|(name, value)| (*name, value)));
    // Text keys and plain values always serialise.
    serde_json::to_string(&object).unwrap_or_default()
}
