//! Uploads in parts that nobody is going to end.

use std::collections::BTreeSet;
use std::time::SystemTime;

use registry_core::{StorageError, StoragePath};

use super::driver::Shared;
use super::store::{Bucket, BucketError, ListKeys, Pending};

/// Gives up the uploads that were begun before `before` and that no file leads to.
pub(super) async fn sweep(shared: &Shared, before: SystemTime, dry_run: bool) -> Result<u64, StorageError> {
    if !shared.bucket.limits().lists_uploads {
        return Ok(0);
    }
    let swept = abandoned(shared, before, dry_run).await;
    swept.map_err(shared.failed("cancel", &StoragePath::root()))
}

async fn abandoned(shared: &Shared, before: SystemTime, dry_run: bool) -> Result<u64, BucketError> {
    let (mut swept, mut after): (u64, Option<Pending>) = (0, None);
    loop {
        let page = shared.bucket.uploads(shared.names.root(), after.as_ref()).await?;
        let Some(last) = page.last().cloned() else { return Ok(swept) };
        for upload in page.iter().filter(|upload| upload.initiated < before) {
            if is_somebodys(shared, &upload.key).await? {
                continue;
            }
            tracing::info!(key = %upload.key, dry_run, "an upload in parts that nobody ended is given up");
            if !dry_run {
                shared.bucket.abort(&upload.key, &upload.upload).await?;
            }
            swept += 1;
        }
        after = Some(last);
    }
}

/// Whether the file that an upload is for is being written, or lies in a directory with other files: these
/// are those of a session, which ends its uploads when it ends.
async fn is_somebodys(shared: &Shared, key: &str) -> Result<bool, BucketError> {
    let file = key.split_once('~').map_or(key, |(file, _)| file);
    let path = file.strip_prefix(shared.names.root()).map(|path| StoragePath::try_from(format!("/{path}")));
    let Some(Ok(path)) = path else { return Ok(false) };
    if shared.is_open(&path) {
        return Ok(true);
    }
    let dir = path.parent().unwrap_or_else(StoragePath::root);
    let prefix = shared.names.dir(&dir);
    let page = shared.bucket.list(&ListKeys { prefix: &prefix, fold: true, after: None, limit: 2 }).await?;
    let others: BTreeSet<_> =
        page.keys.iter().map(|found| found.key.as_str()).filter(|found| *found != file).collect();
    Ok(!others.is_empty())
}
