//! Azure's Blob service in the process of a test, as far as a storage driver speaks to it: block blobs.

mod batch;
mod blobs;
mod list;
mod shared_key;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use s3s::Body;

use super::bucket::Refusal;
use super::log::{Kind, parameter};
use super::server::{Answer, Protocol};
use super::{BUCKET, Emulator, Options};

/// The name of the account that [`AzureEmulator`] has.
pub const ACCOUNT: &str = "emulator";
/// The key of [`ACCOUNT`], in base64 as Azure gives it out.
pub const ACCOUNT_KEY: &str =
    "ZW11bGF0b3IgZW11bGF0b3IgZW11bGF0b3IgZW11bGF0b3IgZW11bGF0b3IgZW11bGF0b3IgZW11bGF0b3IgZQ==";

/// A Blob service with the container [`BUCKET`] on a free port of 127.0.0.1, until it is dropped. It wants requests
/// signed with [`ACCOUNT_KEY`] (shared key), a bearer token, whatever it is, or a URL with a signature, which it does
/// not check. Plain HTTP.
///
/// It lists without regard to `startFrom`, as all but the newest versions of the service do. A copy is done at once,
/// or said to be pending for as long as [`Options::with_pending_copies`] has it.
#[derive(Debug)]
pub struct AzureEmulator(Emulator);

impl AzureEmulator {
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
        let protocol = |bucket| Azure(Arc::new(blobs::Blobs::new(bucket)));
        Ok(Self(Emulator::start(options, address, protocol).await?))
    }

    /// The URL of the account: `http://127.0.0.1:…/emulator`.
    pub fn endpoint(&self) -> String {
        format!("{}/{ACCOUNT}", self.0.endpoint())
    }
}

impl Deref for AzureEmulator {
    type Target = Emulator;

    fn deref(&self) -> &Emulator {
        &self.0
    }
}

struct Azure(Arc<blobs::Blobs>);

impl Protocol for Azure {
    fn kind(&self, method: &Method, key: &str, query: &str, headers: &HeaderMap) -> Kind {
        let operation = parameter(query, "comp");
        let copies = headers.contains_key("x-ms-copy-source");
        match (method.as_str(), key.is_empty(), operation.as_deref()) {
            ("GET", true, Some("list")) => Kind::List,
            ("POST", true, Some("batch")) => Kind::DeleteObjects,
            ("GET" | "HEAD", true, None) => Kind::Bucket,
            ("GET", false, Some("blocklist")) => Kind::ListParts,
            ("PUT", false, Some("block")) if copies => Kind::UploadPartCopy,
            ("PUT", false, Some("block")) => Kind::UploadPart,
            ("PUT", false, Some("blocklist")) => Kind::Complete,
            ("PUT", false, None) if copies => Kind::Copy,
            ("PUT", false, None) => Kind::Put,
            ("GET", false, None) => Kind::Get,
            ("HEAD", false, None) => Kind::Head,
            ("DELETE", false, None) => Kind::Delete,
            _ => Kind::Other,
        }
    }

    fn root(&self) -> usize {
        2
    }

    fn refuse(&self, status: StatusCode, code: &str) -> Response<Body> {
        match code {
            "SlowDown" => refuse(status, "ServerBusy"),
            "ExpiredToken" | "RequestTimeTooSkewed" => refuse(StatusCode::FORBIDDEN, "AuthenticationFailed"),
            _ => refuse(status, code),
        }
    }

    fn call(&self, request: http::Request<Body>) -> BoxFuture<'static, Answer> {
        let blobs = Arc::clone(&self.0);
        let mut segments = request.uri().path().trim_start_matches('/').splitn(3, '/');
        let (account, container) = (segments.next(), segments.next());
        let query = request.uri().query().unwrap_or("");
        if !shared_key::authorized(&request) {
            return futures::future::ok(refuse(StatusCode::FORBIDDEN, "AuthenticationFailed")).boxed();
        }
        if account != Some(ACCOUNT) || container != Some(BUCKET) {
            return futures::future::ok(refuse(StatusCode::NOT_FOUND, "ContainerNotFound")).boxed();
        }
        let key = super::log::decode(segments.next().unwrap_or(""));
        let kind = self.kind(request.method(), &key, query, request.headers());
        async move {
            let head = request.method() == Method::HEAD;
            match blobs.call(kind, &key, request).await? {
                Ok(answer) => Ok(answer),
                Err(refused) if head => Ok(refused.answer().map(|_| Body::empty())),
                Err(refused) => Ok(refused.answer()),
            }
        }
        .boxed()
    }
}

/// A status and the name of an error.
#[derive(Debug)]
struct Refused(StatusCode, &'static str);

impl Refused {
    fn answer(self) -> Response<Body> {
        refuse(self.0, self.1)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchKey => Self(StatusCode::NOT_FOUND, "BlobNotFound"),
            Refusal::PreconditionFailed => Self(StatusCode::PRECONDITION_FAILED, "ConditionNotMet"),
            Refusal::EntityTooLarge => Self(StatusCode::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge"),
            Refusal::CopyTooLarge => Self(StatusCode::CONFLICT, "CannotVerifyCopySource"),
            Refusal::NoSuchUpload
            | Refusal::InvalidPart
            | Refusal::InvalidPartOrder
            | Refusal::EntityTooSmall => Self(StatusCode::BAD_REQUEST, "InvalidBlockList"),
        }
    }
}

/// An error as Azure words it.
fn refuse(status: StatusCode, code: &str) -> Response<Body> {
    let mut answer = xml(format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>"));
    *answer.status_mut() = status;
    if let Ok(code) = HeaderValue::try_from(code) {
        answer.headers_mut().insert("x-ms-error-code", code);
    }
    answer
}

fn xml(element: String) -> Response<Body> {
    let mut answer =
        Response::new(Body::from(format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>{element}")));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer
}

/// Text as it stands in XML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
