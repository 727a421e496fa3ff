//! Storage drivers, and the namespace that keeps everything in one of them.
//!
//! - [`FilesystemDriver`] and [`MemoryDriver`] implement [`StorageDriver`](registry_core::StorageDriver);
//!   [`builtin_drivers`] knows them by name.
//! - [`StorageNamespace`] implements [`Namespace`](registry_core::Namespace) over any driver, in the
//!   layout of CNCF Distribution (drawn in `src/layout.rs`): a store of either is served by the other.
//! - [`UploadPurge`] removes upload sessions whose clients never came back.
//! - [`Migration`] copies a store into another.
//! - [`MemoryCache`] remembers what is known about content.
//!
//! This crate knows neither HTTP nor policy. A manifest that refers to missing content is stored here;
//! refusing it is the task of a repository middleware.
//!
//! ```
//! # async fn example() -> registry_core::Result<()> {
//! use std::sync::Arc;
//! use registry_core::{Namespace, PageRequest, RequestContext};
//! use registry_storage::{MemoryDriver, StorageNamespace};
//!
//! let namespace = StorageNamespace::builder(Arc::new(MemoryDriver::new())).build();
//! let cx = RequestContext::system("example");
//! assert!(namespace.repositories(&cx, &PageRequest::first(10)).await?.items.is_empty());
//! # Ok(())
//! # }
//! ```

mod blobs;
mod cache;
mod catalog;
mod descriptors;
mod drivers;
mod flat;
mod global;
mod layout;
mod link;
mod locks;
mod manifests;
mod migrate;
mod namespace;
mod purge;
mod referrers;
mod remembered;
mod replaced;
mod repository;
mod tagged;
mod tags;
mod tickets;
mod uploads;

pub use cache::MemoryCache;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
pub use drivers::bucket;
pub use drivers::{FilesystemDriver, MemoryDriver, builtin_drivers};
pub use migrate::{
    Migration, MigrationKind, MigrationNote, MigrationProgress, MigrationReport, MigrationStage,
    MigrationTally,
};
pub use namespace::{StorageNamespace, StorageNamespaceBuilder};
pub use purge::{PurgeReport, StaleUpload, UploadPurge};
