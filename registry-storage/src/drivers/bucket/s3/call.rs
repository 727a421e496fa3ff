//! One request to S3.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use object_store::PutPayload;
use object_store::client::{HttpRequest, HttpRequestBody, HttpResponse};
use registry_core::BoxError;

use super::S3;
use super::protocol::BodyHash;
use super::sign::hash;
use crate::drivers::bucket::http::{Whole, body};
use crate::drivers::bucket::object::bucket_error;
use crate::drivers::bucket::options::{S3Encryption, S3Options};
use crate::drivers::bucket::store::BucketError;
use crate::drivers::bucket::text::percent;

/// The most of an answer in XML that is read: a thousand keys of a thousand bytes, and what is around them.
const ANSWER_LIMIT: usize = 4 << 20;

/// A request that is being put together.
#[derive(Debug)]
pub(super) struct Call<'a> {
    method: Method,
    key: Option<&'a str>,
    query: String,
    headers: HeaderMap,
    body: Vec<Bytes>,
    may_refuse: bool,
}

impl<'a> Call<'a> {
    /// About an object, or about the bucket.
    pub(super) fn new(method: Method, key: impl Into<Option<&'a str>>) -> Self {
        let (query, headers) = (String::new(), HeaderMap::new());
        Self { method, key: key.into(), query, headers, body: Vec::new(), may_refuse: false }
    }

    pub(super) fn query(mut self, name: &str, value: &str) -> Self {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(&format!("{name}={}", percent(value)));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Result<Self, BucketError> {
        let value = HeaderValue::from_str(value).map_err(|error| BucketError::Other(Box::new(error)))?;
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    pub(super) fn headers(mut self, headers: &HeaderMap) -> Self {
        self.headers.extend(headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        self
    }

    pub(super) fn body(self, body: Vec<Bytes>) -> Self {
        Self { body, ..self }
    }

    /// The answer may begin with 200 before it is known how it ends.
    pub(super) fn error_in_body(self) -> Self {
        Self { may_refuse: true, ..self }
    }
}

impl S3 {
    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&self, call: Call<'_>) -> Result<HttpResponse, BucketError> {
        self.client.execute(self.request(call)?).await.map_err(bucket_error)
    }

    /// The request as it is sent, but for its signature.
    pub(super) fn request(&self, call: Call<'_>) -> Result<HttpRequest, BucketError> {
        let url = self.endpoint.url(&self.endpoint.path(call.key), &call.query);
        let length = call.body.iter().map(Bytes::len).sum::<usize>();
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = url.parse().map_err(|error| BucketError::Other(Box::new(error)))?;
        *request.headers_mut() = call.headers;
        if call.method == Method::PUT || call.method == Method::POST {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        if length > 0 {
            if self.endpoint.is_plain() {
                request.extensions_mut().insert(BodyHash(hash(&call.body)));
            }
            *request.body_mut() = match <[Bytes; 1]>::try_from(call.body) {
                Ok([body]) => body.into(),
                Err(pieces) => PutPayload::from_iter(pieces).into(),
            };
        }
        Ok(request)
    }

    /// Sends a request and reads the answer.
    pub(super) async fn ask(&self, call: Call<'_>) -> Result<Bytes, BucketError> {
        let whole = Whole { limit: ANSWER_LIMIT, may_refuse: call.may_refuse };
        let mut request = self.request(call)?;
        request.extensions_mut().insert(whole);
        let answer = self.client.execute(request).await.map_err(bucket_error)?;
        body(answer, ANSWER_LIMIT).await.map_err(bucket_error)
    }
}

/// What is said of each new object.
///
/// # Errors
/// If an option cannot stand in a header.
pub(super) fn object_headers(options: &S3Options) -> Result<HeaderMap, BoxError> {
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, value: &str| -> Result<(), BoxError> {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        Ok(())
    };
    match &options.encryption {
        S3Encryption::None => {}
        S3Encryption::Service => add("x-amz-server-side-encryption", "AES256")?,
        S3Encryption::Kms(key) => {
            add("x-amz-server-side-encryption", "aws:kms")?;
            add("x-amz-server-side-encryption-aws-kms-key-id", key)?;
        }
    }
    if let Some(class) = &options.storage_class {
        add("x-amz-storage-class", class)?;
    }
    if let Some(acl) = &options.acl {
        add("x-amz-acl", acl)?;
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(headers)
}
