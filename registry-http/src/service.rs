//! The service: parse, authorize, dispatch, render.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, request::Parts};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use registry_core::access::Access;
use registry_core::{
    AccessController, AuthRequest, BoxError, Error, ErrorCode, Grant, Namespace, Repository, RequestContext,
};
use tower_service::Service;
use tracing::Instrument;

use crate::access::{accesses, refusal};
use crate::audit::{Audit, Refused};
use crate::body::Body;
use crate::error::{Failure, error_response, method_not_allowed, options};
use crate::handlers;
use crate::headers::{API_VERSION, REGISTRY_2_0, value};
use crate::options::HttpOptions;
use crate::request_log::{self, REQUEST_ID, RequestLog};
use crate::route::{Route, RouteError};
use crate::state::Signer;

/// The body of a request, whatever the server calls it.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, BoxError>;

/// The registry's HTTP API.
///
/// Cheap to clone, always ready, and never fails: its error is [`Infallible`]. It reads of the
/// request's extensions only a [`SocketAddr`], the address of the client, and hands all of them to the
/// access controller. A body that fails with [`TimedOut`](std::io::ErrorKind::TimedOut) among its causes is
/// answered with 408; any other failure means that the client is gone.
#[derive(Debug, Clone)]
pub struct RegistryService {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) namespace: Arc<dyn Namespace>,
    pub(crate) access: Arc<dyn AccessController>,
    pub(crate) options: HttpOptions,
    pub(crate) signer: Signer,
}

/// One request on its way through a handler.
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) context: Arc<RequestContext>,
    pub(crate) parts: Parts,
    /// The optional accesses that were granted.
    pub(crate) granted: Vec<Access>,
}

impl Call {
    pub(crate) async fn repository(
        &self,
        name: &registry_core::RepositoryName,
    ) -> Result<Arc<dyn Repository>, Error> {
        self.shared.namespace.repository(&self.context, name).await
    }

    /// A URL of the API for `Location`.
    pub(crate) fn location(&self, route: &Route) -> HeaderValue {
        let base = self.shared.options.locations.base(&self.parts, &self.shared.options.prefix);
        crate::headers::value(base + &route.build())
    }

    pub(crate) fn is_head(&self) -> bool {
        self.parts.method == Method::HEAD
    }
}

impl RegistryService {
    /// The API over a namespace, guarded by a controller.
    pub fn new(
        namespace: Arc<dyn Namespace>,
        access: Arc<dyn AccessController>,
        options: HttpOptions,
    ) -> Self {
        let signer = Signer::new(options.secret.as_deref());
        Self { shared: Arc::new(Shared { namespace, access, options, signer }) }
    }
}

impl<B> Service<Request<B>> for RegistryService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        let (parts, body) = request.into_parts();
        let body = body.map_err(Into::into).boxed_unsync();
        let started = Instant::now();
        let request_id = request_log::request_id(&parts.headers);
        let span = request_log::span(&request_id, &parts);
        let log_span = span.clone();
        let (method, probe) = (parts.method.clone(), parts.uri.path() == "/");
        let head = method == Method::HEAD;
        async move {
            let id_header = value(&request_id);
            let mut response = shared.respond(request_id, parts, body).await;
            response.headers_mut().insert(REQUEST_ID, id_header);
            RequestLog::attach(&log_span, started, &method, probe, &mut response);
            if head {
                // The headers are those of a GET, the length included.
                *response.body_mut() = Body::empty();
            }
            Ok(response)
        }
        .instrument(span)
        .boxed()
    }
}

impl Shared {
    async fn respond(self: Arc<Self>, request_id: String, parts: Parts, body: RequestBody) -> Response<Body> {
        let path = parts.uri.path();
        if path == "/" {
            return alive();
        }
        let routed = match path.strip_prefix(self.options.prefix.as_str()) {
            Some(path) => Route::parse(&parts.method, path, parts.uri.query(), self.options.read_only),
            None => Err(RouteError::NotFound),
        };
        let mut response = match routed {
            Ok(route) => Arc::clone(&self).serve(route, request_id, parts, body).await,
            Err(RouteError::NotFound) => error_response(&Error::coded(ErrorCode::PATH_UNKNOWN)),
            Err(RouteError::Invalid(error)) => error_response(&error),
            Err(RouteError::Method(allow)) => method_not_allowed(allow),
            Err(RouteError::Options(allow)) => options(allow),
        };
        let headers = response.headers_mut();
        headers.insert(API_VERSION, REGISTRY_2_0);
        for (name, value) in &self.options.headers {
            headers.append(name, value.clone());
        }
        response
    }

    async fn serve(
        self: Arc<Self>,
        route: Route,
        request_id: String,
        parts: Parts,
        body: RequestBody,
    ) -> Response<Body> {
        request_log::record_route(&route);
        let (required, optional) = accesses(&route);
        let access = Arc::clone(&self.access);
        let asked = AuthRequest::new(&parts, &required, &optional);
        let grant = match access.authorize(&asked).await {
            Ok(grant) => grant,
            Err(error) => {
                // Before the error is taken apart: the log wants to know more than the client is told.
                let refused = self.options.audit.as_deref().map(|sink| (sink, Refused::new(&error)));
                let response = refusal(error, &required, &optional);
                if let Some((sink, refused)) = refused {
                    refused.record(sink, &route, &request_id, &parts, &response);
                }
                return response;
            }
        };
        if let Some(principal) = &grant.principal {
            request_log::record_user(&principal.name);
        }
        let (mut context, granted) = request_context(request_id, &parts, grant);
        context.url_base = Some(self.options.locations.base(&parts, &self.options.prefix));
        let context = Arc::new(context);
        let audit = self.options.audit.as_ref().map(|sink| Audit::begin(sink, &route, &context, &parts));
        let call = Call { shared: self, context, parts, granted };
        let response = match handlers::dispatch(call, route, body).await {
            Ok(response) => response,
            Err(Failure { error, headers }) => {
                let mut response = error_response(&error);
                response.headers_mut().extend(headers);
                response
            }
        };
        if let Some(audit) = audit {
            audit.answered(&response);
        }
        response
    }
}

/// The context of an authorized request, and which of its optional accesses were granted. For routes of an
/// embedder's own too, which then use the namespace as the API does.
///
/// The address of the client is the [`SocketAddr`] among the extensions of the request, if there is one.
pub fn request_context(
    request_id: impl Into<String>,
    parts: &Parts,
    grant: Grant,
) -> (RequestContext, Vec<Access>) {
    let Grant { principal, optional, visible, extensions, .. } = grant;
    let context = observed(request_id, parts)
        .with_principal(principal)
        .with_visible(visible)
        .with_extensions(extensions);
    (context, optional)
}

/// What a request says about itself, whoever sent it.
pub(crate) fn observed(request_id: impl Into<String>, parts: &Parts) -> RequestContext {
    let mut context = RequestContext::new(request_id);
    // An IPv4 address as such, also where a socket for both families took the connection.
    context.client_addr = parts.extensions.get::<SocketAddr>().map(|peer| peer.ip().to_canonical());
    context.peer = parts.extensions.get::<SocketAddr>().copied();
    context.claimed_addr = claimed_addr(&parts.headers);
    context.method = Some(parts.method.clone());
    let host = parts.uri.authority().map(|authority| authority.as_str());
    let host = host.or_else(|| parts.headers.get(HOST)?.to_str().ok());
    context.host = host.map(str::to_owned);
    let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    context.user_agent = agent.map(str::to_owned);
    context
}

/// Who the client is according to the proxies before us: the first address of `X-Forwarded-For`, or else
/// `X-Real-Ip`, if it is one.
fn claimed_addr(headers: &HeaderMap) -> Option<IpAddr> {
    let address = |name: &str| {
        let text = headers.get(name)?.to_str().ok()?;
        text.split(',').next()?.trim().parse().ok()
    };
    address("x-forwarded-for").or_else(|| address("x-real-ip"))
}

/// What Distribution answers to `/`: load balancers ask for it.
fn alive() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}
