//! From the checked tree to [`Config`].

mod auth;
mod debug;
mod health;
mod http;
mod log;
mod middleware;
mod notifications;
mod redis;
mod storage;

pub(super) use self::auth::policy::document as policy;
use super::model::{Config, Platform, Platforms, Validation};
use super::node::{Entry, Map, Node, Origin, Value};
use super::problem::Problems;
use super::reader::Reader;
use super::scalar;

/// The one version of the format.
const VERSION: &str = "0.1";
const DEFAULT_PAGE: usize = 1000;

/// Decodes everything it can; `None` for parts that have no usable value, which is then in `problems`.
pub(crate) fn decode(root: &Map, problems: &Problems) -> Option<Config> {
    let reader = Reader::root(root, problems);
    version(&reader, problems);
    let log = log::log(&reader);
    let storage = storage::storage(&reader, problems);
    let storage_middleware = middleware::storage(&reader.section("middleware"), storage.as_ref());
    let auth = auth::auth(&reader.section("auth"), problems);
    let http = http::http(&reader.section("http"));
    if let Some(http) = &http {
        auth::check(&reader.section("auth"), http);
    }
    let debug = debug::debug(&reader.section("http").section("debug"));
    let health = health::health(&reader.section("health"));
    let notifications = notifications::notifications(&reader.section("notifications"));
    let catalog_max_entries = catalog(&reader.section("catalog"));
    let tags_max = tags(&reader.section("tags"));
    let validation = validation(&reader.section("validation"));
    let classes = classes(&reader.section("policy").section("repository"));
    Some(Config {
        log,
        storage: storage?,
        storage_middleware,
        auth: auth?,
        http: http?,
        debug,
        health,
        notifications,
        catalog_max_entries,
        tags_max,
        validation,
        classes,
    })
}

fn version(reader: &Reader<'_>, problems: &Problems) {
    match reader.text("version") {
        Some(version) if version == VERSION => {}
        Some(version) => reader.fail("version", format!("unsupported version: {version:?}; write {VERSION}")),
        None => problems.error(
            &Origin::Document,
            "version",
            format!("is missing; add the line version: {VERSION}"),
        ),
    }
}

fn catalog(reader: &Reader<'_>) -> usize {
    let value = reader.number("maxentries", false).unwrap_or(0);
    usize::try_from(value).ok().filter(|value| *value > 0).unwrap_or(DEFAULT_PAGE)
}

fn tags(reader: &Reader<'_>) -> usize {
    let value = reader.number("maxtags", false).unwrap_or(0);
    if value < 0 {
        reader.fail("maxtags", "has to be a non-negative integer; 0 means the default");
    }
    usize::try_from(value).ok().filter(|value| *value > 0).unwrap_or(DEFAULT_PAGE)
}

fn validation(reader: &Reader<'_>) -> Validation {
    let enabled = reader.flag("enabled") == Some(true) || reader.flag("disabled") != Some(true);
    let manifests = reader.section("manifests");
    let urls = manifests.section("urls");
    Validation {
        enabled,
        urls_allow: expressions(&urls, "allow"),
        urls_deny: expressions(&urls, "deny"),
        platforms: platforms(&manifests.section("indexes")),
        layers_required: layers_required(&manifests.section("images")),
    }
}

fn classes(reader: &Reader<'_>) -> Vec<String> {
    const KNOWN: [&str; 2] = ["image", "plugin"];
    let classes = reader.texts("classes");
    for (index, class) in classes.iter().enumerate().filter(|(_, class)| !KNOWN.contains(&class.as_str())) {
        reader.fail_at(
            "classes",
            index,
            format!("no manifest has the class {class:?}; there are image, plugin"),
        );
    }
    classes
}

fn layers_required(reader: &Reader<'_>) -> bool {
    let word = reader.filled("layers").unwrap_or_else(|| "all".to_owned());
    match word.to_ascii_lowercase().as_str() {
        "all" => true,
        "none" => {
            let warning = "with none, pushed images may refer to layers that are not in the registry";
            reader.warn("layers", warning.to_owned());
            false
        }
        _ => {
            reader.fail("layers", format!("invalid layers option {word:?}; it is one of all, none"));
            true
        }
    }
}

fn expressions(reader: &Reader<'_>, key: &str) -> Vec<String> {
    let list = reader.texts(key);
    for text in &list {
        if let Err(error) = regex::Regex::new(text) {
            // The last line of the crate's message is the reason, the others draw the expression.
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            reader.fail(key, format!("{text:?} is not a regular expression: {reason}"));
        }
    }
    list
}

fn platforms(reader: &Reader<'_>) -> Platforms {
    let list = platform_list(reader);
    let word = reader.filled("platforms").unwrap_or_else(|| "all".to_owned());
    let reduced = "pushed indexes may refer to images that are not in the registry";
    match word.to_ascii_lowercase().as_str() {
        "all" => Platforms::All,
        "none" => {
            reader.warn("platforms", format!("with none, {reduced}"));
            Platforms::None
        }
        "list" if list.is_empty() => {
            let warning =
                "list, and there is none in platformlist: every image of a pushed index has to exist";
            reader.warn("platforms", warning);
            Platforms::All
        }
        "list" => {
            reader.warn("platforms", format!("with list, {reduced}"));
            Platforms::List(list)
        }
        _ => {
            reader.fail(
                "platforms",
                format!("invalid platforms option {word:?}; it is one of all, none, list"),
            );
            Platforms::All
        }
    }
}

fn platform_list(reader: &Reader<'_>) -> Vec<Platform> {
    let text = |entry: &Reader<'_>, key: &str| entry.text(key).unwrap_or_default();
    let platform =
        |entry: &Reader<'_>| Platform { architecture: text(entry, "architecture"), os: text(entry, "os") };
    reader.sections("platformlist").iter().map(platform).collect()
}

/// Reports a `section` that names several drivers or providers where there can be one.
fn several(section: &str, text: &str, several: &[&Entry], problems: &Problems) {
    let names: Vec<&str> = several.iter().map(|entry| entry.key.as_str()).collect();
    let places: Vec<String> =
        several.iter().map(|entry| format!("{} by {}", entry.key, entry.origin)).collect();
    let mut text = format!("{text} [{}] ({})", names.join(" "), places.join(", "));
    let variable = several.iter().find(|entry| matches!(entry.origin, Origin::Variable(_)));
    if let Some(entry) = variable {
        text.push_str(&format!(
            "; set REGISTRY_{}={} as well to replace the file's {section} section",
            section.to_ascii_uppercase(),
            entry.key
        ));
    }
    let last = variable.or(several.last());
    problems.error(last.map_or(&Origin::Document, |entry| &entry.origin), section, text);
}

/// A free value, as YAML 1.1 reads it.
pub(crate) fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(map) => map.entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect(),
        Value::Scalar(word) if !word.plain => word.text.clone().into(),
        Value::Scalar(word) => {
            let text = word.text.as_str();
            let number =
                || scalar::integer(text).map(Into::into).or_else(|| scalar::float(text).map(Into::into));
            scalar::boolean(text).map(Into::into).or_else(number).unwrap_or_else(|| text.into())
        }
    }
}
