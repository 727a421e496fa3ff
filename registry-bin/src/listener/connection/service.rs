//! The service as one connection sees it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{EXPECT, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use registry::core::ClientCertificate;
use tracing::debug;

use crate::listener::intake::Intake;
use crate::listener::outgoing::{Answer, Outgoing};
use crate::listener::traffic::{Traffic, UnderWay};
use crate::listener::transport::Protocol;

/// Puts the peer's address into the extensions of every request, as a [`SocketAddr`], and its [`ClientCertificate`],
/// says in its URI whether it came over TLS, and watches over the bodies.
#[derive(Clone)]
pub(super) struct OneClient<S> {
    pub(super) inner: S,
    pub(super) peer: Option<SocketAddr>,
    pub(super) certificate: Option<ClientCertificate>,
    pub(super) secure: bool,
    /// How long the body of a request may stand still.
    pub(super) body: Duration,
    pub(super) protocol: Protocol,
    pub(super) traffic: Arc<Traffic>,
}

impl<S, B> tower_service::Service<Request<Incoming>> for OneClient<S>
where
    S: tower_service::Service<Request<Intake>, Response = Response<B>, Error = Infallible>,
{
    type Response = Response<Outgoing<B>>;
    type Error = Infallible;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The request is here already and waits for its turn.
        self.traffic.asked();
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        self.traffic.taken();
        let under_way = UnderWay::new(&self.traffic);
        let (mut parts, body) = request.into_parts();
        if is_coded(&parts) {
            debug!("a request is refused: its body comes in a transfer coding besides chunked");
            return Answer::refusal(under_way);
        }
        if let Some(peer) = self.peer {
            parts.extensions.insert(peer);
        }
        if let Some(certificate) = &self.certificate {
            parts.extensions.insert(certificate.clone());
        }
        if self.secure {
            say_https(&mut parts);
        }
        let expects = parts.headers.contains_key(EXPECT);
        let (body, rest) = Intake::new(body, self.body, &self.traffic);
        // With HTTP/2 what is left of a body concerns its stream and not the connection.
        let rest = rest.filter(|_| self.protocol == Protocol::Http1);
        Answer::new(self.inner.call(Request::from_parts(parts, body)), rest, expects, under_way)
    }
}

/// Whether the body was changed on its way by anything but chunks, which is undone already.
fn is_coded(parts: &Parts) -> bool {
    let mut codings = parts.headers.get_all(TRANSFER_ENCODING).iter();
    codings.next().is_some_and(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
        || codings.next().is_some()
}

/// Generated URLs begin as the request's does.
fn say_https(parts: &mut Parts) {
    let host = || parts.headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let Some(authority) = parts.uri.authority().cloned().or_else(host) else { return };
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.scheme = Some(Scheme::HTTPS);
    uri.authority = Some(authority);
    let path = uri.path_and_query.take();
    uri.path_and_query = path.clone();
    parts.uri = Uri::from_parts(uri).unwrap_or_else(|_| path.map(Uri::from).unwrap_or_default());
}
