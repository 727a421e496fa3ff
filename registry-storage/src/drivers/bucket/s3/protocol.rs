//! What is particular to requests to S3: their signature, and what is put right when it is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use http::header::DATE;
use http::{Method, StatusCode};
use object_store::client::HttpRequest;
use registry_core::BoxError;

use super::credentials::{Credentials, Keyring};
use super::endpoint::Endpoint;
use super::sign::{Signer, Target, UNSIGNED, hash};
use super::sign2;
use crate::drivers::bucket::http::{Protocol, Refused, Verdict};
use crate::drivers::bucket::options::S3Log;

/// A clock that is off by less is not what a request was refused for; Amazon allows 15 minutes.
const TOLERATED: i64 = 60;

/// Signs requests.
#[derive(Debug)]
pub(super) struct Authority {
    pub(super) keyring: Keyring,
    pub(super) region: String,
    /// Version 4, or 2.
    pub(super) v4: bool,
    pub(super) log: S3Log,
    /// By how many seconds the service's clock is ahead of ours.
    ahead: AtomicI64,
    warned: AtomicBool,
    endpoint: Arc<Endpoint>,
}

/// On a request: the hash of its body in hex.
#[derive(Debug, Clone)]
pub(super) struct BodyHash(pub(super) String);

/// On a request that was sent: what it was signed with.
#[derive(Debug, Clone, Copy)]
struct SignedWith {
    keys: u64,
    ahead: i64,
}

impl Authority {
    pub(super) fn new(keyring: Keyring, region: &str, v4: bool, log: S3Log, endpoint: Arc<Endpoint>) -> Self {
        let (ahead, warned) = (AtomicI64::new(0), AtomicBool::new(false));
        Self { keyring, region: region.to_owned(), v4, log, ahead, warned, endpoint }
    }

    /// The time where the service is.
    pub(super) fn now(&self) -> SystemTime {
        shifted(SystemTime::now(), self.ahead.load(Ordering::Relaxed))
    }

    /// The query of a URL for whoever has it. `path` is that of an object, `query` what else it has, escaped.
    pub(super) async fn presign(
        &self,
        endpoint: &Endpoint,
        method: &Method,
        path: &str,
        good_for: Duration,
    ) -> Result<String, BoxError> {
        let (_, credentials) = self.keyring.get().await?;
        let now = self.now();
        Ok(if self.v4 {
            let target = Target { method, host: endpoint.host(), path, query: "" };
            self.signer(&credentials, now).presign(&target, good_for)
        } else {
            let resource = format!("{}{path}", endpoint.hidden());
            sign2::presign(&credentials, now, method, &resource, "", good_for)
        })
    }

    fn signer<'a>(&'a self, credentials: &'a Credentials, now: SystemTime) -> Signer<'a> {
        Signer { credentials, region: &self.region, now }
    }

    /// Learns how late it is from an answer. Whether the clock is off by more than what `used` made up for.
    fn learn(&self, refusal: &Refused, used: i64) -> bool {
        let Some(theirs) = refusal.headers.get(DATE).and_then(|date| date.to_str().ok()) else {
            return false;
        };
        let Ok(theirs) = httpdate::parse_http_date(theirs) else { return false };
        let ahead = difference(theirs, SystemTime::now());
        if (ahead - used).abs() < TOLERATED {
            return false;
        }
        self.ahead.store(ahead, Ordering::Relaxed);
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                seconds = ahead,
                "the clock differs from that of the bucket, whose time is used to sign requests; set the clock"
            );
        }
        true
    }
}

#[async_trait]
impl Protocol for Authority {
    async fn prepare(&self, request: &mut HttpRequest) -> Result<(), BoxError> {
        let (keys, credentials) = self.keyring.get().await?;
        let ahead = self.ahead.load(Ordering::Relaxed);
        let now = shifted(SystemTime::now(), ahead);
        request.extensions_mut().insert(SignedWith { keys, ahead });
        let hash = match request.extensions().get::<BodyHash>() {
            _ if !self.endpoint.is_plain() => UNSIGNED.to_owned(),
            Some(BodyHash(hash)) => hash.clone(),
            None => hash(request.body().as_bytes().map(std::slice::from_ref).unwrap_or_default()),
        };
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let query = uri.query().unwrap_or_default();
        let signed = if self.v4 {
            let target = Target { method: &method, host: self.endpoint.host(), path: uri.path(), query };
            self.signer(&credentials, now).sign(&target, request.headers_mut(), &hash)?
        } else {
            let resource = format!("{}{}", self.endpoint.hidden(), uri.path());
            sign2::sign(&credentials, now, &method, &resource, query, request.headers_mut())?
        };
        if self.log == S3Log::Signing {
            let shown: Vec<&str> = signed
                .lines()
                .map(|line| match line.split_once(':') {
                    Some(("x-amz-security-token", _)) => "x-amz-security-token:***",
                    _ => line,
                })
                .collect();
            tracing::debug!(
                signed = shown.join("\n"),
                key = credentials.access_key,
                "bucket request is signed"
            );
        }
        Ok(())
    }

    async fn refused(&self, request: &HttpRequest, refusal: &Refused) -> Verdict {
        let Some(used) = request.extensions().get::<SignedWith>() else { return Verdict::AsUsual };
        // The answer to a HEAD has no body that would say more than the status.
        let bare = request.method() == Method::HEAD && refusal.code.is_empty();
        let corrected = match (refusal.code.as_str(), refusal.status) {
            ("RequestTimeTooSkewed", _) => self.learn(refusal, used.ahead),
            ("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired", _) => {
                self.keyring.refused(used.keys).await
            }
            (_, StatusCode::FORBIDDEN) if bare => self.learn(refusal, used.ahead),
            (_, StatusCode::BAD_REQUEST) if bare => self.keyring.refused(used.keys).await,
            _ => false,
        };
        if corrected { Verdict::Corrected } else { Verdict::AsUsual }
    }
}

fn shifted(time: SystemTime, seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let shifted = if seconds < 0 { time.checked_sub(by) } else { time.checked_add(by) };
    shifted.unwrap_or(time)
}

/// How many seconds the first is after the second.
fn difference(a: SystemTime, b: SystemTime) -> i64 {
    match a.duration_since(b) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    }
}
