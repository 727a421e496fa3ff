//! The table as a JSON Schema, for editors.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Key, Kind, ROOT, Status, UNSUPPORTED};

/// Where the effects of keys are described.
const REFERENCE: &str = include_str!("../../../../docs/configuration.md");

/// The words that YAML 1.1 reads as booleans and later versions as text.
const WORDS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];

/// What may stand for true and false in text.
const SWITCH: &str = "^([01tTfFyYnN]|[Tt]rue|TRUE|[Ff]alse|FALSE|[Yy]es|YES|[Nn]o|NO|[Oo]n|ON|[Oo]ff|OFF)$";

/// The schema of a configuration file.
pub(crate) fn schema() -> Value {
    let effects = effects(REFERENCE);
    let mut schema = section(ROOT, "", &effects);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Configuration of registry".into();
    schema["type"] = "object".into();
    schema["required"] = json!(["version"]);
    schema
}

/// The first and fourth column of the tables in the reference: key and effect.
pub(crate) fn effects(reference: &str) -> BTreeMap<&str, String> {
    let mut effects = BTreeMap::new();
    for line in reference.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = cells(line);
        if let [key, _, _, effect, ..] = cells.as_slice() {
            effects.insert(key.trim_matches('`'), effect.replace('`', ""));
        }
    }
    effects
}

/// The cells of a row, between `|` that are not escaped.
pub(crate) fn cells(line: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let mut rest = line.trim().trim_start_matches('|');
    while !rest.is_empty() {
        let mut from = 0;
        let end = loop {
            match rest[from..].find('|') {
                Some(at) if at + from > 0 && rest.as_bytes()[at + from - 1] == b'\\' => from += at + 1,
                Some(at) => break at + from,
                None => break rest.len(),
            }
        };
        cells.push(rest[..end].trim());
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    cells
}

fn section(keys: &[Key], path: &str, effects: &BTreeMap<&str, String>) -> Value {
    let mut properties = Map::new();
    for key in keys.iter().filter(|key| !matches!(key.kind, Kind::Inline)) {
        if !matches!(key.status, Status::Gone(_)) {
            let dotted = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            properties.insert(key.name.to_owned(), property(key, &dotted, effects));
        }
    }
    json!({ "type": ["object", "null"], "properties": properties, "additionalProperties": false })
}

fn property(key: &Key, dotted: &str, effects: &BTreeMap<&str, String>) -> Value {
    let mut schema = value(key.kind, dotted, effects);
    let described = match key.status {
        // The other name of a driver, with the same keys.
        Status::Supported | Status::NoEffect => {
            effects.get(dotted.replacen("storage.s3aws", "storage.s3", 1).as_str()).cloned()
        }
        Status::Deprecated(instead) => {
            schema["deprecated"] = true.into();
            Some(format!("Deprecated: {instead}."))
        }
        Status::Obsolete(why) | Status::Gone(why) => {
            schema["deprecated"] = true.into();
            Some(format!("Has no meaning any more: {why}."))
        }
        Status::Unsupported(_) => Some(UNSUPPORTED.to_owned()),
    };
    if let Some(text) = described {
        schema["description"] = text.into();
    }
    if let Some(default) = key.default {
        schema["default"] = match key.kind {
            Kind::Flag | Kind::Switch => (default == "true").into(),
            Kind::Number => default.parse::<i64>().map_or_else(|_| default.into(), Into::into),
            _ => default.into(),
        };
    }
    schema
}

/// An empty value is the same as a missing one, so null is allowed everywhere.
fn value(kind: Kind, dotted: &str, effects: &BTreeMap<&str, String>) -> Value {
    match kind {
        Kind::Text => json!({ "type": ["string", "number", "boolean", "null"] }),
        Kind::Word(words) => one_of(words),
        Kind::Flag => json!({ "anyOf": [{ "type": ["boolean", "null"] }, { "enum": WORDS }] }),
        Kind::Switch => json!({ "type": ["boolean", "integer", "string", "null"], "pattern": SWITCH }),
        Kind::Number => {
            json!({ "type": ["integer", "string", "null"], "pattern": "^[-+]?[0-9][0-9A-Fa-fxob_]*$" })
        }
        Kind::Duration => {
            json!({ "type": ["string", "integer", "null"], "pattern": "^[-+]?(0|([0-9.]+(ns|us|µs|μs|ms|s|m|h))+)$" })
        }
        // With a unit, or in any base.
        Kind::Size => json!({
            "type": ["integer", "string", "null"],
            "pattern": "^\\+?([0-9]+([KkMmGg][Ii]?)?[Bb]|[0-9][0-9A-Fa-fxob_]*)$",
            "minimum": 0
        }),
        Kind::Plain => json!({ "type": ["string", "number", "boolean", "null"] }),
        Kind::Section(keys) => section(keys, dotted, effects),
        Kind::Drivers(keys) => {
            let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
            json!({ "anyOf": [{ "enum": names }, section(keys, dotted, effects)] })
        }
        Kind::List(item) => {
            json!({ "type": ["array", "null"], "items": value(*item, &format!("{dotted}[]"), effects) })
        }
        Kind::Map(item) => json!({
            "type": ["object", "null"],
            "additionalProperties": value(*item, dotted, effects),
        }),
        Kind::Any | Kind::Inline => json!({}),
    }
}

/// Words count in any case: a pattern for each letter, and a list for editors to complete from.
fn one_of(words: &[&str]) -> Value {
    let any_case = |word: &&str| {
        let letter = |c: char| match c {
            c if c.is_ascii_alphabetic() => format!("[{}{}]", c.to_ascii_lowercase(), c.to_ascii_uppercase()),
            c => format!("\\{c}"),
        };
        word.chars().map(|c| if c.is_ascii_digit() { c.to_string() } else { letter(c) }).collect::<String>()
    };
    let pattern = format!("^({})$", words.iter().map(any_case).collect::<Vec<_>>().join("|"));
    let mut forms = vec![json!({ "enum": words }), json!({ "type": ["string", "null"], "pattern": pattern })];
    let numbers: Vec<f64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    if !numbers.is_empty() {
        forms.push(json!({ "enum": numbers }));
    }
    json!({ "anyOf": forms })
}
