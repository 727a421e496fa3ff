//! A driver that is as short as a driver can be: a map under a lock.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::Uri;
use registry_core::{
    Batch, ByteRange, Change, Content, ContentBody, Detached, Entry, FileWriter, ListMode, ListPage,
    ListRequest, Metadata, PutMode, RedirectHint, Shape, StorageDriver, StorageError, StoragePath, WriteMode,
};

const NAME: &str = "map";

#[derive(Debug, Default)]
pub(crate) struct MapDriver(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<StoragePath, Bytes>,
    open: BTreeSet<StoragePath>,
}

impl State {
    fn file(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        let found = self.files.get(path).cloned();
        found.ok_or_else(|| StorageError::NotFound { driver: NAME, path: path.clone() })
    }

    fn apply(&mut self, change: Change) -> Result<(), StorageError> {
        match change {
            Change::Put { path, mode: PutMode::Create, .. } if self.files.contains_key(&path) => {
                return Err(StorageError::AlreadyExists { driver: NAME, path });
            }
            Change::Put { path, content, .. } => {
                self.files.insert(path, content);
            }
            Change::Rename { from, to } => {
                let content = self.file(&from)?;
                self.files.remove(&from);
                self.files.insert(to, content);
            }
            Change::Remove { path } => drop(self.files.remove(&path)),
            Change::Delete { path } => self.files.retain(|file, _| !file.is_within(&path)),
        }
        Ok(())
    }

    fn apply_all(&mut self, batch: Batch) -> Result<(), StorageError> {
        batch.into_stages().into_iter().flatten().try_for_each(|step| self.apply(step.change))
    }
}

#[async_trait]
impl StorageDriver for MapDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn shape(&self) -> Shape {
        Shape::Tree
    }

    async fn get(&self, path: &StoragePath, limit: u64) -> Result<Bytes, StorageError> {
        let content = self.0.lock().unwrap().file(path)?;
        let len = content.len() as u64;
        if len > limit {
            return Err(StorageError::TooLarge { driver: NAME, path: path.clone(), len, limit });
        }
        Ok(content)
    }

    async fn reader(&self, path: &StoragePath, range: Option<ByteRange>) -> Result<Content, StorageError> {
        let content = self.0.lock().unwrap().file(path)?;
        let size = content.len() as u64;
        let range = match range {
            None => 0..size,
            Some(range) => range.resolve(size).map_err(|error| StorageError::InvalidRange {
                driver: NAME,
                path: path.clone(),
                len: error.len,
            })?,
        };
        let body = ContentBody::Bytes(content.slice(range.start as usize..range.end as usize));
        Ok(Content { size, modified: SystemTime::now(), range, body })
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata, StorageError> {
        let state = self.0.lock().unwrap();
        let is_dir = *path == StoragePath::root()
            || state.files.keys().any(|file| file != path && file.is_within(path));
        let size = if is_dir { 0 } else { state.file(path)?.len() as u64 };
        Ok(Metadata { size, modified: SystemTime::now(), is_dir })
    }

    async fn list(&self, dir: &StoragePath, request: &ListRequest) -> Result<ListPage, StorageError> {
        let state = self.0.lock().unwrap();
        let below = state.files.keys().filter(|file| *file != dir && file.is_within(dir));
        let mut entries: BTreeMap<String, bool> = BTreeMap::new();
        for file in below {
            let relative = file.as_str()[dir.as_str().trim_end_matches('/').len()..].trim_start_matches('/');
            match (request.mode, relative.split_once('/')) {
                (ListMode::Children, Some((child, _))) => entries.insert(child.to_owned(), true),
                (ListMode::Children, None) | (ListMode::Recursive, _) => {
                    entries.insert(relative.to_owned(), false)
                }
            };
        }
        let wanted = |(name, _): &(String, bool)| request.after.as_ref().is_none_or(|after| name > after);
        let mut entries = entries.into_iter().filter(wanted).map(|(name, is_dir)| Entry { name, is_dir });
        let page: Vec<_> = entries.by_ref().take(request.limit).collect();
        Ok(ListPage { entries: page, more: entries.next().is_some() })
    }

    async fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        self.0.lock().unwrap().apply_all(batch)
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>, StorageError> {
        let mut state = self.0.lock().unwrap();
        let content = match mode {
            WriteMode::Append => state.file(path)?.to_vec(),
            WriteMode::Truncate => Vec::new(),
            WriteMode::Continue(_) => {
                return Err(StorageError::Unsupported {
                    driver: NAME,
                    operation: "continuing with a ticket",
                });
            }
        };
        if !state.open.insert(path.clone()) {
            return Err(StorageError::Busy { driver: NAME, path: path.clone() });
        }
        state.files.insert(path.clone(), content.clone().into());
        Ok(Box::new(MapWriter { state: Arc::clone(&self.0), path: path.clone(), content }))
    }

    async fn redirect_url(&self, _: &StoragePath, _: &RedirectHint) -> Result<Option<Uri>, StorageError> {
        Ok(None)
    }

    async fn sweep(&self, _: SystemTime, _: bool) -> Result<u64, StorageError> {
        Ok(0)
    }

    fn object_key(&self, _: &StoragePath) -> Option<String> {
        None
    }
}

#[derive(Debug)]
struct MapWriter {
    state: Arc<Mutex<State>>,
    path: StoragePath,
    content: Vec<u8>,
}

#[async_trait]
impl FileWriter for MapWriter {
    fn size(&self) -> u64 {
        self.content.len() as u64
    }

    fn destined_for(&mut self, _: &StoragePath) {}

    async fn write(&mut self, data: Bytes) -> Result<(), StorageError> {
        self.content.extend_from_slice(&data);
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<u64, StorageError> {
        self.commit(Batch::new()).await
    }

    async fn detach(self: Box<Self>) -> Result<Detached, StorageError> {
        Ok(Detached::stored(self.close().await?))
    }

    async fn commit(mut self: Box<Self>, then: Batch) -> Result<u64, StorageError> {
        let (size, content) = (self.size(), std::mem::take(&mut self.content));
        let mut state = self.state.lock().unwrap();
        state.files.insert(self.path.clone(), content.into());
        state.apply_all(then).map(|()| size)
    }

    async fn cancel(self: Box<Self>) -> Result<(), StorageError> {
        self.state.lock().unwrap().files.remove(&self.path);
        Ok(())
    }
}

impl Drop for MapWriter {
    fn drop(&mut self) {
        self.state.lock().unwrap().open.remove(&self.path);
    }
}
