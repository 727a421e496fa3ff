//! Requests that `object_store` does not make.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use object_store::client::{HttpClient, HttpError, HttpErrorKind, HttpRequestBody};
use serde::Deserialize;

use super::super::http::{ErrorInBody, body, refusal, was_repeated};
use super::super::multipart::{Parts, Uploads};
use super::super::object::bucket_error;
use super::super::store::{BucketError, Part, Pending};
use super::super::text::{percent, percent_path};
use super::super::xml;

/// The most bytes of a list.
const ANSWER_LIMIT: usize = 16 << 20;
/// How much of a list is asked for at once.
const PAGE: &str = "1000";

/// Our own requests to a bucket.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) http: HttpClient,
    /// Without a slash at its end.
    pub(super) endpoint: String,
    pub(super) bucket: String,
}

impl Api {
    /// <https://cloud.google.com/storage/docs/xml-api/get-bucket-uploads>
    pub(super) async fn uploads(
        &self,
        prefix: &str,
        after: Option<&Pending>,
    ) -> Result<Vec<Pending>, BucketError> {
        let mut query = format!("uploads=&prefix={}&max-uploads={PAGE}", percent(prefix));
        if let Some(after) = after {
            let (key, upload) = (percent(&after.key), percent(&after.upload));
            query.push_str(&format!("&key-marker={key}&upload-id-marker={upload}"));
        }
        let url = format!("{}/{}?{query}", self.endpoint, percent(&self.bucket));
        Ok(Uploads::parse(&self.send(Request::get(url)).await?)?.0)
    }

    /// <https://cloud.google.com/storage/docs/xml-api/get-object-multipart>
    pub(super) async fn parts(&self, key: &str, upload: &str) -> Result<Vec<Part>, BucketError> {
        let mut all = Vec::new();
        let mut marker = String::new();
        loop {
            let query = format!("uploadId={}&max-parts={PAGE}{marker}", percent(upload));
            let answer = self.send(Request::get(format!("{}?{query}", self.url(key)))).await?;
            let (parts, next) = Parts::parse(&answer)?;
            all.extend(parts);
            let Some(next) = next else { return Ok(all) };
            marker = format!("&part-number-marker={}", percent(&next));
        }
    }

    /// <https://cloud.google.com/storage/docs/xml-api/put-object-upload>
    pub(super) async fn put(&self, key: &str, content: Bytes, create: bool) -> Result<(), BucketError> {
        let mut request = Request::put(self.url(key)).header(CONTENT_TYPE, "application/octet-stream");
        if create {
            request = request.header("x-goog-if-generation-match", "0");
        }
        let Err(error) = self.execute(request, content.clone()).await else { return Ok(()) };
        let repeated = create && was_repeated(&error);
        match bucket_error(error) {
            // What is there may be what a try before has written.
            BucketError::AlreadyExists if repeated && self.is_written(key, &content).await? => Ok(()),
            error => Err(error),
        }
    }

    async fn is_written(&self, key: &str, content: &Bytes) -> Result<bool, BucketError> {
        match self.send(Request::get(self.url(key))).await {
            Ok(found) => Ok(found == *content),
            Err(BucketError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// <https://cloud.google.com/storage/docs/xml-api/post-object-complete>
    ///
    /// Where there is no such upload (any more), the object may have been made of it by a request whose answer
    /// was lost: then it has the size of the parts.
    pub(super) async fn complete(&self, key: &str, upload: &str, parts: &[Part]) -> Result<(), BucketError> {
        let parts_in_xml = parts.iter().map(|part| {
            let (number, tag) = (part.number, xml::escape(&part.tag));
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>")
        });
        let body = format!(
            "<CompleteMultipartUpload>{}</CompleteMultipartUpload>",
            parts_in_xml.collect::<String>()
        );
        let url = format!("{}?uploadId={}", self.url(key), percent(upload));
        let request = Request::post(url).header(CONTENT_TYPE, "application/xml").extension(ErrorInBody);
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
        match self.send(Request::delete(self.url(key))).await {
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
        let request = match request.method_ref() {
            Some(&Method::PUT | &Method::POST) => request.header(CONTENT_LENGTH, content.content_length()),
            _ => request,
        };
        body(self.http.execute(request.body(content).map_err(unmade)?).await?, ANSWER_LIMIT).await
    }
}

fn unmade(error: http::Error) -> HttpError {
    HttpError::new(HttpErrorKind::Decode, error)
}
