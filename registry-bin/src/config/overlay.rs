//! Lays environment variables over the tree: `REGISTRY_HTTP_ADDR=:5001` sets `http.addr`.
//!
//! Variables are applied in byte order of their names, so that `REGISTRY_STORAGE` comes before
//! `REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY`. Each replaces what was at its place, nothing is merged.
//!
//! A name that ends in `_FILE` and is no key points to a file with the value: `REGISTRY_HTTP_SECRET_FILE`.

mod path;
mod secret_file;

use std::collections::HashMap;
use std::sync::Arc;

use self::path::{Miss, Step, dotted, resolve};
use self::secret_file::Certainty;

use super::node::{Entry, Map, Node, Origin, Scalar, Value};
use super::problem::Problems;
use super::schema::{self, AUTH_PROVIDERS, Kind};
use super::yaml::{self, Source};
use super::{scalar, suggest};

const PREFIX: &str = "REGISTRY_";

/// No key has a name of so many words; more would make a tree that is as deep.
const MAX_SEGMENTS: usize = 64;

/// Names that start like an override but are read elsewhere.
const NOT_OVERRIDES: [&str; 1] = ["REGISTRY_CONFIGURATION_PATH"];

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
    let mut overlay = Overlay { root, problems, values: HashMap::new() };
    for (name, value) in variables {
        overlay.one(&name, &value);
    }
}

struct Overlay<'a> {
    root: &'a mut Node,
    problems: &'a Problems,
    /// Which variable gave a single value, by the key that it gave it to.
    values: HashMap<String, Giver>,
}

struct Giver {
    name: String,
    /// Whether the variable points to a file.
    file: bool,
}

impl Overlay<'_> {
    fn one(&mut self, name: &str, value: &str) {
        let origin = Origin::Variable(Arc::from(name));
        if name == "REGISTRY_VERSION" {
            let text = "ignored: the version of the file cannot be overridden";
            self.problems.warning(&origin, "version", text);
            return;
        }
        let segments: Vec<&str> = name[PREFIX.len()..].split('_').collect();
        if segments.len() > MAX_SEGMENTS {
            unknown(&origin, &segments, value, self.problems);
            return;
        }
        if let Some((steps, kind)) = self.pointed_to(&segments) {
            self.set_from_file(name, value, &steps, kind, &origin);
            return;
        }
        let mut steps = Vec::new();
        match resolve(Some(self.root), Kind::Section(schema::ROOT), &segments, &mut steps) {
            Ok(kind) => self.set(name, value, &steps, kind, &origin),
            Err(Miss::Misfit(text)) => self.problems.error(&origin, &dotted(&steps), text),
            Err(Miss::Broken) => {}
            Err(Miss::Unknown) => unknown(&origin, &segments, value, self.problems),
        }
    }

    /// The single value that a name with the suffix `_FILE` is about, if that is what the name means.
    fn pointed_to(&self, segments: &[&str]) -> Option<(Vec<Step>, Kind)> {
        let (subject, certainty) = secret_file::subject(segments)?;
        let find = |segments: &[&str]| {
            let mut steps = Vec::new();
            let kind = resolve(Some(self.root), Kind::Section(schema::ROOT), segments, &mut steps).ok()?;
            Some((steps, kind))
        };
        if certainty == Certainty::IfUnknown && find(segments).is_some() {
            return None;
        }
        find(subject).filter(|(_, kind)| kind.is_single())
    }

    fn set(&mut self, name: &str, value: &str, steps: &[Step], kind: Kind, origin: &Origin) {
        let dotted = dotted(steps);
        if dotted == "auth" && value.trim().is_empty() && sets_auth(self.root) {
            let text = "is empty; write `none` to run without access control";
            self.problems.error(origin, &dotted, text);
            return;
        }
        let says_something = !value.trim().is_empty();
        if says_something && kind.is_single() && self.given_twice(name, false, &dotted, origin) {
            return;
        }
        match parse(value, kind, origin, name, &dotted, self.problems) {
            Some(node) => put(self.root, steps, node, origin),
            None => self.problems.error(origin, &dotted, "the value is not valid YAML"),
        }
    }

    fn set_from_file(&mut self, name: &str, path: &str, steps: &[Step], kind: Kind, origin: &Origin) {
        let dotted = dotted(steps);
        if path.is_empty() || self.given_twice(name, true, &dotted, origin) {
            return;
        }
        let node = match secret_file::read(path) {
            // Not a character of a secret is special, and no quotes are in the way as in variables.
            Ok(text) if matches!(kind, Kind::Text) => Some(Node::text(origin.clone(), text)),
            Ok(text) => parse(&text, kind, origin, name, &dotted, self.problems),
            Err(text) => {
                self.problems.error(origin, &dotted, text);
                return;
            }
        };
        match node {
            Some(node) => put(self.root, steps, node, origin),
            None => self.problems.error(origin, &dotted, "the text in the file is not valid YAML"),
        }
    }

    /// Notes who gives a value; reports a file and a value for the same key, of which neither can win.
    fn given_twice(&mut self, name: &str, file: bool, dotted: &str, origin: &Origin) -> bool {
        let giver = Giver { name: name.to_owned(), file };
        match self.values.insert(dotted.to_owned(), giver) {
            Some(other) if other.file != file => {
                let text = format!("is set by {} as well; unset one of the two", other.name);
                self.problems.error(origin, dotted, text);
                true
            }
            _ => false,
        }
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
        Kind::Text | Kind::Word(_) => {
            let quoted = trimmed.starts_with(['"', '\'']).then(as_yaml);
            match quoted {
                Some(Ok(node)) if node.as_scalar().is_some() => Some(node),
                _ => Some(Node::text(origin.clone(), trimmed)),
            }
        }
        Kind::Any => Some(as_yaml().unwrap_or_else(|_| Node::text(origin.clone(), trimmed))),
        Kind::Flag | Kind::Switch | Kind::Number | Kind::Duration | Kind::Size | Kind::Plain => {
            match as_yaml() {
                Ok(node) => Some(node),
                Err(_) => Some(word(origin, trimmed)),
            }
        }
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
