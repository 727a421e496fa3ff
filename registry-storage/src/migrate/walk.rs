//! The files of a directory in byte order of their whole names, whatever the shape of the store.
//!
//! A bucket lists in that order. On a disk the children of one directory come in the order of their own names,
//! which is another where a name goes on after that of a directory with something below `/`: `a-b/x` is before
//! `a/x`, but `a` before `a-b`. So a directory is held back as long as such names follow. Those held back
//! at one time begin with each other, so there are few.

use std::collections::VecDeque;
use std::sync::Arc;

use registry_core::{Entry, ListMode, ListRequest, Shape, StoragePath};

use super::store::{Broken, Store};

/// How many names are asked for at a time.
const PAGE: usize = 1000;

/// A listing, read page by page.
#[derive(Debug)]
pub(super) struct Pages {
    store: Arc<Store>,
    /// `None` for one that is not there.
    dir: Option<StoragePath>,
    mode: ListMode,
    waiting: VecDeque<Entry>,
    read_up_to: Option<String>,
}

impl Pages {
    pub(super) fn new(store: &Arc<Store>, dir: Option<StoragePath>, mode: ListMode) -> Self {
        Self { store: Arc::clone(store), dir, mode, waiting: VecDeque::new(), read_up_to: None }
    }

    /// The next entry, which stays.
    pub(super) async fn peek(&mut self) -> Result<Option<&Entry>, Broken> {
        while self.waiting.is_empty()
            && let Some(dir) = &self.dir
        {
            let request = ListRequest { mode: self.mode, after: self.read_up_to.take(), limit: PAGE };
            let found = self.store.call(|driver| driver.list(dir, &request)).await?;
            self.read_up_to = found.entries.last().map(|entry| entry.name.clone());
            if !found.more || found.entries.is_empty() {
                self.dir = None;
            }
            self.waiting = found.entries.into();
        }
        Ok(self.waiting.front())
    }

    /// Takes the entry that was looked at.
    pub(super) fn take(&mut self) -> Option<Entry> {
        self.waiting.pop_front()
    }
}

/// A walk over all files below a directory.
#[derive(Debug)]
pub(super) struct Files {
    store: Arc<Store>,
    root: StoragePath,
    levels: Vec<Level>,
}

/// A directory on the way to where the walk is.
#[derive(Debug)]
struct Level {
    /// Its path relative to the root, with a `/` at the end; empty for the root.
    name: String,
    children: Pages,
    held: Vec<String>,
}

impl Files {
    /// The files below `root`; none where it is `None`.
    pub(super) fn new(store: &Arc<Store>, root: Option<StoragePath>) -> Self {
        let mode = match store.driver.shape() {
            Shape::Tree => ListMode::Children,
            Shape::Flat => ListMode::Recursive,
        };
        let children = Pages::new(store, root.clone(), mode);
        let level = Level { name: String::new(), children, held: Vec::new() };
        Self { store: Arc::clone(store), root: root.unwrap_or_else(StoragePath::root), levels: vec![level] }
    }

    /// The next file, by its path relative to the root. A directory whose name no path can have comes as if it
    /// were a file.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Broken> {
        while let Some(level) = self.levels.last_mut() {
            let next = level.children.peek().await?;
            if let Some(held) = level.held.last()
                && !next.is_some_and(|next| is_between(held, &next.name))
            {
                let name = format!("{}{held}/", level.name);
                level.held.pop();
                match self.root.join(name.trim_end_matches('/')) {
                    Ok(dir) => {
                        let children = Pages::new(&self.store, Some(dir), ListMode::Children);
                        self.levels.push(Level { name, children, held: Vec::new() });
                        continue;
                    }
                    Err(_) => return Ok(Some(name)),
                }
            }
            match level.children.take() {
                None => drop(self.levels.pop()),
                Some(entry) if entry.is_dir => level.held.push(entry.name),
                Some(entry) => return Ok(Some(format!("{}{}", level.name, entry.name))),
            }
        }
        Ok(None)
    }
}

/// Whether `name` comes after `dir` and before what is below it.
fn is_between(dir: &str, name: &str) -> bool {
    name.strip_prefix(dir).and_then(|rest| rest.bytes().next()).is_some_and(|next| next < b'/')
}

#[cfg(test)]
mod tests {
    use registry_core::{Batch, StorageDriver};

    use super::super::store::tests::store;
    use super::*;
    use crate::MemoryDriver;

    #[tokio::test]
    async fn files_of_a_tree_come_in_the_order_of_whole_names() {
        let mut names = [
            "v1/current",
            "v1-1/current",
            "v1-1-a/current",
            "v1-2/current",
            "v1.0/x/y",
            "v10/current",
            "v1/index/a",
            "v1-1/a",
            "a",
            "v",
            "v1-",
            "z/z",
            "v1-1-a-/b/c",
            "v2.x",
        ];
        let driver = MemoryDriver::new();
        for name in names {
            let path = StoragePath::parse(&format!("/tags/{name}")).unwrap();
            driver.apply(Batch::new().put(path, "x")).await.unwrap();
        }
        let store = store(driver);
        let mut files = Files::new(&store, Some(StoragePath::parse("/tags").unwrap()));
        let mut found = Vec::new();
        while let Some(name) = files.next().await.unwrap() {
            found.push(name);
        }
        names.sort_unstable();
        assert_eq!(found, names);
        assert_eq!(Files::new(&store, None).next().await.unwrap(), None);
        let absent = StoragePath::parse("/absent").unwrap();
        assert_eq!(Files::new(&store, Some(absent)).next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn long_directories_are_read_page_by_page() {
        let driver = MemoryDriver::new();
        let names: Vec<String> = (0..2500).map(|number| format!("{number:05}")).collect();
        for name in &names {
            let path = StoragePath::parse(&format!("/dir/{name}/data")).unwrap();
            driver.apply(Batch::new().put(path, "x")).await.unwrap();
        }
        let mut files = Files::new(&store(driver), Some(StoragePath::parse("/dir").unwrap()));
        for name in names {
            assert_eq!(files.next().await.unwrap(), Some(format!("{name}/data")));
        }
        assert_eq!(files.next().await.unwrap(), None);
    }
}
