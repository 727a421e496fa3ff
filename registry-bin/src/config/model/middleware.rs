//! `middleware.storage`, `storage.redirect`

use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use registry::core::Network;
use registry::middleware::storage::cloudfront::AwsRanges;
use registry::middleware::storage::{BaseUrl, Rewrite};

/// An entry of `middleware.storage` that is not disabled.
#[derive(Debug, Clone)]
pub(crate) enum StorageMiddleware {
    Redirect(BaseUrl),
    Rewrite(Rewrite),
    CloudFront(Box<CloudFront>),
}

/// The options of `cloudfront`.
#[derive(Debug, Clone)]
pub(crate) struct CloudFront {
    pub(crate) base: BaseUrl,
    pub(crate) private_key: PathBuf,
    /// The key of the configuration with that path.
    pub(crate) private_key_at: String,
    pub(crate) key_pair_id: String,
    pub(crate) duration: Duration,
    /// Who gets the URL of the bucket.
    pub(crate) direct: Option<AwsRanges>,
}

/// `storage.redirect`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redirects {
    /// Whether blobs may be served by redirecting to the storage.
    pub(crate) enabled: bool,
    /// Only these clients; all if there is no list.
    pub(crate) only: Option<Vec<Network>>,
    pub(crate) except: Vec<Network>,
    pub(crate) methods: Vec<Method>,
    /// The bytes of the smallest blob.
    pub(crate) min_size: u64,
    pub(crate) expiry: Duration,
}
