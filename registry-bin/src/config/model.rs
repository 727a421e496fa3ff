//! The configuration as plain values, all defaults filled in.

mod auth;
mod debug;
mod health;
mod http;
mod log;
mod middleware;
mod notifications;
mod redis;
mod storage;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use self::auth::{
    Audit, Auth, CertificateIdentity, IdentityProvider, Issuer, IssuerUsers, Policy, Provider, Token,
};
pub(crate) use self::debug::Debug;
pub(crate) use self::health::{Check, Health, Rhythm, Target};
pub(crate) use self::http::{
    Acme, Address, Certificate, ClientAuth, ClientCertificates, Http, Limits, ProxyProtocol, SUITES, Suite,
    Tls, TlsVersion,
};
pub(crate) use self::log::{Formatter, Level, Log, MailHook, Severity};
pub(crate) use self::middleware::{CloudFront, Redirects, StorageMiddleware};
pub(crate) use self::notifications::{Endpoint, EventFormat, Notifications};
pub(crate) use self::redis::DescriptorCache;
pub(crate) use self::storage::Bucket;

/// Everything the file and the environment decide.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) log: Log,
    pub(crate) storage: Storage,
    /// `middleware.storage`, without what is disabled; the last is outermost.
    pub(crate) storage_middleware: Vec<StorageMiddleware>,
    pub(crate) auth: Auth,
    pub(crate) http: Http,
    pub(crate) debug: Debug,
    pub(crate) health: Health,
    pub(crate) notifications: Notifications,
    /// Largest page of the repository list.
    pub(crate) catalog_max_entries: usize,
    /// Largest page of a tag list.
    pub(crate) tags_max: usize,
    pub(crate) validation: Validation,
    /// `policy.repository.classes`: the classes of manifests that are taken; all if there are none.
    pub(crate) classes: Vec<String>,
}

/// `storage`
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    pub(crate) driver: Driver,
    pub(crate) delete_enabled: bool,
    pub(crate) redirects: Redirects,
    pub(crate) descriptor_cache: Option<DescriptorCache>,
    /// How many bytes of manifests are kept in memory, where the store is a bucket.
    pub(crate) manifest_cache: u64,
    pub(crate) read_only: bool,
    /// `None` leaves unfinished uploads where they are.
    pub(crate) upload_purging: Option<UploadPurging>,
    /// Tags read at the same time; `None` leaves it to the store.
    pub(crate) tag_concurrency: Option<usize>,
    /// How many processes share the store; at least 1.
    #[cfg_attr(
        not(any(feature = "s3", feature = "gcs", feature = "azure")),
        allow(dead_code, reason = "only buckets are tried out")
    )]
    pub(crate) replicas: usize,
}

/// The storage driver and its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Driver {
    /// Files below a directory.
    Filesystem {
        root: PathBuf,
        /// Upper bound of blocking file operations at the same time.
        max_threads: usize,
    },
    /// Memory of the process; gone when it ends.
    InMemory,
    /// A bucket of a service.
    Bucket(Box<Bucket>),
}

/// `storage.maintenance.uploadpurging`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UploadPurging {
    /// How long nothing has to have happened in an upload.
    pub(crate) age: Duration,
    /// From the end of one run to the next.
    pub(crate) interval: Duration,
    /// Whether uploads are only reported.
    pub(crate) dry_run: bool,
}

/// `validation`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Validation {
    /// False switches URL and index checks off.
    pub(crate) enabled: bool,
    /// Regular expressions, unanchored; known to compile.
    pub(crate) urls_allow: Vec<String>,
    /// Regular expressions, unanchored; known to compile.
    pub(crate) urls_deny: Vec<String>,
    pub(crate) platforms: Platforms,
    /// Whether the layers of a pushed image have to exist.
    pub(crate) layers_required: bool,
}

/// Which images of an index have to exist when the index is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Platforms {
    All,
    None,
    List(Vec<Platform>),
}

/// An entry of `validation.manifests.indexes.platformlist`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Platform {
    pub(crate) architecture: String,
    pub(crate) os: String,
}

/// Text that does not show itself in logs.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one place that needs it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
