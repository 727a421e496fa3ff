//! Holds the tree against the known-key table: unknown keys, keys that are not supported yet, old keys.

use std::cell::Cell;

use super::node::{Entry, Map, Node, Origin};
use super::problem::Problems;
use super::schema::{self, AUTH_PROVIDERS, Asks, Key, Kind, Status, UNSUPPORTED};
use super::{scalar, suggest};

/// What is forgiven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Nothing: old keys are errors as well.
    Strict,
    /// Old keys are warnings.
    Usual,
    /// Unknown keys too, except where that could leave the registry without the access control somebody meant to
    /// configure.
    Lenient,
}

/// Checks the whole tree.
pub(crate) fn check(root: &Map, strictness: Strictness, problems: &Problems) {
    Checker::new(strictness, problems).section(root, schema::ROOT, &mut Vec::new(), false);
}

/// Checks the section at `path`, which has `keys`, in a file of its own.
pub(crate) fn check_section(map: &Map, keys: &'static [Key], path: &[&str], problems: &Problems) {
    let mut path = path.iter().map(|step| (*step).to_owned()).collect();
    Checker::new(Strictness::Usual, problems).section(map, keys, &mut path, false);
}

struct Checker<'p> {
    strictness: Strictness,
    problems: &'p Problems,
    /// For how many more unknown keys the nearest known one is looked for. In a file that has more of them than
    /// anybody misspells, the search would take most of the time.
    suggestions: Cell<usize>,
}

const SUGGESTIONS: usize = 200;

impl<'p> Checker<'p> {
    fn new(strictness: Strictness, problems: &'p Problems) -> Self {
        Self { strictness, problems, suggestions: Cell::new(SUGGESTIONS) }
    }

    /// `quiet` inside a key that has been reported already: only unknown keys are news there.
    fn section(&self, map: &Map, keys: &'static [Key], path: &mut Vec<String>, quiet: bool) {
        for entry in &map.entries {
            path.push(entry.key.clone());
            match schema::find(keys, &entry.key) {
                None => self.unknown(entry, path),
                Some(key) => {
                    let quiet = self.status(entry, key, path, quiet);
                    self.value(&entry.value, key.kind, path, quiet);
                }
            }
            path.pop();
        }
    }

    /// Judges a known key; returns whether what is below it can stay unsaid.
    fn status(&self, entry: &Entry, key: &Key, path: &[String], quiet: bool) -> bool {
        let dotted = path.join(".");
        match key.status {
            Status::Supported | Status::NoEffect => quiet,
            Status::Deprecated(instead) => {
                self.old(entry, &dotted, format!("deprecated; {instead}"));
                quiet
            }
            Status::Obsolete(_) if entry.value.is_blank() => true,
            Status::Obsolete(why) => {
                self.old(entry, &dotted, format!("has no meaning any more: {why}"));
                true
            }
            Status::Gone(why) => {
                self.problems.error(&entry.origin, &dotted, why);
                true
            }
            Status::Unsupported(asks) => {
                if !quiet && let Some((origin, below)) = asking(entry, key.kind, asks) {
                    self.problems.error(&origin, &format!("{dotted}{below}"), UNSUPPORTED);
                }
                true
            }
        }
    }

    fn old(&self, entry: &Entry, dotted: &str, text: String) {
        match self.strictness {
            Strictness::Strict => self.problems.error(&entry.origin, dotted, text),
            Strictness::Usual | Strictness::Lenient => self.problems.warning(&entry.origin, dotted, text),
        }
    }

    fn value(&self, node: &Node, kind: Kind, path: &mut Vec<String>, quiet: bool) {
        match kind {
            Kind::Section(keys) | Kind::Drivers(keys) => match node.as_map() {
                Some(map) => self.section(map, keys, path, quiet),
                None => self.expect(node, "a section", path, quiet),
            },
            Kind::List(item) => match node.as_list() {
                Some(items) => {
                    let last = path.len() - 1;
                    let name = path[last].clone();
                    for (index, node) in items.iter().enumerate() {
                        path[last] = format!("{name}[{index}]");
                        self.value(node, *item, path, quiet);
                    }
                    path[last] = name;
                }
                None if matches!(item, Kind::Section(_)) => {
                    self.expect(node, "a list of sections", path, quiet);
                }
                None => self.expect(node, "a list such as [one, two]", path, quiet),
            },
            Kind::Map(value) => match node.as_map() {
                Some(map) => {
                    for entry in &map.entries {
                        path.push(entry.key.clone());
                        self.value(&entry.value, *value, path, quiet);
                        path.pop();
                    }
                }
                None => self.expect(node, "a section", path, quiet),
            },
            Kind::Text
            | Kind::Word(_)
            | Kind::Flag
            | Kind::Switch
            | Kind::Number
            | Kind::Duration
            | Kind::Size
            | Kind::Plain => match node.as_scalar() {
                Some(_) => {}
                None => self.expect(node, "a single value", path, quiet),
            },
            Kind::Any | Kind::Inline => {}
        }
    }

    fn expect(&self, node: &Node, what: &str, path: &[String], quiet: bool) {
        if !quiet && !node.is_null() {
            let text = format!("expected {what}, found {}", node.kind());
            self.problems.error(&node.origin, &path.join("."), text);
        }
    }

    fn unknown(&self, entry: &Entry, path: &[String]) {
        let section: Vec<&str> = path[..path.len() - 1].iter().map(|step| plain_step(step)).collect();
        let left = self.suggestions.get();
        self.suggestions.set(left.saturating_sub(1));
        let nearest = if left > 0 { suggest::nearest(&section, &entry.key) } else { None };
        let text = match nearest {
            Some(nearest) => format!("unknown key; did you mean {nearest}?"),
            None => "unknown key; remove it (docs/configuration.md lists what there is)".to_owned(),
        };
        let dotted = path.join(".");
        if self.strictness != Strictness::Lenient {
            self.problems.error(&entry.origin, &dotted, text);
        } else if concerns_auth(&section, &entry.key) {
            let text = format!("{text} (not forgiven, because access control may be meant)");
            self.problems.error(&entry.origin, &dotted, text);
        } else {
            self.problems.warning(&entry.origin, &dotted, format!("ignored: {text}"));
        }
    }
}

/// `endpoints[2]` without the index.
fn plain_step(step: &str) -> &str {
    step.split_once('[').map_or(step, |(name, _)| name)
}

/// True for a key that may be a misspelled or misplaced request for access control.
fn concerns_auth(section: &[&str], name: &str) -> bool {
    let near_auth = suggest::distance(name, "auth");
    section.first() == Some(&"auth")
        || near_auth <= if section.is_empty() { 2 } else { 1 }
        || AUTH_PROVIDERS.iter().any(|provider| suggest::distance(name, provider) <= 1)
}

/// Where below `entry` something is asked for, with the rest of its dotted key.
fn asking(entry: &Entry, kind: Kind, asks: Asks) -> Option<(Origin, String)> {
    let node = &entry.value;
    let here = || Some((entry.origin.clone(), String::new()));
    match asks {
        Asks::Filled => {
            if node.is_blank() {
                None
            } else {
                here()
            }
        }
        Asks::Entries => {
            let Some(items) = node.as_list() else {
                return if node.is_blank() { None } else { here() };
            };
            let at =
                items.iter().position(|item| !item.is_blank() && flag_at(item, "disabled") != Some(true))?;
            Some((items[at].origin.clone(), format!("[{at}]")))
        }
        Asks::Through(gates) => {
            let (Some(map), Kind::Section(keys)) = (node.as_map(), kind) else {
                return if node.is_blank() { None } else { here() };
            };
            gates.iter().find_map(|gate| {
                let (entry, key) = (map.get(gate)?, schema::find(keys, gate)?);
                let Status::Unsupported(asks) = key.status else { return None };
                let (origin, below) = asking(entry, key.kind, asks)?;
                Some((origin, format!(".{gate}{below}")))
            })
        }
    }
}

fn flag(node: &Node) -> Option<bool> {
    node.as_scalar().filter(|scalar| scalar.plain).and_then(|scalar| scalar::boolean(&scalar.text))
}

fn flag_at(node: &Node, key: &str) -> Option<bool> {
    node.as_map().and_then(|map| map.value(key)).and_then(flag)
}
