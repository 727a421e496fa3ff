//! Types, errors and every trait of the registry.
//!
//! Whoever writes a storage driver, an access controller or a middleware needs this crate and no other
//! of the workspace. It does no I/O, has no runtime and knows neither HTTP servers nor clouds.
//!
//! # The object model
//!
//! ```text
//! Namespace ── repository(cx, name) ──▶ Repository ──▶ BlobStore      blobs, uploads (BlobWriter)
//!     │                                      ├───────▶ ManifestStore  manifests, referrers
//!     ├─ repositories(page)                  └───────▶ TagStore       tags
//!     └─ blobs() ──▶ GlobalBlobs             content across repositories
//!
//! StorageDriver ── files under paths; FileWriter, Batch    (below the storage-backed Namespace)
//! AccessController ── who may do what                      (before a handler runs)
//! ```
//!
//! # Where to hook in
//!
//! | To change… | implement… |
//! |---|---|
//! | where bytes are kept | [`StorageDriver`] |
//! | how bytes are kept or handed out (redirects, encryption, limits) | [`StorageMiddleware`] |
//! | what repositories there are, or where metadata lives | [`RegistryMiddleware`] |
//! | what happens to blobs, manifests or tags (policy, quota, pull-through) | [`RepositoryMiddleware`] |
//! | which blobs a repository shows | [`BlobDescriptorsLayer`] |
//! | what is remembered about content | [`DescriptorCache`] |
//! | who may do what | [`AccessController`] |
//! | who hears of it | [`EventSink`], [`AuditSink`] |
//!
//! A middleware that forbids one thing and forwards the rest:
//!
//! ```
//! use std::sync::Arc;
//! use registry_core::{Error, RequestContext, Repository, RepositoryMiddleware, Result};
//!
//! #[derive(Debug)]
//! struct Frozen;
//!
//! #[async_trait::async_trait]
//! impl RepositoryMiddleware for Frozen {
//!     async fn wrap(&self, cx: &Arc<RequestContext>, inner: Arc<dyn Repository>) -> Result<Arc<dyn Repository>> {
//!         if inner.name().as_str().starts_with("archive/") && cx.method != Some(http::Method::GET) {
//!             return Err(Error::Denied { reason: "the archive is closed".into() });
//!         }
//!         Ok(inner)
//!     }
//! }
//! ```

pub mod access;
mod audit;
mod blobs;
mod context;
mod descriptor;
mod descriptors;
mod digest;
mod driver;
mod error;
pub mod events;
mod glob;
mod hook;
pub mod manifest;
mod manifests;
mod name;
mod namespace;
mod network;
mod page;
mod plugin;
mod range;
mod repository;
mod stream;
mod tags;
mod text;
mod uploads;

pub use access::{
    AccessController, AuthError, AuthRequest, Challenge, ClientCertificate, Grant, GrantedClasses, Visibility,
};
pub use audit::{AuditOperation, AuditRecord, AuditSink};
pub use blobs::{Blob, BlobBody, BlobStore, GetBlob};
pub use context::{Principal, RequestContext};
pub use descriptor::{Descriptor, MediaType};
pub use descriptors::{
    BlobDescriptors, BlobDescriptorsLayer, CacheCounters, CacheCounts, CacheScope, DescriptorCache,
};
pub use digest::{Algorithm, Digest, Digester, verify_stream};
pub use driver::{
    Batch, Change, Content, ContentBody, Detached, Durability, Entry, FileSlice, FileWriter, ListMode,
    ListPage, ListRequest, Metadata, PutMode, RedirectHint, Shape, Step, StorageDriver, StorageDriverExt,
    StoragePath, WriteMode,
};
pub use error::{BoxError, CodedError, Error, ErrorCode, Result, StorageError, WireError};
pub use events::{Event, EventSink, EventTarget};
pub use glob::Glob;
pub use hook::{RegistryMiddleware, RepositoryMiddleware, StorageMiddleware};
pub use manifest::ManifestDocument;
pub use manifests::{Manifest, ManifestStore, PutManifest, ReferrerFilter};
pub use name::{Reference, RepositoryName, Tag, UploadId};
pub use namespace::{GlobalBlobs, Namespace, RepositoryRemover};
pub use network::{Network, NetworkSet};
pub use page::{Page, PageRequest};
pub use plugin::{BuildError, Factories, Factory, Options};
pub use range::{ByteRange, RangeNotSatisfiable};
pub use repository::{ComposedRepository, Repository};
pub use stream::{ByteStream, collect};
pub use tags::{TagExpect, TagStore};
pub use text::{InvalidText, TextKind};
pub use uploads::{BlobWriter, MountSource, StartUpload, UploadStart, UploadStatus};

/// Every trait that is shared as `dyn` can be.
#[cfg(test)]
#[allow(dead_code, reason = "compiling it is the test")]
struct DynCompatible(
    Box<dyn StorageDriver>,
    Box<dyn FileWriter>,
    Box<dyn Namespace>,
    Box<dyn GlobalBlobs>,
    Box<dyn RepositoryRemover>,
    Box<dyn Repository>,
    Box<dyn BlobStore>,
    Box<dyn ManifestStore>,
    Box<dyn TagStore>,
    Box<dyn BlobWriter>,
    Box<dyn BlobDescriptors>,
    Box<dyn BlobDescriptorsLayer>,
    Box<dyn DescriptorCache>,
    Box<dyn AccessController>,
    Box<dyn EventSink>,
    Box<dyn AuditSink>,
    Box<dyn Visibility>,
    Box<dyn StorageMiddleware>,
    Box<dyn RegistryMiddleware>,
    Box<dyn RepositoryMiddleware>,
);
