//! Tags of a repository.

use std::fmt;

use async_trait::async_trait;

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::Result;
use crate::name::Tag;
use crate::page::{Page, PageRequest};

/// The tags of one repository.
#[async_trait]
pub trait TagStore: fmt::Debug + Send + Sync {
    /// The digest of the manifest that a tag points at now. Always read from the store.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`](crate::Error::ManifestUnknown).
    async fn get(&self, tag: &Tag) -> Result<Digest>;

    /// Points a tag at a manifest that is in the repository already; a new manifest gets its tags from
    /// [`ManifestStore::put`](crate::ManifestStore::put). Atomic: readers see the old or the new.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`](crate::Error::ManifestUnknown) if the manifest is not in the repository;
    /// [`Error::TagExists`](crate::Error::TagExists) if the tag was expected to be absent; of several that
    /// ask for that at once, one succeeds.
    async fn set(&self, tag: &Tag, target: &Descriptor, expect: TagExpect) -> Result<()>;

    /// Removes a tag and nothing else (end-9).
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`](crate::Error::ManifestUnknown).
    async fn delete(&self, tag: &Tag) -> Result<()>;

    /// Tags in ascending byte order (end-8a, end-8b).
    ///
    /// # Errors
    /// [`Error::NameUnknown`](crate::Error::NameUnknown) if nothing was ever tagged or stored here.
    async fn list(&self, page: &PageRequest) -> Result<Page<Tag>>;

    /// The tags that point at a manifest.
    async fn lookup(&self, target: &Digest) -> Result<Vec<Tag>>;
}

/// What a tag is expected to be before it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagExpect {
    /// Anything.
    Any,
    /// Not there. Makes immutable tags free of races.
    Absent,
}
