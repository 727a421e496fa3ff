//! Lays environment variables over the tree: `REGISTRY_HTTP_ADDR=:5001` sets `http.addr`.
//!
//! Variables are applied in byte order of their names, so that `REGISTRY_STORAGE` comes before
//! `REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY`. Each replaces what was at its place, nothing is merged.

use std::sync::Arc;

use super::node::{Entry, Map, Node, Origin, Scalar, Value};
use super::problem::Problems;
use super::schema::{self, AUTH_PROVIDERS, Key, Kind};
use super::yaml::{self, Source};
use super::{scalar, suggest};

const PREFIX: &str = "REGISTRY_";

/// Names that start like an override but are read elsewhere.
const NOT_OVERRIDES: [&str; 1] = ["REGISTRY_CONFIGURATION_PATH"];

/// One step from a node to a node below it.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Why a variable has no place in the tree.
#[derive(Debug, PartialEq, Eq)]
enum Miss {
    /// No such key; a warning.
    Unknown,
    /// The file has the wrong kind of value on the way; the check against the table reports that.
    Broken,
    /// The name leads to something that does not fit; an error.
    Misfit(String),
}

/// Applies every variable whose name starts with `REGISTRY_`.
pub(crate) fn apply(
    root: &mut Node,
    variables: impl IntoIterator<Item = (String, String)>,
    problems: &Problems,
) {
    let mut variables: Vec<(String, String)> = variables
        .into_iter()
        .filter(|(name, _)| name.starts_with(PREFIX) && !NOT_OVERRIDES.contains(&name.as_str()))
        .collect();
    variables.sort();
    for (name, value) in variables {
        one(root, &name, &value, problems);
    }
}

fn one(root: &mut Node, name: &str, value: &str, problems: &Problems) {
    let origin = Origin::Variable(Arc::from(name));
    if name == "REGISTRY_VERSION" {
        problems.warning(&origin, "version", "ignored: the version of the file cannot be overridden");
        return;
    }
    let segments: Vec<&str> = name[PREFIX.len()..].split('_').collect();
    let mut steps = Vec::new();
    match resolve(Some(root), Kind::Section(schema::ROOT), &segments, &mut steps) {
        Ok(kind) => {
            let dotted = dotted(&steps);
            if dotted == "auth" && value.trim().is_empty() && sets_auth(root) {
                problems.error(&origin, &dotted, "is empty; write `none` to run without access control");
                return;
            }
            match parse(value, kind, &origin, name, &dotted, problems) {
                Some(node) => put(root, &steps, node, &origin),
                None => problems.error(&origin, &dotted, "the value is not valid YAML"),
            }
        }
        Err(Miss::Misfit(text)) => problems.error(&origin, &dotted(&steps), text),
        Err(Miss::Broken) => {}
        Err(Miss::Unknown) => unknown(&origin, &segments, value, problems),
    }
}

/// Says that a variable is not used; one that may have been meant to set up access control is an error.
fn unknown(origin: &Origin, segments: &[&str], value: &str, problems: &Problems) {
    let link = is_service_link(segments, value);
    let first = segments[0];
    let about_auth = suggest::distance(first, "auth") <= 1
        || AUTH_PROVIDERS.iter().any(|provider| suggest::distance(first, provider) <= 1);
    if link {
        let text = "not a configuration key, ignored (it looks like one that Kubernetes sets for a Service \
                    called registry…; enableServiceLinks: false in the pod avoids that)";
        problems.warning(origin, "", text);
    } else if about_auth {
        problems.error(
            origin,
            "",
            "not a configuration key; the registry will not guess about access control",
        );
    } else {
        problems.warning(origin, "", "not a configuration key, ignored");
    }
}

/// `…_SERVICE_HOST`, `…_SERVICE_PORT_HTTPS`, `…_PORT=tcp://…`, `…_PORT_5000_TCP_ADDR`.
fn is_service_link(segments: &[&str], value: &str) -> bool {
    let has = |a: &str, b: fn(&str) -> bool| {
        segments.windows(2).any(|pair| pair[0] == a && b(pair[1])) && segments.len() > 1
    };
    has("SERVICE", |next| next == "HOST" || next == "PORT")
        || has("PORT", |next| !next.is_empty() && next.bytes().all(|b| b.is_ascii_digit()))
        || (segments.last() == Some(&"PORT") && value.contains("://"))
}

fn sets_auth(root: &Node) -> bool {
    root.as_map().and_then(|map| map.value("auth")).is_some_and(|auth| {
        auth.as_map().map_or(!auth.is_null(), |map| map.entries.iter().any(|entry| entry.key != "none"))
    })
}

/// Finds the place that the segments name and what belongs there, without changing anything.
fn resolve(node: Option<&Node>, kind: Kind, segments: &[&str], steps: &mut Vec<Step>) -> Result<Kind, Miss> {
    if segments.is_empty() {
        return Ok(kind);
    }
    fits(node, kind)?;
    match kind {
        Kind::Section(keys) | Kind::Drivers(keys) => {
            let (key, used) = longest(keys, segments).ok_or(Miss::Unknown)?;
            if matches!(key.kind, Kind::Inline) {
                return resolve(node, kind, &segments[used..], steps);
            }
            let below = node.and_then(Node::as_map).and_then(|map| map.value(key.name));
            steps.push(Step::Key(key.name.to_owned()));
            resolve(below, key.kind, &segments[used..], steps)
        }
        Kind::List(item) => {
            let length = node.and_then(Node::as_list).map_or(0, <[Node]>::len);
            let index = index(segments[0], length).map_err(Miss::Misfit)?;
            steps.push(Step::Index(index));
            let below = node.and_then(Node::as_list).and_then(|items| items.get(index));
            resolve(below, *item, &segments[1..], steps)
        }
        Kind::Map(value) => {
            let (entry, used) = own_key(node, *value, segments);
            let below = entry.map(|entry| &entry.value);
            let joined = segments[..used].join("_").to_lowercase();
            let new = if matches!(value, Kind::List(_)) { joined.replace('_', "-") } else { joined };
            steps.push(Step::Key(entry.map_or(new, |entry| entry.key.clone())));
            resolve(below, *value, &segments[used..], steps)
        }
        Kind::Any => {
            if let Some(items) = node.and_then(Node::as_list) {
                let index = index(segments[0], items.len()).map_err(Miss::Misfit)?;
                steps.push(Step::Index(index));
                return resolve(items.get(index), kind, &segments[1..], steps);
            }
            let (entry, used) = own_key(node, kind, segments);
            let used = if entry.is_some() { used } else { 1 };
            let new = segments[..used].join("_").to_lowercase();
            steps.push(Step::Key(entry.map_or(new, |entry| entry.key.clone())));
            resolve(entry.map(|entry| &entry.value), kind, &segments[used..], steps)
        }
        Kind::Text | Kind::Plain | Kind::Inline => Err(Miss::Unknown),
    }
}

/// Refuses to write below something that is neither empty nor of the kind that belongs there.
fn fits(node: Option<&Node>, kind: Kind) -> Result<(), Miss> {
    let Some(node) = node.filter(|node| !node.is_null()) else { return Ok(()) };
    let right = match kind {
        Kind::Section(_) | Kind::Drivers(_) | Kind::Map(_) => node.as_map().is_some(),
        Kind::List(_) => node.as_list().is_some(),
        Kind::Any if node.as_scalar().is_some() => {
            return Err(Miss::Misfit(format!("{} already holds {}", node.origin, node.kind())));
        }
        Kind::Any | Kind::Text | Kind::Plain | Kind::Inline => true,
    };
    if right { Ok(()) } else { Err(Miss::Broken) }
}

/// The key whose upper-cased name takes the most segments, and how many those are.
fn longest(keys: &'static [Key], segments: &[&str]) -> Option<(&'static Key, usize)> {
    (1..=segments.len()).rev().find_map(|used| {
        let joined = segments[..used].join("_");
        let named = |name: &str| name.to_uppercase() == joined;
        keys.iter().find(|key| named(key.name) || key.variable.is_some_and(named)).map(|key| (key, used))
    })
}

/// In a section with keys of the operator's own: the longest existing key that fits, or everything up to a
/// list index for a new one.
fn own_key<'n>(node: Option<&'n Node>, value: Kind, segments: &[&str]) -> (Option<&'n Entry>, usize) {
    let same =
        |key: &str, joined: &str| key.replace('-', "_").eq_ignore_ascii_case(&joined.replace('-', "_"));
    if let Some(map) = node.and_then(Node::as_map) {
        for used in (1..=segments.len()).rev() {
            let joined = segments[..used].join("_");
            if let Some(entry) = map.entries.iter().find(|entry| same(&entry.key, &joined)) {
                return (Some(entry), used);
            }
        }
    }
    let index_last = matches!(value, Kind::List(_))
        && segments.len() > 1
        && segments[segments.len() - 1].parse::<usize>().is_ok();
    (None, if index_last { segments.len() - 1 } else { segments.len() })
}

fn index(segment: &str, length: usize) -> Result<usize, String> {
    let index: usize =
        segment.parse().map_err(|_| format!("non-numeric index {segment:?} for an entry of a list"))?;
    if index > length {
        return Err(format!(
            "undefined index {index}: the list has {length} entries, {length} would add one"
        ));
    }
    Ok(index)
}

/// Reads the value for its place. Text is taken as it is, so that no character of a secret is special; only
/// quotes around the whole are removed, because the original registry needed them.
fn parse(
    value: &str,
    kind: Kind,
    origin: &Origin,
    name: &str,
    dotted: &str,
    problems: &Problems,
) -> Option<Node> {
    let trimmed = value.trim();
    if trimmed.is_empty() {
        return Some(Node::null(origin.clone()));
    }
    let as_yaml = || yaml::parse(trimmed, Source::Variable(Arc::from(name)), dotted, problems);
    match kind {
        Kind::Text => {
            let quoted = trimmed.starts_with(['"', '\'']).then(as_yaml);
            match quoted {
                Some(Ok(node)) if node.as_scalar().is_some() => Some(node),
                _ => Some(Node::text(origin.clone(), trimmed)),
            }
        }
        Kind::Any => Some(as_yaml().unwrap_or_else(|_| Node::text(origin.clone(), trimmed))),
        Kind::Plain => match as_yaml() {
            Ok(node) => Some(node),
            Err(_) => Some(word(origin, trimmed)),
        },
        Kind::Section(_) | Kind::Drivers(_) | Kind::List(_) | Kind::Map(_) | Kind::Inline => as_yaml().ok(),
    }
}

fn word(origin: &Origin, text: &str) -> Node {
    let value = if scalar::is_null(text) {
        Value::Null
    } else {
        Value::Scalar(Scalar { text: text.to_owned(), plain: true })
    };
    Node { origin: origin.clone(), value }
}

/// Puts `node` at the end of `steps` and makes the sections and lists on the way.
fn put(root: &mut Node, steps: &[Step], node: Node, origin: &Origin) {
    let mut place = &mut *root;
    for (at, step) in steps.iter().enumerate() {
        place = match step {
            Step::Key(key) => {
                if place.as_map().is_none() {
                    *place = Node { origin: origin.clone(), value: Value::Map(Map::default()) };
                }
                let Value::Map(map) = &mut place.value else { return };
                let entry = map.entry(key, origin);
                if at + 1 == steps.len() {
                    entry.origin = origin.clone();
                }
                &mut entry.value
            }
            Step::Index(index) => {
                if place.as_list().is_none() {
                    *place = Node { origin: origin.clone(), value: Value::List(Vec::new()) };
                }
                let Value::List(items) = &mut place.value else { return };
                if *index >= items.len() {
                    items.push(Node::null(origin.clone()));
                }
                let last = items.len() - 1;
                &mut items[(*index).min(last)]
            }
        };
    }
    *place = node;
    shorten(root);
}

/// Writes `storage: inmemory` and `auth: none` out as sections with one empty key.
pub(crate) fn shorten(root: &mut Node) {
    let Value::Map(map) = &mut root.value else { return };
    for entry in &mut map.entries {
        let drivers =
            schema::find(schema::ROOT, &entry.key).is_some_and(|key| matches!(key.kind, Kind::Drivers(_)));
        let (true, Value::Scalar(word)) = (drivers, &entry.value.value) else { continue };
        let origin = entry.value.origin.clone();
        let none = entry.key == "auth" && word.text.eq_ignore_ascii_case("none");
        let key = if none { "none".to_owned() } else { word.text.clone() };
        let value = Node::null(origin.clone());
        entry.value.value = Value::Map(Map { entries: vec![Entry { key, origin, value }] });
    }
}

fn dotted(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.push_str(&format!(".{key}")),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}
