//! `health`: when the API stops answering.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, StatusCode, Uri};

/// `health`
#[derive(Debug, Clone, Default)]
pub(crate) struct Health {
    /// `None` if the store is not checked.
    pub(crate) storage: Option<Rhythm>,
    /// The other checks; no two of the same name.
    pub(crate) checks: Vec<Check>,
}

/// When a check runs, and how patient it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rhythm {
    /// From one run to the next.
    pub(crate) interval: Duration,
    /// How many runs in a row have to fail; at least one.
    pub(crate) threshold: u32,
}

/// An entry of `health.file`, `health.http` or `health.tcp`.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    /// The path, URI or address as it was written, without the password of a URI, by which reports call it.
    pub(crate) name: String,
    pub(crate) target: Target,
    pub(crate) rhythm: Rhythm,
}

/// What has to be so.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// There is no such file.
    File(PathBuf),
    /// `HEAD` is answered with this status.
    Http {
        uri: Uri,
        headers: HeaderMap,
        status: StatusCode,
        /// For the whole request.
        timeout: Duration,
    },
    /// Somebody accepts connections there.
    Tcp {
        /// `host:port`
        addr: String,
        timeout: Duration,
    },
}
