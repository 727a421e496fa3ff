//! Looking for names in a flat store.
//!
//! There are no directories: a listing goes through names one by one, in byte order, and costs a call for a
//! thousand of them. So what is read at once is kept for a moment, and what need not be seen is jumped over.
//!
//! Byte order of whole names is not the order of their components. `a-b/x` comes before `a/x`, because `-`
//! and `.` come before `/`, and so a walk that has come to `a-b` has not seen `a` yet. What may be missing is
//! always known: the name that was found, cut off before one of its `-` and `.`. Those are looked for, which
//! costs a call only where the names that were read do not say it.

use std::collections::VecDeque;

use registry_core::{ListRequest, StorageDriver, StorageError, StoragePath};

/// How many names a call gives.
pub(crate) const PAGE: usize = 1000;

/// How many stretches of names are kept, so that a look at what comes later does not forget what is here.
const WINDOWS: usize = 4;

/// The character after `/`: what follows `name` and this follows everything in the directory `name`.
pub(crate) const PAST: char = '0';

/// The names below a directory of a flat store, wherever they are asked for.
#[derive(Debug)]
pub(crate) struct Names {
    dir: StoragePath,
    /// Whether directories that begin with `_` are children like all others.
    underscores: bool,
    windows: VecDeque<Window>,
}

/// A stretch of names without gaps.
#[derive(Debug)]
struct Window {
    after: String,
    names: Vec<String>,
    more: bool,
}

impl Window {
    /// Whether the first name after `text` is in here, or else there is none.
    fn knows(&self, text: &str) -> bool {
        self.after.as_str() <= text
            && (!self.more || self.names.last().is_some_and(|last| text < last.as_str()))
    }

    fn first_after(&self, text: &str) -> Option<&String> {
        self.names.get(self.names.partition_point(|name| name.as_str() <= text))
    }
}

impl Names {
    /// The names below `dir`.
    pub(crate) fn below(dir: StoragePath) -> Self {
        Self { dir, underscores: true, windows: VecDeque::new() }
    }

    /// The same, but directories that begin with `_` are no children: those in which the store keeps what
    /// belongs to a repository.
    pub(crate) fn without_underscores(dir: StoragePath) -> Self {
        Self { underscores: false, ..Self::below(dir) }
    }

    /// The first name after `text`.
    pub(crate) async fn first_after(
        &mut self,
        driver: &dyn StorageDriver,
        text: &str,
    ) -> Result<Option<&str>, StorageError> {
        let known = match self.windows.iter().position(|window| window.knows(text)) {
            Some(known) => known,
            None => {
                let request = ListRequest::recursive(PAGE).after(Some(text.to_owned()));
                let found = driver.list(&self.dir, &request).await?;
                let names = found.entries.into_iter().map(|entry| entry.name).collect();
                self.windows.truncate(WINDOWS - 1);
                self.windows.push_front(Window { after: text.to_owned(), names, more: found.more });
                0
            }
        };
        Ok(self.windows.get(known).and_then(|window| window.first_after(text)).map(String::as_str))
    }

    /// Whether there is a file.
    pub(crate) async fn has(&mut self, driver: &dyn StorageDriver, name: &str) -> Result<bool, StorageError> {
        Ok(self.first_after(driver, &just_before(name)).await? == Some(name))
    }

    /// Whether there is anything in a directory.
    pub(crate) async fn has_dir(
        &mut self,
        driver: &dyn StorageDriver,
        name: &str,
    ) -> Result<bool, StorageError> {
        let dir = format!("{name}/");
        Ok(self.first_after(driver, &dir).await?.is_some_and(|found| found.starts_with(&dir)))
    }

    /// The first directory in the directory `level` (empty, or ending in `/`) after `after`, in byte order of
    /// their names.
    pub(crate) async fn child(
        &mut self,
        driver: &dyn StorageDriver,
        level: &str,
        after: Option<&str>,
    ) -> Result<Option<String>, StorageError> {
        let underscores = self.underscores;
        let mut from = format!("{level}{}", after.map(nameable).unwrap_or_default());
        let found = loop {
            let Some(name) = self.first_after(driver, &from).await? else { return Ok(None) };
            let Some(rest) = name.strip_prefix(level) else { return Ok(None) };
            let Some((child, _)) = rest.split_once('/') else {
                from = name.to_owned();
                continue;
            };
            if !underscores && child.starts_with('_') {
                // '`' comes right after '_'.
                from = format!("{level}`");
            } else if after.is_some_and(|after| child <= after) {
                from = format!("{level}{child}{PAST}");
            } else {
                break child.to_owned();
            }
        };
        for (at, _) in found.match_indices(['-', '.']) {
            let shorter = &found[..at];
            if !shorter.is_empty()
                && after.is_none_or(|after| shorter > after)
                && self.has_dir(driver, &format!("{level}{shorter}")).await?
            {
                return Ok(Some(shorter.to_owned()));
            }
        }
        Ok(Some(found))
    }
}

/// A text after which the same directories come as after `text`, or a few more, and which could be the beginning of a
/// name: clients may ask for anything, and services refuse to list after what they would not store.
fn nameable(text: &str) -> String {
    let in_a_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let length = text.bytes().take(LONGEST).take_while(|b| in_a_name(*b)).count();
    let mut good = text[..length].to_owned();
    if let Some(odd) = text.as_bytes().get(length).copied() {
        // What has a lower character in its place comes before; '~' comes after every character of a path.
        if let Some(lower) = (b'-'..odd.min(b'{')).rev().find(|b| in_a_name(*b)) {
            good.extend([char::from(lower), '~']);
        }
    }
    // A segment of dots leads elsewhere; nothing that is looked for begins so.
    if good.starts_with('.') { String::new() } else { good }
}

/// The longest name of a directory.
const LONGEST: usize = 255;

/// A text that comes before a name and after every other that does.
fn just_before(name: &str) -> String {
    let mut text = name.to_owned();
    if let Some(last) = text.pop()
        && let Some(before) = char::from_u32(u32::from(last).saturating_sub(1))
    {
        // '~' comes after every character of a path.
        text.push(before);
        text.push('~');
    }
    text
}

#[cfg(test)]
mod tests {
    //! Children in the order of a tree, whatever the order of names.

    use registry_core::{Batch, StorageDriver};

    use super::*;
    use crate::MemoryDriver;

    async fn store(names: &[String]) -> MemoryDriver {
        let driver = MemoryDriver::flat();
        let dir = StoragePath::parse("/dir").unwrap();
        for chunk in names.chunks(500) {
            let put = |batch: Batch, name: &String| batch.put(dir.join(name).unwrap(), "x");
            driver.apply(chunk.iter().fold(Batch::new(), put)).await.unwrap();
        }
        driver
    }

    async fn children(driver: &MemoryDriver, after: Option<&str>) -> Vec<String> {
        let mut names = Names::without_underscores(StoragePath::parse("/dir").unwrap());
        let mut found: Vec<String> = Vec::new();
        let mut last = after.map(str::to_owned);
        while let Some(child) = names.child(driver, "", last.as_deref()).await.unwrap() {
            found.push(child.clone());
            last = Some(child);
        }
        found
    }

    #[tokio::test]
    async fn children_are_in_byte_order_of_their_names_however_many_files_they_have() {
        let mut expected = ["a", "a-b", "a-b.c", "a.b", "a.b-c", "a0", "ab", "b.1.2", "b.1.2-x", "c-d-e"];
        expected.sort_unstable();
        for files in [1, 300, 1500] {
            let all = expected.iter().flat_map(|child| (0..files).map(move |n| format!("{child}/{n:04}")));
            let mut all: Vec<String> = all.collect();
            all.extend(["file".to_owned(), "_own/x".to_owned(), "a-b/c/d/e".to_owned()]);
            let driver = store(&all).await;
            assert_eq!(children(&driver, None).await, expected, "{files} files each");
            for (at, after) in expected.iter().enumerate() {
                assert_eq!(children(&driver, Some(after)).await, expected[at + 1..], "after {after}");
            }
            assert_eq!(children(&driver, Some("a-z")).await, expected[3..], "after what is not there");
        }
    }

    #[tokio::test]
    async fn a_file_is_told_from_its_neighbours() {
        let driver = store(&["x/lin".into(), "x/link".into(), "x/link2".into(), "y/link0".into()]).await;
        let mut names = Names::below(StoragePath::parse("/dir").unwrap());
        assert!(names.has(&driver, "x/link").await.unwrap());
        assert!(!names.has(&driver, "y/link").await.unwrap());
        assert!(!names.has(&driver, "x/l").await.unwrap());
        assert!(names.has_dir(&driver, "x").await.unwrap());
        assert!(!names.has_dir(&driver, "z").await.unwrap());
    }
}
