//! What an [`AuditSink`] hears of a request.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap};
use http::request::Parts;
use http::{Method, Response};
use registry_core::{
    AuditOperation, AuditRecord, AuditSink, AuthError, Digest, Principal, Reference, RepositoryName,
    RequestContext, Tag,
};

use crate::body::Body;
use crate::headers::CONTENT_DIGEST;
use crate::request_log::Reported;
use crate::route::Route;
use crate::service::observed;

/// What a route is about, for a record.
#[derive(Debug)]
struct About {
    operation: AuditOperation,
    repository: Option<RepositoryName>,
    reference: Option<Reference>,
    tags: Vec<Tag>,
    digest: Option<Digest>,
    upload: Option<String>,
    mount_from: Option<RepositoryName>,
}

impl About {
    fn new(route: &Route) -> Self {
        let about = |operation| Self {
            operation,
            repository: route.repository().cloned(),
            reference: None,
            tags: Vec::new(),
            digest: None,
            upload: None,
            mount_from: None,
        };
        let manifest = |operation, reference: &Reference| {
            let digest = match reference {
                Reference::Digest(digest) => Some(digest.clone()),
                Reference::Tag(_) => None,
            };
            Self { reference: Some(reference.clone()), digest, ..about(operation) }
        };
        let blob = |operation, digest: &Digest| Self { digest: Some(digest.clone()), ..about(operation) };
        let session = |operation, id: &registry_core::UploadId| Self {
            upload: Some(id.to_string()),
            ..about(operation)
        };
        match route {
            Route::Base => about(AuditOperation::ApiCheck),
            Route::Catalog { .. } => about(AuditOperation::CatalogList),
            Route::Tags { .. } => about(AuditOperation::TagList),
            Route::GetManifest { reference, .. } => manifest(AuditOperation::ManifestPull, reference),
            Route::PutManifest { reference, tags, .. } => {
                Self { tags: tags.clone(), ..manifest(AuditOperation::ManifestPush, reference) }
            }
            Route::DeleteManifest { reference: reference @ Reference::Digest(_), .. } => {
                manifest(AuditOperation::ManifestDelete, reference)
            }
            Route::DeleteManifest { reference, .. } => manifest(AuditOperation::TagDelete, reference),
            Route::Referrers { digest, .. } => blob(AuditOperation::ReferrerList, digest),
            Route::GetBlob { digest, .. } => blob(AuditOperation::BlobPull, digest),
            Route::DeleteBlob { digest, .. } => blob(AuditOperation::BlobDelete, digest),
            Route::StartUpload { start, .. } => match (&start.mount, &start.digest) {
                (Some(digest), _) => {
                    Self { mount_from: start.from.clone(), ..blob(AuditOperation::BlobMount, digest) }
                }
                (None, Some(digest)) => blob(AuditOperation::BlobPush, digest),
                (None, None) => about(AuditOperation::UploadStart),
            },
            Route::UploadStatus { id, .. } => session(AuditOperation::UploadStatus, id),
            Route::PatchUpload { id, .. } => session(AuditOperation::UploadWrite, id),
            Route::FinishUpload { id, digest, .. } => {
                Self { digest: digest.clone(), ..session(AuditOperation::BlobPush, id) }
            }
            Route::CancelUpload { id, .. } => session(AuditOperation::UploadCancel, id),
        }
    }

    fn record<'a>(&'a self, context: &'a RequestContext, method: &'a Method) -> AuditRecord<'a> {
        let mut record = AuditRecord::new(&context.request_id, self.operation);
        record.method = Some(method);
        record.principal = context.principal.as_ref();
        record.client_addr = context.client_addr;
        record.peer = context.peer;
        record.claimed_addr = context.claimed_addr;
        record.user_agent = context.user_agent.as_deref();
        record.repository = self.repository.as_ref();
        record.reference = self.reference.as_ref();
        record.tags = &self.tags;
        record.digest = self.digest.as_ref().map(Digest::as_str);
        record.upload = self.upload.as_deref();
        record.mount_from = self.mount_from.as_ref();
        record
    }
}

/// A request that was let in and is on its way. It leaves a record also if it is given up half-way, because what it
/// asked for may have been done.
pub(crate) struct Audit {
    sink: Arc<dyn AuditSink>,
    about: About,
    context: Arc<RequestContext>,
    method: Method,
    credentials: bool,
    done: bool,
}

impl Audit {
    pub(crate) fn begin(
        sink: &Arc<dyn AuditSink>,
        route: &Route,
        context: &Arc<RequestContext>,
        parts: &Parts,
    ) -> Self {
        Self {
            sink: Arc::clone(sink),
            about: About::new(route),
            context: Arc::clone(context),
            method: parts.method.clone(),
            credentials: parts.headers.contains_key(AUTHORIZATION),
            done: false,
        }
    }

    /// Records what the answer says.
    pub(crate) fn answered(mut self, response: &Response<Body>) {
        self.done = true;
        let mut record = self.about.record(&self.context, &self.method);
        record.credentials = self.credentials;
        answer(&mut record, response);
        self.sink.record(&record);
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        if !self.done {
            let mut record = self.about.record(&self.context, &self.method);
            record.credentials = self.credentials;
            record.reason = Some("the client was gone before the answer");
            self.sink.record(&record);
        }
    }
}

/// Why a request was not let in.
pub(crate) struct Refused {
    principal: Option<Principal>,
    reason: String,
}

impl Refused {
    pub(crate) fn new(error: &AuthError) -> Self {
        Self { principal: error.principal().cloned(), reason: error.reason().into_owned() }
    }

    pub(crate) fn record(
        self,
        sink: &dyn AuditSink,
        route: &Route,
        request_id: &str,
        parts: &Parts,
        response: &Response<Body>,
    ) {
        let context = observed(request_id, parts).with_principal(self.principal);
        let about = About::new(route);
        let mut record = about.record(&context, &parts.method);
        record.credentials = parts.headers.contains_key(AUTHORIZATION);
        answer(&mut record, response);
        record.refused = true;
        record.reason = Some(&self.reason);
        sink.record(&record);
    }
}

/// Adds what the answer says.
fn answer<'a>(record: &mut AuditRecord<'a>, response: &'a Response<Body>) {
    record.status = Some(response.status());
    if let Some(reported) = response.extensions().get::<Reported>() {
        record.error = Some(reported.id());
        record.reason = Some(reported.reason());
    }
    let told = |headers: &'a HeaderMap| headers.get(CONTENT_DIGEST)?.to_str().ok();
    if response.status().is_success() {
        record.digest = told(response.headers()).or(record.digest);
    }
}
