//! Another registry, from which content comes that is not here.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use registry::core::{ByteStream, Digest, MediaType, Result};

/// Content of another registry, by digest. Nothing of it is to be believed before it is verified.
#[async_trait]
pub trait Upstream: fmt::Debug + Send + Sync + 'static {
    /// A manifest, with its type.
    async fn manifest(&self, repository: &str, digest: &Digest) -> Result<Option<(MediaType, Bytes)>>;

    /// The size of a blob.
    async fn size(&self, repository: &str, digest: &Digest) -> Result<Option<u64>>;

    /// A blob, with its size.
    async fn blob(&self, repository: &str, digest: &Digest) -> Result<Option<(u64, ByteStream)>>;
}
