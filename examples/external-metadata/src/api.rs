//! The other system: images, streams with the history of their tags, users and what they may do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;
use registry::core::{Digest, Manifest, ManifestDocument, RepositoryName, Result, Tag};

/// Somebody whom the API knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// Whether everything is allowed.
    pub admin: bool,
}

/// What is done to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Reading.
    Get,
    /// Writing, which includes creating it.
    Update,
    /// Removing from it.
    Delete,
}

/// A manifest as the API keeps it, with the blobs that it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The manifest.
    pub manifest: Manifest,
    /// Digests of configuration and layers.
    pub blobs: BTreeSet<Digest>,
}

impl Image {
    /// The image that a manifest describes.
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`](registry::core::Error::ManifestInvalid).
    pub fn new(manifest: Manifest) -> Result<Self> {
        let document = ManifestDocument::parse(manifest.payload())?;
        let blobs = document.blob_references().filter_map(|blob| Digest::parse(&blob.digest).ok()).collect();
        Ok(Self { manifest, blobs })
    }
}

/// That a tag was pointed at an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagEvent {
    /// The image.
    pub image: Digest,
    /// Who did it.
    pub by: String,
}

/// A repository, as the API sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    /// The history of each tag, the newest event last.
    pub tags: BTreeMap<Tag, Vec<TagEvent>>,
    /// Who may read and write it; `None` for everybody.
    pub members: Option<BTreeSet<String>>,
    /// Whether its content may not be handed out for now, whoever asks.
    pub quarantined: bool,
    /// Whether it may not be changed for now.
    pub frozen: bool,
    /// The most bytes that a layer may have.
    pub largest_layer: Option<u64>,
    /// The repository upstream where content may be that is not here.
    pub upstream: Option<String>,
}

impl Stream {
    /// The image that a tag leads to now.
    pub fn current(&self, tag: &Tag) -> Option<&Digest> {
        self.tags.get(tag)?.last().map(|event| &event.image)
    }
}

/// What the API refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// There is no such thing.
    NotFound,
    /// It is there, and was expected not to be.
    Conflict,
    /// The user may not.
    Forbidden(String),
    /// The stream may not be changed for now.
    Frozen,
    /// The API does not answer.
    Unavailable,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("not found"),
            Self::Conflict => f.write_str("exists already"),
            Self::Forbidden(reason) => write!(f, "forbidden: {reason}"),
            Self::Frozen => f.write_str("the stream is frozen"),
            Self::Unavailable => f.write_str("the API does not answer"),
        }
    }
}

impl std::error::Error for ApiError {}

/// The calls that the registry makes, each on behalf of a user.
#[async_trait]
pub trait MetadataApi: fmt::Debug + Send + Sync + 'static {
    /// Whose token this is.
    async fn review_token(&self, token: &str) -> Result<Option<User>, ApiError>;

    /// Whether the user may do this to the stream, which need not exist.
    async fn review_access(&self, user: &User, verb: Verb, stream: &RepositoryName)
    -> Result<bool, ApiError>;

    /// Names of streams that the user may read, in ascending order of their components.
    async fn list_streams(
        &self,
        user: &User,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RepositoryName>, ApiError>;

    /// A stream.
    async fn get_stream(&self, user: &User, stream: &RepositoryName) -> Result<Stream, ApiError>;

    /// The images of a stream, in ascending order of their digests.
    async fn list_images(&self, user: &User, stream: &RepositoryName) -> Result<Vec<Image>, ApiError>;

    /// An image of a stream.
    async fn get_image(
        &self,
        user: &User,
        stream: &RepositoryName,
        digest: &Digest,
    ) -> Result<Image, ApiError>;

    /// Puts an image into a stream and points tags at it, all of it or nothing. Creates the stream.
    async fn put_image(
        &self,
        user: &User,
        stream: &RepositoryName,
        image: Image,
        tags: &[Tag],
    ) -> Result<(), ApiError>;

    /// Removes an image from a stream, and the tags that lead to it.
    async fn delete_image(
        &self,
        user: &User,
        stream: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), ApiError>;

    /// Points a tag at an image; with `new`, only if there is no such tag.
    async fn set_tag(
        &self,
        user: &User,
        stream: &RepositoryName,
        tag: &Tag,
        image: &Digest,
        new: bool,
    ) -> Result<(), ApiError>;

    /// Removes a tag.
    async fn delete_tag(&self, user: &User, stream: &RepositoryName, tag: &Tag) -> Result<(), ApiError>;
}
