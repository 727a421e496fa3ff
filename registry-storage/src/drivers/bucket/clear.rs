//! Removing: known objects and everything in directories, in as few requests as there are pages.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use registry_core::{StorageError, StoragePath};

use super::apply::AT_ONCE;
use super::driver::Shared;
use super::names::{Beside, Names};
use super::read::whole;
use super::store::{Bucket, BucketError, KeyPage, ListKeys, Pending};
use super::write::Stored;

/// Removes objects.
pub(super) async fn delete(shared: &Shared, keys: BTreeSet<String>) -> Result<(), StorageError> {
    if keys.is_empty() {
        return Ok(());
    }
    let keys: Vec<String> = keys.into_iter().collect();
    shared.bucket.delete(&keys).await.map_err(shared.failed("delete", &StoragePath::root()))
}

/// Removes objects, and everything in directories. What fits into one page goes in one request with all else.
pub(super) async fn clear(
    shared: &Shared,
    mut keys: BTreeSet<String>,
    trees: Vec<StoragePath>,
) -> Result<(), StorageError> {
    let lists: Vec<_> = trees.into_iter().map(|tree| list(shared, tree)).collect();
    let mut listed = stream::iter(lists).buffer_unordered(AT_ONCE);
    while let Some(found) = listed.try_next().await? {
        keys.extend(found);
        if keys.len() >= shared.bucket.limits().page {
            delete(shared, std::mem::take(&mut keys)).await?;
        }
    }
    delete(shared, keys).await
}

/// The last page of what is in a directory; what is before it is removed. If nothing is, it may be a file that
/// is being written.
async fn list(shared: &Shared, tree: StoragePath) -> Result<BTreeSet<String>, StorageError> {
    let tree = &tree;
    let dir = shared.names.dir(tree);
    let mut found = page(shared, tree, &dir).await?;
    let mut prefix = dir;
    if found.keys.is_empty() && !tree.relative().is_empty() {
        prefix = Names::beside_all(&shared.names.file(tree));
        found = page(shared, tree, &prefix).await?;
    }
    let mut unfinished = false;
    loop {
        let keys: BTreeSet<String> = found.keys.into_iter().map(|found| found.key).collect();
        for key in keys.iter().filter(|key| Names::is_private(key)) {
            unfinished = true;
            abandon(shared, tree, key).await?;
        }
        if !found.more || keys.is_empty() {
            if unfinished {
                abort(shared, tree, &prefix).await?;
            }
            return Ok(keys);
        }
        delete(shared, keys).await?;
        // What was there is gone, so the next page is the first again.
        found = page(shared, tree, &prefix).await?;
    }
}

async fn page(shared: &Shared, tree: &StoragePath, prefix: &str) -> Result<KeyPage, StorageError> {
    let limit = shared.bucket.limits().page;
    let page = shared.bucket.list(&ListKeys { prefix, fold: false, after: None, limit }).await;
    page.map_err(shared.failed("delete", tree))
}

/// Gives up the upload that was written down in an object, if it is such a one.
async fn abandon(shared: &Shared, tree: &StoragePath, key: &str) -> Result<(), StorageError> {
    let file = key.split_once('~').map_or(key, |(file, _)| file);
    if !matches!(Names::parse_beside(file, key), Some(Beside::State { .. })) {
        return Ok(());
    }
    let failed = || shared.failed("delete", tree);
    let object = match shared.bucket.get(key, None).await {
        Ok(object) => object,
        Err(BucketError::NotFound) => return Ok(()),
        Err(error) => return Err(failed()(error)),
    };
    let stored = Stored::read(&shared.names, file, &whole(object).await?);
    let Some(upload) = stored.and_then(|stored| stored.upload) else { return Ok(()) };
    let id = upload.id.unwrap_or_default();
    shared.bucket.abort(&upload.key, &id).await.map_err(failed())
}

/// Gives up all uploads under a prefix.
async fn abort(shared: &Shared, tree: &StoragePath, prefix: &str) -> Result<(), StorageError> {
    if !shared.bucket.limits().lists_uploads {
        return Ok(());
    }
    let failed = || shared.failed("delete", tree);
    let mut after: Option<Pending> = None;
    loop {
        let page = shared.bucket.uploads(prefix, after.as_ref()).await.map_err(failed())?;
        let Some(last) = page.last().cloned() else { return Ok(()) };
        for upload in page {
            shared.bucket.abort(&upload.key, &upload.upload).await.map_err(failed())?;
        }
        after = Some(last);
    }
}
