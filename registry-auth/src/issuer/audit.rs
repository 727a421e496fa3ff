//! What an audit log hears of logins.

use std::net::SocketAddr;

use http::header::{AUTHORIZATION, USER_AGENT};
use http::request::Parts;
use http::{HeaderName, StatusCode};
use registry_core::{AuditOperation, AuditRecord, AuditSink, Principal};

use super::answer;
use super::refusal::Refusal;
use super::request::Form;
use super::scope::Scope;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A token was issued to `principal`, with these scopes.
pub(super) fn issued(
    sink: Option<&dyn AuditSink>,
    parts: &Parts,
    principal: Option<&Principal>,
    granted: &[Scope],
) {
    let Some(sink) = sink else { return };
    let scope = answer::written(granted);
    let mut record = record(parts);
    record.principal = principal;
    record.scope = Some(&scope);
    record.status = Some(StatusCode::OK);
    sink.record(&record);
}

/// No token was issued.
pub(super) fn refused(sink: Option<&dyn AuditSink>, parts: &Parts, refusal: &Refusal, form: Form) {
    let Some(sink) = sink else { return };
    let reason = refusal.to_string();
    let mut record = record(parts);
    record.status = Some(refusal.status(form));
    record.refused = matches!(refusal, Refusal::Credentials(_));
    record.error = Some(refusal.code());
    record.reason = Some(&reason);
    sink.record(&record);
}

fn record(parts: &Parts) -> AuditRecord<'_> {
    let text = |name: &HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let mut record = AuditRecord::new(text(&X_REQUEST_ID).unwrap_or_default(), AuditOperation::TokenIssue);
    record.method = Some(&parts.method);
    record.credentials = parts.headers.contains_key(AUTHORIZATION) || parts.method == http::Method::POST;
    record.peer = parts.extensions.get::<SocketAddr>().copied();
    record.client_addr = record.peer.map(|peer| peer.ip().to_canonical());
    record.user_agent = text(&USER_AGENT);
    record
}
