//! Which files there are, and where in the log their bytes lie.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::time::SystemTime;

use registry_core::{Entry, ListMode, ListPage, ListRequest, Metadata, StorageError, StoragePath};

use crate::not_found;

/// A path as the list of its segments. Lists sort segment by segment, so each directory is one run of a
/// sorted map, in the order of the names in it.
type Key = Vec<Box<str>>;

fn key(path: &str) -> Key {
    path.split('/').filter(|segment| !segment.is_empty()).map(Into::into).collect()
}

/// A file.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The parts of the log that make up the file.
    pieces: Vec<Range<u64>>,
    pub(crate) modified: SystemTime,
}

impl Node {
    /// The length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.end - piece.start).sum()
    }

    /// The parts of the log that make up a range of the file.
    pub(crate) fn slice(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut before = 0;
        let mut slices = Vec::new();
        for piece in &self.pieces {
            let after = before + (piece.end - piece.start);
            let (from, to) = (range.start.clamp(before, after), range.end.clamp(before, after));
            if from < to {
                slices.push(piece.start + (from - before)..piece.start + (to - before));
            }
            before = after;
        }
        slices
    }

    fn add(&mut self, bytes: Range<u64>) {
        if !bytes.is_empty() {
            self.pieces.push(bytes);
        }
    }
}

/// All files.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: BTreeMap<Key, Node>,
}

impl Tree {
    pub(crate) fn get(&self, path: &StoragePath) -> Result<&Node, StorageError> {
        self.files.get(&key(path.as_str())).ok_or_else(|| not_found(path))
    }

    pub(crate) fn put(&mut self, path: &StoragePath, bytes: Range<u64>, modified: SystemTime) {
        let mut node = Node { pieces: Vec::new(), modified };
        node.add(bytes);
        self.files.insert(key(path.as_str()), node);
    }

    pub(crate) fn append(&mut self, path: &StoragePath, bytes: Range<u64>, modified: SystemTime) {
        if let Some(node) = self.files.get_mut(&key(path.as_str())) {
            node.add(bytes);
            node.modified = modified;
        }
    }

    pub(crate) fn rename(&mut self, from: &StoragePath, to: &StoragePath) {
        if let Some(node) = self.files.remove(&key(from.as_str())) {
            self.files.insert(key(to.as_str()), node);
        }
    }

    pub(crate) fn delete(&mut self, path: &StoragePath) {
        let dir = key(path.as_str());
        self.files.remove(&dir);
        let doomed: Vec<Key> =
            self.below(&dir, Bound::Excluded(dir.clone())).map(|(k, _)| k.clone()).collect();
        for key in doomed {
            self.files.remove(&key);
        }
    }

    pub(crate) fn stat(&self, path: &StoragePath) -> Result<Metadata, StorageError> {
        if let Ok(node) = self.get(path) {
            return Ok(Metadata { size: node.len(), modified: node.modified, is_dir: false });
        }
        let dir = key(path.as_str());
        if !dir.is_empty() && self.below(&dir, Bound::Excluded(dir.clone())).next().is_none() {
            return Err(not_found(path));
        }
        Ok(Metadata { size: 0, modified: SystemTime::UNIX_EPOCH, is_dir: true })
    }

    /// The files below a directory, from a place in it on.
    fn below(&self, dir: &Key, from: Bound<Key>) -> impl Iterator<Item = (&Key, &Node)> {
        let inside = move |(key, _): &(&Key, &Node)| key.starts_with(dir);
        self.files.range((from, Bound::Unbounded)).take_while(inside)
    }

    pub(crate) fn list(&self, dir: &StoragePath, request: &ListRequest) -> ListPage {
        let dir = key(dir.as_str());
        let mut from = match (&request.after, request.mode) {
            (None, _) => Bound::Excluded(dir.clone()),
            (Some(after), ListMode::Children) => beyond(&dir, after),
            (Some(after), ListMode::Recursive) => Bound::Excluded([dir.clone(), key(after)].concat()),
        };
        let mut page = ListPage::default();
        while let Some((found, _)) = self.below(&dir, from).next() {
            if page.entries.len() == request.limit {
                page.more = request.limit > 0;
                break;
            }
            let (name, is_dir) = match (request.mode, &found[dir.len()..]) {
                (ListMode::Children, [child, _, ..]) => (child.to_string(), true),
                (ListMode::Children | ListMode::Recursive, rest) => (rest.join("/"), false),
            };
            from = if is_dir { beyond(&dir, &name) } else { Bound::Excluded(found.clone()) };
            page.entries.push(Entry { name, is_dir });
        }
        page
    }
}

/// After a child of a directory and everything below it.
fn beyond(dir: &Key, child: &str) -> Bound<Key> {
    Bound::Included([dir.as_slice(), &[format!("{child}\0").into()]].concat())
}
