//! `health` and `http.debug`.

use std::time::Duration;

use super::*;
use crate::config::model::{Address, Rhythm, Target};

const ALL: &str = "
health:
  storagedriver: {enabled: true, interval: 3s, threshold: 4}
  file:
    - {file: /tmp/down, interval: 2s, threshold: 2}
  http:
    - uri: https://user@check.example:8443/healthz?deep=1
      headers: {Authorization: [Basic abc], x-two: [a, b]}
      statuscode: 204
      timeout: 1s
      interval: 1m
      threshold: 3
  tcp:
    - {addr: 'redis.example:6379', timeout: 500ms, interval: 5s, threshold: 6}
http:
  debug:
    addr: localhost:5001
    prometheus: {enabled: true, path: /numbers}
";

fn rhythm(seconds: u64, threshold: u32) -> Rhythm {
    Rhythm { interval: Duration::from_secs(seconds), threshold }
}

#[test]
fn every_health_and_debug_key_is_read() {
    let config = clean(&format!("{BASE}{ALL}"), &[]);
    assert_eq!(config.health.storage, Some(rhythm(3, 4)));
    let [file, http, tcp] = &config.health.checks[..] else { panic!("{:?}", config.health) };
    assert_eq!((file.name.as_str(), file.rhythm), ("/tmp/down", rhythm(2, 2)));
    assert!(matches!(&file.target, Target::File(path) if path.as_os_str() == "/tmp/down"));
    assert_eq!(http.rhythm, rhythm(60, 3));
    let Target::Http { uri, headers, status, timeout } = &http.target else { panic!("{http:?}") };
    assert_eq!(uri.to_string(), http.name);
    assert_eq!((status.as_u16(), *timeout), (204, Duration::from_secs(1)));
    assert_eq!(
        (&headers["authorization"], headers.get_all("x-two").iter().count()),
        (&"Basic abc".parse().unwrap(), 2)
    );
    assert_eq!((tcp.name.as_str(), tcp.rhythm), ("redis.example:6379", rhythm(5, 6)));
    assert!(matches!(&tcp.target, Target::Tcp { timeout, .. } if *timeout == Duration::from_millis(500)));
    assert_eq!(config.debug.addr, Some(Address::Tcp { host: "localhost".into(), port: 5001 }));
    assert_eq!(config.debug.prometheus.as_deref(), Some("/numbers"));
}

#[test]
fn a_check_is_called_by_its_uri_without_the_password() {
    for (uri, name) in [
        ("http://ann:secret@h:1/x?y=@", "http://ann:***@h:1/x?y=@"),
        ("http://ann:se@cret@h", "http://ann:***@h"),
        ("http://:secret@h?a:b", "http://:***@h?a:b"),
        ("http://ann@h/x", "http://ann@h/x"),
        ("http://h/a:b@c", "http://h/a:b@c"),
    ] {
        let config = clean(&format!("{BASE}health: {{http: [{{uri: '{uri}'}}]}}"), &[]);
        let [check] = &config.health.checks[..] else { panic!("{:?}", config.health) };
        assert_eq!(check.name, name);
        let Target::Http { uri: asked, .. } = &check.target else { panic!("{check:?}") };
        assert_eq!(asked.to_string().trim_end_matches('/'), uri.replace("h?", "h/?"), "the password is sent");
    }
}

#[test]
fn nothing_is_checked_or_told_unless_asked_for() {
    for text in [
        "",
        "health: {storagedriver: {enabled: false, interval: 1s}, file: [], http: , tcp: []}",
        "health: {storagedriver: {interval: 1s}}",
        "http: {debug: {prometheus: {enabled: false, path: /m}}}",
    ] {
        let config = clean(&format!("{BASE}{text}\n"), &[]);
        assert!(config.health.storage.is_none() && config.health.checks.is_empty(), "{text}");
        assert!(config.debug.addr.is_none() && config.debug.prometheus.is_none(), "{text}");
    }
    let config =
        clean(&format!("{BASE}http: {{debug: {{addr: ':1', prometheus: {{enabled: true}}}}}}\n"), &[]);
    assert_eq!(config.debug.prometheus.as_deref(), Some("/metrics"));
}

#[test]
fn zero_and_less_mean_the_defaults() {
    let text = "health:
  storagedriver: {enabled: true, interval: 0, threshold: -3}
  http: [{uri: 'http://a', statuscode: 0, timeout: 0, interval: 0s, threshold: 0}]
  tcp: [{addr: '[::1]:1'}]
";
    let health = clean(&format!("{BASE}{text}"), &[]).health;
    assert_eq!(health.storage, Some(rhythm(10, 1)));
    assert!(health.checks.iter().all(|check| check.rhythm == rhythm(10, 1)));
    let Target::Http { status, timeout, .. } = &health.checks[0].target else { panic!() };
    assert_eq!((status.as_u16(), *timeout), (200, Duration::from_secs(5)));
}

#[test]
fn checks_come_from_the_environment_by_both_of_their_names() {
    let checks = |environment: &[(&str, &str)]| {
        let health = clean(BASE, environment).health;
        health.checks.into_iter().map(|check| (check.name, check.rhythm)).collect::<Vec<_>>()
    };
    let file = ("/down".to_owned(), rhythm(2, 1));
    for name in ["FILE", "FILECHECKERS"] {
        let key = |end: &str| format!("REGISTRY_HEALTH_{name}_0_{end}");
        assert_eq!(checks(&[(&key("FILE"), "/down"), (&key("INTERVAL"), "2s")]), std::slice::from_ref(&file));
    }
    let found = checks(&[
        ("REGISTRY_HEALTH_HTTPCHECKERS", "[{uri: 'http://a', interval: 3s}]"),
        ("REGISTRY_HEALTH_TCPCHECKERS_0_ADDR", "a:1"),
        ("REGISTRY_HEALTH_TCP_0_THRESHOLD", "7"),
    ]);
    assert_eq!(found, [("http://a".to_owned(), rhythm(3, 1)), ("a:1".to_owned(), rhythm(10, 7))]);
    let environment = [
        ("REGISTRY_HEALTH_STORAGEDRIVER_ENABLED", "true"),
        ("REGISTRY_HEALTH_STORAGEDRIVER_INTERVAL", "10s"),
        ("REGISTRY_HEALTH_STORAGEDRIVER_THRESHOLD", "3"),
        ("REGISTRY_HTTP_DEBUG_ADDR", ":5001"),
        ("REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED", "true"),
        ("REGISTRY_HTTP_DEBUG_PROMETHEUS_PATH", "/m"),
    ];
    let config = clean(BASE, &environment);
    assert_eq!(
        (config.health.storage, config.debug.prometheus.as_deref()),
        (Some(rhythm(10, 3)), Some("/m"))
    );
}

#[test]
fn each_mistake_in_health_or_debug_has_its_message() {
    let mut wrong = Vec::new();
    for (text, expected) in [
        (
            "health: {file: [{interval: 1s}]}",
            "c.yml:3:17: health.file[0].file: is missing; say what is to be checked",
        ),
        (
            "health: {file: [{file: /a}, {file: /a}]}",
            "c.yml:3:36: health.file[1].file: \"/a\" is checked twice; remove one",
        ),
        (
            "health: {http: [{uri: check.example}]}",
            "c.yml:3:23: health.http[0].uri: \"check.example\" is not a URL such as http://127.0.0.1:8080/healthz",
        ),
        (
            "health: {http: [{uri: 'ftp://a'}]}",
            "c.yml:3:23: health.http[0].uri: \"ftp://a\" is not a URL such as http://127.0.0.1:8080/healthz",
        ),
        (
            "health: {http: [{uri: 'http://a', statuscode: 700}]}",
            "c.yml:3:47: health.http[0].statuscode: is not a status of HTTP such as 200",
        ),
        (
            "health: {http: [{uri: 'http://a', headers: {'a b': [c]}}]}",
            "c.yml:3:52: health.http[0].headers.a b: is not the name of a header",
        ),
        (
            "health: {tcp: [{addr: localhost}]}",
            "c.yml:3:23: health.tcp[0].addr: \"localhost\" is not an address such as redis.example.com:6379",
        ),
        (
            "health: {tcp: [{addr: ':6379'}]}",
            "c.yml:3:23: health.tcp[0].addr: \":6379\" is not an address such as redis.example.com:6379",
        ),
        (
            "health: {tcp: [{addr: 'a:1', timeout: -1s}]}",
            "c.yml:3:39: health.tcp[0].timeout: cannot be negative",
        ),
        (
            "health: {storagedriver: {enabled: true, interval: -1s}}",
            "c.yml:3:51: health.storagedriver.interval: cannot be negative",
        ),
        (
            "health: {storagedriver: {enabled: true, threshold: many}}",
            "c.yml:3:52: health.storagedriver.threshold: expected a whole number, found \"many\"",
        ),
        (
            "http: {debug: {addr: '5001'}}",
            "c.yml:3:22: http.debug.addr: \"5001\" is not an address such as :5000 or localhost:5000: the port is missing",
        ),
        (
            "http: {debug: {addr: ':1', prometheus: {enabled: true, path: metrics}}}",
            "c.yml:3:62: http.debug.prometheus.path: \"metrics\" is not a path such as /metrics",
        ),
        (
            "http: {debug: {addr: ':1', prometheus: {enabled: true, path: /debug/vars}}}",
            "c.yml:3:62: http.debug.prometheus.path: \"/debug/vars\" belongs to the debug server; choose one outside of /debug/",
        ),
    ] {
        let found = errors(&format!("{BASE}{text}\n"), &[]);
        if found != [expected] {
            wrong.push((text, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn metrics_that_nobody_could_read_get_a_warning() {
    let text = format!("{BASE}http: {{debug: {{prometheus: {{enabled: true}}}}}}\n");
    let expected = "c.yml:3:38: http.debug.prometheus.enabled: has no effect without http.debug.addr, where the metrics would be served";
    assert_eq!(warnings(&text, &[]), [expected]);
}
