//! What is in force and where it comes from.

use super::*;
use crate::config::show;

const FILE: &str = "version: 0.1
loglevel: warn
log:
  fields: {cluster: blue, n: 012, apitoken: hunter2}
  hooks:
    - type: mail
      levels: [error]
      options:
        smtp: {addr: 'mail:25', username: robot, password: hunter2}
        from: a@example.com
        to: [b@example.com]
storage:
  filesystem: {rootdirectory: '012'}
  cache: {layerinfo: inmemory}
http:
  addr: :5001
  secret: hunter2
  headers: {X-A: [b, 'yes']}
";

const VARIABLES: [(&str, &str); 3] = [
    ("REGISTRY_HTTP_RELATIVEURLS", "true"),
    ("REGISTRY_HTTP_PREFIX", "/a b #c/"),
    ("REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0", "^https://user:hunter2@x/"),
];

fn shown(text: &str, environment: &[(&str, &str)]) -> crate::config::Shown {
    show(text, "c.yml", variables(environment), Strictness::Usual).unwrap().0
}

fn without_prefix() -> [(&'static str, &'static str); 2] {
    [VARIABLES[0], VARIABLES[2]]
}

#[test]
fn each_value_has_its_source() {
    let json = shown(FILE, &without_prefix()).json();
    let found = |key: &str| {
        let item = &json[key];
        format!("{} {}", item["value"], item["source"].as_str().unwrap_or("nothing"))
    };
    for (key, expected) in [
        ("version", "\"0.1\" c.yml:1:10"),
        // The old key, where it counts.
        ("log.level", "\"warn\" c.yml:2:11"),
        ("log.formatter", "\"text\" default"),
        ("log.fields.n", "10 c.yml:4:30"),
        ("log.fields.apitoken", "\"********\" c.yml:4:45"),
        ("log.accesslog.disabled", "false default"),
        ("log.hooks[0].options.smtp.username", "\"robot\" c.yml:9:43"),
        ("log.hooks[0].options.smtp.password", "\"********\" c.yml:9:60"),
        ("log.hooks[0].options.smtp.insecure", "false default"),
        ("log.hooks[0].options.to[0]", "\"b@example.com\" c.yml:11:14"),
        ("storage.filesystem.rootdirectory", "\"012\" c.yml:13:31"),
        ("storage.filesystem.maxthreads", "100 default"),
        ("storage.cache.blobdescriptor", "\"inmemory\" c.yml:14:22"),
        ("storage.cache.blobdescriptorsize", "10000 default"),
        ("storage.cache.manifestsize", "\"16MiB\" default"),
        ("http.addr", "\":5001\" c.yml:16:9"),
        ("http.secret", "\"********\" c.yml:17:11"),
        ("http.relativeurls", "true REGISTRY_HTTP_RELATIVEURLS"),
        ("http.headers.X-A[1]", "\"yes\" c.yml:18:22"),
        ("http.draintimeout", "\"10s\" default"),
        (
            "validation.manifests.urls.allow[0]",
            "\"^https://********@x/\" REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0",
        ),
        // Not chosen, not set, replaced.
        ("storage.inmemory", "null nothing"),
        ("http.host", "null nothing"),
        ("loglevel", "null nothing"),
        ("storage.cache.layerinfo", "null nothing"),
    ] {
        assert_eq!(found(key), expected, "{key}");
    }
    assert!(!json.to_string().contains("hunter2"));
}

#[test]
fn the_yaml_is_a_file_that_means_the_same() {
    let text = FILE.replace("hunter2", "'********'");
    let variables = [VARIABLES[0], ("REGISTRY_LOG_FIELDS_ODD", "\"a: b #c\\n\"")];
    let yaml = shown(&text, &variables).yaml();
    assert!(
        yaml.contains("\n  addr: :5001  # c.yml:16:9\n")
            || yaml.contains("\n  addr: \":5001\"  # c.yml:16:9\n"),
        "{yaml}"
    );
    assert!(yaml.contains("  relativeurls: true  # REGISTRY_HTTP_RELATIVEURLS\n"), "{yaml}");
    assert!(yaml.contains("  draintimeout: 10s  # default\n"), "{yaml}");
    let before = load_with(&text, &variables).unwrap().config;
    let after = clean(&yaml, &[]);
    assert_eq!(format!("{after:?}"), format!("{before:?}"), "{yaml}");
    assert_eq!(after.http.secret.unwrap().expose(), "********");
}

#[test]
fn a_driver_without_options_is_shown() {
    for text in ["version: 0.1\nstorage: inmemory\n", "version: 0.1\nstorage: {filesystem: }\n"] {
        let yaml = shown(text, &[]).yaml();
        assert_eq!(clean(&yaml, &[]).storage.driver, clean(text, &[]).storage.driver, "{yaml}");
    }
}

#[test]
fn the_built_in_configuration_can_be_shown() {
    let yaml = shown(crate::config::BUILT_IN, &[]).yaml();
    let config = clean(&yaml, &[]);
    let built_in = clean(crate::config::BUILT_IN, &[]);
    assert_eq!(format!("{config:?}"), format!("{built_in:?}"), "{yaml}");
}

#[test]
fn what_cannot_be_used_is_not_shown() {
    let refused =
        show("version: 0.1\nstorage: inmemory\nhtpp: {}\n", "c.yml", [], Strictness::Usual).unwrap_err();
    assert_eq!(refused.errors, ["c.yml:3:1: htpp: unknown key; did you mean http?"]);
    let lenient =
        show("version: 0.1\nstorage: inmemory\nhtpp: {token: hunter2}\n", "c.yml", [], Strictness::Lenient);
    let (shown, warnings) = lenient.unwrap();
    assert_eq!(shown.json()["htpp.token"]["value"], "********");
    assert_eq!(warnings.len(), 1);
}

/// Found by fuzzing: a delete character was written as it is, which no reader of YAML takes.
#[test]
fn characters_that_yaml_has_no_place_for_are_escaped() {
    for c in
        ['\u{1}', '\u{7f}', '\u{85}', '\u{9f}', '\u{a0}', '\u{2028}', '\u{feff}', '\u{fffe}', '\u{1f600}']
    {
        let value = format!("a{c}b");
        let environment = [("REGISTRY_STORAGE", "inmemory"), ("REGISTRY_LOG_FIELDS_X", value.as_str())];
        let yaml = shown("version: 0.1\n", &environment).yaml();
        let again = shown(&yaml, &[]).json();
        assert_eq!(again["log.fields.x"]["value"], value, "{yaml}");
    }
}
