//! From queued events to the request that tells them.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::indent::indent;
use crate::options::Format;

const ENVELOPE: &str = "application/vnd.docker.distribution.events.v2+json";
const CLOUD_EVENT: &str = "application/cloudevents+json";
const CLOUD_EVENTS: &str = "application/cloudevents-batch+json";
const JSON: &str = "application/json";

/// A request, without what the endpoint adds to each.
#[derive(Debug)]
pub(crate) struct Message {
    /// The content type, and attributes in binary mode.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Writes `lines` in `format`. `batched` says whether there might have been several.
///
/// # Errors
/// Those of a line that is no event; cannot happen for lines of ours.
pub(crate) fn message(format: Format, batched: bool, lines: &[Bytes]) -> Result<Message, serde_json::Error> {
    let plain = |content_type: &'static str, body: Vec<u8>| {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Message { headers, body: body.into() }
    };
    match format {
        Format::Distribution => Ok(plain(ENVELOPE, envelope(lines))),
        Format::CloudEvents if batched => {
            let events = lines.iter().map(|line| cloud_event(line)).collect::<Result<Vec<_>, _>>()?;
            Ok(plain(CLOUD_EVENTS, serde_json::to_vec(&events)?))
        }
        Format::CloudEvents => {
            let event = lines.first().map(|line| cloud_event(line)).transpose()?;
            Ok(plain(CLOUD_EVENT, serde_json::to_vec(&event)?))
        }
        Format::CloudEventsBinary => {
            let line = lines.first().cloned().unwrap_or_default();
            let mut message = plain(JSON, Vec::new());
            message.headers.extend(binary_headers(&cloud_event(&line)?));
            message.body = line;
            Ok(message)
        }
    }
}

fn envelope(lines: &[Bytes]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + lines.iter().map(|line| line.len() * 3 / 2).sum::<usize>());
    out.extend_from_slice(b"{\n   \"events\": [");
    for (index, line) in lines.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"\n      " } else { b",\n      " });
        indent(&mut out, line, 2);
    }
    out.extend_from_slice(b"\n   ]\n}");
    out
}

/// The parts of an event that become attributes.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    target: TargetHead<'a>,
    #[serde(borrow)]
    source: SourceHead<'a>,
}

#[derive(Deserialize)]
struct TargetHead<'a> {
    #[serde(borrow)]
    repository: Cow<'a, str>,
    #[serde(borrow, default)]
    tag: Cow<'a, str>,
    #[serde(borrow)]
    digest: Cow<'a, str>,
}

#[derive(Deserialize)]
struct SourceHead<'a> {
    #[serde(borrow, default)]
    addr: Cow<'a, str>,
}

/// A CloudEvent of version 1.0, whose data is Distribution's event.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: Cow<'a, str>,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    time: Cow<'a, str>,
    datacontenttype: &'static str,
    data: &'a RawValue,
}

fn cloud_event(line: &[u8]) -> Result<CloudEvent<'_>, serde_json::Error> {
    let head: Head<'_> = serde_json::from_slice(line)?;
    let TargetHead { repository, tag, digest } = &head.target;
    let subject =
        if tag.is_empty() { format!("{repository}@{digest}") } else { format!("{repository}:{tag}") };
    Ok(CloudEvent {
        specversion: "1.0",
        id: head.id,
        source: format!("//{}", head.source.addr),
        kind: format!("registry.{}", head.action),
        subject,
        time: head.timestamp,
        datacontenttype: JSON,
        data: serde_json::from_slice(line)?,
    })
}

fn binary_headers(event: &CloudEvent<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let attributes = [
        ("ce-specversion", event.specversion),
        ("ce-id", &event.id),
        ("ce-source", &event.source),
        ("ce-type", &event.kind),
        ("ce-subject", &event.subject),
        ("ce-time", &event.time),
    ];
    // All of them are plain ASCII: names of repositories, tags, digests and hosts have nothing else.
    let header = |(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?));
    attributes.into_iter().filter_map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"id":"i","timestamp":"2026-11-21T03:06:13Z","action":"push","target":{"mediaType":"a/b","digest":"sha256:x","size":1,"repository":"m/x","tag":"v1"},"request":{"id":"r","method":"PUT","useragent":""},"actor":{},"source":{"addr":"node:5000","instanceID":"n"}}"#;

    fn json(body: &[u8]) -> serde_json::Value {
        serde_json::from_slice(body).unwrap()
    }

    #[test]
    fn an_envelope_is_indented_like_distributions() {
        let lines = [Bytes::from_static(LINE.as_bytes())];
        let message = message(Format::Distribution, false, &lines).unwrap();
        assert_eq!(message.headers[CONTENT_TYPE], ENVELOPE);
        let text = std::str::from_utf8(&message.body).unwrap();
        let start = "{\n   \"events\": [\n      {\n         \"id\": \"i\",\n         \"timestamp\"";
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains("\n         \"actor\": {},\n"), "{text}");
        assert!(text.ends_with("\n      }\n   ]\n}"), "{text}");
        assert_eq!(json(&message.body)["events"][0], json(LINE.as_bytes()));
    }

    #[test]
    fn several_events_share_an_envelope() {
        let lines = [Bytes::from_static(LINE.as_bytes()), Bytes::from_static(LINE.as_bytes())];
        let body = message(Format::Distribution, true, &lines).unwrap().body;
        assert_eq!(json(&body)["events"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_cloud_event_has_the_attributes_of_version_1() {
        let lines = [Bytes::from_static(LINE.as_bytes())];
        let single = message(Format::CloudEvents, false, &lines).unwrap();
        assert_eq!(single.headers[CONTENT_TYPE], CLOUD_EVENT);
        let event = json(&single.body);
        let expected = serde_json::json!({
            "specversion": "1.0", "id": "i", "source": "//node:5000", "type": "registry.push",
            "subject": "m/x:v1", "time": "2026-11-21T03:06:13Z", "datacontenttype": "application/json",
            "data": json(LINE.as_bytes()),
        });
        assert_eq!(event, expected);
        let batch = message(Format::CloudEvents, true, &lines).unwrap();
        assert_eq!(batch.headers[CONTENT_TYPE], CLOUD_EVENTS);
        assert_eq!(json(&batch.body), serde_json::json!([expected]));
        let binary = message(Format::CloudEventsBinary, false, &lines).unwrap();
        assert_eq!(json(&binary.body), json(LINE.as_bytes()));
        for (name, value) in [
            ("content-type", "application/json"),
            ("ce-specversion", "1.0"),
            ("ce-id", "i"),
            ("ce-source", "//node:5000"),
            ("ce-type", "registry.push"),
            ("ce-subject", "m/x:v1"),
            ("ce-time", "2026-11-21T03:06:13Z"),
        ] {
            assert_eq!(binary.headers[name], value, "{name}");
        }
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        assert!(message(Format::CloudEvents, false, &[Bytes::from_static(b"{}")]).is_err());
    }
}
