//! The configuration as a tree in which every key and value knows where it came from.

use std::fmt;
use std::sync::Arc;

/// Where a key or a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// Nowhere in particular: something is missing from the document as a whole.
    Document,
    /// A place in the file, both counted from one.
    File {
        /// Line of the first character.
        line: usize,
        /// Column of the first character.
        column: usize,
    },
    /// The value of this environment variable.
    Variable(Arc<str>),
}

impl Origin {
    /// `config.yml:4:3`, or the name of the variable.
    pub(crate) fn place(&self, file: &str) -> String {
        match self {
            Self::Document => file.to_owned(),
            Self::File { line, column } => format!("{file}:{line}:{column}"),
            Self::Variable(name) => name.to_string(),
        }
    }
}

/// One value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) origin: Origin,
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// A single word, kept as written so that each key decides how to read it.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A section.
    Map(Map),
}

/// A scalar as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// False when quotes or a `!!str` tag say that this is text and nothing else.
    pub(crate) plain: bool,
}

/// Keys in the order of the document.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    pub(crate) entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) origin: Origin,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn null(origin: Origin) -> Self {
        Self { origin, value: Value::Null }
    }

    pub(crate) fn text(origin: Origin, text: impl Into<String>) -> Self {
        Self { origin, value: Value::Scalar(Scalar { text: text.into(), plain: false }) }
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            Value::Null | Value::Scalar(_) | Value::List(_) => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            Value::Null | Value::Scalar(_) | Value::Map(_) => None,
        }
    }

    pub(crate) fn as_scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// True for values that say nothing: null, empty text, and lists and sections of such.
    pub(crate) fn is_blank(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Scalar(scalar) => scalar.text.is_empty(),
            Value::List(items) => items.iter().all(Self::is_blank),
            Value::Map(map) => map.entries.iter().all(|entry| entry.value.is_blank()),
        }
    }

    /// The kind of this value, for messages. Never shows the value itself: it may be a secret.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a section",
        }
    }
}

impl Map {
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(crate) fn value(&self, key: &str) -> Option<&Node> {
        self.get(key).map(|entry| &entry.value)
    }

    /// The entry under `key`, made empty when there is none yet.
    pub(crate) fn entry(&mut self, key: &str, origin: &Origin) -> &mut Entry {
        let at = self.entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
            self.entries.push(Entry {
                key: key.to_owned(),
                origin: origin.clone(),
                value: Node::null(origin.clone()),
            });
            self.entries.len() - 1
        });
        &mut self.entries[at]
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document => f.write_str("the file"),
            Self::File { line, .. } => write!(f, "line {line}"),
            Self::Variable(name) => f.write_str(name),
        }
    }
}
