//! `/debug/vars`: what Distribution's expvar shows, as far as it has a meaning here.

use std::collections::BTreeMap;
use std::time::Duration;

use registry::metrics::{Value, names};
use registry_notifications::EndpointStats;
use serde_json::{Value as Json, json};

use super::{Sources, redis};
use crate::config::model::Endpoint;

/// In place of what only the owner of a secret may see. Distribution shows it.
pub(super) const HIDDEN: &str = "[hidden]";

pub(super) fn vars(sources: &Sources) -> Json {
    let process = process(sources);
    let command: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let stats = sources.notifier.as_ref().map(|notifier| notifier.stats()).unwrap_or_default();
    let endpoints: Vec<Json> =
        sources.notifications.endpoints.iter().zip(&stats).map(|(one, stats)| endpoint(one, stats)).collect();
    let mut registry = json!({ "notifications": { "endpoints": endpoints } });
    if let Some((cache, options)) = &sources.redis {
        registry["redis"] = redis::redis(cache.connections_in_use(), options);
    }
    json!({
        "cmdline": command,
        // Of Go's numbers about its memory this is the one that has a counterpart: what the system gave.
        "memstats": { "Sys": process.get(names::RESIDENT.name) },
        "process": process,
        "registry": registry,
    })
}

/// The metrics of the process, by their names.
fn process(sources: &Sources) -> BTreeMap<&'static str, Json> {
    let families = sources.metrics.families();
    let families = families.iter().filter(|family| family.name.name.starts_with("process_"));
    families
        .filter_map(|family| match family.samples.first()?.value {
            // Bytes and files are whole numbers, and read better so.
            Value::Number(value) if value.fract() == 0.0 && value < 1e15 => {
                Some((family.name.name, json!(value as i64)))
            }
            Value::Number(value) => Some((family.name.name, json!(value))),
            Value::Histogram { .. } => None,
        })
        .collect()
}

/// An endpoint with the names and units of Distribution: times in nanoseconds, nothing as `null`.
fn endpoint(endpoint: &Endpoint, stats: &EndpointStats) -> Json {
    let list = |values: &[String]| if values.is_empty() { Json::Null } else { json!(values) };
    let mut headers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in endpoint.headers.keys() {
        headers.insert(name.as_str(), vec![HIDDEN]);
    }
    json!({
        "name": stats.name,
        "url": stats.url,
        "Headers": if headers.is_empty() { Json::Null } else { json!(headers) },
        "Timeout": nanoseconds(endpoint.timeout),
        "Threshold": endpoint.threshold,
        "Backoff": nanoseconds(endpoint.backoff),
        "IgnoredMediaTypes": list(&endpoint.ignored_media_types),
        "Ignore": {
            "MediaTypes": list(&endpoint.ignored_media_types),
            "Actions": list(&endpoint.ignored_actions),
        },
        "Metrics": {
            "Pending": stats.pending,
            "Events": stats.events,
            "Successes": stats.successes,
            "Failures": stats.failures,
            "Errors": stats.errors,
            "Dropped": stats.dropped,
            "Statuses": stats.statuses,
        },
    })
}

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
