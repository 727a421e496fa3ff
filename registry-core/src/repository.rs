//! One repository.

use std::fmt;
use std::sync::Arc;

use crate::blobs::BlobStore;
use crate::manifests::ManifestStore;
use crate::name::RepositoryName;
use crate::tags::TagStore;

/// A handle on one repository for one request: its name and its three services.
///
/// Services are cheap to ask for and share the context that the handle was made with. Middleware wraps
/// a repository and replaces or decorates the services it cares about.
pub trait Repository: fmt::Debug + Send + Sync {
    /// The name.
    fn name(&self) -> &RepositoryName;
    /// Blobs and uploads.
    fn blobs(&self) -> Arc<dyn BlobStore>;
    /// Manifests and referrers.
    fn manifests(&self) -> Arc<dyn ManifestStore>;
    /// Tags.
    fn tags(&self) -> Arc<dyn TagStore>;
}
