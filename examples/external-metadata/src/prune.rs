//! Need: the raw driver for pruning.
//!
//! Content goes that no image is made of, and so do uploads that nobody goes on with. How old something
//! is only the driver knows, so the paths of the store are spelled out here; they are those of CNCF
//! Distribution and do not change. What is young stays: it may belong to a push that is under way.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use registry::core::{
    Digest, Error, ListRequest, PageRequest, Result, StorageDriver, StorageDriverExt, StoragePath,
};

use crate::api::ApiError;
use crate::app::{App, Store};
use crate::errors::refused;

const ROOT: &str = "/docker/registry/v2";

/// How much is listed at once.
const PAGE: usize = 1000;

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Blobs that no image is made of.
    pub blobs: usize,
    /// Uploads that nobody went on with.
    pub uploads: usize,
}

impl App {
    /// Removes what nobody needs and is at least this old.
    ///
    /// # Errors
    /// Those of the API and of the store. What was removed before stays removed.
    pub async fn prune(&self, age: Duration) -> Result<Pruned> {
        let store = self.store().ok_or_else(|| Error::unsupported("pruning without a registry"))?;
        let before = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        // Ages are read before the images are: what an image refers to from now on is younger.
        let old = old_blobs(store, before).await?;
        let live = self.live().await?;
        let mut pruned = Pruned { uploads: prune_uploads(store, before).await?, ..Pruned::default() };
        for digest in old.iter().filter(|&digest| !live.contains(digest)) {
            // Through the namespace, which tells the cache.
            store.namespace.blobs().delete(digest).await?;
            pruned.blobs += 1;
        }
        Ok(pruned)
    }

    /// The blobs that images are made of.
    async fn live(&self) -> Result<BTreeSet<Digest>> {
        let client = self.system();
        let mut live = BTreeSet::new();
        let mut after: Option<String> = None;
        loop {
            let page = client.api.list_streams(&client.user, after.as_deref(), PAGE).await;
            let page = page.map_err(refused)?;
            for stream in &page {
                match client.api.list_images(&client.user, stream).await {
                    Ok(images) => live.extend(images.into_iter().flat_map(|image| image.blobs)),
                    // It was removed since the page was read.
                    Err(ApiError::NotFound) => {}
                    Err(error) => return Err(refused(error)),
                }
            }
            match page.last() {
                Some(last) => after = Some(last.to_string()),
                None => return Ok(live),
            }
        }
    }
}

async fn is_older(driver: &dyn StorageDriver, path: &StoragePath, before: SystemTime) -> Result<bool> {
    Ok(driver.stat_if_present(path).await?.is_some_and(|found| found.modified <= before))
}

async fn old_blobs(store: &Store, before: SystemTime) -> Result<Vec<Digest>> {
    let mut old = Vec::new();
    let mut page = PageRequest::first(PAGE);
    loop {
        let found = store.namespace.blobs().list(&page).await?;
        for digest in &found.items {
            let (algorithm, hex) = (digest.algorithm_name(), digest.encoded());
            let path = StoragePath::parse(&format!("{ROOT}/blobs/{algorithm}/{}/{hex}/data", &hex[..2]))?;
            if is_older(store.driver.as_ref(), &path, before).await? {
                old.push(digest.clone());
            }
        }
        match found.items.last() {
            Some(last) if found.more => page = PageRequest::after(PAGE, last.as_str()),
            _ => return Ok(old),
        }
    }
}

async fn prune_uploads(store: &Store, before: SystemTime) -> Result<usize> {
    let driver = store.driver.as_ref();
    let root = StoragePath::parse(&format!("{ROOT}/repositories"))?;
    let mut request = ListRequest::recursive(PAGE);
    let mut removed = 0;
    loop {
        let page = driver.list(&root, &request).await?;
        for entry in &page.entries {
            let Some(upload) = entry.name.strip_suffix("/startedat") else { continue };
            let dir = root.join(upload)?;
            let data = dir.join("data")?;
            let last_change = if driver.exists(&data).await? { data } else { root.join(&entry.name)? };
            if is_older(driver, &last_change, before).await? {
                driver.delete(&dir).await?;
                removed += 1;
            }
        }
        match page.entries.into_iter().next_back() {
            Some(last) if page.more => request = ListRequest::recursive(PAGE).after(Some(last.name)),
            _ => return Ok(removed),
        }
    }
}
