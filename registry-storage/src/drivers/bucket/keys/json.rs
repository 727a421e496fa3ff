//! Keys in a value of JSON, as programs that embed the registry have them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use registry_core::{BuildError, Options};
use serde_json::{Map, Value};

use super::BucketKeys;

/// Reads the options of the driver `name` with `read`, one of [`S3Options::read`](super::super::S3Options::read)
/// and its like. Times are written like `20s`.
///
/// # Errors
/// Every mistake, keys that nobody knows among them.
pub(crate) fn parse<T>(
    name: &str,
    options: Options,
    read: impl FnOnce(&dyn BucketKeys) -> Option<T>,
) -> Result<T, BuildError> {
    let map: Map<String, Value> = options.parse().map_err(|error| BuildError::options(name, error))?;
    let section = Section { map: Some(&map), path: String::new(), seen: Rc::default(), told: Rc::default() };
    let read = read(&section);
    let mut told = section.told.take();
    told.extend(unknown(&map, "", &section.seen.borrow()));
    match read {
        Some(options) if told.is_empty() => Ok(options),
        _ => Err(BuildError::options(name, Mistakes(told.join("; ")))),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Mistakes(String);

struct Section<'m> {
    map: Option<&'m Map<String, Value>>,
    /// With a dot at the end, unless it is the outermost.
    path: String,
    /// The keys that were asked for, by their whole names.
    seen: Rc<RefCell<BTreeSet<String>>>,
    told: Rc<RefCell<Vec<String>>>,
}

/// The keys that nobody asked for.
fn unknown(map: &Map<String, Value>, path: &str, seen: &BTreeSet<String>) -> Vec<String> {
    let mut unknown = Vec::new();
    for (key, value) in map {
        let whole = format!("{path}{key}");
        match value {
            _ if !seen.contains(&whole) => unknown.push(format!("unknown key {whole}")),
            Value::Object(map) => unknown.extend(self::unknown(map, &format!("{whole}."), seen)),
            _ => {}
        }
    }
    unknown
}

impl<'m> Section<'m> {
    fn value(&self, key: &str) -> Option<&'m Value> {
        self.seen.borrow_mut().insert(format!("{}{key}", self.path));
        self.map?.get(key).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    fn wrong<T>(&self, key: &str, expected: &str) -> Option<T> {
        self.fail(key, format!("has to be {expected}"));
        None
    }
}

impl BucketKeys for Section<'_> {
    fn text(&self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Number(number) => Some(number.to_string()),
            _ => self.wrong(key, "text"),
        }
    }

    fn flag(&self, key: &str) -> Option<bool> {
        match self.value(key)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => text.parse().ok().or_else(|| self.wrong(key, "true or false")),
            _ => self.wrong(key, "true or false"),
        }
    }

    fn number(&self, key: &str) -> Option<i64> {
        let number = match self.value(key)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.or_else(|| self.wrong(key, "a whole number"))
    }

    fn time(&self, key: &str) -> Option<Duration> {
        let time = self.value(key)?.as_str().and_then(|text| humantime::parse_duration(text).ok());
        time.or_else(|| self.wrong(key, "a time such as 20s"))
    }

    fn section(&self, key: &str) -> Box<dyn BucketKeys + '_> {
        let map =
            self.value(key).and_then(|value| value.as_object().or_else(|| self.wrong(key, "a section")));
        let path = format!("{}{key}.", self.path);
        Box::new(Section { map, path, seen: Rc::clone(&self.seen), told: Rc::clone(&self.told) })
    }

    fn fail(&self, key: &str, text: String) {
        self.told.borrow_mut().push(format!("{}{key}: {text}", self.path));
    }

    fn warn(&self, key: &str, text: String) {
        tracing::warn!("{}{key}: {text}", self.path);
    }
}
