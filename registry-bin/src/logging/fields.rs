//! The fields of a line, collected from configuration, spans and event; the later ones win.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};

/// Names that every line uses itself.
const RESERVED: [&str; 3] = ["level", "msg", "time"];

const MESSAGE: &str = "message";

/// Fields by name, plus the message of the event.
///
/// There are a dozen or two on a line: looking through them costs less than keeping them sorted.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    values: Vec<(Cow<'static, str>, Value)>,
    message: Option<String>,
}

impl Fields {
    /// Sets a field; one whose name the line needs itself goes under `fields.`.
    pub(super) fn set(&mut self, name: impl Into<Cow<'static, str>>, value: Value) {
        let name = name.into();
        let name = if RESERVED.contains(&&*name) { format!("fields.{name}").into() } else { name };
        match self.values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.values.push((name, value)),
        }
    }

    pub(super) fn take_message(&mut self) -> String {
        self.message.take().unwrap_or_default()
    }

    fn text(&mut self, field: &Field, text: String) {
        if field.name() == MESSAGE {
            self.message = Some(text);
        } else {
            self.set(field.name(), Value::String(text));
        }
    }
}

/// A field of a line.
pub(super) type Pair<'f> = (&'f str, &'f Value);

/// The fields of all, from the outermost to the innermost, in the order of their names; of several with one name
/// the innermost.
pub(super) fn merged<'f>(all: impl Iterator<Item = &'f Fields>) -> Vec<Pair<'f>> {
    let mut fields: Vec<Pair<'f>> =
        all.flat_map(|fields| fields.values.iter().map(|(name, value)| (&**name, value))).collect();
    // The sort keeps the order of equals, so the last of them is the innermost.
    fields.sort_by_key(|(name, _)| *name);
    fields.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 = later.1;
        }
        same
    });
    fields
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
