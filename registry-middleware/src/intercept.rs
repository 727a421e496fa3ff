//! Interception: one place that sees every call at a hook, before and after it is made.
//!
//! For audit, metrics, tracing, limits and fault injection. An [`Interceptor`] is written once and put at
//! any of the three hooks by [`InterceptStorage`], [`InterceptNamespace`] and [`InterceptRepository`],
//! whose wrappers change nothing else: answers, errors and bodies pass as they are.
//!
//! # How long a call lasts
//!
//! From [`before`](Interceptor::before) to [`after`](Interceptor::after), each exactly once, a call lasts
//! until what it handed out is done with:
//!
//! - a body that streams: until its last byte was taken and it ended or was dropped;
//! - a body at hand, in an open file or behind a redirect: until it is handed out. A file goes on to the
//!   listener as a file, so that it can be sent without copying; who sends it is not seen from here.
//! - a writer: until it is closed, committed, cancelled or dropped. The calls of the writer itself are
//!   calls of their own in between.
//!
//! So a limit that takes a permit in `before` and gives it back in `after` covers the body and not only
//! the call that opened it. A call whose future is dropped ends as [`Outcome::Abandoned`].

mod namespace;
mod operation;
mod repository;
mod running;
mod storage;
mod uploads;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use registry_core::{
    Batch, Digest, Error, RepositoryName, RequestContext, Result, StorageError, StoragePath, Tag, UploadId,
};

pub use namespace::InterceptNamespace;
pub use operation::Operation;
pub use repository::InterceptRepository;
pub use storage::InterceptStorage;

use running::{Running, Site};

/// Sees every call at a hook.
#[async_trait]
pub trait Interceptor: fmt::Debug + Send + Sync + 'static {
    /// Called before a call is made; may wait, for example for a permit.
    ///
    /// # Errors
    /// An error refuses the call: it is not made, the caller gets the error, and
    /// [`after`](Self::after) is not called. At the storage hook [`Error::Storage`] reaches the caller as
    /// the [`StorageError`] in it, and any other error as a [`StorageError::Backend`] around it. A writer
    /// whose `close`, `commit` or `cancel` is refused is dropped, as in a crash: its session can be
    /// resumed.
    async fn before(&self, call: &Call<'_>) -> Result<()>;

    /// Called once a call that was let through is over, `elapsed` after `before` had returned. Must not
    /// block: it may run while a body is polled or dropped.
    fn after(&self, call: &Call<'_>, elapsed: Duration, outcome: Outcome<'_>);
}

/// A call that is about to be made, or is over.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Call<'a> {
    /// What is done.
    pub operation: Operation,
    /// In which repository; `None` at the storage hook and for content across repositories.
    pub repository: Option<&'a RepositoryName>,
    /// For which request; `None` where the hook is not told: storage, global blobs, removal.
    pub context: Option<&'a RequestContext>,
    /// To what.
    pub target: &'a Target,
}

/// To what a call is made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// Nothing in particular, or the repository itself.
    None,
    /// A file or directory of the store.
    Path(StoragePath),
    /// Changes to the store.
    Batch(Batch),
    /// A blob or manifest.
    Digest(Digest),
    /// A tag.
    Tag(Tag),
    /// An upload session.
    Upload(UploadId),
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// It succeeded, and all of what it handed out was used.
    Done,
    /// It failed, or its body did.
    Failed(&'a Error),
    /// It failed at the storage hook, or its body did.
    StorageFailed(&'a StorageError),
    /// Its future, its body or its writer was dropped before the end.
    Abandoned,
}

impl<'a> Outcome<'a> {
    /// Whether it succeeded.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Done)
    }

    /// The error, whichever kind it is.
    pub fn error(self) -> Option<&'a (dyn std::error::Error + 'static)> {
        match self {
            Self::Done | Self::Abandoned => None,
            Self::Failed(error) => Some(error),
            Self::StorageFailed(error) => Some(error),
        }
    }
}

/// Lets everything pass and looks at nothing: for running a suite behind the wrappers of every hook.
#[derive(Debug, Clone, Copy, Default)]
pub struct PassThrough;

#[async_trait]
impl Interceptor for PassThrough {
    async fn before(&self, _call: &Call<'_>) -> Result<()> {
        Ok(())
    }

    fn after(&self, _call: &Call<'_>, _elapsed: Duration, _outcome: Outcome<'_>) {}
}

#[cfg(test)]
mod tests;
