//! Manifests of a repository.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::descriptor::{Descriptor, MediaType};
use crate::digest::{Algorithm, Digest};
use crate::error::Result;
use crate::name::Tag;
use crate::page::{Page, PageRequest};

/// The manifests of one repository.
#[async_trait]
pub trait ManifestStore: fmt::Debug + Send + Sync {
    /// Whether the manifest is in this repository, its type and size (end-3, HEAD).
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`](crate::Error::ManifestUnknown).
    async fn stat(&self, digest: &Digest) -> Result<Descriptor>;

    /// A manifest, byte for byte as it was pushed (end-3, GET).
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`](crate::Error::ManifestUnknown).
    async fn get(&self, digest: &Digest) -> Result<Manifest>;

    /// Publishes a manifest (end-7a, end-7b): stores it, makes it a referrer of its subject if it has
    /// one, and then points every tag of `options.tags` at it. Everything is durable when this returns.
    ///
    /// The manifest comes first and the tags after it, so a tag never points at nothing. A failure may
    /// leave the manifest without some of the tags; the call can be repeated.
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`](crate::Error::ManifestInvalid) for content that is no manifest. That
    /// what it refers to exists is checked by a wrapper, which adds
    /// [`Error::ManifestBlobUnknown`](crate::Error::ManifestBlobUnknown).
    async fn put(&self, manifest: &Manifest, options: PutManifest) -> Result<Descriptor>;

    /// Removes a manifest and every tag that points at it (end-9). Tags go first, so none is left
    /// pointing at nothing; one that is set meanwhile goes with the manifest or comes after it.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`](crate::Error::ManifestUnknown).
    async fn delete(&self, digest: &Digest) -> Result<()>;

    /// Digests of the manifests, in ascending order of algorithm and digest.
    async fn list(&self, page: &PageRequest) -> Result<Page<Digest>>;

    /// Descriptors of the manifests whose `subject` is the given digest, with artifact type and
    /// annotations, in ascending order of their digests (end-12a, end-12b). The subject need not exist.
    /// `after` of the page is a digest.
    async fn referrers(
        &self,
        subject: &Digest,
        filter: &ReferrerFilter,
        page: &PageRequest,
    ) -> Result<Page<Descriptor>>;
}

/// A manifest: bytes, their digest, and the type they were pushed as. The bytes are never re-encoded.
///
/// ```
/// use registry_core::{Algorithm, Manifest, MediaType};
/// let media_type = MediaType::parse(MediaType::OCI_IMAGE).unwrap();
/// let manifest = Manifest::new(media_type, Algorithm::Sha256, "{\"schemaVersion\":2}");
/// assert_eq!(manifest.descriptor().size, 19);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    media_type: MediaType,
    digest: Digest,
    payload: Bytes,
}

impl Manifest {
    /// The most bytes a manifest may have: 4 MiB, which clients may rely on (end-7).
    pub const MAX_LEN: usize = 4 << 20;

    /// A manifest with its digest computed.
    pub fn new(media_type: MediaType, algorithm: Algorithm, payload: impl Into<Bytes>) -> Self {
        let payload = payload.into();
        Self { media_type, digest: algorithm.digest(&payload), payload }
    }

    /// A manifest whose digest is known to be right, because it was checked when it was stored.
    pub fn from_stored(media_type: MediaType, digest: Digest, payload: Bytes) -> Self {
        Self { media_type, digest, payload }
    }

    /// The type it was pushed as.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// The digest of the payload.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The bytes as they were pushed.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Type, digest and size.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest.clone(), self.payload.len() as u64)
    }
}

/// How a manifest is to be published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutManifest {
    /// The tags that are to point at it.
    pub tags: Vec<Tag>,
}

impl PutManifest {
    /// Points these tags at the manifest.
    #[must_use]
    pub fn with_tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.tags.extend(tags);
        self
    }
}

/// Which referrers are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferrerFilter {
    /// Only those of this artifact type.
    pub artifact_type: Option<String>,
}

impl ReferrerFilter {
    /// Whether a referrer with this descriptor is wanted.
    pub fn matches(&self, referrer: &Descriptor) -> bool {
        self.artifact_type.is_none() || self.artifact_type == referrer.artifact_type
    }
}
