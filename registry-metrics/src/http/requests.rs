//! The numbers about requests.

use std::array;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::header::HOST;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body::Body;

use super::endpoint::Endpoint;
use crate::family::{Family, Sample, Value};
use crate::names::{self, Name};
use crate::number::{BYTES, Counter, Gauge, Histogram, REQUEST_SECONDS};

/// The values of the label `method`, in their order: everything else is unknown, or anybody could make more.
const METHODS: [&str; 11] =
    ["connect", "delete", "get", "head", "notify", "options", "patch", "post", "put", "trace", UNKNOWN];
const UNKNOWN: &str = "unknown";

/// The code for a request that had no answer because its client was gone.
const CLIENT_GONE: u16 = 499;

/// Status codes, as there can be.
const CODES: usize = 600 - 100;

/// Reads one number about an endpoint.
type Read = fn(&PerEndpoint) -> Value;

/// What is counted about all requests.
#[derive(Debug)]
pub(crate) struct Requests {
    endpoints: [PerEndpoint; Endpoint::ALL.len()],
    uploads: Gauge,
}

#[derive(Debug)]
struct PerEndpoint {
    in_flight: Gauge,
    request_bytes: Histogram,
    response_bytes: Histogram,
    received: Counter,
    sent: Counter,
    /// Made when there is the first request of its kind.
    methods: [OnceLock<Box<PerMethod>>; METHODS.len()],
}

#[derive(Debug)]
struct PerMethod {
    seconds: Histogram,
    codes: [Counter; CODES],
}

impl Default for Requests {
    fn default() -> Self {
        let endpoint = |_| PerEndpoint {
            in_flight: Gauge::default(),
            request_bytes: Histogram::new(&BYTES),
            response_bytes: Histogram::new(&BYTES),
            received: Counter::default(),
            sent: Counter::default(),
            methods: Default::default(),
        };
        Self { endpoints: array::from_fn(endpoint), uploads: Gauge::default() }
    }
}

impl Requests {
    fn at(&self, endpoint: Endpoint) -> &PerEndpoint {
        &self.endpoints[endpoint as usize]
    }

    /// Counts bytes of the body of a request.
    pub(super) fn received(&self, endpoint: Endpoint, bytes: u64) {
        self.at(endpoint).received.add(bytes);
    }

    pub(crate) fn read(&self, families: &mut Vec<Family>) {
        let endpoints = || Endpoint::ALL.into_iter().zip(&self.endpoints);
        let per_endpoint = |value: Read| {
            let sample = |(endpoint, numbers): (Endpoint, &PerEndpoint)| {
                Sample::new([("handler", endpoint.handler())], value(numbers))
            };
            endpoints().map(sample).collect::<Vec<_>>()
        };
        let values: [(&'static Name, Read); 5] = [
            (&names::IN_FLIGHT, |numbers| numbers.in_flight.value()),
            (&names::REQUEST_BYTES, |numbers| numbers.request_bytes.value()),
            (&names::RESPONSE_BYTES, |numbers| numbers.response_bytes.value()),
            (&names::RECEIVED, |numbers| numbers.received.value()),
            (&names::SENT, |numbers| numbers.sent.value()),
        ];
        for (name, value) in values {
            families.push(Family { name, samples: per_endpoint(value) });
        }
        let (mut seconds, mut codes) = (Vec::new(), Vec::new());
        for (endpoint, numbers) in endpoints() {
            for (method, numbers) in METHODS.iter().zip(&numbers.methods) {
                let Some(numbers) = numbers.get() else { continue };
                let labels = [("handler", endpoint.handler()), ("method", *method)];
                seconds.push(Sample::new(labels, numbers.seconds.value()));
                for (index, counter) in
                    numbers.codes.iter().enumerate().filter(|(_, counter)| counter.get() > 0)
                {
                    let labels = [
                        ("code", Cow::Owned((index + 100).to_string())),
                        ("handler", endpoint.handler().into()),
                        ("method", (*method).into()),
                    ];
                    codes.push(Sample::new(labels, counter.value()));
                }
            }
        }
        families.push(Family { name: &names::REQUEST_SECONDS, samples: seconds });
        families.push(Family { name: &names::REQUESTS, samples: codes });
        families.push(Family::single(&names::UPLOADS, self.uploads.get() as f64));
    }
}

/// A request that has not ended. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Tracked {
    requests: Arc<Requests>,
    endpoint: Endpoint,
    method: usize,
    uploads: bool,
    started: Instant,
    status: u16,
    sent: u64,
}

impl Tracked {
    pub(super) fn begin<B: Body>(requests: &Arc<Requests>, endpoint: Endpoint, request: &Request<B>) -> Self {
        let numbers = requests.at(endpoint);
        numbers.in_flight.enter();
        numbers.request_bytes.observe(size(request));
        let uploads = endpoint.takes_content() && !request.body().is_end_stream();
        if uploads {
            requests.uploads.enter();
        }
        Self {
            requests: Arc::clone(requests),
            endpoint,
            method: method(request.method()),
            uploads,
            started: Instant::now(),
            status: CLIENT_GONE,
            sent: 0,
        }
    }

    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }

    /// Counts bytes of the body of the answer.
    pub(super) fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
        self.requests.at(self.endpoint).sent.add(bytes);
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let numbers = self.requests.at(self.endpoint);
        let per_method = || {
            Box::new(PerMethod {
                seconds: Histogram::new(&REQUEST_SECONDS),
                codes: array::from_fn(|_| Counter::default()),
            })
        };
        let per_method = numbers.methods[self.method].get_or_init(per_method);
        per_method.seconds.observe_time(self.started.elapsed());
        // The type of status codes knows some up to 999, which nobody sends.
        if let Some(counter) = per_method.codes.get(usize::from(self.status.saturating_sub(100))) {
            counter.add(1);
        }
        numbers.response_bytes.observe(self.sent);
        numbers.in_flight.leave();
        if self.uploads {
            self.requests.uploads.leave();
        }
    }
}

/// The place of a method among [`METHODS`].
fn method(method: &Method) -> usize {
    let unknown = METHODS.len() - 1;
    METHODS[..unknown].iter().position(|name| name.eq_ignore_ascii_case(method.as_str())).unwrap_or(unknown)
}

/// How long a request is, about: its line, its headers, and its body as far as it is announced.
fn size<B: Body>(request: &Request<B>) -> u64 {
    const VERSION: usize = "HTTP/1.1".len();
    let host = usize::from(request.headers().contains_key(HOST)) * HOST.as_str().len();
    let line = request.method().as_str().len() + target(request.uri()) + VERSION;
    let body = request.body().size_hint().exact().unwrap_or(0);
    // As Distribution counts: the value of `Host`, but not its name.
    (line + headers(request.headers()) - host) as u64 + body
}

fn target(uri: &Uri) -> usize {
    uri.path_and_query().map_or(0, |target| target.as_str().len())
}

fn headers(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}
