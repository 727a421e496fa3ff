//! Finds out at start what a bucket can do, and whether it is there at all.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use http::StatusCode;
use registry_core::BoxError;
use uuid::Uuid;

use super::http::{Refused, describe};
use super::store::{Bucket, BucketError, GetRange, ListKeys};

/// The longest that it takes, and the longest that it cleans up after itself.
const TIME: Duration = Duration::from_secs(30);
const CLEANING: Duration = Duration::from_secs(10);
/// Where it writes, below the root of the store.
const PLACE: &str = ".registry-probe";
const CONTENT: &[u8] = b"written by a registry at its start, and removed again";

/// What a bucket can do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// Whether an object can be written on condition that there is none. Without that two replicas may both
    /// believe that they were first.
    pub conditional_put: bool,
    /// Whether a listing has what was written just before, and not what was removed.
    pub strong_listing: bool,
    /// Whether part of an object can be read.
    pub range: bool,
    /// Whether an upload can have parts that are copied within the service. `None` where no such request is
    /// needed, because a copy has no limit.
    pub multipart_copy: Option<bool>,
    /// Whether uploads that have not ended can be listed, and their parts.
    pub lists_uploads: bool,
    /// Whether content that is not that of its checksum is refused. `None` where it was not tried.
    pub checksum: Option<bool>,
}

impl Probe {
    /// Whether several replicas can safely write to this bucket.
    pub fn is_safe_for_replicas(&self) -> bool {
        self.conditional_put && self.strong_listing
    }

    /// What it means for a store, a line for each finding.
    pub fn describe(&self) -> Vec<String> {
        let line = |name: &str, can: bool, good: &str, bad: &str| {
            format!("{name}: {}", if can { format!("yes; {good}") } else { format!("NO; {bad}") })
        };
        let mut lines = vec![
            line(
                "conditional put",
                self.conditional_put,
                "replicas cannot overtake each other",
                "run one replica only, two could both believe that they were first",
            ),
            line(
                "strong listing",
                self.strong_listing,
                "what is written is listed at once",
                "run one replica only; lists of tags and repositories may lag behind",
            ),
            line(
                "ranges",
                self.range,
                "part of a blob is read as such",
                "downloads cannot be resumed, and one that breaks off fails",
            ),
            line(
                "list uploads",
                self.lists_uploads,
                "uploads that were left behind are found and aborted",
                "set a lifecycle rule that aborts incomplete multipart uploads",
            ),
        ];
        if let Some(copies) = self.multipart_copy {
            lines.push(line(
                "multipart copy",
                copies,
                "uploads of any size are moved within the service",
                "what is uploaded in several chunks cannot be larger than 5 GiB",
            ));
        }
        if let Some(checks) = self.checksum {
            let bad = "content that was damaged on its way is only found by its digest";
            lines.push(line("checksums", checks, "damaged content is refused", bad));
        }
        lines
    }
}

/// Why a bucket cannot be used as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// It can be read, and not written.
    #[error("the bucket can be read and not written: {0}")]
    ReadOnly(String),
    /// We are nobody there, or may do nothing.
    #[error("the service refuses access: {0}")]
    Denied(String),
    /// There is no such bucket.
    #[error("there is no such bucket: {0}")]
    NoBucket(String),
    /// It is in another region.
    #[error("the bucket is in another region: set region to {region}")]
    WrongRegion {
        /// Where it is.
        region: String,
    },
    /// Nobody answers.
    #[error("the service cannot be reached: {0}")]
    Unreachable(String),
    /// Something else went wrong.
    #[error("{step} failed: {reason}")]
    Failed {
        /// What was being tried.
        step: &'static str,
        /// What was said.
        reason: String,
    },
}

/// Tries everything in a place of its own, which is empty afterwards. `root` is what all keys begin with.
pub(super) async fn probe(bucket: &dyn Bucket, root: &str) -> Result<Probe, ProbeError> {
    let root = root.trim_matches('/');
    let slash = if root.is_empty() { "" } else { "/" };
    let place = format!("{root}{slash}{PLACE}/{}/", Uuid::new_v4());
    let timed_out = || ProbeError::Unreachable(format!("no end after {} s", TIME.as_secs()));
    let found = tokio::time::timeout(TIME, tried(bucket, &place)).await.unwrap_or_else(|_| Err(timed_out()));
    // Nothing is there that could not be written.
    if !matches!(
        found,
        Err(ProbeError::ReadOnly(_) | ProbeError::NoBucket(_) | ProbeError::WrongRegion { .. })
    ) {
        let cleaned = tokio::time::timeout(CLEANING, clean(bucket, &place)).await;
        if let Ok(Err(error)) = cleaned
            && found.is_ok()
        {
            return Err(failed("delete")(error));
        }
    }
    found
}

async fn tried(bucket: &dyn Bucket, place: &str) -> Result<Probe, ProbeError> {
    let key = |name: &str| format!("{place}{name}");
    let content = Bytes::from_static(CONTENT);
    let whole = content.len() as u64;
    let source = key("object");
    if let Err(error) = bucket.put(&source, content.clone(), false).await {
        return Err(not_written(bucket, place, error).await);
    }
    let size = bucket.head(&source).await.map_err(failed("head"))?.size;
    if size != whole {
        let reason = format!("an object of {whole} bytes is said to have {size}");
        return Err(ProbeError::Failed { step: "head", reason });
    }
    let range = match bucket.get(&source, Some(GetRange::Bounded(3..7))).await {
        Ok(object) => {
            let read = object.body.try_collect::<Vec<Bytes>>().await;
            read.is_ok_and(|read| read.concat() == CONTENT[3..7])
        }
        Err(BucketError::Other(_)) => false,
        Err(error) => return Err(failed("get")(error)),
    };
    let conditional_put = condition(bucket, &key("condition"), &content).await?;
    let multipart = parts(bucket, place, &source, &content).await?;
    let checksum = bucket.refuses_damage(&key("damaged")).await.map_err(failed("put with a checksum"))?;
    let listed = |keys: Vec<String>, key: &str| keys.iter().any(|found| found == key);
    let before = listed(list(bucket, place).await.map_err(failed("list"))?, &source);
    bucket.delete(std::slice::from_ref(&source)).await.map_err(failed("delete"))?;
    let after = listed(list(bucket, place).await.map_err(failed("list"))?, &source);
    let strong_listing = before && !after;
    let Parts { multipart_copy, lists_uploads } = multipart;
    Ok(Probe { conditional_put, strong_listing, range, multipart_copy, lists_uploads, checksum })
}

/// Why nothing could be written.
async fn not_written(bucket: &dyn Bucket, place: &str, error: BucketError) -> ProbeError {
    let error = failed("put")(error);
    let ProbeError::Denied(reason) = error else { return error };
    match list(bucket, place).await {
        Ok(_) => ProbeError::ReadOnly(reason),
        Err(_) => ProbeError::Denied(reason),
    }
}

/// Whether the second of two who may only write where nothing is finds out that he is.
async fn condition(bucket: &dyn Bucket, key: &str, content: &Bytes) -> Result<bool, ProbeError> {
    match bucket.put(key, content.clone(), true).await {
        Ok(()) => {}
        // Such as 501: it does not know the condition, and says so.
        Err(BucketError::Other(_)) => return Ok(false),
        Err(error) => return Err(failed("conditional put")(error)),
    }
    match bucket.put(key, Bytes::from_static(b"another"), true).await {
        Ok(()) => Ok(false),
        Err(BucketError::AlreadyExists) => Ok(true),
        Err(error) => Err(failed("conditional put")(error)),
    }
}

struct Parts {
    multipart_copy: Option<bool>,
    lists_uploads: bool,
}

async fn parts(bucket: &dyn Bucket, place: &str, source: &str, content: &Bytes) -> Result<Parts, ProbeError> {
    let key = format!("{place}parts");
    let step = "multipart upload";
    let upload = bucket.begin(&key).await.map_err(failed(step))?;
    let whole = content.len() as u64;
    let part = bucket.put_part(&key, &upload, 1, vec![content.clone()]).await.map_err(failed(step))?;
    let listed = match (bucket.uploads(&key, None).await, bucket.parts(&key, &upload).await) {
        (Ok(uploads), Ok(parts)) => {
            uploads.iter().any(|pending| pending.upload == upload) && parts.len() == 1
        }
        (Err(error @ BucketError::Unavailable { .. }), _)
        | (_, Err(error @ BucketError::Unavailable { .. })) => {
            return Err(failed("list uploads")(error));
        }
        _ => false,
    };
    let (multipart_copy, part) = match bucket.copy_part(&key, &upload, 1, source, 0..whole).await {
        Ok(Some(copied)) => (Some(true), copied),
        Ok(None) => (None, part),
        Err(error @ BucketError::Unavailable { .. }) => return Err(failed("multipart copy")(error)),
        Err(_) => (Some(false), part),
    };
    bucket.complete(&key, &upload, &[part]).await.map_err(failed(step))?;
    let made = bucket.head(&key).await.map_err(failed(step))?.size;
    if made != whole {
        let reason = format!("an object of {whole} bytes in one part has {made}");
        return Err(ProbeError::Failed { step, reason });
    }
    Ok(Parts { multipart_copy, lists_uploads: listed && bucket.limits().lists_uploads })
}

async fn list(bucket: &dyn Bucket, place: &str) -> Result<Vec<String>, BucketError> {
    let page = bucket.list(&ListKeys { prefix: place, fold: false, after: None, limit: 100 }).await?;
    Ok(page.keys.into_iter().map(|key| key.key).collect())
}

/// Removes everything, listed or not.
async fn clean(bucket: &dyn Bucket, place: &str) -> Result<(), BucketError> {
    let mut keys: Vec<String> =
        ["object", "condition", "parts", "damaged"].iter().map(|name| format!("{place}{name}")).collect();
    keys.extend(list(bucket, place).await.unwrap_or_default());
    keys.sort_unstable();
    keys.dedup();
    bucket.delete(&keys).await?;
    if bucket.limits().lists_uploads {
        for pending in bucket.uploads(place, None).await.unwrap_or_default() {
            bucket.abort(&pending.key, &pending.upload).await?;
        }
    }
    Ok(())
}

/// Tells the reasons apart that an operator can do something about.
fn failed(step: &'static str) -> impl Fn(BucketError) -> ProbeError {
    move |error| {
        let refused = source(&error).and_then(|source| source.downcast_ref::<Refused>());
        if let Some(refused) = refused {
            let elsewhere = refused.status == StatusCode::MOVED_PERMANENTLY
                || matches!(
                    refused.code.as_str(),
                    "PermanentRedirect"
                        | "AuthorizationHeaderMalformed"
                        | "IllegalLocationConstraintException"
                );
            if let Some(region) = refused.region.clone().filter(|_| elsewhere) {
                return ProbeError::WrongRegion { region };
            }
            if matches!(refused.code.as_str(), "NoSuchBucket" | "ContainerNotFound" | "InvalidBucketName") {
                return ProbeError::NoBucket(refused.to_string());
            }
        }
        let reason = match source(&error) {
            Some(source) => describe(&**source),
            None => error.to_string(),
        };
        match error {
            BucketError::Denied(_) => ProbeError::Denied(reason),
            BucketError::Unavailable { .. } => ProbeError::Unreachable(reason),
            _ => ProbeError::Failed { step, reason },
        }
    }
}

fn source(error: &BucketError) -> Option<&BoxError> {
    match error {
        BucketError::Full(source)
        | BucketError::Denied(source)
        | BucketError::Other(source)
        | BucketError::Unavailable { source, .. } => Some(source),
        BucketError::NotFound
        | BucketError::AlreadyExists
        | BucketError::InvalidRange { .. }
        | BucketError::NoSuchUpload
        | BucketError::PartChanged => None,
    }
}
