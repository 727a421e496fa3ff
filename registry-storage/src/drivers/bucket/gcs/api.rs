//! Requests that `object_store` does not make.

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use object_store::client::{HttpClient, HttpError, HttpErrorKind, HttpRequestBody};
use serde::Deserialize;

use super::super::http::{Whole, body, refusal, was_repeated};
use super::super::object::bucket_error;
use super::super::pages::{self, Pages};
use super::super::store::{BucketError, Part};
use super::super::text::{is_in_urls, percent, percent_path};

/// The most bytes of a list.
const ANSWER_LIMIT: usize = 16 << 20;

/// Our own requests to a bucket.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) http: HttpClient,
    /// Without a slash at its end.
    pub(super) endpoint: String,
    pub(super) bucket: String,
}

impl Api {
    /// <https://cloud.google.com/storage/docs/xml-api/put-object-upload>
    ///
    /// With `create`, only where there is none.
    pub(super) async fn put(&self, key: &str, content: Bytes, create: bool) -> Result<(), HttpError> {
        let mut request = Request::put(self.url(key)).header(CONTENT_TYPE, "application/octet-stream");
        if create {
            request = request.header("x-goog-if-generation-match", "0");
        }
        self.execute(request, content).await.map(drop)
    }

    /// <https://cloud.google.com/storage/docs/xml-api/post-object-complete>
    ///
    /// Where there is no such upload (any more), the object may have been made of it by a request whose answer
    /// was lost: then it has the size of the parts.
    pub(super) async fn complete(&self, key: &str, upload: &str, parts: &[Part]) -> Result<(), BucketError> {
        let body = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", pages::named(parts));
        let url = format!("{}?uploadId={}", self.url(key), percent(upload));
        let request = Request::post(url).header(CONTENT_TYPE, "application/xml");
        let Err(error) = self.execute(request, Bytes::from(body)).await else { return Ok(()) };
        let repeated = was_repeated(&error);
        match bucket_error(error) {
            BucketError::NoSuchUpload if repeated => {
                let size = parts.iter().map(|part| part.size).sum::<u64>();
                let made = self.length(key).await? == Some(size);
                if made { Ok(()) } else { Err(BucketError::NoSuchUpload) }
            }
            error => Err(error),
        }
    }

    async fn length(&self, key: &str) -> Result<Option<u64>, BucketError> {
        let request = Request::head(self.url(key)).body(HttpRequestBody::empty()).map_err(unmade);
        match self.http.execute(request.map_err(bucket_error)?).await.map_err(bucket_error) {
            Ok(answer) => {
                let length = answer.headers().get(CONTENT_LENGTH);
                Ok(length.and_then(|length| length.to_str().ok()?.parse().ok()))
            }
            Err(BucketError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Copies in one request, if the service can do it in the time that it gives one; otherwise `false`.
    pub(super) async fn copy(&self, from: &str, to: &str) -> Result<bool, BucketError> {
        let source = format!("/{}/{}", percent(&self.bucket), percent_path(from));
        let request = Request::put(self.url(to)).header("x-goog-copy-source", source);
        let Err(error) = self.execute(request, HttpRequestBody::empty()).await else { return Ok(true) };
        if refusal(&error).is_some_and(|refused| refused.status == StatusCode::PAYLOAD_TOO_LARGE) {
            return Ok(false);
        }
        match bucket_error(error) {
            // It also says so with a 503, which no other try would change.
            BucketError::Unavailable { source, .. } if source.to_string().contains("Rewrite") => Ok(false),
            error => Err(error),
        }
    }

    /// Copies in as many requests as it takes
    /// (<https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite>).
    pub(super) async fn rewrite(&self, from: &str, to: &str) -> Result<(), BucketError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Progress {
            done: bool,
            rewrite_token: Option<String>,
        }
        let (bucket, from, to) = (percent(&self.bucket), percent(from), percent(to));
        let url = format!("{}/storage/v1/b/{bucket}/o/{from}/rewriteTo/b/{bucket}/o/{to}", self.endpoint);
        let mut token = String::new();
        loop {
            let answer = self.send(Request::post(format!("{url}{token}"))).await?;
            let progress: Progress =
                serde_json::from_slice(&answer).map_err(|error| BucketError::Other(Box::new(error)))?;
            if progress.done {
                return Ok(());
            }
            let next = progress.rewrite_token.ok_or_else(|| BucketError::Other("no rewriteToken".into()))?;
            token = format!("?rewriteToken={}", percent(&next));
        }
    }

    /// <https://cloud.google.com/storage/docs/xml-api/delete-object>. Nothing there is no error.
    pub(super) async fn delete(&self, key: &str) -> Result<(), BucketError> {
        let url = match is_in_urls(key) {
            true => self.url(key),
            // The JSON interface has the key in one segment
            // (<https://cloud.google.com/storage/docs/json_api/v1/objects/delete>).
            false => format!("{}/storage/v1/b/{}/o/{}", self.endpoint, percent(&self.bucket), percent(key)),
        };
        match self.send(Request::delete(url)).await {
            Err(BucketError::NotFound) => Ok(()),
            other => other.map(drop),
        }
    }

    fn url(&self, key: &str) -> String {
        format!("{}/{}/{}", self.endpoint, percent(&self.bucket), percent_path(key))
    }

    async fn send(&self, request: http::request::Builder) -> Result<Bytes, BucketError> {
        self.execute(request, HttpRequestBody::empty()).await.map_err(bucket_error)
    }

    async fn execute(
        &self,
        request: http::request::Builder,
        content: impl Into<HttpRequestBody>,
    ) -> Result<Bytes, HttpError> {
        let content = content.into();
        // The end of an upload and a rewrite begin to answer before they are done.
        let completes = request.method_ref() == Some(&Method::POST);
        let request = match request.method_ref() {
            Some(&Method::PUT | &Method::POST) => request.header(CONTENT_LENGTH, content.content_length()),
            _ => request,
        };
        let whole = Whole { limit: ANSWER_LIMIT, may_refuse: completes };
        let request = request.extension(whole).body(content).map_err(unmade)?;
        body(self.http.execute(request).await?, ANSWER_LIMIT).await
    }
}

#[async_trait]
impl Pages for Api {
    async fn page(&self, key: Option<&str>, query: &[(&str, &str)]) -> Result<Bytes, BucketError> {
        let url =
            key.map_or_else(|| format!("{}/{}", self.endpoint, percent(&self.bucket)), |key| self.url(key));
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect();
        self.send(Request::get(format!("{url}?{}", query.join("&")))).await
    }
}

fn unmade(error: http::Error) -> HttpError {
    HttpError::new(HttpErrorKind::Decode, error)
}
