//! The configuration: file, environment, checks.
//!
//! Loading has four steps, each in its module: [`yaml`] makes a tree in which everything knows its place,
//! [`overlay`] lays the environment over it, [`check`] holds it against the known-key table in [`schema`], and
//! [`decode`] turns it into plain values. All problems of the last three are reported together.

mod check;
mod decode;
mod duration;
pub(crate) mod model;
mod node;
mod overlay;
mod problem;
mod reader;
mod scalar;
mod schema;
mod suggest;
#[cfg(test)]
mod tests;
mod yaml;

use self::node::{Map, Value};
use self::problem::{Problem, Problems};
use self::yaml::Source;

pub(crate) use self::model::{Address, Config, Driver, Formatter, Level, Log};

/// What `registry serve` uses without a file.
pub(crate) const BUILT_IN: &str = include_str!("config/built-in.yml");

/// The name of that text in messages.
pub(crate) const BUILT_IN_NAME: &str = "built-in configuration";

/// A configuration that can be used.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// One line each, without a prefix.
    pub(crate) warnings: Vec<String>,
}

/// A configuration that cannot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// One line each, without a prefix; never empty.
    pub(crate) errors: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// Reads `text`, which messages call `file`, with the variables laid over it.
///
/// With `lenient`, an unknown key is a warning instead of an error.
pub(crate) fn load(
    text: &str,
    file: &str,
    variables: impl IntoIterator<Item = (String, String)>,
    lenient: bool,
) -> Result<Loaded, Rejected> {
    let problems = Problems::default();
    let config = read(text, variables, lenient, &problems);
    let (errors, warnings) = problems.into_sorted();
    let lines = |list: Vec<Problem>| list.iter().map(|problem| problem.line(file)).collect::<Vec<_>>();
    let (errors, warnings) = (lines(errors), lines(warnings));
    match config {
        Some(config) if errors.is_empty() => Ok(Loaded { config, warnings }),
        _ if errors.is_empty() => Err(Rejected { errors: vec![format!("{file}: cannot be used")], warnings }),
        _ => Err(Rejected { errors, warnings }),
    }
}

fn read(
    text: &str,
    variables: impl IntoIterator<Item = (String, String)>,
    lenient: bool,
    problems: &Problems,
) -> Option<Config> {
    let mut root = match yaml::parse(text, Source::File, "", problems) {
        Ok(root) => root,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    if root.is_null() {
        root.value = Value::Map(Map::default());
    }
    if root.as_map().is_none() {
        problems.error(
            &root.origin,
            "",
            format!("expected keys such as version: 0.1, found {}", root.kind()),
        );
        return None;
    }
    overlay::shorten(&mut root);
    overlay::apply(&mut root, variables, problems);
    let map = root.as_map()?;
    check::check(map, lenient, problems);
    decode::decode(map, problems)
}
