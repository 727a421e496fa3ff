//! An S3 server in the process of a test.

mod answers;
mod api;
mod clock;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, Method, Response, StatusCode, header};
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};

use super::bucket::Bucket;
use super::log::{Kind, s3_kind};
use super::server::{Answer, Protocol};
use super::{Emulator, Options};

/// The access key whose signatures [`S3Emulator`] takes.
pub const ACCESS_KEY: &str = "emulator-access-key";
/// The secret of [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "emulator-secret-key";

/// An S3 server with the bucket [`BUCKET`](super::BUCKET) on a free port of 127.0.0.1, until it is dropped. It wants
/// requests signed (version 4) with [`ACCESS_KEY`], and takes any region. Plain HTTP, path style.
#[derive(Debug)]
pub struct S3Emulator(Emulator);

impl S3Emulator {
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
        let ahead = Some(options.clock_ahead).filter(|ahead| !ahead.is_zero());
        let protocol = |bucket| {
            let mut builder = S3ServiceBuilder::new(api::Api::new(bucket));
            builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
            if ahead.is_some() {
                builder.set_config(clock::unchecked());
            }
            S3 { service: builder.build(), ahead }
        };
        Ok(Self(Emulator::start(options, address, protocol).await?))
    }
}

impl Deref for S3Emulator {
    type Target = Emulator;

    fn deref(&self) -> &Emulator {
        &self.0
    }
}

/// The service without a look at signatures, for protocols that are S3 in other words.
pub(super) fn unsigned(bucket: Arc<Bucket>) -> S3Service {
    S3ServiceBuilder::new(api::Api::new(bucket)).build()
}

/// The S3 protocol, which `s3s` reads and writes.
struct S3 {
    service: S3Service,
    /// By how much its clock is ahead of ours, if it is.
    ahead: Option<Duration>,
}

impl Protocol for S3 {
    fn kind(&self, method: &Method, key: &str, query: &str, headers: &HeaderMap) -> Kind {
        s3_kind(method, key, query, headers)
    }

    fn root(&self) -> usize {
        1
    }

    fn refuse(&self, status: StatusCode, code: &str) -> Response<Body> {
        refuse(status, code)
    }

    fn call(&self, request: http::Request<Body>) -> BoxFuture<'static, Answer> {
        let (service, ahead) = (self.service.clone(), self.ahead);
        async move {
            let Some(ahead) = ahead else { return Ok(service.call(request).await?) };
            let mut answer = match clock::refusal(&request, ahead) {
                Some(refusal) => refusal,
                None => service.call(request).await?,
            };
            clock::date(&mut answer, ahead);
            Ok(answer)
        }
        .boxed()
    }
}

/// An error as S3 words it.
pub(super) fn refuse(status: StatusCode, code: &str) -> Response<Body> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{code}</Message></Error>"
    );
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/xml"));
    answer
}
