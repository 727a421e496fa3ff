//! Google Cloud Storage in the process of a test: its XML API, which is that of S3 in other words.

mod account;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, Method, Response, StatusCode};
use s3s::Body;
use s3s::service::S3Service;

use super::bucket::Bucket;
use super::log::{Kind, decode, parameter, s3_kind};
use super::s3::{refuse, unsigned};
use super::server::{Answer, Protocol};
use super::{Emulator, Options};

/// A GCS server with the bucket [`BUCKET`](super::BUCKET) on a free port of 127.0.0.1, until it is dropped. It wants a
/// bearer token, whatever it is, or a URL that [`GcsEmulator::service_account`] signed. Plain HTTP.
///
/// It is over the same store as [`S3Emulator`](super::S3Emulator), which is why the names of errors are those of S3;
/// most are the same.
#[derive(Debug)]
pub struct GcsEmulator(Emulator);

impl GcsEmulator {
    /// A server that can do everything that [`Options::default`] has.
    ///
    /// # Panics
    ///
    /// If no port or no temporary file can be had.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// A server with what `options` says.
    ///
    /// # Panics
    ///
    /// If no port or no temporary file can be had.
    pub async fn with(options: Options) -> Self {
        Self::listen(options, (Ipv4Addr::LOCALHOST, 0).into()).await.unwrap()
    }

    /// A server on an address.
    ///
    /// # Errors
    ///
    /// When it cannot be listened on, or no temporary file can be had.
    pub async fn listen(options: Options, address: SocketAddr) -> io::Result<Self> {
        let protocol = |bucket: Arc<Bucket>| Gcs { service: unsigned(Arc::clone(&bucket)), bucket };
        Ok(Self(Emulator::start(options, address, protocol).await?))
    }

    /// The key file of a service account, as JSON, with the URL of this server in it. The RSA key is new in every
    /// process, and signs the URLs that this server takes.
    pub fn service_account(&self) -> String {
        account::key_file(&self.endpoint())
    }
}

impl Deref for GcsEmulator {
    type Target = Emulator;

    fn deref(&self) -> &Emulator {
        &self.0
    }
}

struct Gcs {
    service: S3Service,
    bucket: Arc<Bucket>,
}

impl Protocol for Gcs {
    fn kind(&self, method: &Method, key: &str, query: &str, headers: &HeaderMap) -> Kind {
        s3_kind(method, key, query, headers)
    }

    fn root(&self) -> usize {
        1
    }

    fn refuse(&self, status: StatusCode, code: &str) -> Response<Body> {
        match code {
            "ExpiredToken" => refuse(StatusCode::UNAUTHORIZED, "AuthenticationRequired"),
            _ => refuse(status, code),
        }
    }

    fn call(&self, mut request: http::Request<Body>) -> BoxFuture<'static, Answer> {
        let service = self.service.clone();
        let refusal = self.refusal(&request);
        // Of this one S3 gives the tag in the body.
        let completes = request.method() == Method::POST;
        let (bucket, key) = (Arc::clone(&self.bucket), key(&request));
        async move {
            if let Some(refusal) = refusal {
                return Ok(refusal);
            }
            translate(&mut request)?;
            let mut answer = service.call(request).await?;
            let tag = match answer.headers().get(ETAG) {
                Some(tag) => tag.to_str().ok().map(str::to_owned),
                None if completes && answer.status().is_success() => {
                    bucket.get(&key).ok().map(|made| made.tag)
                }
                None => None,
            };
            if let Some(generation) = tag.as_deref().and_then(generation) {
                answer.headers_mut().insert("x-goog-generation", generation.into());
            }
            Ok(answer)
        }
        .boxed()
    }
}

impl Gcs {
    /// What the store behind this one would not refuse.
    fn refusal(&self, request: &http::Request<Body>) -> Option<Response<Body>> {
        let query = request.uri().query().unwrap_or("");
        let bearer = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if parameter(query, "X-Goog-Signature").is_some() {
            if !account::signed(request.method(), request.uri(), request.headers()) {
                return Some(refuse(StatusCode::FORBIDDEN, "SignatureDoesNotMatch"));
            }
        } else if !bearer.is_some_and(|value| value.starts_with("Bearer ") && value.len() > 7) {
            return Some(refuse(StatusCode::UNAUTHORIZED, "AuthenticationRequired"));
        }
        // Unlike S3, it says so when there was nothing to delete.
        let key = key(request);
        let deletes = request.method() == Method::DELETE && parameter(query, "uploadId").is_none();
        (deletes && self.bucket.get(&key).is_err()).then(|| refuse(StatusCode::NOT_FOUND, "NoSuchKey"))
    }
}

/// The object that a request is about.
fn key(request: &http::Request<Body>) -> String {
    let path = request.uri().path().trim_start_matches('/');
    decode(path.split_once('/').map_or("", |(_, key)| key))
}

/// Says in the words of S3 what was said in those of GCS.
fn translate(request: &mut http::Request<Body>) -> Result<(), http::Error> {
    let headers = request.headers_mut();
    headers.remove(AUTHORIZATION);
    if let Some(condition) = headers.remove("x-goog-if-generation-match") {
        let number: Option<u64> = condition.to_str().ok().and_then(|number| number.parse().ok());
        match number {
            Some(0) => headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*")),
            Some(number) => headers.insert(IF_MATCH, HeaderValue::try_from(tag(number))?),
            None => headers.insert(IF_MATCH, HeaderValue::from_static("\"no generation\"")),
        };
    }
    let theirs: Vec<_> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().strip_prefix("x-goog-")?.to_owned(), value.clone())))
        .collect();
    for (name, value) in theirs {
        headers.remove(format!("x-goog-{name}"));
        headers.insert(HeaderName::try_from(format!("x-amz-{name}"))?, value);
    }
    let query = request.uri().query().unwrap_or("");
    let kept: Vec<_> =
        query.split('&').filter(|pair| !pair.to_ascii_lowercase().starts_with("x-goog-")).collect();
    let target = format!("{}?{}", request.uri().path(), kept.join("&"));
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target.trim_end_matches('?'))?);
    *request.uri_mut() = Uri::from_parts(parts)?;
    Ok(())
}

/// How many parts an object can have, and more.
const PARTS: u64 = 1 << 14;

/// The number of the write that gave an object this tag. Clients compare it, and nothing else.
fn generation(tag: &str) -> Option<u64> {
    let tag = tag.trim_matches('"');
    let (counter, parts) = tag.split_once('-').unwrap_or((tag, "0"));
    let counter = u64::from_str_radix(counter.get(16..)?, 16).ok()?;
    Some(counter * PARTS + parts.parse::<u64>().ok()?)
}

/// The tag that the write of this number gave.
fn tag(generation: u64) -> String {
    let (counter, parts) = (generation / PARTS, generation % PARTS);
    let tag = super::bucket::tag(counter);
    if parts == 0 { format!("\"{tag}\"") } else { format!("\"{tag}-{parts}\"") }
}
