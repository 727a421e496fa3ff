//! From the segments of a variable's name to a place in the tree.

use super::super::node::{Entry, Node};
use super::super::schema::{Key, Kind};

/// One step from a node to a node below it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Why a variable has no place in the tree.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// No such key; a warning.
    Unknown,
    /// The file has the wrong kind of value on the way; the check against the table reports that.
    Broken,
    /// The name leads to something that does not fit; an error.
    Misfit(String),
}

/// Finds the place that the segments name and what belongs there, without changing anything.
pub(super) fn resolve(
    node: Option<&Node>,
    kind: Kind,
    segments: &[&str],
    steps: &mut Vec<Step>,
) -> Result<Kind, Miss> {
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
        Kind::Text
        | Kind::Word(_)
        | Kind::Flag
        | Kind::Switch
        | Kind::Number
        | Kind::Duration
        | Kind::Size
        | Kind::Plain
        | Kind::Inline => Err(Miss::Unknown),
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
        Kind::Any
        | Kind::Text
        | Kind::Word(_)
        | Kind::Flag
        | Kind::Switch
        | Kind::Number
        | Kind::Duration
        | Kind::Size
        | Kind::Plain
        | Kind::Inline => true,
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

pub(super) fn dotted(steps: &[Step]) -> String {
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
