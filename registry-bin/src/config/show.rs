//! What is in force, and where each value comes from.

mod json;
mod yaml;

use super::decode;
use super::node::{Map, Node, Origin, Value};
use super::schema::{self, Key, Kind, Status, StorageKey, storage_key};
use super::{duration, scalar};

/// Stands for a secret.
const MASK: &str = "********";

/// Old keys, and the ones that they set if those are not there.
const ALIASES: [(&[&str], &[&str]); 4] = [
    (&["loglevel"], &["log", "level"]),
    (&["storage", "cache", "layerinfo"], &["storage", "cache", "blobdescriptor"]),
    (&["storage", "azure", "copy_status_poll_max_retry"], &["storage", "azure", "max_retries"]),
    (&["storage", "azure", "copy_status_poll_delay"], &["storage", "azure", "retry_delay"]),
];

/// The configuration in force.
#[derive(Debug)]
pub(crate) struct Shown {
    file: String,
    root: Vec<(String, Item)>,
}

#[derive(Debug)]
enum Item {
    /// A single value.
    Leaf(Leaf),
    Section(Vec<(String, Self)>),
    /// A section without anything in it, such as a driver without options.
    Empty(Source),
    List(Vec<Self>),
}

#[derive(Debug)]
struct Leaf {
    /// As it is written.
    text: String,
    /// Whether it is text whatever it looks like.
    quoted: bool,
    value: serde_json::Value,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Default,
    Given(Origin),
}

impl Source {
    fn place(&self, file: &str) -> String {
        match self {
            Self::Default => "default".to_owned(),
            Self::Given(origin) => origin.place(file),
        }
    }
}

impl Shown {
    /// Shows a tree that was found to be right.
    pub(super) fn new(mut root: Node, file: &str) -> Self {
        for (old, new) in ALIASES {
            replace(&mut root, old, new);
        }
        let empty = Map::default();
        let root = section(root.as_map().unwrap_or(&empty), schema::ROOT, false);
        Self { file: file.to_owned(), root }
    }
}

/// Puts the value of an old key where it counts.
fn replace(root: &mut Node, old: &[&str], new: &[&str]) {
    let Some(value) = at(root, old).filter(|node| !node.is_null()).cloned() else { return };
    if let Some((name, section)) = old.split_last()
        && let Some(Node { value: Value::Map(map), .. }) = at(root, section)
    {
        map.entries.retain(|entry| entry.key != *name);
    }
    if at(root, new).is_some_and(|node| !node.is_null()) {
        return;
    }
    let mut place = root;
    for name in new {
        if !matches!(place.value, Value::Map(_)) {
            place.value = Value::Map(Map::default());
        }
        let Value::Map(map) = &mut place.value else { return };
        place = &mut map.entry(name, &value.origin).value;
    }
    *place = value;
}

fn at<'n>(root: &'n mut Node, path: &[&str]) -> Option<&'n mut Node> {
    path.iter().try_fold(root, |node, name| match &mut node.value {
        Value::Map(map) => {
            map.entries.iter_mut().find(|entry| entry.key == *name).map(|entry| &mut entry.value)
        }
        Value::Null | Value::Scalar(_) | Value::List(_) => None,
    })
}

/// The keys of a section in the order of the table, then those that the table does not have.
fn section(map: &Map, keys: &[Key], drivers: bool) -> Vec<(String, Item)> {
    let mut items = Vec::new();
    for key in keys.iter().filter(|key| !matches!(key.kind, Kind::Inline)) {
        let node = map.value(key.name);
        let chosen = !drivers || storage_key(key.name) == StorageKey::Setting;
        let in_force = chosen && matches!(key.status, Status::Supported);
        if (node.is_some() || in_force)
            && let Some(item) = item(node, key)
        {
            items.push((key.name.to_owned(), item));
        }
    }
    for entry in map.entries.iter().filter(|entry| schema::find(keys, &entry.key).is_none()) {
        if let Some(item) = any(&entry.value, sounds_secret(&entry.key)) {
            items.push((entry.key.clone(), item));
        }
    }
    items
}

fn item(node: Option<&Node>, key: &Key) -> Option<Item> {
    let (given, node) = (node, node.filter(|node| !node.is_null()));
    if key.secret {
        return node.and_then(|node| any(node, true));
    }
    match (node, key.kind) {
        (Some(node), kind) => of_kind(node, kind),
        (None, Kind::Section(keys)) => {
            let items = section(&Map::default(), keys, false);
            // That it is there may say something all the same, as the name of a driver does.
            match given {
                Some(node) => Some(of_section(node, items)),
                None => (!items.is_empty()).then_some(Item::Section(items)),
            }
        }
        (None, kind) => key.default.map(|default| Item::Leaf(default_of(kind, default))),
    }
}

fn of_kind(node: &Node, kind: Kind) -> Option<Item> {
    match (kind, &node.value) {
        (Kind::Section(keys), Value::Map(map)) => Some(of_section(node, section(map, keys, false))),
        (Kind::Drivers(keys), Value::Map(map)) => Some(of_section(node, section(map, keys, true))),
        (Kind::List(item), Value::List(items)) => {
            Some(Item::List(items.iter().filter_map(|node| of_kind(node, *item)).collect()))
        }
        (Kind::Section(keys), Value::Null) => Some(of_section(node, section(&Map::default(), keys, false))),
        (kind, _) if kind.is_single() => single(node, kind),
        _ => any(node, false),
    }
}

fn of_section(node: &Node, items: Vec<(String, Item)>) -> Item {
    if items.is_empty() { Item::Empty(Source::Given(node.origin.clone())) } else { Item::Section(items) }
}

fn single(node: &Node, kind: Kind) -> Option<Item> {
    let scalar = node.as_scalar()?;
    let text = without_password(&scalar.text);
    let value = match kind {
        Kind::Flag | Kind::Switch | Kind::Number | Kind::Size | Kind::Plain => decode::json(node),
        _ => text.clone().into(),
    };
    let source = Source::Given(node.origin.clone());
    Some(Item::Leaf(Leaf { text, quoted: !scalar.plain, value, source }))
}

fn default_of(kind: Kind, default: &str) -> Leaf {
    let value = match kind {
        Kind::Flag | Kind::Switch => scalar::boolean(default).map(Into::into),
        Kind::Number => scalar::integer(default).map(Into::into),
        _ => None,
    };
    Leaf {
        text: default.to_owned(),
        quoted: false,
        value: value.unwrap_or_else(|| default.into()),
        source: Source::Default,
    }
}

/// Anything, of which at most the names of keys tell what it is.
fn any(node: &Node, secret: bool) -> Option<Item> {
    match &node.value {
        Value::Null => None,
        Value::Scalar(scalar) => {
            let source = Source::Given(node.origin.clone());
            let leaf = if secret {
                Leaf { text: MASK.to_owned(), quoted: true, value: MASK.into(), source }
            } else {
                let text = without_password(&scalar.text);
                let value = if text == scalar.text { decode::json(node) } else { text.clone().into() };
                Leaf { text, quoted: !scalar.plain, value, source }
            };
            Some(Item::Leaf(leaf))
        }
        Value::List(items) => Some(Item::List(items.iter().filter_map(|node| any(node, secret)).collect())),
        Value::Map(map) => {
            let item = |entry: &super::node::Entry| {
                Some((entry.key.clone(), any(&entry.value, secret || sounds_secret(&entry.key))?))
            };
            Some(of_section(node, map.entries.iter().filter_map(item).collect()))
        }
    }
}

/// Names of the options of middleware, and of keys that nobody knows.
fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("key")
        || ["secret", "passw", "token", "credential", "auth"].iter().any(|part| name.contains(part))
}

/// `https://user:password@host` without what comes before the host.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user, _)) => format!("{scheme}://{MASK}{}", &rest[user.len()..]),
        None => text.to_owned(),
    }
}

/// Whether text that is written without quotes is read back as the same.
fn is_plain(text: &str, quoted: bool) -> bool {
    let safe = |c: char| c.is_ascii_alphanumeric() || "._/+-:@".contains(c);
    let word = !text.is_empty()
        && text.chars().all(safe)
        && !text.starts_with(['-', ':', '@'])
        && !text.ends_with(':');
    let looks_like_more = scalar::is_null(text)
        || scalar::boolean(text).is_some()
        || scalar::integer(text).is_some()
        || scalar::float(text).is_some()
        || duration::quoted(text).is_ok();
    word && !(quoted && looks_like_more)
}
