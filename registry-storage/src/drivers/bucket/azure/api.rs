//! Requests that `object_store` does not make, or not as they are needed.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use object_store::client::{HttpClient, HttpError, HttpErrorKind, HttpRequestBody, HttpResponseBody};

use super::super::http::{Whole, body};
use super::super::text::{percent, percent_path};

/// The most bytes of a list: 50,000 blocks, or 5,000 blobs with all that is known of them.
const ANSWER_LIMIT: usize = 32 << 20;

/// Our own requests to a container.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) http: HttpClient,
    /// Where the account is, without a slash at its end.
    pub(super) service: String,
    pub(super) container: String,
}

/// An answer that was read to its end.
pub(super) type Answer = Response<Bytes>;

impl Api {
    /// A blob.
    pub(super) fn url(&self, key: &str) -> String {
        format!("{}/{}", self.container(), percent_path(key))
    }

    /// The container.
    pub(super) fn container(&self) -> String {
        format!("{}/{}", self.service, percent(&self.container))
    }

    /// Sends a request and reads what comes back.
    pub(super) async fn send(
        &self,
        request: http::request::Builder,
        content: impl Into<HttpRequestBody>,
    ) -> Result<Answer, HttpError> {
        let content = content.into();
        let broken = |error| HttpError::new(HttpErrorKind::Decode, error);
        let request = request.header(CONTENT_LENGTH, content.content_length());
        let request = request.extension(Whole { limit: ANSWER_LIMIT, may_refuse: false });
        let answer = self.http.execute(request.body(content).map_err(broken)?).await?;
        let (parts, content) = answer.into_parts();
        let content: HttpResponseBody = content;
        let read = body(Response::new(content), ANSWER_LIMIT).await?;
        Ok(Response::from_parts(parts, read))
    }

    /// The same without a body.
    pub(super) async fn ask(&self, request: http::request::Builder) -> Result<Answer, HttpError> {
        self.send(request, HttpRequestBody::empty()).await
    }

    /// A request for a blob.
    pub(super) fn request(&self, method: http::Method, key: &str, query: &str) -> http::request::Builder {
        let url = self.url(key);
        Request::builder().method(method).uri(if query.is_empty() { url } else { format!("{url}?{query}") })
    }
}
