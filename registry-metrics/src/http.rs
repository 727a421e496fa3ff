//! Requests, counted by a tower layer around the service of the API.

mod body;
mod endpoint;
mod requests;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

pub use self::body::{Received, Sent};
pub(crate) use self::requests::Requests;

use self::endpoint::Endpoint;
use self::requests::Tracked;

/// Puts [`HttpMetrics`] around a service.
#[derive(Debug, Clone)]
pub struct HttpMetricsLayer {
    /// `None` counts nothing.
    requests: Option<Arc<Requests>>,
    /// With a slash at the end.
    prefix: Arc<str>,
}

impl HttpMetricsLayer {
    pub(crate) fn new(requests: Arc<Requests>, prefix: &str) -> Self {
        Self { requests: Some(requests), prefix: format!("{}/", prefix.trim_end_matches('/')).into() }
    }

    fn counted(&self, path: &str) -> Option<(&Arc<Requests>, Endpoint)> {
        let requests = self.requests.as_ref()?;
        Some((requests, Endpoint::of(path, &self.prefix)?))
    }

    /// Counts nothing, for where counting is a matter of configuration.
    pub fn off() -> Self {
        Self { requests: None, prefix: "/".into() }
    }
}

impl<S> Layer<S> for HttpMetricsLayer {
    type Service = HttpMetrics<S>;

    fn layer(&self, inner: S) -> HttpMetrics<S> {
        HttpMetrics { inner, layer: self.clone() }
    }
}

/// Counts requests to the API and their answers; see [`Metrics::http`](crate::Metrics::http).
///
/// A request lasts until the last byte of its answer is on its way, or the client is gone. One whose client
/// went before there was an answer counts with the code 499. Requests for paths that the API does not have are
/// not counted, as in Distribution.
#[derive(Debug, Clone)]
pub struct HttpMetrics<S> {
    inner: S,
    layer: HttpMetricsLayer,
}

impl<S, B, R> Service<Request<B>> for HttpMetrics<S>
where
    S: Service<Request<Received<B>>, Response = Response<R>>,
    B: Body,
    R: Body,
{
    type Response = Response<Sent<R>>;
    type Error = S::Error;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let counted = self.layer.counted(request.uri().path());
        let tracked = counted.map(|(requests, endpoint)| Tracked::begin(requests, endpoint, &request));
        let received = counted.map(|(requests, endpoint)| (Arc::clone(requests), endpoint));
        let request = request.map(|body| Received::new(body, received));
        Answer { inner: self.inner.call(request), tracked }
    }
}

pin_project! {
    /// Waits for the answer to a request.
    #[derive(Debug)]
    pub struct Answer<F> {
        #[pin]
        inner: F,
        tracked: Option<Tracked>,
    }
}

impl<F, R, E> Future for Answer<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<Sent<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        let mut tracked = this.tracked.take();
        if let Some(tracked) = &mut tracked {
            tracked.answered(response.status());
        }
        Poll::Ready(Ok(response.map(|body| Sent::new(body, tracked))))
    }
}

#[cfg(test)]
mod tests;
