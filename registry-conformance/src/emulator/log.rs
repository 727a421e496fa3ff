//! What was asked of an emulator, in order of arrival.

use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, Method, StatusCode};

/// What a request does. The kinds have the names of S3; a request of another protocol has the kind of that which
/// does the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// GetObject, with or without a range. Azure: Get Blob.
    Get,
    /// HeadObject. Azure: Get Blob Properties.
    Head,
    /// PutObject. Azure: Put Blob.
    Put,
    /// CopyObject. Azure: Copy Blob.
    Copy,
    /// DeleteObject. Azure: Delete Blob.
    Delete,
    /// DeleteObjects: many in one request. Azure: a batch.
    DeleteObjects,
    /// ListObjects and ListObjectsV2. Azure: List Blobs.
    List,
    /// CreateMultipartUpload.
    CreateMultipart,
    /// UploadPart. Azure: Put Block.
    UploadPart,
    /// UploadPartCopy. Azure: Put Block From URL.
    UploadPartCopy,
    /// CompleteMultipartUpload. Azure: Put Block List.
    Complete,
    /// AbortMultipartUpload.
    Abort,
    /// ListParts. Azure: Get Block List.
    ListParts,
    /// ListMultipartUploads. Azure: List Blobs that includes uncommitted ones.
    ListUploads,
    /// HeadBucket, GetBucketLocation and the like.
    Bucket,
    /// Anything else.
    Other,
}

/// A request that an emulator saw.
#[derive(Debug, Clone)]
pub struct Request {
    /// What it does.
    pub kind: Kind,
    /// The method.
    pub method: Method,
    /// The object, without the bucket, decoded; empty where the request is about the bucket.
    pub key: String,
    /// The query as it was sent.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The status of the answer; none while there is no answer, and where it was withheld.
    pub status: Option<StatusCode>,
}

impl Request {
    /// The decoded value of a parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameter(&self.query, name)
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The decoded value of a parameter in a query.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        (found == name).then_some(value)
    })?;
    Some(decode(&value.replace('+', " ")))
}

pub(super) fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The kind of a request of the S3 protocol.
pub(super) fn s3_kind(method: &Method, key: &str, query: &str, headers: &HeaderMap) -> Kind {
    let has = |name| parameter(query, name).is_some();
    let copies = headers.contains_key("x-amz-copy-source") || headers.contains_key("x-goog-copy-source");
    match (method.as_str(), key.is_empty()) {
        ("GET", true) if has("uploads") => Kind::ListUploads,
        ("GET", true) if has("location") => Kind::Bucket,
        ("GET", true) => Kind::List,
        ("POST", true) if has("delete") => Kind::DeleteObjects,
        ("HEAD", true) => Kind::Bucket,
        ("GET", false) if has("uploadId") => Kind::ListParts,
        ("GET", false) => Kind::Get,
        ("HEAD", false) => Kind::Head,
        ("PUT", false) if has("uploadId") && copies => Kind::UploadPartCopy,
        ("PUT", false) if has("uploadId") => Kind::UploadPart,
        ("PUT", false) if copies => Kind::Copy,
        ("PUT", false) => Kind::Put,
        ("POST", false) if has("uploads") => Kind::CreateMultipart,
        ("POST", false) if has("uploadId") => Kind::Complete,
        ("DELETE", false) if has("uploadId") => Kind::Abort,
        ("DELETE", false) => Kind::Delete,
        _ => Kind::Other,
    }
}

/// The requests so far.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// How many were forgotten.
    cleared: usize,
    requests: Vec<Request>,
}

impl Log {
    /// Remembers a request and gives its number.
    pub(super) fn arrived(&self, request: Request) -> usize {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.requests.push(request);
        entries.cleared + entries.requests.len() - 1
    }

    pub(super) fn answered(&self, number: usize, status: StatusCode) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = number.checked_sub(entries.cleared);
        if let Some(request) = index.and_then(|index| entries.requests.get_mut(index)) {
            request.status = Some(status);
        }
    }

    pub(super) fn all(&self) -> Vec<Request> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }

    pub(super) fn clear(&self) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.cleared += entries.requests.len();
        entries.requests.clear();
    }
}
