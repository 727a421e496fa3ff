//! The JSON Schema says what the reader does.

use serde_json::Value;

use super::*;
use crate::config::decode::json;
use crate::config::problem::Problems;
use crate::config::schema::json::schema;
use crate::config::yaml::{self, Source};

fn value(text: &str) -> Value {
    json(&yaml::parse(text, Source::File, "", &Problems::default()).unwrap())
}

fn faults(text: &str) -> Vec<String> {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let value = value(text);
    validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn the_file_of_all_keys_is_valid() {
    assert_eq!(faults(include_str!("../../../tests/fixtures/all-keys.yml")), [""; 0]);
    assert_eq!(faults(crate::config::BUILT_IN), [""; 0]);
}

#[test]
fn what_the_reader_takes_is_valid() {
    for text in [
        "auth: none",
        "auth:",
        "log: {level: WARN, formatter: Json, fields: {a: {b: [1]}}, hooks: }",
        "http: {draintimeout: 60, relativeurls: 'on', secret: 012, headers: {X-A: [a, 5]}}",
        "http: {draintimeout: 1h30m, timeouts: {body: 1.5s}, limits: {headerbytes: 0x4000}}",
        "catalog: {maxentries: }",
        "validation: {manifests: {indexes: {platforms: LIST, platformlist: [{os: linux}]}}}",
        "middleware: {storage: [{name: redirect, options: {baseurl: x}}], registry: [{options: {deep: [{er: 1}]}}]}",
        "compatibility: {schema1: {enabled: true}}",
    ] {
        assert_eq!(faults(&format!("{BASE}{text}\n")), [""; 0], "{text}");
    }
    assert_eq!(faults("version: '0.1'\nstorage: {filesystem: {maxthreads: '30'}}\n"), [""; 0]);
    for size in ["16MiB", "10mb", "7B", "0", "0x100", "'64'"] {
        let text = format!("version: 0.1\nstorage: {{inmemory: , cache: {{manifestsize: {size}}}}}\n");
        assert_eq!(faults(&text), [""; 0], "{size}");
    }
}

#[test]
fn what_the_reader_refuses_is_not() {
    for text in [
        "htpp: {}",
        "http: {adr: x}",
        "http: [a]",
        "log: {level: loud}",
        "log: {hooks: [{type: slack}]}",
        "log: {hooks: [{levels: [loud]}]}",
        "http: {draintimeout: soon}",
        "http: {draintimeout: 1d}",
        "http: {draintimeout: 1.5}",
        "http: {relativeurls: maybe}",
        "http: {secret: {a: b}}",
        "http: {headers: {X-A: b}}",
        "http: {net: udp}",
        "catalog: {maxentries: many}",
        "validation: {manifests: {urls: {deny: a}}}",
        "auth: htpaswd",
    ] {
        let text = format!("{BASE}{text}\n");
        assert_eq!(faults(&text).len(), 1, "{text}: {:?}", faults(&text));
        errors(&text, &[]);
    }
    for size in ["-1", "1.5MiB", "16 MiB", "lots"] {
        let text = format!("version: 0.1\nstorage: {{inmemory: , cache: {{manifestsize: {size}}}}}\n");
        assert_eq!(faults(&text).len(), 1, "{size}: {:?}", faults(&text));
    }
    assert_eq!(faults("storage: inmemory").len(), 1);
    assert_eq!(faults("version: 0.2\nstorage: inmemory").len(), 1);
    assert_eq!(faults("version: 0.1\nstorage: {swift: {}}").len(), 1);
}

#[test]
fn editors_can_show_effects_and_defaults() {
    let schema = schema();
    let addr = &schema["properties"]["http"]["properties"]["addr"];
    assert_eq!(addr["default"], ":5000");
    assert!(addr["description"].as_str().unwrap().contains("every interface, IPv4 and IPv6"), "{addr}");
    let log = &schema["properties"]["log"]["properties"];
    let hook = &log["hooks"]["items"]["properties"]["options"]["properties"]["smtp"]["properties"]["addr"];
    assert!(hook["description"].as_str().unwrap().contains("port of the mail server"), "{hook}");
    assert_eq!(schema["properties"]["loglevel"]["deprecated"], true);
}
