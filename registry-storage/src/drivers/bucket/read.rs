//! Reading: one request for a file, whatever part of it is wanted.

use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use registry_core::{ByteRange, Content, ContentBody, Metadata, StorageError, StoragePath};

use super::driver::Shared;
use super::names::Names;
use super::store::{Bucket, BucketError, GetRange, ListKeys, Object};
use super::write::find;
use crate::replaced::is_replaced;

/// How many versions of a small file are begun with at most, if each is replaced while it is read.
const VERSIONS: usize = 8;

/// The whole of a small file.
pub(super) async fn get(shared: &Shared, path: &StoragePath, limit: u64) -> Result<Bytes, StorageError> {
    if path.relative().is_empty() {
        return Err(shared.not_found(path));
    }
    let mut versions = VERSIONS;
    loop {
        let object = shared.bucket.get(&shared.names.file(path), None).await;
        let object = object.map_err(shared.failed("get", path))?;
        let len = object.meta.size;
        if len > limit {
            return Err(StorageError::TooLarge { driver: shared.driver(), path: path.clone(), len, limit });
        }
        match whole(object).await {
            // Nobody has seen anything of it yet, so another version will do.
            Err(error) if is_replaced(&error) && versions > 1 => versions -= 1,
            read => return read,
        }
    }
}

/// All bytes of an object that is known to be small.
pub(super) async fn whole(object: Object) -> Result<Bytes, StorageError> {
    let len = usize::try_from(object.range.end - object.range.start).unwrap_or_default();
    let mut body = object.body;
    let Some(first) = body.try_next().await? else { return Ok(Bytes::new()) };
    if first.len() == len {
        return Ok(first);
    }
    let mut all = BytesMut::with_capacity(len);
    all.extend_from_slice(&first);
    while let Some(piece) = body.try_next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

/// A file or part of it, opened.
pub(super) async fn open(
    shared: &Shared,
    path: &StoragePath,
    range: Option<ByteRange>,
) -> Result<Content, StorageError> {
    if path.relative().is_empty() {
        return Err(shared.not_found(path));
    }
    let key = shared.names.file(path);
    let asked = range.map(|range| match range {
        ByteRange::Bounded { start, end } => GetRange::Bounded(start..end),
        ByteRange::From(start) => GetRange::From(start),
        ByteRange::Suffix(len) => GetRange::Suffix(len.get()),
    });
    let object = match shared.bucket.get(&key, asked).await {
        Ok(object) => object,
        Err(BucketError::InvalidRange { len: None }) => {
            let meta = shared.bucket.head(&key).await.map_err(shared.failed("head", path))?;
            return Err(shared.failed("get", path)(BucketError::InvalidRange { len: Some(meta.size) }));
        }
        Err(error) => return Err(shared.failed("get", path)(error)),
    };
    // Some services answer a range of nothing with nothing.
    if range.is_some() && object.range.is_empty() {
        let len = Some(object.meta.size);
        return Err(shared.failed("get", path)(BucketError::InvalidRange { len }));
    }
    let body = ContentBody::Stream(object.body);
    Ok(Content { size: object.meta.size, modified: object.meta.modified, range: object.range, body })
}

/// What is at a path.
pub(super) async fn stat(shared: &Shared, path: &StoragePath) -> Result<Metadata, StorageError> {
    const DIR: Metadata = Metadata { size: 0, modified: SystemTime::UNIX_EPOCH, is_dir: true };
    if path.relative().is_empty() {
        return Ok(DIR);
    }
    let key = shared.names.file(path);
    match shared.bucket.head(&key).await {
        Ok(meta) => return Ok(Metadata { size: meta.size, modified: meta.modified, is_dir: false }),
        Err(BucketError::NotFound) => {}
        Err(error) => return Err(shared.failed("head", path)(error)),
    }
    // A directory, or a file that is being written: both have names that begin with this one. Those that
    // have another meaning and lie between the two are few.
    let (dir, beside) = (format!("{key}/"), Names::beside_all(&key));
    let before = format!("{key}.~~");
    let request =
        ListKeys { prefix: &key, fold: true, after: Some(&before), limit: shared.bucket.limits().page };
    let page = shared.bucket.list(&request).await.map_err(shared.failed("list", path))?;
    let mut being_written = false;
    for found in &page.keys {
        if found.key.starts_with(&dir) {
            return Ok(DIR);
        }
        being_written |= found.key.starts_with(&beside);
    }
    if page.more && !being_written {
        let request = ListKeys { prefix: &beside, fold: false, after: None, limit: 1 };
        let page = shared.bucket.list(&request).await.map_err(shared.failed("list", path))?;
        being_written = !page.keys.is_empty();
    }
    let found = if being_written { find::find(shared, path).await? } else { None };
    let found = found.ok_or_else(|| shared.not_found(path))?;
    Ok(Metadata { size: found.stored.size(), modified: found.modified, is_dir: false })
}
