//! What the driver needs of a bucket, whoever runs it.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::Uri;
use registry_core::{BoxError, ByteStream, RedirectHint, StorageError};

use super::probe::Probe;

/// A bucket: objects under keys, which spell directories with `/` and have none.
///
/// Each method is one request where nothing else is said, tried again as the service asks for it. Methods
/// that write may be repeated: nobody is told that a request failed which may have been done, without it
/// being looked after (a repeated [`complete`](Self::complete) finds the object).
#[async_trait]
pub(crate) trait Bucket: fmt::Debug + Send + Sync + 'static {
    /// The name of the driver.
    fn name(&self) -> &'static str;

    /// What the service can do and how much at once.
    fn limits(&self) -> &Limits;

    /// An object or part of it, opened. A body that breaks off is asked for again from where it broke off,
    /// as long as it is the same object.
    async fn get(&self, key: &str, range: Option<GetRange>) -> Result<Object, BucketError>;

    /// What is known of an object.
    async fn head(&self, key: &str) -> Result<ObjectMeta, BucketError>;

    /// Writes a whole object. With `create`, only where none is: [`BucketError::AlreadyExists`].
    async fn put(&self, key: &str, content: Bytes, create: bool) -> Result<(), BucketError>;

    /// Copies an object of any size within the service, with several requests where one will not do;
    /// `size` is that of the source. Storage class, encryption and access are those of new objects.
    async fn copy(&self, from: &str, to: &str, size: u64) -> Result<(), BucketError>;

    /// Removes objects, any number; those that are not there are removed already.
    async fn delete(&self, keys: &[String]) -> Result<(), BucketError>;

    /// Part of a listing in byte order.
    async fn list(&self, request: &ListKeys<'_>) -> Result<KeyPage, BucketError>;

    /// Begins an upload in parts. Its id, where the service has one.
    async fn begin(&self, key: &str) -> Result<String, BucketError>;

    /// Uploads a part; a part of the same number is replaced.
    async fn put_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        content: Vec<Bytes>,
    ) -> Result<Part, BucketError>;

    /// Uploads a part that is a piece of an object, which does not pass through here. `None` if the service
    /// has no such request.
    async fn copy_part(
        &self,
        _key: &str,
        _upload: &str,
        _number: u32,
        _from: &str,
        _range: Range<u64>,
    ) -> Result<Option<Part>, BucketError> {
        Ok(None)
    }

    /// Makes an object of the parts.
    ///
    /// # Errors
    /// [`BucketError::NoSuchUpload`] if the upload was completed, aborted or never begun;
    /// [`BucketError::PartChanged`] if a part is not the one that is meant.
    async fn complete(&self, key: &str, upload: &str, parts: &[Part]) -> Result<(), BucketError>;

    /// Gives an upload up. One that is gone is no error.
    async fn abort(&self, key: &str, upload: &str) -> Result<(), BucketError>;

    /// The parts of an upload, in order, as the service has them; several requests for many.
    async fn parts(&self, key: &str, upload: &str) -> Result<Vec<Part>, BucketError>;

    /// The uploads whose keys begin with a prefix, and that were neither completed nor aborted. A page in
    /// the order of keys, after the last of the page before.
    async fn uploads(&self, prefix: &str, after: Option<&Pending>) -> Result<Vec<Pending>, BucketError>;

    /// A URL from which a client can fetch the object, or `None`.
    async fn sign(&self, key: &str, hint: &RedirectHint) -> Result<Option<Uri>, BucketError>;

    /// Whether an object with a checksum that is not its own is refused; `None` if that was not tried. An
    /// object that was not refused is there.
    async fn refuses_damage(&self, _key: &str) -> Result<Option<bool>, BucketError> {
        Ok(None)
    }

    /// Goes by what was found out about the service, in place of what its documentation says.
    fn learn(&self, _found: &Probe) {}
}

/// What a service can do and how much at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The least size of a part in bytes, but for the last.
    pub(crate) min_part: u64,
    /// The most parts of an upload.
    pub(crate) max_parts: u32,
    /// The size that parts begin with, in bytes; they grow so that any size fits.
    pub(crate) part: u64,
    /// How many keys a page of a listing has at most.
    pub(crate) page: usize,
    /// Whether uploads and parts can be listed; without that, what is known of them has to be stored.
    pub(crate) lists_uploads: bool,
    /// Whether a listing can begin after any key; without that it is read from its beginning.
    pub(crate) starts_anywhere: bool,
    /// Whether [`Bucket::put`] with `create` is atomic.
    pub(crate) creates: bool,
}

/// Which bytes of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GetRange {
    /// From the first to before the second, cut at the end of the object.
    Bounded(Range<u64>),
    /// From here to the end.
    From(u64),
    /// So many last bytes.
    Suffix(u64),
}

/// An object, opened.
pub(crate) struct Object {
    /// What is known of it.
    pub(crate) meta: ObjectMeta,
    /// Which bytes the body has.
    pub(crate) range: Range<u64>,
    /// The bytes.
    pub(crate) body: ByteStream<StorageError>,
}

/// What is known of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectMeta {
    /// Its length in bytes.
    pub(crate) size: u64,
    /// When it was written.
    pub(crate) modified: SystemTime,
}

/// What is to be listed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListKeys<'a> {
    /// What the keys begin with.
    pub(crate) prefix: &'a str,
    /// Whether keys with a `/` after the prefix are folded to what comes before it.
    pub(crate) fold: bool,
    /// Only keys after this one, folded ones too: `dir/` and everything in it comes after `dir`, and
    /// after a folded `dir/` comes what is not in it.
    pub(crate) after: Option<&'a str>,
    /// At most this many.
    pub(crate) limit: usize,
}

/// Part of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KeyPage {
    /// Keys in byte order; folded ones end in `/` and have no size.
    pub(crate) keys: Vec<Key>,
    /// Whether there may be more.
    pub(crate) more: bool,
}

/// One key of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// The whole key, or the folded one with its `/`.
    pub(crate) key: String,
    /// The length of the object in bytes; `None` for a folded key.
    pub(crate) size: Option<u64>,
}

/// A part of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// From 1.
    pub(crate) number: u32,
    /// In bytes.
    pub(crate) size: u64,
    /// What the service knows it by.
    pub(crate) tag: String,
}

/// An upload that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Where its object would be.
    pub(crate) key: String,
    /// Its id.
    pub(crate) upload: String,
    /// When it was begun.
    pub(crate) initiated: SystemTime,
}

/// What a bucket may say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BucketError {
    /// There is no such object.
    #[error("no such key")]
    NotFound,
    /// There is an object already.
    #[error("the key exists")]
    AlreadyExists,
    /// No byte of the object is in the range.
    #[error("the range lies outside of the object")]
    InvalidRange {
        /// The length of the object in bytes, where the service says it.
        len: Option<u64>,
    },
    /// The upload in parts is not there (any more).
    #[error("no such upload")]
    NoSuchUpload,
    /// A part is not there, or another than was uploaded.
    #[error("a part of the upload was replaced or lost")]
    PartChanged,
    /// The service has no room left.
    #[error("the quota of the bucket is used up")]
    Full(#[source] BoxError),
    /// The service refuses to write, or to do this at all.
    #[error("access denied")]
    Denied(#[source] BoxError),
    /// The service does not answer, or asks for patience, after every try that was allowed.
    #[error("the service is unavailable")]
    Unavailable {
        /// After how long it asked to be tried again.
        retry_after: Option<Duration>,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// Anything else.
    #[error("the request failed")]
    Other(#[source] BoxError),
}
