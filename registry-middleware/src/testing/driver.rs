//! Files in memory. Bodies stream in pieces of two bytes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::Uri;
use registry_core::{
    Batch, ByteRange, Change, Content, ContentBody, Detached, Entry, FileWriter, ListMode, ListPage,
    ListRequest, Metadata, PutMode, RedirectHint, Shape, StorageDriver, StorageError, StoragePath, WriteMode,
};

#[derive(Debug, Default, Clone)]
pub(crate) struct Memory {
    files: std::sync::Arc<Mutex<BTreeMap<StoragePath, Bytes>>>,
}

impl Memory {
    pub(super) fn insert(&self, path: StoragePath, content: Bytes) {
        self.files.lock().unwrap().insert(path, content);
    }

    pub(super) fn has(&self, path: &StoragePath) -> bool {
        self.files.lock().unwrap().contains_key(path)
    }

    fn read(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        let files = self.files.lock().unwrap();
        files.get(path).cloned().ok_or_else(|| not_found(path))
    }
}

fn not_found(path: &StoragePath) -> StorageError {
    StorageError::NotFound { driver: "fake", path: path.clone() }
}

#[async_trait]
impl StorageDriver for Memory {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn shape(&self) -> Shape {
        Shape::Tree
    }

    async fn get(&self, path: &StoragePath, _limit: u64) -> Result<Bytes, StorageError> {
        self.read(path)
    }

    async fn reader(&self, path: &StoragePath, range: Option<ByteRange>) -> Result<Content, StorageError> {
        let content = self.read(path)?;
        let size = content.len() as u64;
        let range: Range<u64> = range.map_or(0..size, |range| range.resolve(size).unwrap());
        let part = content.slice(range.start as usize..range.end as usize);
        let pieces: Vec<_> = part.chunks(2).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let body = ContentBody::Stream(futures::stream::iter(pieces).boxed());
        Ok(Content { size, modified: SystemTime::UNIX_EPOCH, range, body })
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata, StorageError> {
        let modified = SystemTime::UNIX_EPOCH;
        if let Ok(content) = self.read(path) {
            return Ok(Metadata { size: content.len() as u64, modified, is_dir: false });
        }
        let files = self.files.lock().unwrap();
        match files.keys().any(|file| file.is_within(path)) {
            true => Ok(Metadata { size: 0, modified, is_dir: true }),
            false => Err(not_found(path)),
        }
    }

    /// Recursive listings only.
    async fn list(&self, dir: &StoragePath, request: &ListRequest) -> Result<ListPage, StorageError> {
        assert_eq!(request.mode, ListMode::Recursive);
        let files = self.files.lock().unwrap();
        let skip = dir.as_str().trim_end_matches('/').len() + 1;
        let mut entries = files
            .keys()
            .filter(|file| file.is_within(dir))
            .map(|file| file.as_str()[skip..].to_owned())
            .filter(|name| request.after.as_ref().is_none_or(|after| name > after))
            .map(|name| Entry { name, is_dir: false });
        let page: Vec<Entry> = entries.by_ref().take(request.limit).collect();
        Ok(ListPage { entries: page, more: entries.next().is_some() })
    }

    async fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        let mut files = self.files.lock().unwrap();
        for step in batch.into_stages().into_iter().flatten() {
            match step.change {
                Change::Put { path, mode: PutMode::Create, .. } if files.contains_key(&path) => {
                    return Err(StorageError::AlreadyExists { driver: "fake", path });
                }
                Change::Put { path, content, .. } => drop(files.insert(path, content)),
                Change::Rename { from, to } => {
                    let content = files.remove(&from).ok_or_else(|| not_found(&from))?;
                    files.insert(to, content);
                }
                Change::Remove { path } => drop(files.remove(&path)),
                Change::Delete { path } => files.retain(|file, _| !file.is_within(&path)),
            }
        }
        Ok(())
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>, StorageError> {
        let content = match mode {
            WriteMode::Truncate => BytesMut::new(),
            WriteMode::Append => self.read(path)?.into(),
            WriteMode::Continue(_) => panic!("no ticket was given out"),
        };
        Ok(Box::new(Writer { driver: self.clone(), path: path.clone(), content }))
    }

    async fn redirect_url(
        &self,
        _path: &StoragePath,
        _hint: &RedirectHint,
    ) -> Result<Option<Uri>, StorageError> {
        Ok(None)
    }

    async fn sweep(&self, _: SystemTime, _: bool) -> Result<u64, StorageError> {
        Ok(0)
    }

    fn object_key(&self, _path: &StoragePath) -> Option<String> {
        None
    }
}

#[derive(Debug)]
struct Writer {
    driver: Memory,
    path: StoragePath,
    content: BytesMut,
}

impl Writer {
    fn save(self) -> (Memory, u64) {
        let size = self.content.len() as u64;
        self.driver.insert(self.path, self.content.freeze());
        (self.driver, size)
    }
}

#[async_trait]
impl FileWriter for Writer {
    fn size(&self) -> u64 {
        self.content.len() as u64
    }

    fn destined_for(&mut self, _: &StoragePath) {}

    async fn write(&mut self, data: Bytes) -> Result<(), StorageError> {
        self.content.extend_from_slice(&data);
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<u64, StorageError> {
        Ok(self.save().1)
    }

    async fn detach(self: Box<Self>) -> Result<Detached, StorageError> {
        Ok(Detached::stored(self.close().await?))
    }

    async fn commit(self: Box<Self>, then: Batch) -> Result<u64, StorageError> {
        let (driver, size) = self.save();
        driver.apply(then).await?;
        Ok(size)
    }

    async fn cancel(self: Box<Self>) -> Result<(), StorageError> {
        self.driver.apply(Batch::new().delete(self.path)).await
    }
}
