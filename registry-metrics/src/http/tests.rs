//! What the layer counts of requests, bodies and clients that go away.

use std::convert::Infallible;

use bytes::Bytes;
use futures::executor::block_on;
use http_body_util::{BodyExt, Empty, Full};

use super::*;
use crate::{Metrics, Value};

/// Answers with what came, 201 if that was anything.
#[derive(Clone)]
struct Echo;

impl<B> Service<Request<B>> for Echo
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(async move {
            let body = request.into_body().collect().await?.to_bytes();
            let status = if body.is_empty() { 200 } else { 201 };
            Ok(Response::builder().status(status).body(Full::from(body)).unwrap())
        })
    }
}

fn request(method: &str, path: &str, body: &'static str) -> Request<Full<Bytes>> {
    Request::builder().method(method).uri(path).header("host", "h:1").body(Full::from(body)).unwrap()
}

/// The value of a sample, by its line up to there.
fn value(metrics: &Metrics, sample: &str) -> Option<f64> {
    let text = metrics.text();
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

fn answer(service: &mut HttpMetrics<Echo>, request: Request<Full<Bytes>>) -> Bytes {
    block_on(async { service.call(request).await.unwrap().into_body().collect().await.unwrap().to_bytes() })
}

#[test]
fn a_request_counts_where_its_endpoint_method_and_code_are() {
    let metrics = Metrics::new();
    let mut service = metrics.http("/x/").layer(Echo);
    answer(&mut service, request("GET", "/x/v2/", ""));
    answer(&mut service, request("PUT", "/x/v2/a/manifests/v1", "12345"));
    answer(&mut service, request("brew", "/x/v2/a/manifests/v1", ""));
    for (sample, expected) in [
        ("registry_http_requests_total{code=\"200\",handler=\"base\",method=\"get\"}", 1.0),
        ("registry_http_requests_total{code=\"201\",handler=\"manifest\",method=\"put\"}", 1.0),
        ("registry_http_requests_total{code=\"200\",handler=\"manifest\",method=\"unknown\"}", 1.0),
        ("registry_http_request_duration_seconds_count{handler=\"manifest\",method=\"put\"}", 1.0),
        ("registry_http_response_size_bytes_sum{handler=\"manifest\"}", 5.0),
        ("registry_http_received_bytes_total{handler=\"manifest\"}", 5.0),
        ("registry_http_sent_bytes_total{handler=\"manifest\"}", 5.0),
        // `PUT`, the target, `HTTP/1.1`, the value of `Host`, the body.
        ("registry_http_request_size_bytes_sum{handler=\"base\"}", 3.0 + 6.0 + 8.0 + 3.0),
        ("registry_http_in_flight_requests{handler=\"manifest\"}", 0.0),
    ] {
        assert_eq!(value(&metrics, sample), Some(expected), "{sample}");
    }
}

#[test]
fn requests_that_are_none_of_the_api_do_not_count() {
    let metrics = Metrics::new();
    let mut service = metrics.http("").layer(Echo);
    for path in ["/", "/healthz", "/v1/", "/metrics"] {
        answer(&mut service, request("GET", path, ""));
    }
    assert!(!metrics.text().contains("registry_http_requests_total{"));
}

#[test]
fn a_request_is_in_flight_until_its_answer_is_sent() {
    let metrics = Metrics::new();
    let mut service = metrics.http("").layer(Echo);
    let upload = "registry_uploads_in_flight";
    let in_flight = "registry_http_in_flight_requests{handler=\"blob_upload_chunk\"}";
    let future = service.call(request("PATCH", "/v2/a/blobs/uploads/1", "data"));
    assert_eq!((value(&metrics, upload), value(&metrics, in_flight)), (Some(1.0), Some(1.0)));
    let response = block_on(future).unwrap();
    assert_eq!((value(&metrics, upload), value(&metrics, in_flight)), (Some(1.0), Some(1.0)));
    drop(response);
    assert_eq!((value(&metrics, upload), value(&metrics, in_flight)), (Some(0.0), Some(0.0)));
    // Asking how far an upload has come brings nothing.
    let future = service.call(request("GET", "/v2/a/blobs/uploads/1", ""));
    assert_eq!((value(&metrics, upload), value(&metrics, in_flight)), (Some(0.0), Some(1.0)));
    drop(future);
}

#[test]
fn a_client_that_goes_before_the_answer_is_counted_as_gone() {
    let metrics = Metrics::new();
    let mut service = metrics.http("").layer(Echo);
    drop(service.call(request("GET", "/v2/_catalog", "")));
    let sample = "registry_http_requests_total{code=\"499\",handler=\"catalog\",method=\"get\"}";
    assert_eq!(value(&metrics, sample), Some(1.0));
    assert_eq!(value(&metrics, "registry_http_in_flight_requests{handler=\"catalog\"}"), Some(0.0));
}

#[test]
fn counting_changes_nothing_about_bodies() {
    let metrics = Metrics::new();
    let mut service = metrics.http("").layer(Echo);
    let response = block_on(service.call(request("PUT", "/v2/a/manifests/v1", "body"))).unwrap();
    assert_eq!(response.body().size_hint().exact(), Some(4));
    assert!(!response.body().is_end_stream());
    let body = Received::new(Empty::<Bytes>::new(), None);
    assert!(body.is_end_stream() && body.size_hint().exact() == Some(0));
}

#[test]
fn a_histogram_is_cumulative_and_has_all_buckets() {
    let metrics = Metrics::new();
    let mut service = metrics.http("").layer(Echo);
    answer(&mut service, request("GET", "/v2/", ""));
    let family = metrics.families().into_iter().find(|family| family.name == &crate::names::REQUEST_SECONDS);
    let Value::Histogram { buckets, count, .. } = family.unwrap().samples.remove(0).value else {
        unreachable!()
    };
    assert_eq!((buckets.len(), count), (13, 1));
    assert!(buckets.is_sorted_by_key(|(_, below)| *below));
}
