//! The one place that every request to a bucket passes, where they are counted.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::Uri;
use registry_core::RedirectHint;

use super::probe::Probe;
use super::store::{
    Bucket, BucketError, GetRange, KeyPage, Limits, ListKeys, Object, ObjectMeta, Part, Pending,
};

/// What a bucket is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BucketCall {
    /// For an object or part of it.
    Get,
    /// What is known of an object.
    Head,
    /// To write a whole object.
    Put,
    /// To copy an object.
    Copy,
    /// To remove objects.
    Delete,
    /// For names.
    List,
    /// To begin an upload in parts.
    Begin,
    /// To take a part.
    Part,
    /// To take a piece of another object as a part.
    CopyPart,
    /// To make an object of parts.
    Complete,
    /// To give an upload up.
    Abort,
    /// Which parts an upload has.
    Parts,
    /// Which uploads there are.
    Uploads,
    /// For a URL.
    Sign,
}

impl BucketCall {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Get,
        Self::Head,
        Self::Put,
        Self::Copy,
        Self::Delete,
        Self::List,
        Self::Begin,
        Self::Part,
        Self::CopyPart,
        Self::Complete,
        Self::Abort,
        Self::Parts,
        Self::Uploads,
        Self::Sign,
    ];

    /// The name, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Head => "head",
            Self::Put => "put",
            Self::Copy => "copy",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Begin => "begin",
            Self::Part => "part",
            Self::CopyPart => "copypart",
            Self::Complete => "complete",
            Self::Abort => "abort",
            Self::Parts => "parts",
            Self::Uploads => "uploads",
            Self::Sign => "sign",
        }
    }
}

/// How often a bucket was asked something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallCount {
    /// What it was asked.
    pub call: BucketCall,
    /// How often. What is tried again counts once.
    pub calls: u64,
    /// How often it did not do it: refusals and failures, but not that something is absent or exists.
    pub errors: u64,
    /// How many bytes of content went there, or were announced from there.
    pub bytes: u64,
}

#[derive(Debug, Default)]
struct Counter {
    calls: AtomicU64,
    errors: AtomicU64,
    bytes: AtomicU64,
}

/// A bucket whose requests are counted.
#[derive(Debug)]
pub(super) struct Counted {
    bucket: Arc<dyn Bucket>,
    counters: [Counter; BucketCall::ALL.len()],
}

impl Counted {
    pub(super) fn new(bucket: Arc<dyn Bucket>) -> Self {
        Self { bucket, counters: Default::default() }
    }

    pub(super) fn counts(&self) -> Vec<CallCount> {
        let counts = BucketCall::ALL.iter().zip(&self.counters).map(|(&call, counter)| CallCount {
            call,
            calls: counter.calls.load(Ordering::Relaxed),
            errors: counter.errors.load(Ordering::Relaxed),
            bytes: counter.bytes.load(Ordering::Relaxed),
        });
        counts.collect()
    }

    async fn count<T>(
        &self,
        call: BucketCall,
        bytes: u64,
        answer: impl Future<Output = Result<T, BucketError>> + Send,
    ) -> Result<T, BucketError> {
        let Some(counter) = self.counters.get(call as usize) else { return answer.await };
        counter.calls.fetch_add(1, Ordering::Relaxed);
        counter.bytes.fetch_add(bytes, Ordering::Relaxed);
        let answer = answer.await;
        let failed = answer.as_ref().err().is_some_and(|error| {
            !matches!(
                error,
                BucketError::NotFound | BucketError::AlreadyExists | BucketError::InvalidRange { .. }
            )
        });
        counter.errors.fetch_add(u64::from(failed), Ordering::Relaxed);
        answer
    }
}

fn total(content: &[Bytes]) -> u64 {
    content.iter().map(|piece| piece.len() as u64).sum()
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Bucket for Counted {
    fn name(&self) -> &'static str {
        self.bucket.name()
    }

    fn limits(&self) -> &Limits {
        self.bucket.limits()
    }

    async fn get(&self, key: &str, range: Option<GetRange>) -> Result<Object, BucketError> {
        let object = self.count(BucketCall::Get, 0, self.bucket.get(key, range)).await?;
        if let Some(counter) = self.counters.get(BucketCall::Get as usize) {
            counter.bytes.fetch_add(object.range.end - object.range.start, Ordering::Relaxed);
        }
        Ok(object)
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, BucketError> {
        self.count(BucketCall::Head, 0, self.bucket.head(key)).await
    }

    async fn put(&self, key: &str, content: Bytes, create: bool) -> Result<(), BucketError> {
        let bytes = content.len() as u64;
        self.count(BucketCall::Put, bytes, self.bucket.put(key, content, create)).await
    }

    async fn copy(&self, from: &str, to: &str, size: u64) -> Result<(), BucketError> {
        self.count(BucketCall::Copy, 0, self.bucket.copy(from, to, size)).await
    }

    async fn delete(&self, keys: &[String]) -> Result<(), BucketError> {
        self.count(BucketCall::Delete, 0, self.bucket.delete(keys)).await
    }

    async fn list(&self, request: &ListKeys<'_>) -> Result<KeyPage, BucketError> {
        self.count(BucketCall::List, 0, self.bucket.list(request)).await
    }

    async fn begin(&self, key: &str) -> Result<String, BucketError> {
        self.count(BucketCall::Begin, 0, self.bucket.begin(key)).await
    }

    async fn put_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        content: Vec<Bytes>,
    ) -> Result<Part, BucketError> {
        let bytes = total(&content);
        self.count(BucketCall::Part, bytes, self.bucket.put_part(key, upload, number, content)).await
    }

    async fn copy_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        from: &str,
        range: Range<u64>,
    ) -> Result<Option<Part>, BucketError> {
        let answer = self.bucket.copy_part(key, upload, number, from, range);
        self.count(BucketCall::CopyPart, 0, answer).await
    }

    async fn complete(&self, key: &str, upload: &str, parts: &[Part]) -> Result<(), BucketError> {
        self.count(BucketCall::Complete, 0, self.bucket.complete(key, upload, parts)).await
    }

    async fn abort(&self, key: &str, upload: &str) -> Result<(), BucketError> {
        self.count(BucketCall::Abort, 0, self.bucket.abort(key, upload)).await
    }

    async fn parts(&self, key: &str, upload: &str) -> Result<Vec<Part>, BucketError> {
        self.count(BucketCall::Parts, 0, self.bucket.parts(key, upload)).await
    }

    async fn uploads(&self, prefix: &str, after: Option<&Pending>) -> Result<Vec<Pending>, BucketError> {
        self.count(BucketCall::Uploads, 0, self.bucket.uploads(prefix, after)).await
    }

    async fn sign(&self, key: &str, hint: &RedirectHint) -> Result<Option<Uri>, BucketError> {
        self.count(BucketCall::Sign, 0, self.bucket.sign(key, hint)).await
    }
    async fn refuses_damage(&self, key: &str) -> Result<Option<bool>, BucketError> {
        self.bucket.refuses_damage(key).await
    }

    fn learn(&self, found: &Probe) {
        self.bucket.learn(found);
    }
}
