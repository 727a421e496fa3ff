//! The reference: what is in the file of all keys, in the table of the program and in that of the
//! documentation is the same, and what the documentation says is proved by the tests that it names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::config::schema::json::cells;
use crate::config::schema::{Key, Kind, ROOT, Status};

const FIXTURE: &str = include_str!("../../../tests/fixtures/all-keys.yml");
const REFERENCE: &str = include_str!("../../../../docs/configuration.md");

/// The heading of the keys that are not there yet.
const REFUSED: &str = "## Known, but not supported yet";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A row of the table of keys.
struct Row {
    line: usize,
    default: String,
    proofs: Vec<String>,
}

/// The rows of the tables whose last column says what proves them, by key.
fn rows() -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    let mut columns = 0;
    for (index, line) in REFERENCE.lines().enumerate() {
        let cells = cells(line);
        if cells.first() == Some(&"Key") {
            columns = if cells.last() == Some(&"Proved by") { cells.len() } else { 0 };
        } else if !line.starts_with('|') {
            columns = 0;
        } else if columns > 0 && line.starts_with("| `") {
            let at = format!("docs/configuration.md:{}", index + 1);
            assert_eq!((columns, cells.len()), (5, 5), "{at}: key, type, default, effect and what proves it");
            let proofs = cells[4].split("`, `").map(|name| name.trim_matches('`').to_owned()).collect();
            let row = Row { line: index + 1, default: cells[2].to_owned(), proofs };
            let key = cells[0].trim_matches('`').to_owned();
            assert!(rows.insert(key, row).is_none(), "{at}: {} is there twice", cells[0]);
        }
    }
    rows
}

/// What the section on keys that are not there yet names, written out.
fn refused() -> Vec<String> {
    let section = REFERENCE.split_once(REFUSED).unwrap().1.split("\n## ").next().unwrap();
    let mut names: Vec<String> = Vec::new();
    for line in section.lines() {
        let line = if line.starts_with('|') { cells(line)[0] } else { line };
        for name in line.split('`').skip(1).step_by(2) {
            // `middleware.registry`, `.repository`
            let before =
                names.last().and_then(|name| name.rsplit_once('.')).map(|(before, _)| before.to_owned());
            names.push(match before {
                Some(before) if name.starts_with('.') => format!("{before}{name}"),
                _ => name.split(':').next().unwrap_or_default().to_owned(),
            });
        }
    }
    names
}

/// Every key of the table of the program, by its full name.
fn keys() -> Vec<(String, &'static Key)> {
    fn collect(keys: &'static [Key], path: &str, all: &mut Vec<(String, &'static Key)>) {
        // The other name of a driver, with the same keys.
        let other =
            |key: &&Key| matches!(key.kind, Kind::Inline) || (path == "storage" && key.name == "s3aws");
        for key in keys.iter().filter(|key| !other(key)) {
            let dotted = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            match key.kind {
                Kind::Section(keys) | Kind::Drivers(keys) => collect(keys, &dotted, all),
                Kind::List(Kind::Section(keys)) => collect(keys, &format!("{dotted}[]"), all),
                _ => {}
            }
            all.push((dotted, key));
        }
    }
    let mut all = Vec::new();
    collect(ROOT, "", &mut all);
    all
}

fn is_obeyed(key: &Key) -> bool {
    matches!(key.status, Status::Supported | Status::Deprecated(_))
}

fn is_section(key: &Key) -> bool {
    matches!(key.kind, Kind::Section(_) | Kind::Drivers(_))
}

#[test]
fn no_key_of_the_reference_is_unknown() {
    let errors = errors(FIXTURE, &[]);
    let unknown: Vec<_> =
        errors.iter().filter(|line| line.contains("unknown") || line.contains("expected")).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn every_known_key_is_in_the_file_of_all_keys() {
    for (dotted, key) in keys() {
        let elsewhere = ["none", "swift", "oss", "rados", "universe_domain"].contains(&key.name);
        assert!(elsewhere || FIXTURE.contains(&format!("{}:", key.name)), "all-keys.yml lacks {dotted}");
    }
}

#[test]
fn every_key_is_documented_with_its_default() {
    let (rows, refused) = (rows(), refused());
    let mut wrong = Vec::new();
    for (dotted, key) in keys() {
        if is_obeyed(key) && !is_section(key) {
            match rows.get(&dotted) {
                None => wrong.push(format!("{dotted}: not in a table of keys")),
                Some(row)
                    if key.default.is_some_and(|default| !row.default.contains(&format!("`{default}`"))) =>
                {
                    wrong.push(format!(
                        "{dotted}: the default is {:?}, line {} says {}",
                        key.default, row.line, row.default
                    ));
                }
                Some(_) => {}
            }
        }
        let plain = dotted.replace("[]", "");
        let listed = |name: &String| plain == *name || plain.starts_with(&format!("{name}."));
        if matches!(key.status, Status::Unsupported(_) | Status::Obsolete(_) | Status::Gone(_))
            && !refused.iter().any(listed)
        {
            wrong.push(format!("{dotted}: not under {REFUSED:?}"));
        }
    }
    let known: Vec<String> = keys().into_iter().map(|(dotted, _)| dotted).collect();
    wrong.extend(
        rows.keys().filter(|key| !known.contains(key)).map(|key| format!("{key}: documented, unknown")),
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_key_that_is_obeyed_says_what_it_holds() {
    for (dotted, key) in keys() {
        let vague = matches!(key.kind, Kind::Plain) && is_obeyed(key);
        assert!(!vague, "{dotted}: write flag, number or duration in the table");
    }
}

#[test]
fn a_documented_default_is_what_a_missing_key_means() {
    let mut checked = 0;
    for (dotted, key) in keys() {
        let Some(default) = key.default.filter(|_| is_obeyed(key) && !dotted.contains("[]")) else {
            continue;
        };
        let storage = match dotted.split('.').nth(1) {
            Some("filesystem") => "filesystem: {}",
            Some("s3") => "s3: {bucket: b, region: eu-central-1}",
            Some("gcs") => "gcs: {bucket: b}",
            Some("azure") => "azure: {accountname: a, accountkey: a2V5, container: c}",
            _ => "inmemory: {}",
        };
        let base = format!("version: 0.1\nstorage: {{{storage}, cache: {{blobdescriptor: inmemory}}}}\n");
        let set = |value: &str| {
            let name = format!("REGISTRY_{}", dotted.replace('.', "_").to_uppercase());
            load_with(&base, &[(&name, value)]).map(|loaded| format!("{:?}", loaded.config))
        };
        assert_eq!(set(default), set(""), "{dotted}: {default}");
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn every_proof_exists() {
    let mut sources = Vec::new();
    for entry in fs::read_dir(workspace()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("registry") || name == "examples" {
            read_sources(&path, &mut sources);
        }
    }
    let mut wrong = Vec::new();
    for (key, row) in rows() {
        for proof in row.proofs {
            let found = match proof.split_once(": ") {
                Some((file, function)) => proved_by_script(file, function),
                None => sources.iter().any(|text| has_test(text, &proof)),
            };
            if !found {
                wrong.push(format!("docs/configuration.md:{}: {key}: there is no test {proof:?}", row.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn read_sources(directory: &Path, sources: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                read_sources(&path, sources);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(fs::read_to_string(&path).unwrap());
        }
    }
}

/// A function with the attribute of a test, or one of the public ones that the conformance suites run.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().enumerate().any(|(at, line)| {
        let declared = line.trim_start().trim_start_matches("pub ").trim_start_matches("async ");
        let is_it = declared
            .strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('));
        let attributes =
            lines[..at].iter().rev().take_while(|line| line.trim_start().starts_with(['#', '/']));
        is_it
            && (attributes.into_iter().any(|line| line.contains("test]") || line.contains("test("))
                || line.starts_with("pub async fn"))
    })
}

/// A function of an end-to-end suite that is one of its checks, or one of its cases.
fn proved_by_script(file: &str, function: &str) -> bool {
    let Ok(text) = fs::read_to_string(workspace().join(file)) else { return false };
    if file.ends_with(".py") {
        let case = format!("\ndef {function}(run):");
        return text.split_once(&case).is_some_and(|(before, _)| {
            before.rsplit("\n@case(").next().is_some_and(|decorator| !decorator.contains("\ndef "))
        });
    }
    let declared = text.lines().any(|line| line.starts_with(&format!("{function}() ")));
    let checked = text.lines().any(|line| {
        line.trim_start().starts_with("check ") && line.split(['"', ' ']).any(|word| word == function)
    });
    declared && checked
}
