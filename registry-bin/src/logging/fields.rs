//! The fields of a line, collected from configuration, spans and event; the later ones win.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};

/// Names that every line uses itself.
const RESERVED: [&str; 3] = ["level", "msg", "time"];

const MESSAGE: &str = "message";

/// Fields by name, plus the message of the event.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    values: BTreeMap<String, Value>,
    message: Option<String>,
}

impl Fields {
    /// Sets a field; one whose name the line needs itself goes under `fields.`.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        let name = if RESERVED.contains(&name) { format!("fields.{name}") } else { name.to_owned() };
        self.values.insert(name, value);
    }

    /// Adds the fields of a span.
    pub(super) fn add(&mut self, other: &Self) {
        self.values.extend(other.values.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    pub(super) fn take_message(&mut self) -> String {
        self.message.take().unwrap_or_default()
    }

    /// In the order of their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    fn text(&mut self, field: &Field, text: String) {
        if field.name() == MESSAGE {
            self.message = Some(text);
        } else {
            self.set(field.name(), Value::String(text));
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            text.push_str(&format!(": {error}"));
            source = error.source();
        }
        self.text(field, text);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value.into());
    }
}
