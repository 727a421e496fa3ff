//! One record as a line of JSON. The members are documented in `docs/auth.md`; what is not known is left out.

use std::fmt::Display;
use std::net::IpAddr;

use registry_core::AuditRecord;
use serde::{Serialize, Serializer};

/// The most of what a client says about itself that is kept, in bytes.
const LONGEST_AGENT: usize = 256;

/// The most of a scope or a reason that is kept, in bytes.
const LONGEST_TEXT: usize = 4096;

#[derive(Serialize)]
pub(super) struct Line<'a> {
    time: String,
    id: &'a str,
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    auth: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    groups: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    peer: Option<std::net::SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forwarded: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    useragent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    reference: Option<&'a registry_core::Reference>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    status: Option<u16>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    refused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> Line<'a> {
    pub(super) fn new(record: &AuditRecord<'a>) -> Self {
        let principal = record.principal;
        Self {
            time: humantime::format_rfc3339_micros(record.time).to_string(),
            id: record.request_id,
            operation: record.operation.as_str(),
            method: record.method.map(|method| method.as_str()),
            user: principal.map(|principal| principal.name.as_str()),
            auth: principal.map_or("", |principal| principal.method.as_ref()),
            groups: principal.map_or(&[], |principal| principal.groups.as_slice()),
            client: record.client_addr,
            peer: record.peer,
            forwarded: record.claimed_addr,
            useragent: record.user_agent.map(|agent| cut(agent, LONGEST_AGENT)),
            repository: record.repository.map(|name| name.as_str()),
            reference: record.reference,
            tags: record.tags.iter().map(|tag| tag.as_str()).collect(),
            digest: record.digest,
            upload: record.upload,
            from: record.mount_from.map(|name| name.as_str()),
            scope: record.scope.map(|scope| cut(scope, LONGEST_TEXT)),
            status: record.status.map(|status| status.as_u16()),
            refused: record.refused,
            error: record.error,
            reason: record.reason.map(|reason| cut(reason, LONGEST_TEXT)),
        }
    }

    /// The line, with the newline at its end. JSON has no other newline in it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(512);
        // Writing text and numbers to memory does not fail.
        if serde_json::to_writer(&mut line, self).is_err() {
            line.clear();
        }
        line.push(b'\n');
        line
    }
}

fn shown<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// The beginning of a text, whole characters of it.
fn cut(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}
