//! What `notifications` means.

use std::time::Duration;

use super::*;
use crate::config::model::{EventFormat, Notifications};

fn notifications(text: &str, environment: &[(&str, &str)]) -> Notifications {
    clean(&format!("{BASE}{text}"), environment).notifications
}

#[test]
fn every_key_is_read() {
    let text = r"
notifications:
  events: {includereferences: true}
  queue: {directory: /q, maxbytes: 131072}
  endpoints:
    - name: one
      url: https://u:p@hooks.example/events
      headers: {Authorization: [Bearer t], X-A: [a, b]}
      timeout: 5s
      threshold: 3
      backoff: 1m
      ignoredmediatypes: [a/b]
      ignore: {mediatypes: [c/d], actions: [pull, mount]}
      format: CloudEvents
      batch: 7
    - {name: off, disabled: true, url: nonsense}
";
    let read = notifications(text, &[]);
    assert!(read.include_references);
    assert_eq!((read.directory, read.max_bytes), (Some("/q".into()), 131_072));
    let [endpoint] = &read.endpoints[..] else { panic!("one that is not switched off") };
    assert_eq!((endpoint.name.as_str(), endpoint.url.host()), ("one", Some("hooks.example")));
    assert_eq!(endpoint.headers["authorization"], "Bearer t");
    assert!(endpoint.headers["authorization"].is_sensitive());
    assert_eq!(endpoint.headers.get_all("x-a").iter().count(), 2);
    assert_eq!((endpoint.timeout, endpoint.backoff), (Duration::from_secs(5), Duration::from_secs(60)));
    assert_eq!((endpoint.threshold, endpoint.batch, endpoint.format), (3, 7, EventFormat::CloudEvents));
    assert_eq!(endpoint.ignored_media_types, ["a/b", "c/d"]);
    assert_eq!(endpoint.ignored_actions, ["pull", "mount"]);
}

#[test]
fn zero_and_less_mean_the_default_as_in_distribution() {
    for text in [
        "notifications: {endpoints: [{name: a, url: http://x}]}",
        "notifications: {endpoints: [{name: a, url: http://x, timeout: 0, threshold: 0, backoff: 0s, batch: 0}], queue: {maxbytes: 0}}",
        "notifications: {endpoints: [{name: a, url: http://x, timeout: -1s, threshold: -5, backoff: -1s, format: }]}",
    ] {
        let read = notifications(text, &[]);
        assert!(!read.include_references && read.directory.is_none(), "{text}");
        assert_eq!(read.max_bytes, 64 << 20, "{text}");
        let endpoint = &read.endpoints[0];
        assert_eq!(
            (endpoint.timeout, endpoint.backoff),
            (Duration::from_secs(1), Duration::from_secs(1)),
            "{text}"
        );
        assert_eq!((endpoint.threshold, endpoint.batch), (10, 1), "{text}");
        assert_eq!(endpoint.format, EventFormat::Distribution, "{text}");
        assert!(endpoint.headers.is_empty() && endpoint.ignored_actions.is_empty(), "{text}");
    }
}

#[test]
fn the_environment_reaches_every_key() {
    let read = notifications(
        "notifications: {endpoints: [{name: a, url: http://x}]}",
        &[
            ("REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES", "true"),
            ("REGISTRY_NOTIFICATIONS_QUEUE_DIRECTORY", "/q"),
            ("REGISTRY_NOTIFICATIONS_QUEUE_MAXBYTES", "70000"),
            ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_TIMEOUT", "3s"),
            ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS_X_KEY_0", "v"),
            ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_IGNORE_ACTIONS_0", "pull"),
            ("REGISTRY_NOTIFICATIONS_ENDPOINTS_1", "{name: b, url: 'http://y', format: cloudevents-binary}"),
            ("REGISTRY_NOTIFICATIONS_ENDPOINTS_1_BACKOFF", "2s"),
        ],
    );
    assert!(read.include_references);
    assert_eq!((read.directory, read.max_bytes), (Some("/q".into()), 70_000));
    let [a, b] = &read.endpoints[..] else { panic!("two endpoints") };
    assert_eq!((a.timeout, &a.headers["x-key"]), (Duration::from_secs(3), &"v".parse().unwrap()));
    assert_eq!(a.ignored_actions, ["pull"]);
    assert_eq!((b.name.as_str(), b.backoff), ("b", Duration::from_secs(2)));
    assert_eq!(b.format, EventFormat::CloudEventsBinary);
}

#[test]
fn what_would_do_nothing_is_a_warning() {
    for (text, expected) in [
        (
            "{url: http://x, ignore: {actions: [pulled]}}",
            "no event has the action \"pulled\"; they are push, pull, mount, delete",
        ),
        ("{url: http://x, headers: {Host: [a]}}", "host is ignored, it follows from the URL and the event"),
        (
            "{name: x, url: http://x}, {url: http://x}",
            "there is an endpoint \"x\" already; logs do not tell them apart",
        ),
    ] {
        let warnings = warnings(&format!("{BASE}notifications: {{endpoints: [{text}]}}\n"), &[]);
        assert!(warnings.len() == 1 && warnings[0].ends_with(expected), "{warnings:?}");
    }
}
