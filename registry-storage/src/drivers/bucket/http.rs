//! How requests to a service are sent: made ready, tried again, logged, and not sent when nobody answers.
//!
//! `object_store` does its requests through this as well, and is left no retries of its own: it obeys no
//! `Retry-After`, and a try of its own is not signed anew. Bodies that break off are gone on with in
//! [`object`](super::object).

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, StatusCode};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService, ReqwestConnector,
};
use registry_core::{BoxError, BuildError};

use super::breaker::BucketHealth;
use super::options::{BucketOptions, S3Log};
use super::retry::{Patience, Tries, retry_after};
use super::xml::error_body;

/// The most of a refusal that is read.
const REFUSAL_LIMIT: usize = 64 << 10;
/// How often a request is sent once more at once because what it was refused for was put right.
const CORRECTIONS: usize = 2;

/// What is particular to the requests of a service.
#[async_trait]
pub(crate) trait Protocol: fmt::Debug + Send + Sync + 'static {
    /// Makes a request ready to be sent. Called before each try, with what the try before was given.
    async fn prepare(&self, request: &mut HttpRequest) -> Result<(), BoxError>;

    /// Whether to do something about a refusal before it is treated like any other. The request has the
    /// extensions that [`prepare`](Self::prepare) gave it, and is otherwise as it was before.
    async fn refused(&self, request: &HttpRequest, refusal: &Refused) -> Verdict;
}

/// What becomes of a refused request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What its status and code say.
    AsUsual,
    /// What it was refused for is put right: it is sent once more, at once.
    Corrected,
}

/// Requests that are ready as they are.
#[cfg(any(feature = "gcs", feature = "azure"))]
#[derive(Debug)]
pub(crate) struct Plain;

#[cfg(any(feature = "gcs", feature = "azure"))]
#[async_trait]
impl Protocol for Plain {
    async fn prepare(&self, _: &mut HttpRequest) -> Result<(), BoxError> {
        Ok(())
    }

    async fn refused(&self, _: &HttpRequest, _: &Refused) -> Verdict {
        Verdict::AsUsual
    }
}

/// On a request: its answer is read to its end by each try, so that one which breaks off is asked for again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole {
    /// The most bytes that it may have.
    pub(crate) limit: usize,
    /// Whether it may begin with 200 and be a refusal all the same.
    pub(crate) may_refuse: bool,
}

/// An answer is larger than any should be. Another one would be, too.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the answer is larger than any should be")]
struct TooLarge;

/// On an answer: a try before it ended so that it may have been done nevertheless.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repeated;

/// The service answered, but did not do what was asked, and asking again would not help.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) message: String,
    /// Where the bucket is, if it is elsewhere.
    pub(crate) region: Option<String>,
    pub(crate) headers: HeaderMap,
    /// Whether a try before ended so that it may have been done nevertheless.
    pub(crate) repeated: bool,
}

/// Every try failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what} ({tries} {})", if *.tries == 1 { "try" } else { "tries" })]
pub(crate) struct GaveUp {
    what: String,
    tries: usize,
    /// After how long the service asked to be tried again.
    pub(crate) retry_after: Option<Duration>,
}

/// Nobody was asked, because nobody has answered for a while.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the service has not answered for a while; the next try is due in {} s", .retry_after.as_secs().max(1))]
pub(crate) struct Tripped {
    pub(crate) retry_after: Duration,
}

/// A request could not be made ready.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unprepared(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status.as_u16())?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(id) = self.headers.get("x-amz-request-id").and_then(|id| id.to_str().ok()) {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

impl Refused {
    fn read(status: StatusCode, headers: HeaderMap, body: &[u8]) -> Self {
        let error = error_body(body);
        let plain = || {
            let text = String::from_utf8_lossy(body);
            let line: String = text.trim().chars().take(200).collect();
            if line.starts_with('<') { String::new() } else { line.replace(['\r', '\n'], " ") }
        };
        let header = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let (code, message, region) = match error {
            Some(error) => (error.code, error.message, error.region),
            // A HEAD has no body; Azure repeats the code in a header.
            None => (header("x-ms-error-code").unwrap_or_default(), plain(), None),
        };
        let region = region.or_else(|| header("x-amz-bucket-region"));
        Self { status, code, message, region, headers, repeated: false }
    }

    /// Whether the same request may be done later.
    fn passes(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
            || matches!(
                self.code.as_str(),
                "SlowDown"
                    | "InternalError"
                    | "ServiceUnavailable"
                    | "RequestTimeout"
                    | "Throttling"
                    | "ThrottlingException"
                    | "TooManyRequests"
                    | "OperationAborted"
                    | "ConditionalRequestConflict"
            )
    }
}

/// Sends requests. A connector for `object_store`, and for our own requests the same.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    pub(crate) protocol: Arc<dyn Protocol>,
    pub(crate) patience: Patience,
    pub(crate) health: BucketHealth,
    pub(crate) log: S3Log,
}

impl Transport {
    /// For requests to a bucket, of which nothing is logged.
    pub(crate) fn new(protocol: Arc<dyn Protocol>, options: &BucketOptions, health: BucketHealth) -> Self {
        Self { protocol, patience: Patience::new(options), health, log: S3Log::Off }
    }

    /// For requests to whoever hands out credentials. Whether these can be had says nothing of the bucket.
    #[cfg(any(feature = "gcs", feature = "azure"))]
    pub(crate) fn elsewhere(options: &BucketOptions) -> Self {
        Self::new(Arc::new(Plain), options, BucketHealth::new())
    }
}

/// A client for `object_store` that there is already.
#[derive(Debug, Clone)]
pub(crate) struct Connected(pub(crate) HttpClient);

impl HttpConnector for Connected {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

impl HttpConnector for Transport {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Caller { inner, transport: self.clone() }))
    }
}

/// How the client is set up that all requests share.
///
/// # Errors
/// If the `User-Agent` cannot stand in a header.
pub(crate) fn client_options(options: &BucketOptions, plain: bool) -> Result<ClientOptions, BuildError> {
    let ours = concat!("registry/", env!("CARGO_PKG_VERSION"));
    let agent = match &options.user_agent {
        Some(more) => format!("{ours} {more}"),
        None => ours.to_owned(),
    };
    let agent = HeaderValue::from_str(&agent).map_err(|_| BuildError::Invalid {
        what: "useragent",
        reason: "it has characters that cannot stand in a header".to_owned(),
    })?;
    Ok(ClientOptions::new()
        // A body takes as long as the client behind it.
        .with_timeout_disabled()
        .with_connect_timeout(Duration::from_secs(5))
        .with_read_timeout(Duration::from_secs(60))
        .with_pool_max_idle_per_host(128)
        .with_allow_http(plain)
        .with_allow_invalid_certificates(options.skip_verify)
        .with_user_agent(agent))
}

/// What `object_store` may try again itself: nothing.
pub(crate) fn no_retries() -> object_store::RetryConfig {
    object_store::RetryConfig { max_retries: 0, ..Default::default() }
}

#[derive(Debug)]
struct Caller {
    inner: HttpClient,
    transport: Transport,
}

/// How one try ended, if not well.
enum Failure {
    Refused(Refused),
    Broken(HttpError),
}

#[async_trait]
impl HttpService for Caller {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let transport = &self.transport;
        let pass = transport.health.enter().map_err(|retry_after| ours(Tripped { retry_after }))?;
        let mut tries = Tries::begin(&transport.patience);
        let mut corrections = 0;
        let mut repeated = false;
        loop {
            let mut attempt = request.clone();
            if let Err(error) = transport.protocol.prepare(&mut attempt).await {
                return Err(ours(Unprepared(describe(&*error))));
            }
            // What it was given is what a refusal is about.
            *request.extensions_mut() = attempt.extensions().clone();
            let started = Instant::now();
            let result = self.attempt(attempt).await;
            self.log(&request, &result, started);
            let failure = match result {
                Ok(mut answer) => {
                    if repeated {
                        answer.extensions_mut().insert(Repeated);
                    }
                    pass.answered();
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            let (asked, what) = match failure {
                Failure::Refused(refusal) => {
                    if corrections < CORRECTIONS
                        && transport.protocol.refused(&request, &refusal).await == Verdict::Corrected
                    {
                        corrections += 1;
                        continue;
                    }
                    if !refusal.passes() {
                        pass.answered();
                        return Err(ours(Refused { repeated, ..refusal }));
                    }
                    (retry_after(&refusal.headers), refusal.to_string())
                }
                Failure::Broken(error) => {
                    let what = describe(&error);
                    if !passes(&error, &what) {
                        pass.failed(&what);
                        return Err(ours(GaveUp { what, tries: tries.count(), retry_after: None }));
                    }
                    (None, what)
                }
            };
            repeated = true;
            let Some(wait) = tries.next(asked) else {
                let error = GaveUp { what, tries: tries.count(), retry_after: asked };
                pass.failed(&error);
                return Err(ours(error));
            };
            if transport.log == S3Log::Retries {
                let (method, path) = (request.method(), request.uri().path());
                tracing::debug!(%method, path, error = what, ?wait, "bucket request is tried again");
            }
            transport.health.retried();
            tokio::time::sleep(wait).await;
        }
    }
}

impl Caller {
    async fn attempt(&self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let whole = request.extensions().get::<Whole>().copied();
        let answer = self.inner.execute(request).await.map_err(Failure::Broken)?;
        let status = answer.status();
        if !status.is_success() {
            let (parts, body) = answer.into_parts();
            // What a refusal says in its body is worth having, but not needed.
            let body = read(body, REFUSAL_LIMIT).await.unwrap_or_default();
            return Err(Failure::Refused(Refused::read(status, parts.headers, &body)));
        }
        let Some(whole) = whole else { return Ok(answer) };
        let (parts, body) = answer.into_parts();
        let body = read(body, whole.limit).await.map_err(Failure::Broken)?;
        if whole.may_refuse && error_body(&body).is_some() {
            return Err(Failure::Refused(Refused::read(status, parts.headers, &body)));
        }
        Ok(HttpResponse::from_parts(parts, body.into()))
    }

    fn log(&self, request: &HttpRequest, result: &Result<HttpResponse, Failure>, started: Instant) {
        let log = self.transport.log;
        let wanted = match log {
            S3Log::Off | S3Log::Retries => false,
            S3Log::Requests | S3Log::Signing => true,
            S3Log::Errors => result.is_err(),
        };
        if !wanted {
            return;
        }
        let (method, path, took) = (request.method(), request.uri().path(), started.elapsed());
        match result {
            Ok(answer) => {
                tracing::debug!(%method, path, status = answer.status().as_u16(), ?took, "bucket request");
            }
            Err(Failure::Refused(refusal)) => {
                tracing::debug!(%method, path, error = %refusal, ?took, "bucket request");
            }
            Err(Failure::Broken(error)) => {
                tracing::debug!(%method, path, error = describe(error), ?took, "bucket request");
            }
        }
    }
}

/// Whether a request was refused after a try that may have been done nevertheless.
pub(crate) fn was_repeated(error: &HttpError) -> bool {
    let source = std::error::Error::source(error);
    source.and_then(|source| source.downcast_ref::<Refused>()).is_some_and(|refused| refused.repeated)
}

/// An error that `object_store` passes on rather than trying again itself.
fn ours(error: impl std::error::Error + Send + Sync + 'static) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, error)
}

/// Whether another try may fare better.
fn passes(error: &HttpError, what: &str) -> bool {
    let too_large = std::error::Error::source(error).is_some_and(|source| source.is::<TooLarge>());
    !too_large && !what.contains("certificate")
}

/// The refusal that an error is about, if it is.
#[cfg(any(feature = "gcs", feature = "azure"))]
pub(crate) fn refusal<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Refused> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref() {
            return Some(refused);
        }
        cause = error.source();
    }
    None
}

/// An error with its causes, in one line.
pub(crate) fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// A body that is not larger than it should be.
async fn read(body: HttpResponseBody, limit: usize) -> Result<Bytes, HttpError> {
    let mut stream = body.bytes_stream();
    let mut whole = BytesMut::new();
    while let Some(piece) = stream.next().await {
        let piece = piece?;
        if whole.len() + piece.len() > limit {
            return Err(HttpError::new(HttpErrorKind::Decode, TooLarge));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// The whole of an answer.
///
/// # Errors
/// If it breaks off.
pub(crate) async fn body(answer: HttpResponse, limit: usize) -> Result<Bytes, HttpError> {
    read(answer.into_body(), limit).await
}
