//! Reads single values out of a section and reports those that do not fit, with place and key.

use super::node::{Map, Node, Origin, Scalar};
use super::problem::Problems;
use super::{duration, scalar, size};

/// A section under decoding; one that is not there reads as empty.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    map: Option<&'a Map>,
    path: String,
    /// Where the section begins, or the nearest one around it that is there.
    place: Origin,
    problems: &'a Problems,
}

impl<'a> Reader<'a> {
    pub(crate) fn root(map: &'a Map, problems: &'a Problems) -> Self {
        Self { map: Some(map), path: String::new(), place: Origin::Document, problems }
    }

    /// The section at `path`, in a file of its own.
    pub(crate) fn of_file(map: &'a Map, path: &str, problems: &'a Problems) -> Self {
        Self { map: Some(map), path: path.to_owned(), place: Origin::Document, problems }
    }

    /// The section below `key`.
    pub(crate) fn section(&self, key: &str) -> Self {
        let entry = self.map.and_then(|map| map.get(key));
        let map = entry.and_then(|entry| entry.value.as_map());
        let place = entry.map_or_else(|| self.place.clone(), |entry| entry.origin.clone());
        Self { map, path: self.path(key), place, problems: self.problems }
    }

    pub(crate) fn map(&self) -> Option<&'a Map> {
        self.map
    }

    /// The value of `key`, unless it is missing or null.
    pub(crate) fn node(&self, key: &str) -> Option<&'a Node> {
        self.map.and_then(|map| map.value(key)).filter(|node| !node.is_null())
    }

    pub(crate) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Reports `key` as an error, at the place of its value.
    pub(crate) fn fail(&self, key: &str, text: impl Into<String>) {
        self.problems.error(&self.origin(key), &self.path(key), text);
    }

    /// Reports an entry of the list `key` as an error, at its place.
    pub(crate) fn fail_at(&self, key: &str, index: usize, text: impl Into<String>) {
        let origin = self.list(key).get(index).map_or_else(|| self.origin(key), |node| node.origin.clone());
        self.problems.error(&origin, &format!("{}[{index}]", self.path(key)), text);
    }

    /// Reports that `key` says nothing, at its place or else that of its section.
    pub(crate) fn missing(&self, key: &str, text: impl Into<String>) {
        let entry = self.map.and_then(|map| map.get(key));
        let origin = entry.map_or_else(|| self.place.clone(), |entry| entry.origin.clone());
        self.problems.error(&origin, &self.path(key), text);
    }

    /// Warns that `key` says nothing, at the place of its section.
    pub(crate) fn missing_warning(&self, key: &str, text: impl Into<String>) {
        self.problems.warning(&self.place, &self.path(key), text);
    }

    pub(crate) fn warn(&self, key: &str, text: impl Into<String>) {
        self.problems.warning(&self.origin(key), &self.path(key), text);
    }

    fn origin(&self, key: &str) -> Origin {
        self.map.and_then(|map| map.value(key)).map_or(Origin::Document, |node| node.origin.clone())
    }

    /// Text as written; null counts as missing.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.scalar(key).map(|scalar| scalar.text.clone())
    }

    /// Text that says something.
    pub(crate) fn filled(&self, key: &str) -> Option<String> {
        self.text(key).filter(|text| !text.is_empty())
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        let scalar = self.scalar(key)?;
        match scalar::boolean(&scalar.text) {
            Some(value) if scalar.plain => Some(value),
            Some(_) => {
                self.fail(
                    key,
                    format!("expected true or false; {:?} is text, remove the quotes", scalar.text),
                );
                None
            }
            None => {
                self.fail(key, format!("expected true or false, found {:?}", scalar.text));
                None
            }
        }
    }

    /// True or false in a section that the original leaves untyped: also as text, as Go reads it.
    #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
    pub(crate) fn switch(&self, key: &str) -> Option<bool> {
        let scalar = self.scalar(key)?;
        let value = scalar::boolean(&scalar.text).or(match scalar.text.as_str() {
            "1" | "t" | "T" => Some(true),
            "0" | "f" | "F" => Some(false),
            _ => None,
        });
        if value.is_none() {
            self.fail(key, format!("expected true or false, found {:?}", scalar.text));
        }
        value
    }

    /// A whole number. Sections that the original leaves untyped also take it in quotes: `quoted`.
    pub(crate) fn number(&self, key: &str, quoted: bool) -> Option<i64> {
        let scalar = self.scalar(key)?;
        let value = scalar::integer(&scalar.text).filter(|_| scalar.plain || quoted);
        if value.is_none() {
            let hint = if scalar.plain || quoted { "" } else { " in quotes" };
            self.fail(key, format!("expected a whole number, found {:?}{hint}", scalar.text));
        }
        value
    }

    /// Nanoseconds, with a warning for values that lack their unit.
    pub(crate) fn duration(&self, key: &str) -> Option<i64> {
        let scalar = self.scalar(key)?;
        let parsed =
            if scalar.plain { duration::plain(&scalar.text) } else { duration::quoted(&scalar.text) };
        match parsed {
            Ok(value) => {
                if value != 0 && value.unsigned_abs() < duration::MILLISECOND.unsigned_abs() {
                    let unit = "a number without a unit counts nanoseconds";
                    self.warn(key, format!("{} is less than a millisecond; {unit}", scalar.text));
                }
                Some(value)
            }
            Err(text) => {
                self.fail(key, text);
                None
            }
        }
    }

    /// Bytes: a whole number of them, or one with a unit.
    pub(crate) fn size(&self, key: &str) -> Option<u64> {
        let text = &self.scalar(key)?.text;
        let value = match scalar::integer(text) {
            Some(bytes) => u64::try_from(bytes).ok(),
            None => size::parse(text).ok(),
        };
        if value.is_none() {
            self.fail(key, format!("expected a size such as 16MiB, found {text:?}"));
        }
        value
    }

    /// The texts of a list.
    pub(crate) fn texts(&self, key: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for (index, node) in self.list(key).iter().enumerate() {
            match node.as_scalar() {
                Some(scalar) => texts.push(scalar.text.clone()),
                None => {
                    let path = format!("{}[{index}]", self.path(key));
                    self.problems.error(&node.origin, &path, format!("expected text, found {}", node.kind()));
                }
            }
        }
        texts
    }

    /// The sections of a list.
    pub(crate) fn sections(&self, key: &str) -> Vec<Self> {
        let section = |(index, node): (usize, &'a Node)| Self {
            map: node.as_map(),
            path: format!("{}[{index}]", self.path(key)),
            place: node.origin.clone(),
            problems: self.problems,
        };
        self.list(key).iter().enumerate().map(section).collect()
    }

    fn list(&self, key: &str) -> &'a [Node] {
        self.node(key).and_then(Node::as_list).unwrap_or(&[])
    }

    /// A list or section here has been reported by the check against the table.
    fn scalar(&self, key: &str) -> Option<&'a Scalar> {
        self.node(key).and_then(Node::as_scalar)
    }
}
