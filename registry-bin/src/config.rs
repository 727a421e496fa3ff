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
pub(crate) mod schema;
mod show;
pub(crate) mod size;
mod suggest;
#[cfg(test)]
mod tests;
mod yaml;

use registry::auth::policy::PolicyRules;

use self::node::{Map, Node, Value};
use self::problem::{Problem, Problems};
use self::reader::Reader;
use self::schema::StorageKey;
use self::yaml::Source;

pub(crate) use self::check::Strictness;
pub(crate) use self::model::{Address, Config, Driver, Formatter, Level, Limits, Log, MailHook, Severity};
pub(crate) use self::show::Shown;

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
pub(crate) fn load(
    text: &str,
    file: &str,
    variables: impl IntoIterator<Item = (String, String)>,
    strictness: Strictness,
) -> Result<Loaded, Rejected> {
    let problems = Problems::default();
    let root = tree(text, variables, &problems);
    let config = root.as_ref().and_then(|root| judge(root, strictness, &problems));
    finish(config, problems, file).map(|(config, warnings)| Loaded { config, warnings })
}

/// Reads which storage driver `text` names, and nothing else of it: whoever only copies a store can do so with
/// the configuration of a registry of any kind.
pub(crate) fn storage(
    text: &str,
    file: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<(model::Storage, Vec<String>), Rejected> {
    let problems = Problems::default();
    let variables = variables.into_iter().filter(|(name, _)| name.starts_with("REGISTRY_STORAGE"));
    let mut root = tree(text, variables, &problems);
    if let Some(Value::Map(sections)) = root.as_mut().map(|root| &mut root.value) {
        sections.entries.retain(|entry| ["version", "storage"].contains(&entry.key.as_str()));
        for section in &mut sections.entries {
            if let Value::Map(storage) = &mut section.value.value {
                storage.entries.retain(|entry| schema::storage_key(&entry.key) != StorageKey::Setting);
            }
        }
    }
    let config = root.as_ref().and_then(|root| judge(root, Strictness::Usual, &problems));
    finish(config.map(|config| config.storage), problems, file)
}

/// Reads `text` as [`load`] does, and says what is in force and where it comes from. Secrets are masked.
pub(crate) fn show(
    text: &str,
    file: &str,
    variables: impl IntoIterator<Item = (String, String)>,
    strictness: Strictness,
) -> Result<(Shown, Vec<String>), Rejected> {
    let problems = Problems::default();
    let root = tree(text, variables, &problems);
    let config = root.as_ref().and_then(|root| judge(root, strictness, &problems));
    let (_, warnings) = finish(config, problems, file)?;
    let root = root.unwrap_or_else(|| Node::null(node::Origin::Document));
    Ok((Shown::new(root, file), warnings))
}

/// Reads the rules that `auth.policy.file` leads to; `file` is what messages call it.
///
/// # Errors
/// Every problem, one line each.
pub(crate) fn policy(text: &str, file: &str) -> Result<PolicyRules, Vec<String>> {
    const PATH: [&str; 2] = ["auth", "policy"];
    let problems = Problems::default();
    let document = match yaml::parse(text, Source::File, "auth.policy", &problems) {
        Err(problem) => {
            problems.push(problem);
            None
        }
        Ok(root) => match root.as_map() {
            None => {
                let expected = format!("expected rules and the like, found {}", root.kind());
                problems.error(&root.origin, "auth.policy", expected);
                None
            }
            Some(map) => {
                check::check_section(map, schema::POLICY_FILE, &PATH, &problems);
                Some(decode::policy(&Reader::of_file(map, "auth.policy", &problems)))
            }
        },
    };
    let (document, _) = finish(document, problems, file).map_err(|rejected| rejected.errors)?;
    PolicyRules::new(&document).map_err(|error| vec![format!("{file}: {error}")])
}

/// A value without errors, with its warnings; or why there is none.
fn finish<T>(value: Option<T>, problems: Problems, file: &str) -> Result<(T, Vec<String>), Rejected> {
    let (errors, warnings) = problems.into_sorted();
    let lines = |list: Vec<Problem>| list.iter().map(|problem| problem.line(file)).collect::<Vec<_>>();
    let (errors, warnings) = (lines(errors), lines(warnings));
    match value {
        Some(value) if errors.is_empty() => Ok((value, warnings)),
        _ if errors.is_empty() => Err(Rejected { errors: vec![format!("{file}: cannot be used")], warnings }),
        _ => Err(Rejected { errors, warnings }),
    }
}

/// The file with the variables laid over it; `None` if it is no configuration at all.
fn tree(
    text: &str,
    variables: impl IntoIterator<Item = (String, String)>,
    problems: &Problems,
) -> Option<Node> {
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
    Some(root)
}

fn judge(root: &Node, strictness: Strictness, problems: &Problems) -> Option<Config> {
    let map = root.as_map()?;
    check::check(map, strictness, problems);
    decode::decode(map, problems)
}
