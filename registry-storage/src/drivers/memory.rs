//! A driver that keeps everything in memory. For tests and for registries that may forget.

use std::collections::{BTreeMap, HashSet};
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use http::Uri;
use registry_core::{
    Batch, ByteRange, Change, Content, ContentBody, Detached, Entry, FileWriter, ListMode, ListPage,
    ListRequest, Metadata, PutMode, RedirectHint, Shape, StorageDriver, StorageError, StoragePath, WriteMode,
};

const NAME: &str = "inmemory";

/// How much a writer collects before it stores a piece.
const PIECE: usize = 256 * 1024;

/// Keeps files in memory. Clones share the same files.
#[derive(Debug, Clone)]
pub struct MemoryDriver {
    shape: Shape,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    order: Order,
    files: BTreeMap<Key, File>,
    being_written: HashSet<StoragePath>,
}

/// A path in the order in which files are kept.
type Key = String;

/// The order in which files are kept, by what stands for the separator of a path.
#[derive(Debug, Clone, Copy)]
struct Order {
    separator: char,
    /// The character after it.
    next: char,
}

impl Order {
    /// Separators sort before any other character, so that the map is in the order of path components and
    /// each directory is one run of it.
    const TREE: Self = Self { separator: '\u{1}', next: '\u{2}' };
    /// Names as they are.
    const FLAT: Self = Self { separator: '/', next: '0' };

    fn key(self, path: &str) -> Key {
        match self.separator {
            '/' => path.to_owned(),
            separator => path.replace('/', separator.encode_utf8(&mut [0; 4])),
        }
    }

    /// The keys of everything below a directory.
    fn below(self, dir: &StoragePath) -> Key {
        format!("{}{}", self.key(dir.as_str()).trim_end_matches(self.separator), self.separator)
    }

    fn text(self, key: &str) -> String {
        key.replace(self.separator, "/")
    }
}

#[derive(Debug, Clone)]
struct File {
    pieces: Vec<Bytes>,
    len: u64,
    modified: SystemTime,
}

impl File {
    fn new(pieces: Vec<Bytes>) -> Self {
        let len = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { pieces, len, modified: SystemTime::now() }
    }

    fn append(&mut self, piece: Bytes) {
        self.len += piece.len() as u64;
        self.pieces.push(piece);
        self.modified = SystemTime::now();
    }

    /// The pieces that make up a range of the file.
    fn slice(&self, range: Range<u64>) -> Vec<Bytes> {
        let mut start = 0;
        let mut slices = Vec::new();
        for piece in &self.pieces {
            let end = start + piece.len() as u64;
            let (from, to) = (range.start.clamp(start, end), range.end.clamp(start, end));
            if from < to {
                slices.push(piece.slice((from - start) as usize..(to - start) as usize));
            }
            start = end;
        }
        slices
    }
}

impl Default for MemoryDriver {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryDriver {
    /// An empty store.
    pub fn new() -> Self {
        Self::shaped(Shape::Tree)
    }

    /// An empty store that keeps files as a bucket does, for tests of what is built for buckets.
    pub fn flat() -> Self {
        Self::shaped(Shape::Flat)
    }

    fn shaped(shape: Shape) -> Self {
        let order = match shape {
            Shape::Tree => Order::TREE,
            Shape::Flat => Order::FLAT,
        };
        let state = State { order, files: BTreeMap::new(), being_written: HashSet::new() };
        Self { shape, state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found(path: &StoragePath) -> StorageError {
    StorageError::NotFound { driver: NAME, path: path.clone() }
}

impl State {
    fn file(&self, path: &StoragePath) -> Result<&File, StorageError> {
        self.files.get(&self.key(path)).ok_or_else(|| not_found(path))
    }

    fn key(&self, path: &StoragePath) -> Key {
        self.order.key(path.as_str())
    }

    /// The direct children of a directory after `after`, where they are scattered among the keys.
    fn children(&self, prefix: &str, after: Option<&str>, limit: usize) -> ListPage {
        let mut children = BTreeMap::new();
        let mut from = Bound::Included(prefix.to_owned());
        while let Some((found, _)) = self.files.range((from, Bound::Unbounded)).next() {
            let Some(rest) = found.strip_prefix(prefix) else { break };
            let (name, is_dir) = match rest.split_once(self.order.separator) {
                Some((child, _)) => (child, true),
                None => (rest, false),
            };
            from = if is_dir {
                Bound::Included(format!("{prefix}{name}{}", self.order.next))
            } else {
                Bound::Excluded(found.clone())
            };
            if after.is_none_or(|after| name > after) {
                children.insert(name.to_owned(), is_dir);
            }
        }
        let more = limit > 0 && children.len() > limit;
        let entries = children.into_iter().take(limit).map(|(name, is_dir)| Entry { name, is_dir });
        ListPage { entries: entries.collect(), more }
    }

    fn change(&mut self, change: Change) -> Result<(), StorageError> {
        match change {
            Change::Put { path, content, mode } => {
                let key = self.key(&path);
                if mode == PutMode::Create && self.files.contains_key(&key) {
                    return Err(StorageError::AlreadyExists { driver: NAME, path });
                }
                self.files.insert(key, File::new(vec![Bytes::copy_from_slice(&content)]));
            }
            Change::Rename { from, to } => {
                let file = self.files.remove(&self.key(&from)).ok_or_else(|| not_found(&from))?;
                self.files.insert(self.key(&to), file);
            }
            Change::Remove { path } => drop(self.files.remove(&self.key(&path))),
            Change::Delete { path } => {
                self.files.remove(&self.key(&path));
                let prefix = self.order.below(&path);
                let doomed: Vec<Key> = run(&self.files, &prefix).map(|(key, _)| key.clone()).collect();
                for key in doomed {
                    self.files.remove(&key);
                }
            }
        }
        Ok(())
    }
}

/// The files whose keys begin with a prefix.
fn run<'a>(files: &'a BTreeMap<Key, File>, prefix: &'a str) -> impl Iterator<Item = (&'a Key, &'a File)> {
    files.range(prefix.to_owned()..).take_while(move |(key, _)| key.starts_with(prefix))
}

#[async_trait]
impl StorageDriver for MemoryDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn shape(&self) -> Shape {
        self.shape
    }

    async fn get(&self, path: &StoragePath, limit: u64) -> Result<Bytes, StorageError> {
        let file = self.state().file(path)?.clone();
        if file.len > limit {
            return Err(StorageError::TooLarge { driver: NAME, path: path.clone(), len: file.len, limit });
        }
        Ok(match file.pieces.as_slice() {
            [piece] => piece.clone(),
            pieces => pieces.concat().into(),
        })
    }

    async fn reader(&self, path: &StoragePath, range: Option<ByteRange>) -> Result<Content, StorageError> {
        let file = self.state().file(path)?.clone();
        let range = match range {
            None => 0..file.len,
            Some(range) => range.resolve(file.len).map_err(|error| StorageError::InvalidRange {
                driver: NAME,
                path: path.clone(),
                len: error.len,
            })?,
        };
        let mut pieces = file.slice(range.clone());
        let body = match pieces.len() {
            0 => ContentBody::Bytes(Bytes::new()),
            1 => ContentBody::Bytes(pieces.remove(0)),
            _ => ContentBody::Stream(stream::iter(pieces.into_iter().map(Ok)).boxed()),
        };
        Ok(Content { size: file.len, modified: file.modified, range, body })
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata, StorageError> {
        let state = self.state();
        if let Ok(file) = state.file(path) {
            return Ok(Metadata { size: file.len, modified: file.modified, is_dir: false });
        }
        let prefix = state.order.below(path);
        let is_dir = path.as_str() == "/" || run(&state.files, &prefix).next().is_some();
        if !is_dir {
            return Err(not_found(path));
        }
        Ok(Metadata { size: 0, modified: SystemTime::UNIX_EPOCH, is_dir: true })
    }

    async fn list(&self, dir: &StoragePath, request: &ListRequest) -> Result<ListPage, StorageError> {
        let state = self.state();
        let order = state.order;
        let prefix = order.below(dir);
        if self.shape == Shape::Flat && request.mode == ListMode::Children {
            return Ok(state.children(&prefix, request.after.as_deref(), request.limit));
        }
        let mut page = ListPage::default();
        // Where to go on: after `after` and, for a child, after everything below it.
        let mut from = match (&request.after, request.mode) {
            (None, _) => Bound::Included(prefix.clone()),
            (Some(after), ListMode::Children) => Bound::Included(format!("{prefix}{after}{}", order.next)),
            (Some(after), ListMode::Recursive) => Bound::Excluded(format!("{prefix}{}", order.key(after))),
        };
        while let Some((found, _)) = state.files.range((from, Bound::Unbounded)).next() {
            let Some(rest) = found.strip_prefix(&prefix) else { break };
            if page.entries.len() == request.limit {
                page.more = request.limit > 0;
                break;
            }
            let (name, is_dir) = match (request.mode, rest.split_once(order.separator)) {
                (ListMode::Children, Some((child, _))) => (child.to_owned(), true),
                _ => (order.text(rest), false),
            };
            from = if is_dir {
                Bound::Included(format!("{prefix}{name}{}", order.next))
            } else {
                Bound::Excluded(found.clone())
            };
            // Any text may be asked for, also one with the separator in it.
            let earlier = |after: &String| request.mode == ListMode::Children && name <= *after;
            if !request.after.as_ref().is_some_and(earlier) {
                page.entries.push(Entry { name, is_dir });
            }
        }
        Ok(page)
    }

    async fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        let mut state = self.state();
        batch.into_stages().into_iter().flatten().try_for_each(|step| state.change(step.change))
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>, StorageError> {
        let mut state = self.state();
        if state.being_written.contains(path) {
            return Err(StorageError::Busy { driver: NAME, path: path.clone() });
        }
        let size = match mode {
            WriteMode::Truncate => {
                let key = state.key(path);
                state.files.insert(key, File::new(Vec::new()));
                0
            }
            WriteMode::Append => state.file(path)?.len,
            WriteMode::Continue(_) => {
                return Err(StorageError::Unsupported {
                    driver: NAME,
                    operation: "continuing with a ticket",
                });
            }
        };
        state.being_written.insert(path.clone());
        drop(state);
        Ok(Box::new(MemoryWriter {
            driver: self.clone(),
            path: path.clone(),
            pending: BytesMut::new(),
            size,
        }))
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

/// An open file. Content is copied into pieces of its own, since what arrives may be a small part of
/// a large buffer.
#[derive(Debug)]
struct MemoryWriter {
    driver: MemoryDriver,
    path: StoragePath,
    pending: BytesMut,
    size: u64,
}

impl MemoryWriter {
    fn flush(&mut self, state: &mut State) -> Result<(), StorageError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let key = state.key(&self.path);
        let file = state.files.get_mut(&key).ok_or_else(|| not_found(&self.path))?;
        file.append(std::mem::take(&mut self.pending).freeze());
        Ok(())
    }
}

#[async_trait]
impl FileWriter for MemoryWriter {
    fn size(&self) -> u64 {
        self.size
    }

    fn destined_for(&mut self, _: &StoragePath) {}

    async fn write(&mut self, data: Bytes) -> Result<(), StorageError> {
        self.size += data.len() as u64;
        self.pending.extend_from_slice(&data);
        if self.pending.len() >= PIECE {
            let driver = self.driver.clone();
            self.flush(&mut driver.state())?;
        }
        Ok(())
    }

    async fn close(mut self: Box<Self>) -> Result<u64, StorageError> {
        let driver = self.driver.clone();
        self.flush(&mut driver.state())?;
        Ok(self.size)
    }

    async fn detach(self: Box<Self>) -> Result<Detached, StorageError> {
        Ok(Detached::stored(self.close().await?))
    }

    async fn commit(mut self: Box<Self>, then: Batch) -> Result<u64, StorageError> {
        let driver = self.driver.clone();
        let mut state = driver.state();
        self.flush(&mut state)?;
        then.into_stages().into_iter().flatten().try_for_each(|step| state.change(step.change))?;
        drop(state);
        Ok(self.size)
    }

    async fn cancel(self: Box<Self>) -> Result<(), StorageError> {
        let mut state = self.driver.state();
        let key = state.key(&self.path);
        state.files.remove(&key);
        Ok(())
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        self.driver.state().being_written.remove(&self.path);
    }
}
