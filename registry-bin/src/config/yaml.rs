//! From YAML text to the tree of [`Node`]s.
//!
//! The events come from the parser below serde-saphyr, not from its serde front: only the events carry the
//! exact spelling and the place of every key, and both are needed for messages and for secrets.

use std::collections::{HashMap, hash_map};
use std::sync::Arc;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag, options};

use super::node::{Entry, Map, Node, Origin, Scalar, Value};
use super::problem::{Problem, Problems, Severity};
use super::scalar;

/// No configuration comes near these; they stop documents built to exhaust memory or the stack.
const MAX_NODES: usize = 100_000;
const MAX_DEPTH: usize = 64;

/// What the places in the text mean.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// The text is a file.
    File,
    /// The text is the value of an environment variable.
    Variable(Arc<str>),
}

impl Source {
    fn at(&self, line: usize, column: usize) -> Origin {
        match self {
            Self::File => Origin::File { line, column },
            Self::Variable(name) => Origin::Variable(Arc::clone(name)),
        }
    }
}

/// Parses one document. Repeated keys go to `problems` and parsing continues; broken syntax is the `Err`.
/// `prefix` is the dotted key the text will be placed under, for messages.
pub(crate) fn parse(text: &str, source: Source, prefix: &str, problems: &Problems) -> Result<Node, Problem> {
    let options = options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parser = Parser::new_from_str_with_options(text, options);
    let path = if prefix.is_empty() { Vec::new() } else { vec![prefix.to_owned()] };
    Builder { parser, source, problems, path, anchors: HashMap::new(), nodes: 0 }.document()
}

struct Builder<'t> {
    parser: Parser<'t, StrInput<'t>>,
    source: Source,
    problems: &'t Problems,
    path: Vec<String>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

type Spanned<'t> = (Event<'t>, Span);

impl<'t> Builder<'t> {
    fn document(mut self) -> Result<Node, Problem> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd, span) => return Ok(Node::null(self.origin(&span))),
                event => {
                    let (node, _) = self.node(event, 0)?;
                    self.rest()?;
                    return Ok(node);
                }
            }
        }
    }

    /// Reads to the end, so that broken syntax after the first document does not pass unnoticed.
    fn rest(&mut self) -> Result<(), Problem> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(..), span) => {
                    let origin = self.origin(&span);
                    self.problems.warning(
                        &origin,
                        "",
                        "a second document starts here; only the first one is used",
                    );
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<Spanned<'t>, Problem> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Err(self.problem(Origin::Document, "the document ends too early")),
        }
    }

    fn node(&mut self, (event, span): Spanned<'t>, depth: usize) -> Result<(Node, usize), Problem> {
        let origin = self.origin(&span);
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            return Err(self.problem(origin, "the document is too large or too deeply nested"));
        }
        let (node, height, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = self.is_plain(style, tag.as_deref(), &origin)?;
                let value = if plain && scalar::is_null(&text) {
                    Value::Null
                } else {
                    Value::Scalar(Scalar { text: text.into_owned(), plain })
                };
                (Node { origin, value }, 0, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                let (items, height) = self.list(depth)?;
                (Node { origin, value: Value::List(items) }, height, anchor)
            }
            Event::MappingStart(_, anchor, _) => {
                let (map, height) = self.map(depth)?;
                (Node { origin, value: Value::Map(map) }, height, anchor)
            }
            Event::Alias(id) => return self.alias(id, depth, origin),
            _ => return Err(self.problem(origin, "a value is missing here")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), height));
        }
        Ok((node, height))
    }

    fn alias(&mut self, id: usize, depth: usize, origin: Origin) -> Result<(Node, usize), Problem> {
        let Some((node, height)) = self.anchors.get(&id).cloned() else {
            return Err(self.problem(origin, "this alias points into its own value"));
        };
        self.nodes += count(&node);
        if self.nodes > MAX_NODES || depth + height > MAX_DEPTH {
            return Err(self.problem(origin, "aliases make this document too large or too deeply nested"));
        }
        Ok((node, height))
    }

    fn list(&mut self, depth: usize) -> Result<(Vec<Node>, usize), Problem> {
        let (mut items, mut height) = (Vec::new(), 0);
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok((items, height + 1)),
                event => {
                    let (item, below) = self.node(event, depth + 1)?;
                    height = height.max(below);
                    items.push(item);
                }
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<(Map, usize), Problem> {
        let (mut map, mut height, mut merges) = (Map::default(), 0, Vec::new());
        // Where each key was given. A search of the map for every key would take minutes of a large file.
        let mut given: HashMap<String, Origin> = HashMap::new();
        loop {
            let event = match self.next()? {
                (Event::MappingEnd, _) => break,
                event => event,
            };
            let origin = self.origin(&event.1);
            let (key, merge) = self.key(event, depth)?;
            self.path.push(key.clone());
            let event = self.next()?;
            let (value, below) = self.node(event, depth + 1)?;
            height = height.max(below);
            if merge {
                merges.push(value);
            } else if let Some(earlier) = given.get(&key) {
                let text = format!("this key is already given at {earlier}");
                let key = self.path.join(".");
                self.problems.push(Problem { severity: Severity::Error, origin, key, text });
            } else {
                given.insert(key.clone(), origin.clone());
                map.entries.push(Entry { key, origin, value });
            }
            self.path.pop();
        }
        for merge in merges {
            self.merge(&mut map, &mut given, merge)?;
        }
        Ok((map, height + 1))
    }

    fn key(&mut self, event: Spanned<'t>, depth: usize) -> Result<(String, bool), Problem> {
        let merge = matches!(&event.0, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
        let (node, _) = self.node(event, depth + 1)?;
        match node.value {
            Value::Scalar(scalar) => Ok((scalar.text, merge)),
            Value::Null => Ok(("null".to_owned(), false)),
            Value::List(_) | Value::Map(_) => Err(self.problem(node.origin, "a key has to be a single word")),
        }
    }

    /// Adds what `<<` brings in, below the keys that are written out.
    fn merge(&self, map: &mut Map, given: &mut HashMap<String, Origin>, from: Node) -> Result<(), Problem> {
        match from.value {
            Value::Map(other) => {
                for entry in other.entries {
                    if let hash_map::Entry::Vacant(place) = given.entry(entry.key.clone()) {
                        place.insert(entry.origin.clone());
                        map.entries.push(entry);
                    }
                }
                Ok(())
            }
            Value::List(items) => items.into_iter().try_for_each(|item| self.merge(map, given, item)),
            Value::Null | Value::Scalar(_) => {
                Err(self.problem(from.origin, "only a section can be merged with <<"))
            }
        }
    }

    fn is_plain(&self, style: ScalarStyle, tag: Option<&Tag>, origin: &Origin) -> Result<bool, Problem> {
        let Some(tag) = tag else { return Ok(style == ScalarStyle::Plain) };
        match tag.core_suffix() {
            Some("str") => Ok(false),
            Some("int" | "float" | "bool" | "null") => Ok(true),
            _ => Err(self.problem(origin.clone(), format!("the tag {} is not supported", tag.original()))),
        }
    }

    fn origin(&self, span: &Span) -> Origin {
        self.source.at(span.start.line(), span.start.col() + 1)
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let origin = self.source.at(error.marker().line(), error.marker().col() + 1);
        self.problem(origin, format!("not valid YAML: {}", error.info()))
    }

    fn problem(&self, origin: Origin, text: impl Into<String>) -> Problem {
        Problem { severity: Severity::Error, origin, key: self.path.join("."), text: text.into() }
    }
}

fn count(node: &Node) -> usize {
    match &node.value {
        Value::Null | Value::Scalar(_) => 1,
        Value::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Map(map) => 1 + map.entries.iter().map(|entry| 1 + count(&entry.value)).sum::<usize>(),
    }
}
