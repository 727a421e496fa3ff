//! A layer in front of the router.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::extract::ConnectInfo;
use http::Request;
use tower_layer::Layer;
use tower_service::Service;

/// How many requests there were. Clones share the number.
#[derive(Debug, Clone, Default)]
pub struct Count(Arc<AtomicU64>);

impl Count {
    /// The number of requests so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts requests, and puts the address of the client where the registry looks for it.
///
/// axum wraps the address in [`ConnectInfo`]; the registry knows no axum and reads a plain
/// [`SocketAddr`].
#[derive(Debug, Clone)]
pub struct CountRequests {
    count: Count,
}

impl CountRequests {
    /// Counts in `count`.
    pub fn new(count: Count) -> Self {
        Self { count }
    }
}

impl<S> Layer<S> for CountRequests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, count: self.count.clone() }
    }
}

/// A service behind [`CountRequests`].
#[derive(Debug, Clone)]
pub struct Counted<S> {
    inner: S,
    count: Count,
}

impl<S, B> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        self.count.0.fetch_add(1, Ordering::Relaxed);
        if let Some(&ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
            request.extensions_mut().insert(peer);
        }
        self.inner.call(request)
    }
}
