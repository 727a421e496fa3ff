//! The configuration as plain values, all defaults filled in.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

/// Everything the file and the environment decide.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) log: Log,
    pub(crate) storage: Storage,
    pub(crate) http: Http,
    /// Largest page of the repository list.
    pub(crate) catalog_max_entries: usize,
    /// Largest page of a tag list.
    pub(crate) tags_max: usize,
    pub(crate) validation: Validation,
}

/// `log`
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) level: Level,
    pub(crate) formatter: Formatter,
    /// Added to every line.
    pub(crate) fields: Vec<(String, serde_json::Value)>,
    /// Whether requests are written to standard output.
    pub(crate) access_log: bool,
    /// Adds the place in the source to every line.
    pub(crate) report_caller: bool,
}

/// Least severe level that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

/// Shape of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Formatter {
    Text,
    Json,
}

/// `storage`
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    pub(crate) driver: Driver,
    pub(crate) delete_enabled: bool,
    /// Whether blobs may be served by redirecting to the storage.
    pub(crate) redirect: bool,
    pub(crate) descriptor_cache: Option<DescriptorCache>,
    pub(crate) read_only: bool,
    /// Tags read at the same time when a manifest is deleted.
    pub(crate) tag_concurrency: usize,
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
}

/// `storage.cache`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DescriptorCache {
    /// Most entries kept; `None` for no bound.
    pub(crate) entries: Option<usize>,
}

/// `http`
#[derive(Debug, Clone)]
pub(crate) struct Http {
    pub(crate) addr: Address,
    /// Path under which the API lives, with a slash at both ends; `None` for the root.
    pub(crate) prefix: Option<String>,
    /// Base of generated URLs, with scheme and host.
    pub(crate) host: Option<String>,
    /// Key that signs upload state; `None` signs with a fixed key.
    pub(crate) secret: Option<Secret>,
    pub(crate) relative_urls: bool,
    /// Sent with every response of the API.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// What requests in flight get after the first signal to stop.
    pub(crate) drain_timeout: Duration,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// `host:port`; an empty host means every interface.
    Tcp { host: String, port: u16 },
    /// A socket in the file system.
    Unix(PathBuf),
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

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
