//! Events as Distribution writes them.

use std::time::SystemTime;

use bytes::Bytes;
use registry_core::events::Action;
use registry_core::{Event, EventTarget, Manifest, RequestContext, Tag};
use serde::Serialize;

use self::references::{Reference, references};

mod references;

/// Which node and process events come from.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Source {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) addr: Box<str>,
    #[serde(rename = "instanceID", skip_serializing_if = "str::is_empty")]
    pub(crate) instance_id: Box<str>,
}

/// An event, ready to be queued.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) action: Action,
    /// Empty where Distribution leaves it empty: for what was deleted.
    pub(crate) media_type: String,
    /// The event as one line of JSON.
    pub(crate) line: Bytes,
}

#[derive(Serialize)]
struct Line<'a> {
    id: String,
    timestamp: String,
    action: &'a str,
    target: Target<'a>,
    request: Request<'a>,
    actor: Actor<'a>,
    source: &'a Source,
}

/// The fields that Distribution always writes are those without a condition.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Target<'a> {
    media_type: &'a str,
    digest: &'a str,
    size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    length: u64,
    repository: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_repository: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    references: &'a [Reference],
}

#[derive(Serialize)]
struct Request<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    addr: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    host: &'a str,
    method: &'a str,
    useragent: &'a str,
}

#[derive(Serialize)]
struct Actor<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// The events of Distribution for one of ours. A manifest that was pushed with several tags is several there: a
/// target has one tag.
pub(crate) fn records(cx: &RequestContext, event: &Event, source: &Source) -> Vec<Record> {
    let base = cx.url_base.as_deref();
    let repository = event.repository.as_str();
    let url = |kind: &str, digest: &str| base.map(|base| format!("{base}/v2/{repository}/{kind}/{digest}"));
    let of_blob = Target { repository, ..Target::default() };
    let write = |target: Target<'_>| write(cx, event, source, target);
    match &event.target {
        EventTarget::Blob { descriptor, from } => {
            let digest = descriptor.digest.to_string();
            vec![write(Target {
                media_type: descriptor.media_type.as_str(),
                digest: &digest,
                size: descriptor.size,
                length: descriptor.size,
                from_repository: from.as_ref().map(|from| from.as_str()),
                url: url("blobs", &digest),
                ..of_blob
            })]
        }
        EventTarget::Manifest { descriptor, tags, content } => {
            let digest = descriptor.digest.to_string();
            let references = content.as_ref().map(Manifest::payload).map(|payload| references(payload));
            let references = references.unwrap_or_default();
            let target = |tag: Option<&Tag>| {
                write(Target {
                    media_type: descriptor.media_type.as_str(),
                    digest: &digest,
                    size: descriptor.size,
                    length: descriptor.size,
                    repository,
                    url: url("manifests", &digest),
                    tag: tag.map(Tag::as_str),
                    references: &references,
                    ..Target::default()
                })
            };
            match tags.as_slice() {
                [] => vec![target(None)],
                tags => tags.iter().map(|tag| target(Some(tag))).collect(),
            }
        }
        EventTarget::BlobDigest(digest) | EventTarget::ManifestDigest(digest) => {
            vec![write(Target { digest: digest.as_ref(), ..of_blob })]
        }
        EventTarget::Tag(tag) => vec![write(Target { tag: Some(tag.as_str()), ..of_blob })],
    }
}

/// What most lines need, as long as they list no references.
const LINE: usize = 1024;

fn write(cx: &RequestContext, event: &Event, source: &Source, target: Target<'_>) -> Record {
    let media_type = target.media_type.to_owned();
    let line = Line {
        id: uuid::Uuid::new_v4().to_string(),
        timestamp: timestamp(event.at),
        action: event.action.as_str(),
        target,
        request: Request {
            id: &cx.request_id,
            addr: address(cx),
            host: cx.host.as_deref().unwrap_or_default(),
            method: cx.method.as_ref().map(http::Method::as_str).unwrap_or_default(),
            useragent: cx.user_agent.as_deref().unwrap_or_default(),
        },
        actor: Actor { name: cx.principal.as_ref().map(|principal| principal.name.as_str()) },
        source,
    };
    let mut text = Vec::with_capacity(LINE);
    // Nothing in a line can fail to be written: it has texts and numbers alone.
    if serde_json::to_writer(&mut text, &line).is_err() {
        text.clear();
    }
    Record { action: event.action, media_type, line: text.into() }
}

/// As Distribution has it: what proxies say, without a port, or else the other end of the connection.
fn address(cx: &RequestContext) -> String {
    match (cx.claimed_addr, cx.peer, cx.client_addr) {
        (Some(claimed), _, _) => claimed.to_string(),
        (None, Some(peer), _) => std::net::SocketAddr::new(peer.ip().to_canonical(), peer.port()).to_string(),
        (None, None, Some(client)) => client.to_string(),
        (None, None, None) => String::new(),
    }
}

/// RFC 3339 in UTC, with as many digits after the second as there are, as Go writes it.
fn timestamp(at: SystemTime) -> String {
    let text = humantime::format_rfc3339_nanos(at).to_string();
    let digits = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    format!("{digits}Z")
}

#[cfg(test)]
mod tests;
