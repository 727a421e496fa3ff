//! What happened: events for notifications and audit.

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;

use crate::context::RequestContext;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifests::Manifest;
use crate::name::{RepositoryName, Tag};

/// Something that happened to content of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// When.
    pub at: SystemTime,
    /// What.
    pub action: Action,
    /// Where.
    pub repository: RepositoryName,
    /// To which content.
    pub target: EventTarget,
}

impl Event {
    /// An event that happens now.
    pub fn now(action: Action, repository: RepositoryName, target: EventTarget) -> Self {
        Self { at: SystemTime::now(), action, repository, target }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Content was stored.
    Push,
    /// Content was read, or asked for.
    Pull,
    /// Content was mounted from another repository.
    Mount,
    /// Content or a tag was removed.
    Delete,
}

impl Action {
    /// The word for it in Distribution's envelope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Mount => "mount",
            Self::Delete => "delete",
        }
    }
}

/// To which content something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventTarget {
    /// A blob that was pushed or pulled, or mounted from `from`.
    Blob {
        /// The blob.
        descriptor: Descriptor,
        /// The repository that it was mounted from.
        from: Option<RepositoryName>,
    },
    /// A manifest that was pushed or pulled.
    Manifest {
        /// The manifest.
        descriptor: Descriptor,
        /// The tags that were set with it.
        tags: Vec<Tag>,
        /// The manifest itself, for a sink that [wants](EventSink::wants_manifests) it.
        content: Option<Manifest>,
    },
    /// A blob that was removed.
    BlobDigest(Digest),
    /// A manifest that was removed.
    ManifestDigest(Digest),
    /// A tag that was removed.
    Tag(Tag),
}

/// Takes events.
///
/// Called after the operation succeeded and before it is acknowledged, so a sink may make the event
/// durable first; it must not wait for a remote endpoint. Its failures are its own affair.
#[async_trait]
pub trait EventSink: fmt::Debug + Send + Sync + 'static {
    /// Takes one event of the request `cx`.
    async fn publish(&self, cx: &RequestContext, event: Event);

    /// Whether events of manifests come with the manifest, also where the operation alone would not have
    /// read it. A sink around another asks that one.
    fn wants_manifests(&self) -> bool {
        false
    }
}
