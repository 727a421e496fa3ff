//! A service that is a function.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::{HeaderMap, Request, Response};
use object_store::client::{HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService};

use super::http::Refused;

/// What the function is given: the request and its body.
pub(super) type Asked = Request<String>;

/// What it answers.
pub(super) type Said = Response<String>;

/// Answers with what a function says, and remembers what it was asked. What is no success is refused, as by
/// [`Transport`](super::http::Transport).
#[derive(Clone)]
pub(super) struct Played {
    answer: Arc<dyn Fn(&Asked) -> Said + Send + Sync>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Played {
    pub(super) fn new(answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), asked: Arc::default() }
    }

    pub(super) fn client(&self) -> HttpClient {
        HttpClient::new(self.clone())
    }

    /// The requests since this was last called.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// An answer without headers.
pub(super) fn said(status: u16, body: impl Into<String>) -> Said {
    with_headers(status, &[], body)
}

pub(super) fn with_headers(status: u16, headers: &[(&str, &str)], body: impl Into<String>) -> Said {
    let answer = headers
        .iter()
        .fold(Response::builder().status(status), |answer, (name, value)| answer.header(*name, *value));
    answer.body(body.into()).unwrap()
}

#[async_trait]
impl HttpService for Played {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.as_bytes().map(|body| String::from_utf8(body.to_vec()).unwrap());
        let asked = Request::from_parts(parts, body.unwrap_or_default());
        let answer = (self.answer)(&asked);
        self.asked.lock().unwrap().push(asked);
        if answer.status().is_success() {
            return Ok(answer.map(Into::into));
        }
        let code = answer.headers().get("x-ms-error-code").map(|code| code.to_str().unwrap().to_owned());
        let refused = Refused {
            status: answer.status(),
            code: code.unwrap_or_default(),
            message: answer.into_body(),
            region: None,
            headers: HeaderMap::new(),
            repeated: false,
        };
        Err(HttpError::new(HttpErrorKind::Unknown, refused))
    }
}

impl fmt::Debug for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Played")
    }
}
