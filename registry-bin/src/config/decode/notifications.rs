//! Decodes `notifications`.

use std::path::PathBuf;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Uri};

use super::http::headers;
use crate::config::model::{Endpoint, EventFormat, Notifications};
use crate::config::reader::Reader;

/// For `timeout` and `backoff`, as in the original.
const SECOND: Duration = Duration::from_secs(1);

/// For `threshold`, as in the original.
const THRESHOLD: u32 = 10;

/// For `queue.maxbytes`, and the least that it can be.
const QUEUE_BYTES: (u64, u64) = (64 << 20, 64 << 10);

/// The most that `batch` can be.
const BATCH: usize = 1000;

const ACTIONS: [&str; 4] = ["push", "pull", "mount", "delete"];

pub(super) fn notifications(reader: &Reader<'_>) -> Notifications {
    let queue = reader.section("queue");
    let directory = queue.filled("directory").map(PathBuf::from);
    let entries = reader.sections("endpoints");
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.flag("disabled") != Some(true)) {
        let Some(endpoint) = endpoint(entry, directory.is_some()) else { continue };
        if endpoints.iter().any(|other| other.name == endpoint.name) {
            let name = &endpoint.name;
            if directory.is_some() {
                entry.fail(
                    "name",
                    format!("there is an endpoint {name:?} already, and they need a queue each"),
                );
            } else {
                entry.warn(
                    "name",
                    format!("there is an endpoint {name:?} already; logs do not tell them apart"),
                );
            }
        }
        endpoints.push(endpoint);
    }
    Notifications {
        include_references: reader.section("events").flag("includereferences").unwrap_or(false),
        directory,
        max_bytes: max_bytes(&queue),
        endpoints,
    }
}

fn max_bytes(queue: &Reader<'_>) -> u64 {
    let (default, least) = QUEUE_BYTES;
    let Some(value) = queue.number("maxbytes", false).filter(|value| *value != 0) else { return default };
    u64::try_from(value).ok().filter(|value| *value >= least).unwrap_or_else(|| {
        queue.fail(
            "maxbytes",
            format!("has to be a number of bytes, at least {least}; an event has about 1000"),
        );
        default
    })
}

fn endpoint(reader: &Reader<'_>, durable: bool) -> Option<Endpoint> {
    let url = url(reader);
    let ignore = reader.section("ignore");
    let mut ignored_media_types = reader.texts("ignoredmediatypes");
    ignored_media_types.extend(ignore.texts("mediatypes"));
    let format = format(reader);
    let endpoint = Endpoint {
        name: reader.filled("name").unwrap_or_default(),
        url: Uri::default(),
        headers: own_headers(reader),
        timeout: time(reader, "timeout"),
        threshold: threshold(reader),
        backoff: time(reader, "backoff"),
        ignored_media_types,
        ignored_actions: actions(&ignore),
        format,
        batch: batch(reader, format),
    };
    let url = url?;
    if endpoint.name.is_empty() && durable {
        reader.missing(
            "name",
            "is missing; the queue of the endpoint in notifications.queue.directory needs it",
        );
    }
    let name = match endpoint.name.is_empty() {
        true => url.host().unwrap_or_default().to_owned(),
        false => endpoint.name,
    };
    if name.len() > 80 {
        reader.fail("name", "is longer than 80 bytes");
    }
    Some(Endpoint { name, url, ..endpoint })
}

fn url(reader: &Reader<'_>) -> Option<Uri> {
    let example = "write it like https://hooks.example.com/events";
    let Some(text) = reader.filled("url") else {
        reader.missing("url", format!("is missing, so there is nobody to tell; {example}"));
        return None;
    };
    let url = text.parse::<Uri>().ok();
    let url = url.filter(|url| matches!(url.scheme_str(), Some("http" | "https")));
    let url = url.filter(|url| url.host().is_some_and(|host| !host.is_empty()));
    if url.is_none() {
        // Not the text itself: there may be a password in it.
        reader.fail("url", format!("is not a URL of http or https; {example}"));
    }
    url
}

fn own_headers(reader: &Reader<'_>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, mut value) in headers(reader) {
        if [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION].contains(&name) {
            reader.warn("headers", format!("{name} is ignored, it follows from the URL and the event"));
            continue;
        }
        value.set_sensitive(true);
        map.append(name, value);
    }
    map
}

/// As in the original, zero and less mean the default.
fn time(reader: &Reader<'_>, key: &str) -> Duration {
    let nanoseconds = reader.duration(key).and_then(|value| u64::try_from(value).ok());
    nanoseconds.filter(|value| *value > 0).map_or(SECOND, Duration::from_nanos)
}

/// As in the original, zero and less mean the default.
fn threshold(reader: &Reader<'_>) -> u32 {
    match reader.number("threshold", false) {
        Some(value) if value > 0 => u32::try_from(value).unwrap_or(u32::MAX),
        Some(_) | None => THRESHOLD,
    }
}

fn actions(ignore: &Reader<'_>) -> Vec<String> {
    let actions = ignore.texts("actions");
    for action in actions.iter().filter(|action| !ACTIONS.contains(&action.as_str())) {
        let known = ACTIONS.join(", ");
        ignore.warn("actions", format!("no event has the action {action:?}; they are {known}"));
    }
    actions
}

fn format(reader: &Reader<'_>) -> EventFormat {
    match reader.filled("format").map(|word| word.to_ascii_lowercase()).as_deref() {
        None | Some("distribution") => EventFormat::Distribution,
        Some("cloudevents") => EventFormat::CloudEvents,
        Some("cloudevents-binary") => EventFormat::CloudEventsBinary,
        Some(other) => {
            let known = "distribution, cloudevents, cloudevents-binary";
            reader.fail("format", format!("unknown format {other:?}; it is one of {known}"));
            EventFormat::Distribution
        }
    }
}

fn batch(reader: &Reader<'_>, format: EventFormat) -> usize {
    let value = reader.number("batch", false).filter(|value| *value != 0).unwrap_or(1);
    let batch = usize::try_from(value).ok().filter(|value| (1..=BATCH).contains(value));
    let Some(batch) = batch else {
        reader.fail("batch", format!("has to be a number of events from 1 to {BATCH}"));
        return 1;
    };
    if batch > 1 && format == EventFormat::CloudEventsBinary {
        reader.fail("batch", "one request has one event in the format cloudevents-binary; use cloudevents");
    }
    batch
}
