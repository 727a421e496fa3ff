//! What is answered before the API is asked: probes, and 503 while a check fails.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::Health;

/// What Distribution answers to every request while a check fails.
const UNHEALTHY: &str = concat!(
    r#"{"errors":[{"code":"UNAVAILABLE","message":"service unavailable","#,
    r#""detail":"health check failed: please see /debug/health"}]}"#,
    "\n"
);

/// Stands before the API. Cheap while all is well: a request compares its path and reads a number.
#[derive(Debug, Clone)]
pub(crate) struct Gate<S> {
    inner: S,
    health: Health,
}

impl<S> Gate<S> {
    pub(crate) fn new(inner: S, health: Health) -> Self {
        Self { inner, health }
    }
}

impl<S, B, R> Service<Request<B>> for Gate<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes>,
{
    type Response = Response<Either<R, Full<Bytes>>>;
    type Error = Infallible;
    type Future = Passage<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match answer(&self.health, request.method(), request.uri().path()) {
            Some(response) => Passage::Answered { response: Some(response) },
            None => Passage::Through { inner: self.inner.call(request) },
        }
    }
}

fn answer(health: &Health, method: &Method, path: &str) -> Option<Response<Full<Bytes>>> {
    if let Some(response) = readiness(health, method, path) {
        return Some(response);
    }
    if health.is_good() {
        return None;
    }
    let mut response = text(method, StatusCode::SERVICE_UNAVAILABLE, UNHEALTHY);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Some(response)
}

/// The answer to a probe: `/healthz` says whether the process lives, `/readyz` whether requests should be sent to
/// it. `None` for any other path.
pub(crate) fn readiness(health: &Health, method: &Method, path: &str) -> Option<Response<Full<Bytes>>> {
    let (status, said) = match path {
        "/healthz" => (StatusCode::OK, "ok\n"),
        "/readyz" if health.is_draining() => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        // Not which one: anybody may ask here.
        "/readyz" if !health.is_good() => {
            (StatusCode::SERVICE_UNAVAILABLE, "a health check fails, see /debug/health\n")
        }
        "/readyz" if !health.store_answers() => {
            (StatusCode::SERVICE_UNAVAILABLE, "the storage does not answer\n")
        }
        "/readyz" => (StatusCode::OK, "ok\n"),
        _ => return None,
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = text(method, StatusCode::METHOD_NOT_ALLOWED, "");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(response);
    }
    let mut response = text(method, status, said);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Some(response)
}

fn text(method: &Method, status: StatusCode, said: &'static str) -> Response<Full<Bytes>> {
    let length = said.len().into();
    let said = if *method == Method::HEAD { "" } else { said };
    let mut response = Response::new(Full::from(said));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, length);
    response
}

pin_project! {
    /// An answer that is at hand, or that of the API.
    #[project = PassageState]
    pub(crate) enum Passage<F> {
        Answered { response: Option<Response<Full<Bytes>>> },
        Through {
            #[pin]
            inner: F,
        },
    }
}

impl<F, R> Future for Passage<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<Either<R, Full<Bytes>>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project() {
            // A future that is polled after its end has no answer left.
            PassageState::Answered { response } => Ok(response.take().unwrap_or_default().map(Either::Right)),
            PassageState::Through { inner } => Ok(ready!(inner.poll(cx))?.map(Either::Left)),
        })
    }
}
