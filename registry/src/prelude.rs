//! What most programs that embed a registry need.

pub use crate::{Registry, RegistryBuilder};
pub use registry_auth::Anonymous;
pub use registry_core::{
    AccessController, BuildError, Error, ErrorCode, Namespace, Repository, RequestContext, StorageDriver,
};
pub use registry_http::{Body, HttpOptions, Locations, RegistryService};
pub use registry_middleware::{ImmutableTags, ManifestValidation, ReadOnly, Select};
pub use registry_storage::{FilesystemDriver, MemoryCache, MemoryDriver};
