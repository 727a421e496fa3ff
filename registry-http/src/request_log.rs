//! What the log says about a request: the fields of its span, and the line that ends it.
//!
//! The names are those of Distribution, so that whatever reads its logs reads ours.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::header::{CONTENT_TYPE, HOST, REFERER, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use registry_core::WireError;
use tracing::Span;
use tracing::field::{Empty, display};

use crate::body::Body;
use crate::route::Route;

/// Ties a request to its lines in the log, here and in the proxies before us.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken from a client.
const LONGEST_ID: usize = 128;

/// The id that the client sent, if it is one word of harmless characters, or else a new one.
pub fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    match given.filter(|id| is_well_formed(id)) {
        Some(id) => id.to_owned(),
        None => uuid::Uuid::now_v7().to_string(),
    }
}

fn is_well_formed(id: &str) -> bool {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b"-._:+/=@".contains(&b);
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(harmless)
}

/// The span of a request. Everything that is logged in it carries these fields; those that are empty here are
/// recorded as soon as they are known. It has the worst level there is, because errors carry the fields also
/// where nothing else is logged.
pub fn span(id: &str, parts: &Parts) -> Span {
    let text = |name: &HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let host = parts.uri.authority().map(|authority| authority.as_str()).or_else(|| text(&HOST));
    let peer = parts.extensions.get::<SocketAddr>();
    tracing::error_span!(
        "request",
        http.request.id = id,
        http.request.method = parts.method.as_str(),
        http.request.host = host,
        http.request.uri = &*loggable_target(&parts.uri),
        http.request.remoteaddr = peer.map(display),
        http.request.useragent = text(&USER_AGENT),
        http.request.referer = text(&REFERER),
        http.request.contenttype = text(&CONTENT_TYPE),
        trace.id = trace_id(&parts.headers),
        vars.name = Empty,
        vars.reference = Empty,
        vars.digest = Empty,
        vars.uuid = Empty,
        auth.user.name = Empty,
    )
}

/// The trace that the request belongs to, from the header `traceparent` of W3C Trace Context: a version, the id
/// of the trace, that of the caller's span, and flags. Malformed ones are passed over, as that says.
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zeros = |part: &str| part.bytes().all(|b| b == b'0');
    let is_known = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    let is_given = hex(id, 32) && !zeros(id) && hex(parent, 16) && !zeros(parent) && hex(flags, 2);
    (is_known && is_given).then_some(id)
}

/// Adds what the path says to the span of the request.
pub(crate) fn record_route(route: &Route) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    if let Some(name) = route.repository() {
        span.record("vars.name", name.as_str());
    }
    match route {
        Route::GetManifest { reference, .. }
        | Route::PutManifest { reference, .. }
        | Route::DeleteManifest { reference, .. } => {
            span.record("vars.reference", display(reference));
        }
        Route::GetBlob { digest, .. }
        | Route::DeleteBlob { digest, .. }
        | Route::Referrers { digest, .. } => {
            span.record("vars.digest", digest.as_str());
        }
        Route::UploadStatus { id, .. } | Route::PatchUpload { id, .. } | Route::CancelUpload { id, .. } => {
            span.record("vars.uuid", id.as_str());
        }
        Route::FinishUpload { id, digest, .. } => {
            span.record("vars.uuid", id.as_str());
            if let Some(digest) = digest {
                span.record("vars.digest", digest.as_str());
            }
        }
        Route::Base | Route::Catalog { .. } | Route::Tags { .. } | Route::StartUpload { .. } => {}
    }
}

/// Adds who was let in to the span of the request.
pub(crate) fn record_user(name: &str) {
    Span::current().record("auth.user.name", name);
}

/// Path and query of a request as logs may have them: without the state in upload URLs, which is signed by us and
/// for the client alone.
pub fn loggable_target(uri: &Uri) -> Cow<'_, str> {
    const STATE: &str = "_state=";
    let Some(query) = uri.query().filter(|query| query.contains(STATE)) else {
        return Cow::Borrowed(uri.path_and_query().map_or_else(|| uri.path(), |target| target.as_str()));
    };
    let hide = |part: &str| if part.starts_with(STATE) { "_state=-".to_owned() } else { part.to_owned() };
    let parts: Vec<String> = query.split('&').map(hide).collect();
    Cow::Owned(format!("{}?{}", uri.path(), parts.join("&")))
}

/// The first entry of an error's envelope, left among the extensions of a response for the log.
#[derive(Debug, Clone)]
pub(crate) struct Reported {
    id: &'static str,
    code: String,
    message: String,
    detail: Option<String>,
    cause: Option<Arc<Cause>>,
}

/// What a failure of ours came from, which no client is told. It is logged with the line that ends the request;
/// if nobody writes one, when it is dropped.
#[derive(Debug)]
struct Cause {
    text: String,
    code: &'static str,
    span: Span,
    logged: AtomicBool,
}

impl Drop for Cause {
    fn drop(&mut self) {
        if !*self.logged.get_mut() {
            let Self { text, code, span, .. } = self;
            tracing::error!(parent: &*span, error = text.as_str(), code = *code, "request failed");
        }
    }
}

impl Reported {
    pub(crate) fn new(error: &WireError) -> Self {
        Self {
            id: error.code.id(),
            code: error.code.id().to_ascii_lowercase().replace('_', " "),
            message: error.message.to_string(),
            detail: error.detail.as_ref().map(|detail| match detail {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            }),
            cause: None,
        }
    }

    /// Adds what the failure came from.
    pub(crate) fn caused_by(&mut self, text: String) {
        let logged = AtomicBool::new(false);
        self.cause = Some(Arc::new(Cause { text, code: self.id, span: Span::current(), logged }));
    }

    /// The error code as it is on the wire.
    pub(crate) fn id(&self) -> &'static str {
        self.id
    }

    /// What says most about why.
    pub(crate) fn reason(&self) -> &str {
        self.detail.as_deref().unwrap_or(&self.message)
    }
}

/// What there is to say when the response to a request has been sent. [`RegistryService`] leaves one among the
/// extensions of each response; a server that wants the line takes it out and calls [`completed`].
///
/// [`RegistryService`]: crate::RegistryService
/// [`completed`]: Self::completed
#[derive(Debug, Clone)]
pub struct RequestLog {
    span: Span,
    started: Instant,
    head: bool,
    probe: bool,
    status: StatusCode,
    content_type: Option<HeaderValue>,
    error: Option<Reported>,
}

impl RequestLog {
    pub(crate) fn attach(
        span: &Span,
        started: Instant,
        method: &Method,
        probe: bool,
        response: &mut Response<Body>,
    ) {
        let error = response.extensions_mut().remove::<Reported>();
        if span.is_disabled() {
            return;
        }
        let log = Self {
            span: span.clone(),
            started,
            head: *method == Method::HEAD,
            probe,
            status: response.status(),
            content_type: response.headers().get(CONTENT_TYPE).cloned(),
            error,
        };
        response.extensions_mut().insert(log);
    }

    /// Writes the line, after `written` bytes of the body were sent.
    ///
    /// A failure of ours is an error. What a client did wrong, or looked for and did not find, is information;
    /// a client that asks with `HEAD` whether there is something expects that there may be nothing. A probe
    /// that went well is for debugging.
    pub fn completed(&self, written: u64) {
        let status = self.status.as_u16();
        let failed = self.status.is_client_error() || self.status.is_server_error();
        let expected = self.head && self.status == StatusCode::NOT_FOUND;
        let content_type = self.content_type.as_ref().and_then(|value| value.to_str().ok());
        let error = self.error.as_ref().filter(|_| !expected);
        let cause = error.and_then(|error| error.cause.as_deref());
        if let Some(cause) = cause {
            cause.logged.store(true, Ordering::Relaxed);
        }
        let detail = error.and_then(|error| error.detail.as_deref());
        let detail = detail.or_else(|| cause.map(|cause| cause.text.as_str()));
        macro_rules! line {
            ($level:ident, $text:literal) => {
                tracing::$level!(
                    parent: &self.span,
                    http.response.status = status,
                    http.response.written = written,
                    http.response.contenttype = content_type,
                    http.response.duration = go_duration(self.started.elapsed()),
                    err.code = error.map(|error| error.code.as_str()),
                    err.message = error.map(|error| error.message.as_str()),
                    err.detail = detail,
                    $text
                )
            };
        }
        if self.status.is_server_error() {
            line!(error, "response completed with error");
        } else if failed && !expected {
            line!(info, "response completed with error");
        } else if self.probe {
            line!(debug, "response completed");
        } else {
            line!(info, "response completed");
        }
    }
}

/// As Go writes durations: `920.983µs`, `1.5s`, `1m30s`.
fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        return format!("{duration:?}");
    }
    let rest = Duration::new(seconds % 60, duration.subsec_nanos());
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let rest = if rest.is_zero() { "0s".to_owned() } else { format!("{}s", rest.as_secs_f64()) };
    if hours == 0 { format!("{minutes}m{rest}") } else { format!("{hours}h{minutes}m{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_if_it_is_one_harmless_word() {
        let id = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(text).unwrap());
            request_id(&headers)
        };
        for text in ["a", "01a1fd2b-6dfd-7e3f-ac75-bcc5fc1936c1", "Root=1-67891233-abcdef012345678912345678"]
        {
            assert_eq!(id(text), text);
        }
        for text in ["", "a b", "a\"b", "a\tb", "größe", &"x".repeat(129)] {
            assert_ne!(id(text), text, "{text}");
            assert_eq!(id(text).len(), 36, "{text}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }

    #[test]
    fn the_state_of_an_upload_is_not_logged() {
        for (uri, expected) in [
            ("/v2/", "/v2/"),
            ("http://registry/v2/_catalog?n=5&last=a", "/v2/_catalog?n=5&last=a"),
            (
                "/v2/a/blobs/uploads/u?_state=hmac&digest=sha256:0",
                "/v2/a/blobs/uploads/u?_state=-&digest=sha256:0",
            ),
            ("/v2/a/blobs/uploads/u?digest=d&_state=hmac", "/v2/a/blobs/uploads/u?digest=d&_state=-"),
        ] {
            assert_eq!(loggable_target(&uri.parse().unwrap()), expected);
        }
    }

    #[test]
    fn the_id_of_a_trace_is_read_from_a_well_formed_header() {
        let id = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", HeaderValue::from_str(text).unwrap());
            trace_id(&headers).map(str::to_owned)
        };
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        assert_eq!(id(&format!("00-{trace}-{span}-01")).as_deref(), Some(trace));
        assert_eq!(id(&format!("01-{trace}-{span}-01-more")).as_deref(), Some(trace));
        for text in [
            String::new(),
            trace.to_owned(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-01-more"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{trace} x-{span}-01"),
        ] {
            assert_eq!(id(&text), None, "{text}");
        }
        assert_eq!(trace_id(&HeaderMap::new()), None);
    }

    #[test]
    fn durations_read_as_in_go() {
        for (duration, expected) in [
            (Duration::from_nanos(920_983), "920.983µs"),
            (Duration::from_millis(1500), "1.5s"),
            (Duration::from_secs(90), "1m30s"),
            (Duration::from_millis(3_600_500), "1h0m0.5s"),
            (Duration::from_secs(120), "2m0s"),
        ] {
            assert_eq!(go_duration(duration), expected);
        }
    }
}
