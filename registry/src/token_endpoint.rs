//! The token endpoint of an issuer, before the API.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Either};
use http::request::Parts;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Limited};
use registry_auth::issuer::{Issuer, MAX_BODY};
use registry_core::BoxError;
use registry_http::{Body, REQUEST_ID, request_id, request_span};
use tower_service::Service;
use tracing::Instrument;

/// Answers what is for an [`Issuer`], and hands everything else to the service behind it.
///
/// Mount it like that service, where it sees the full path. What it answers is not counted nor logged by the API: the
/// issuer logs a line of its own for each token, with the id of the request and the other fields that lines about
/// requests have.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use registry::TokenEndpoint;
/// use registry::auth::issuer::{IssuedTokens, Issuer, IssuerOptions, PasswordUsers, UserSource};
/// use registry::prelude::*;
///
/// # async fn service() -> Result<TokenEndpoint<RegistryService>, Box<dyn std::error::Error>> {
/// let users = PasswordUsers::open(Some("/etc/registry/htpasswd".into()), &[])?;
/// let mut options = IssuerOptions::default();
/// options.keys = Some("/var/lib/registry-keys".into());
/// let issuer = Issuer::open(options, vec![Arc::new(users) as Arc<dyn UserSource>])?;
/// let registry = Registry::builder(FilesystemDriver::new("/var/lib/registry"))
///     .access_controller(IssuedTokens::new(issuer.clone()))
///     .build()
///     .await?;
/// let service = TokenEndpoint::new(registry.service(HttpOptions::default()), issuer);
/// # Ok(service)
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TokenEndpoint<S> {
    inner: S,
    issuer: Option<Issuer>,
}

impl<S> TokenEndpoint<S> {
    /// Puts the endpoint before `inner`. Without an issuer everything goes through.
    pub fn new(inner: S, issuer: impl Into<Option<Issuer>>) -> Self {
        Self { inner, issuer: issuer.into() }
    }
}

impl<S, B> Service<Request<B>> for TokenEndpoint<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.issuer.as_ref().filter(|issuer| issuer.serves(request.uri().path())) {
            Some(issuer) => {
                let (issuer, (mut parts, body)) = (issuer.clone(), request.into_parts());
                let id = request_id(&parts.headers);
                let span = request_span(&id, &parts);
                // A well-formed id is a value of a header. The issuer tells its audit log the one that counts.
                let id = HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static(""));
                parts.headers.insert(REQUEST_ID, id.clone());
                let answered = async move {
                    let mut response = answer(&issuer, &parts, body).await;
                    response.headers_mut().insert(REQUEST_ID, id);
                    Ok(response)
                };
                Either::Right(answered.instrument(span).boxed())
            }
            None => Either::Left(self.inner.call(request)),
        }
    }
}

async fn answer<B>(issuer: &Issuer, parts: &Parts, body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    let mut read = Vec::new();
    let mut body = std::pin::pin!(Limited::new(body, MAX_BODY));
    while let Some(frame) = body.frame().await {
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) => read.extend_from_slice(&data),
            // Trailers say nothing here.
            Ok(Err(_)) => {}
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                // What the issuer refuses as too large, without the rest.
                read.resize(MAX_BODY + 1, 0);
                break;
            }
            // The client is gone, or sends no body that HTTP knows; nobody reads the answer.
            Err(_) => {
                read.clear();
                break;
            }
        }
    }
    issuer.answer(parts, &read).await.map(Body::from)
}
