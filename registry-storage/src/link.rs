//! Links, which are files that hold a digest, and the other small files of the store.

use bytes::Bytes;
use registry_core::{Digest, Result, StorageDriver, StorageDriverExt, StorageError, StoragePath};

use crate::layout::LINK_LIMIT;

/// The content of a link: the digest and nothing else, no newline.
pub(crate) fn content(digest: &Digest) -> Bytes {
    Bytes::copy_from_slice(digest.as_str().as_bytes())
}

/// A file of no more than `limit` bytes; a longer one is damaged and reads as if it were empty.
pub(crate) async fn small(
    driver: &dyn StorageDriver,
    path: &StoragePath,
    limit: u64,
) -> Result<Option<Bytes>, StorageError> {
    match driver.get_if_present(path, limit).await {
        Err(StorageError::TooLarge { .. }) => Ok(Some(Bytes::new())),
        result => result,
    }
}

/// Where a link leads, or `None` if there is none.
///
/// White space around the digest is passed over. A link that holds no digest counts as none and is
/// reported: Distribution 2.8 writes links in place, and a crash can tear them.
pub(crate) async fn read(driver: &dyn StorageDriver, path: &StoragePath) -> Result<Option<Digest>> {
    let Some(content) = small(driver, path, LINK_LIMIT).await? else { return Ok(None) };
    let digest = std::str::from_utf8(&content).ok().and_then(|text| Digest::parse(text.trim()).ok());
    if digest.is_none() {
        tracing::warn!(%path, bytes = content.len(), "a link holds no digest and is passed over");
    }
    Ok(digest)
}
