//! Files that load, and what they mean.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::config::model::{Address, DescriptorCache, Driver, Formatter, Level, Limits, Platforms};
use crate::config::{BUILT_IN, BUILT_IN_NAME};

#[test]
fn defaults() {
    let config = clean(BASE, &[]);
    assert_eq!(config.storage.driver, Driver::InMemory);
    assert_eq!(
        (config.log.level, config.log.formatter, config.log.access_log),
        (Level::Info, Formatter::Text, true)
    );
    assert_eq!(config.http.addrs, [Address::Tcp { host: String::new(), port: 5000 }]);
    assert_eq!(config.http.drain_timeout, Duration::from_secs(10));
    assert_eq!(config.http.limits, Limits::default());
    let zeros =
        "http: {timeouts: {header: 0, body: 0s, write: 0}, limits: {headerbytes: 0, connections: 0}}\n";
    assert_eq!(clean(&format!("{BASE}{zeros}"), &[]).http.limits, Limits::default());
    assert_eq!((config.catalog_max_entries, config.tags_max), (1000, 1000));
    assert!(!config.storage.delete_enabled && config.storage.redirects.enabled && !config.storage.read_only);
    assert!(config.storage.descriptor_cache.is_none() && config.storage.tag_concurrency.is_none());
    assert!(config.validation.enabled && config.validation.platforms == Platforms::All);
    assert!(config.http.secret.is_none() && config.http.prefix.is_none() && config.http.host.is_none());
}

#[test]
fn the_built_in_configuration_is_valid_and_can_be_overridden() {
    let built_in = |environment: &[(&str, &str)]| {
        load(BUILT_IN, BUILT_IN_NAME, variables(environment), Strictness::Usual)
    };
    let config = built_in(&[]).unwrap().config;
    assert_eq!(
        config.storage.driver,
        Driver::Filesystem { root: "./registry-data".into(), max_threads: 100 }
    );
    assert_eq!(config.http.addrs[0].to_string(), "127.0.0.1:5000");
    assert!(config.storage.delete_enabled);
    let config = built_in(&[("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/d")]).unwrap().config;
    assert_eq!(config.storage.driver, Driver::Filesystem { root: "/d".into(), max_threads: 100 });
    assert!(config.storage.delete_enabled);
}

#[test]
fn every_supported_key_is_read() {
    let text = r#"
version: "0.1"
log:
  level: WARN
  formatter: json
  fields: {service: registry, n: 012, on: yes, quoted: "1", list: [1.5, ~]}
  reportcaller: on
  accesslog: {disabled: true}
storage:
  filesystem: {rootdirectory: 012, maxthreads: "30"}
  delete: {enabled: True}
  redirect: {disable: yes}
  cache: {blobdescriptor: inmemory, blobdescriptorsize: 0x10}
  maintenance: {readonly: {enabled: true}}
  tag: {concurrencylimit: 8}
http:
  addr: "[::1]:5000"
  prefix: /my/nested
  host: https://registry.example.com:5000/sub/
  secret: 1_000
  relativeurls: true
  draintimeout: 1m30s
  timeouts: {header: 10s, body: 2m, write: 1500ms}
  limits: {headerbytes: 0x4000, connections: 5000}
  headers:
    X-Content-Type-Options: [nosniff]
    X-Two: [a, 5]
catalog: {maxentries: 50}
tags: {maxtags: 60}
validation:
  manifests:
    urls: {allow: ['^https?://([^/]+\.)*example\.com/'], deny: ['x']}
"#;
    let config = clean(text, &[]);
    let fields: Vec<String> =
        config.log.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(fields, ["service=\"registry\"", "n=10", "on=true", "quoted=\"1\"", "list=[1.5,null]"]);
    assert_eq!((config.log.level, config.log.formatter), (Level::Warn, Formatter::Json));
    assert!(config.log.report_caller && !config.log.access_log);
    let storage = config.storage;
    assert_eq!(storage.driver, Driver::Filesystem { root: "012".into(), max_threads: 30 });
    assert!(storage.delete_enabled && !storage.redirects.enabled && storage.read_only);
    assert_eq!(storage.descriptor_cache, Some(DescriptorCache::InMemory { entries: Some(16) }));
    assert_eq!(storage.tag_concurrency, Some(8));
    let http = config.http;
    assert_eq!(http.addrs, [Address::Tcp { host: "::1".into(), port: 5000 }]);
    assert_eq!(http.addrs[0].to_string(), "[::1]:5000");
    assert_eq!(http.prefix.as_deref(), Some("/my/nested/"));
    assert_eq!(http.host.as_deref(), Some("https://registry.example.com:5000/sub/"));
    assert_eq!(http.secret.as_ref().map(|secret| secret.expose()), Some("1_000"));
    assert_eq!(format!("{:?}", http.secret), "Some(Secret(..))");
    assert!(http.relative_urls);
    assert_eq!(http.drain_timeout, Duration::from_secs(90));
    let limits = Limits {
        header: Duration::from_secs(10),
        body: Duration::from_secs(120),
        write: Duration::from_millis(1500),
        header_bytes: 16384,
        connections: Some(5000),
        read_ahead: None,
    };
    assert_eq!(http.limits, limits);
    let headers: Vec<_> = http.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
    assert_eq!(headers, [("x-content-type-options", "nosniff"), ("x-two", "a"), ("x-two", "5")]);
    assert_eq!((config.catalog_max_entries, config.tags_max), (50, 60));
    assert_eq!(config.validation.urls_allow, [r"^https?://([^/]+\.)*example\.com/"]);
    assert_eq!(config.validation.urls_deny, ["x"]);
}

#[test]
fn values_that_ask_for_what_happens_anyway_pass_without_a_word() {
    for text in [
        "auth: none",
        "auth: NONE",
        "auth: {none: }",
        "auth:",
        "auth: {}",
        "proxy: {remoteurl: \"\"}",
        "proxy: {remoteurl: , username: u, ttl: 1h}",
        "health: {storagedriver: {enabled: false, interval: 10s}, file: [], http: , tcp: []}",
        "http: {http2: {disabled: false}}",
        "http: {http2: {disabled: true}}",
        "http: {h2c: {enabled: false}, debug: , tls: }",
        "http: {tls: {certificate: '', key: '', clientcas: [], letsencrypt: {cachefile: ''}, minimumtls: tls1.2}}",
        "http: {debug: {addr: '', prometheus: {enabled: false, path: /metrics}}}",
        "notifications: {events: {includereferences: true}, endpoints: [{name: a, disabled: true, url: x}]}",
        "notifications:",
        "middleware: {storage: [{name: redirect, disabled: true}], registry: []}",
        "redis: {addrs: [], db: 0}",
        "log: {hooks: [{type: mail, disabled: true}]}",
        "policy: {repository: {classes: []}}",
        "compatibility:",
        "log:\nhttp:\ncatalog:\ntags:\nvalidation:",
    ] {
        clean(&format!("{BASE}{text}\n"), &[]);
    }
    clean(
        "version: 0.1\nstorage: {inmemory: , maintenance: {uploadpurging: {enabled: false}, readonly: }}",
        &[],
    );
}

#[test]
fn what_deserves_a_warning_gets_one() {
    for (text, expected) in [
        ("loglevel: debug", "c.yml:3:1: loglevel: deprecated; write log.level instead"),
        (
            "validation: {enabled: true}",
            "c.yml:3:14: validation.enabled: deprecated; write validation.disabled instead",
        ),
        (
            "compatibility: {schema1: {enabled: true}}",
            "c.yml:3:1: compatibility: has no meaning any more: schema 1 manifests are gone; it is ignored",
        ),
        (
            "reporting: {bugsnag: {apikey: a}}",
            "c.yml:3:1: reporting: has no meaning any more: bugsnag and newrelic reporting are gone; it is ignored",
        ),
        (
            "redis: {addr: a:1}",
            "c.yml:3:9: redis.addr: has no meaning any more: the old redis keys are ignored; the present ones are addrs, poolsize and so on",
        ),
        (
            "redis: {pool: {maxidle: 1}}",
            "c.yml:3:9: redis.pool: has no meaning any more: the old redis keys are ignored; the present ones are addrs, poolsize and so on",
        ),
        (
            "http: {draintimeout: 60}",
            "c.yml:3:22: http.draintimeout: 60 is less than a millisecond; a number without a unit counts nanoseconds",
        ),
        (
            "http: {host: registry}",
            "c.yml:3:14: http.host: \"registry\" has no scheme and host and is ignored; write it like https://registry.example.com",
        ),
        (
            "validation: {manifests: {indexes: {platforms: none}}}",
            "c.yml:3:47: validation.manifests.indexes.platforms: with none, pushed indexes may refer to images that are not in the registry",
        ),
        (
            "validation: {manifests: {indexes: {platforms: list}}}",
            "c.yml:3:47: validation.manifests.indexes.platforms: list, and there is none in platformlist: every image of a pushed index has to exist",
        ),
        (
            "validation: {manifests: {images: {layers: none}}}",
            "c.yml:3:43: validation.manifests.images.layers: with none, pushed images may refer to layers that are not in the registry",
        ),
        ("---\na: b", "c.yml:3:1: a second document starts here; only the first one is used"),
    ] {
        assert_eq!(warnings(&format!("{BASE}{text}\n"), &[]), [expected], "{text}");
    }
    let cache = "version: 0.1\nstorage: {inmemory: , cache: {blobdescriptor: memcached}}";
    assert_eq!(
        warnings(cache, &[]),
        [
            "c.yml:2:47: storage.cache.blobdescriptor: unknown cache type \"memcached\", caching disabled; use inmemory or redis"
        ]
    );
}

#[test]
fn old_keys_still_work() {
    let config = load_with(&format!("{BASE}loglevel: error\n"), &[]).unwrap().config;
    assert_eq!(config.log.level, Level::Error);
    let config = load_with(&format!("{BASE}loglevel: error\nlog: {{level: debug}}\n"), &[]).unwrap().config;
    assert_eq!(config.log.level, Level::Debug);
    let text = "version: 0.1\nstorage: {inmemory: , cache: {layerinfo: inmemory, blobdescriptorsize: 0}}";
    let config = load_with(text, &[]).unwrap().config;
    assert_eq!(config.storage.descriptor_cache, Some(DescriptorCache::InMemory { entries: None }));
    for (text, enabled) in
        [("{enabled: true, disabled: true}", true), ("{disabled: true}", false), ("{enabled: false}", true)]
    {
        let config = load_with(&format!("{BASE}validation: {text}\n"), &[]).unwrap().config;
        assert_eq!(config.validation.enabled, enabled, "{text}");
    }
}

#[test]
fn anchors_aliases_and_merges_work() {
    let text = "version: 0.1\nstorage:\n  filesystem: &fs {rootdirectory: /a, maxthreads: 40}\n\
                log: {fields: {<<: [{a: 1, b: 1}, {b: 2, c: 2}], c: 3}}\ncatalog: {maxentries: &n 7}\ntags: {maxtags: *n}\n";
    let config = clean(text, &[]);
    let mut fields: Vec<String> =
        config.log.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    fields.sort();
    assert_eq!(fields, ["a=1", "b=1", "c=3"]);
    assert_eq!((config.catalog_max_entries, config.tags_max), (7, 7));
}

#[test]
fn numbers_outside_their_range_fall_back_as_they_always_did() {
    let config = clean(&format!("{BASE}catalog: {{maxentries: -5}}\ntags: {{maxtags: 0}}\n"), &[]);
    assert_eq!((config.catalog_max_entries, config.tags_max), (1000, 1000));
    let config = clean("version: 0.1\nstorage: {filesystem: {maxthreads: -3}}", &[]);
    assert_eq!(
        config.storage.driver,
        Driver::Filesystem { root: "/var/lib/registry".into(), max_threads: 25 }
    );
}

#[test]
fn unix_sockets_and_addresses() {
    let address = |text: &str| clean(&format!("{BASE}http: {text}\n"), &[]).http.addrs.remove(0);
    assert_eq!(
        address("{net: unix, addr: /run/registry.sock}"),
        Address::Unix(PathBuf::from("/run/registry.sock"))
    );
    assert_eq!(address("{addr: \"\"}").to_string(), ":5000");
    assert_eq!(address("{addr: ':5001'}"), Address::Tcp { host: String::new(), port: 5001 });
    assert_eq!(address("{addr: localhost:0}"), Address::Tcp { host: "localhost".into(), port: 0 });
}
