//! Configuration: a file and an environment give a configuration, or problems that say where they are.
//!
//! The input is lines of `NAME=value`, a line of `%%`, and the file; or the file alone.

#![no_main]

// The configuration belongs to the binary and is in no library. Its source is compiled here once more,
// rather than making a library of the binary for this alone.
#[allow(dead_code, missing_docs, unused_imports, clippy::all, reason = "it is linted where it belongs")]
#[path = "../../registry-bin/src"]
mod binary {
    pub(crate) mod config;
}

use binary::config;
use binary::config::{Config, Loaded, Rejected, Strictness};
use libfuzzer_sys::fuzz_target;
use registry_fuzz::parts;

const FILE: &str = "c.yml";

/// From the one that refuses most.
const EACH: [Strictness; 3] = [Strictness::Strict, Strictness::Usual, Strictness::Lenient];

/// What stands for a secret.
const MASK: &str = "********";

type Variables = Vec<(String, String)>;

fuzz_target!(|data: &[u8]| {
    // What is no UTF-8 is refused before it gets here.
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parts = parts(text.as_bytes());
    let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    let (environment, file) = match parts.as_slice() {
        [environment, file, ..] => (text(environment), text(file)),
        parts => (String::new(), parts.first().map(|file| text(file)).unwrap_or_default()),
    };
    let variables = variables(&environment);
    let [strict, usual, lenient] = EACH.map(|strictness| {
        let loaded = config::load(&file, FILE, variables.clone(), strictness);
        check(&loaded, &file, &variables);
        loaded
    });
    for (more, less) in [(&strict, &usual), (&usual, &lenient)] {
        match (more, less) {
            (Ok(more), Ok(less)) => assert_eq!(shown(more), shown(less)),
            (Ok(more), Err(less)) => {
                panic!("what is stricter takes {more:?}, what is less refuses: {less:?}")
            }
            (Err(_), _) => {}
        }
    }
    if let Ok(usual) = &usual {
        sound(&usual.config);
        unmoved(&file, &variables, usual);
        round_trip(&file, &variables, usual);
    }
});

/// An environment has each name once and no zero byte. Variables that point to files are left out: what
/// they point to is outside.
fn variables(text: &str) -> Variables {
    let mut variables: Variables = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, value)| !name.is_empty() && !name.ends_with("_FILE") && !value.contains('\0'))
        .filter(|(name, _)| !name.contains(char::is_control))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    variables.sort();
    variables.dedup_by(|a, b| a.0 == b.0);
    variables
}

/// Everything that a configuration decides, as text.
fn shown(loaded: &Loaded) -> String {
    format!("{:?}", loaded.config)
}

/// Every problem is a line that begins with a place, which there is.
fn check(result: &Result<Loaded, Rejected>, file: &str, variables: &Variables) {
    let (errors, warnings) = match result {
        Ok(loaded) => (&[][..], &loaded.warnings),
        Err(rejected) => {
            assert!(!rejected.errors.is_empty());
            (&rejected.errors[..], &rejected.warnings)
        }
    };
    for line in errors.iter().chain(warnings) {
        assert!(!line.contains(char::is_control), "not one line: {line:?}");
        assert!(is_placed(line, file, variables), "no place: {line:?}");
    }
}

fn is_placed(line: &str, file: &str, variables: &Variables) -> bool {
    let Some(rest) = line.strip_prefix(FILE) else {
        return variables.iter().any(|(name, _)| {
            line.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with(": ") && rest.len() > 2)
        });
    };
    if rest.starts_with(": ") {
        return rest.len() > 2;
    }
    let mut numbers = rest.splitn(4, ':').skip(1);
    let mut number = || numbers.next().and_then(|text| text.parse::<usize>().ok());
    let (Some(line), Some(column)) = (number(), number()) else { return false };
    // YAML ends a line at a carriage return too. One past the end is where something is missing.
    let lines: Vec<&str> = file.split('\n').flat_map(|line| line.split('\r')).collect();
    let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    (1..=lines.len() + 1).contains(&line) && (1..=longest + 2).contains(&column)
}

/// The order of the environment makes no difference, nor does what is not the registry's, and laying the
/// same values over the file twice is laying them over it once.
fn unmoved(file: &str, variables: &Variables, expected: &Loaded) {
    let load =
        |variables| config::load(file, FILE, variables, Strictness::Usual).expect("the same configuration");
    let mut other: Variables = variables.iter().rev().cloned().collect();
    other.push(("PATH".to_owned(), "/bin".to_owned()));
    let again = load(other);
    assert_eq!(shown(&again), shown(expected));
    assert_eq!(again.warnings, expected.warnings);
    assert_eq!(shown(&load(variables.iter().chain(variables).cloned().collect())), shown(expected));
}

/// What `config show` prints is a file that means the same, as far as it shows everything: secrets and
/// nothings are left out.
fn round_trip(file: &str, variables: &Variables, expected: &Loaded) {
    let show = |text: &str, variables: Variables| config::show(text, FILE, variables, Strictness::Usual);
    let yaml = show(file, variables.clone()).expect("what loads can be shown").0.yaml();
    let again = match config::load(&yaml, FILE, [], Strictness::Usual) {
        Ok(again) => again,
        // Some secrets have a form that asterisks do not have.
        Err(_) if yaml.contains(MASK) => return,
        Err(rejected) => panic!("{rejected:?}\n{yaml}"),
    };
    if !yaml.contains(MASK) && !shown(expected).contains("Null") {
        assert_eq!(shown(&again), shown(expected), "{yaml}");
    }
}

/// Values that whoever uses a configuration relies on.
fn sound(config: &Config) {
    assert!(
        config.catalog_max_entries > 0 && config.tags_max > 0 && config.storage.tag_concurrency != Some(0)
    );
    assert!(config.storage.replicas > 0);
    assert!(!config.http.drain_timeout.is_zero());
    let prefix = config.http.prefix.as_deref().unwrap_or("/");
    assert!(prefix.starts_with('/') && prefix.ends_with('/'));
    assert!(config.http.host.as_ref().is_none_or(|host| host.parse::<http::Uri>().is_ok()));
    let urls = &config.validation;
    assert!(urls.urls_allow.iter().chain(&urls.urls_deny).all(|text| regex::Regex::new(text).is_ok()));
}
