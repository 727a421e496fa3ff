//! Decodes `health`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};

use crate::config::model::{Check, Health, Rhythm, Target};
use crate::config::node::Node;
use crate::config::reader::Reader;

/// How often a check runs unless the file says otherwise.
const INTERVAL: Duration = Duration::from_secs(10);

/// How long a check of another server takes at most. (The original waits for ever.)
const TIMEOUT: Duration = Duration::from_secs(5);

/// An hour is long for a check. Without a bound, a deadline could not be computed.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

pub(super) fn health(reader: &Reader<'_>) -> Health {
    let section = reader.section("storagedriver");
    let storage = rhythm(&section);
    let mut checks = Vec::new();
    let mut names = BTreeSet::new();
    for (list, key, read) in [
        ("file", "file", file as fn(&Reader<'_>, &str) -> Option<Target>),
        ("http", "uri", web),
        ("tcp", "addr", tcp),
    ] {
        for entry in reader.sections(list) {
            let rhythm = rhythm(&entry);
            let Some(name) = entry.filled(key) else {
                entry.missing(key, "is missing; say what is to be checked");
                continue;
            };
            let Some(target) = read(&entry, &name) else { continue };
            let name = without_password(name);
            if !names.insert(name.clone()) {
                entry.fail(key, format!("{name:?} is checked twice; remove one"));
            }
            checks.push(Check { name, target, rhythm });
        }
    }
    Health { storage: section.flag("enabled").unwrap_or(false).then_some(storage), checks }
}

fn rhythm(reader: &Reader<'_>) -> Rhythm {
    let threshold = reader.number("threshold", false).unwrap_or(0);
    Rhythm {
        interval: time(reader, "interval", INTERVAL),
        // As in the original, nothing and less mean that one failure is enough.
        threshold: u32::try_from(threshold.max(1)).unwrap_or(u32::MAX),
    }
}

/// What a check is called, in logs, metrics and reports: its URI without the password in it, as Go has it in errors.
fn without_password(name: String) -> String {
    let Some((scheme, rest)) = name.split_once("://") else { return name };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some((user, host)) = rest[..end].rsplit_once('@') else { return name };
    let Some((user, _)) = user.split_once(':') else { return name };
    format!("{scheme}://{user}:***@{host}{}", &rest[end..])
}

/// A time that means its default when it is zero.
fn time(reader: &Reader<'_>, key: &str, default: Duration) -> Duration {
    let nanoseconds = reader.duration(key).unwrap_or(0);
    if nanoseconds < 0 {
        reader.fail(key, "cannot be negative");
    }
    match u64::try_from(nanoseconds) {
        Ok(nanoseconds) if nanoseconds > 0 => Duration::from_nanos(nanoseconds).min(LONGEST),
        _ => default,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "one of three that read the target of a check")]
fn file(_: &Reader<'_>, name: &str) -> Option<Target> {
    Some(Target::File(PathBuf::from(name)))
}

fn web(entry: &Reader<'_>, name: &str) -> Option<Target> {
    let headers = headers(entry);
    let timeout = time(entry, "timeout", TIMEOUT);
    let status = match entry.number("statuscode", false).unwrap_or(0) {
        0 => Some(StatusCode::OK),
        code => u16::try_from(code)
            .ok()
            .filter(|code| *code < 600)
            .and_then(|code| StatusCode::from_u16(code).ok()),
    };
    if status.is_none() {
        entry.fail("statuscode", "is not a status of HTTP such as 200");
    }
    let uri = name.parse::<Uri>().ok();
    let uri = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    let uri = uri.filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    if uri.is_none() {
        entry.fail("uri", format!("{name:?} is not a URL such as http://127.0.0.1:8080/healthz"));
    }
    Some(Target::Http { uri: uri?, headers, status: status?, timeout })
}

fn tcp(entry: &Reader<'_>, name: &str) -> Option<Target> {
    let timeout = time(entry, "timeout", TIMEOUT);
    let (host, port) = name.rsplit_once(':').unwrap_or((name, ""));
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let is_host = !host.is_empty() && (bracketed || !host.contains([':', '/', ' ']));
    if !is_host || port.starts_with('+') || port.parse::<u16>().is_err() {
        entry.fail("addr", format!("{name:?} is not an address such as redis.example.com:6379"));
        return None;
    }
    Some(Target::Tcp { addr: name.to_owned(), timeout })
}

fn headers(entry: &Reader<'_>) -> HeaderMap {
    let section = entry.section("headers");
    let mut headers = HeaderMap::new();
    for item in section.map().into_iter().flat_map(|map| &map.entries) {
        let name = HeaderName::from_bytes(item.key.as_bytes());
        if name.is_err() {
            section.fail(&item.key, "is not the name of a header");
        }
        for value in item.value.as_list().unwrap_or_default() {
            match value.as_scalar().map(|scalar| HeaderValue::from_str(&scalar.text)) {
                Some(Ok(value)) => {
                    if let Ok(name) = &name {
                        headers.append(name.clone(), value);
                    }
                }
                Some(Err(_)) => section.fail(&item.key, "a value has a character that no header may carry"),
                None => section
                    .fail(&item.key, format!("expected texts in the list, found {}", Node::kind(value))),
            }
        }
    }
    headers
}
