//! Large directories as they were last read, for as long as they have not changed.
//!
//! A page of a directory costs reading all of it, since no file system gives names in order. What was
//! read is kept, and serves the next page if the directory still has the time stamp that it had before:
//! a name that is added or removed changes it, whoever does it. File systems count that time in steps,
//! of milliseconds and on old ones of seconds, so only a directory that was at rest when it was read is
//! kept: whatever changes it later is in a later step.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use registry_core::Entry;

use super::at_hand;

/// How long a directory has to be unchanged before it is kept, where times have fractions of seconds: many
/// times the step in which the kernel's clock goes.
const REST: Duration = Duration::from_millis(100);

/// The same where they have none: more than the coarsest step.
const LONG_REST: Duration = Duration::from_secs(3);

/// Smaller directories are read as quickly as found.
const LEAST: usize = 256;

/// The most bytes of all names together, with what goes with them.
const MOST_BYTES: usize = 8 << 20;

/// The directories that are kept.
#[derive(Debug, Default)]
pub(super) struct Listings {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    listings: HashMap<PathBuf, (Arc<Listing>, u64)>,
    bytes: usize,
    uses: u64,
}

impl Listings {
    /// What is in `dir`, if that is known without reading it.
    pub(super) fn get(&self, dir: &Path) -> Option<Arc<Listing>> {
        let listing = self.kept.lock().unwrap_or_else(PoisonError::into_inner).touch(dir)?;
        let now = at_hand::locate(dir).ok()??.metadata().ok()?;
        (Stamp::of(&now) == listing.stamp).then_some(listing)
    }

    /// Whether a directory has not been changed for so long that a change from now on can be told.
    pub(super) fn at_rest(directory: &Metadata) -> bool {
        let rest = if directory.mtime_nsec() == 0 { LONG_REST } else { REST };
        let age = directory.modified().ok().and_then(|modified| modified.elapsed().ok());
        age.is_some_and(|age| age >= rest)
    }

    /// Keeps a listing that was read after `before` was asked, unless it is small or may be out of date
    /// already. `before` is what was known of `dir` before it was read.
    pub(super) fn keep(&self, dir: &Path, before: &Metadata, entries: &[Entry]) {
        let unchanged = || dir.metadata().is_ok_and(|after| Stamp::of(before) == Stamp::of(&after));
        if entries.len() < LEAST || !Self::at_rest(before) || !unchanged() {
            return;
        }
        if let Some(listing) = Listing::new(Stamp::of(before), entries) {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(dir, listing);
        }
    }
}

impl Kept {
    fn touch(&mut self, dir: &Path) -> Option<Arc<Listing>> {
        self.uses += 1;
        let (listing, used) = self.listings.get_mut(dir)?;
        *used = self.uses;
        Some(Arc::clone(listing))
    }

    fn insert(&mut self, dir: &Path, listing: Listing) {
        self.remove(dir);
        let bytes = listing.bytes();
        if bytes > MOST_BYTES {
            return;
        }
        while self.bytes + bytes > MOST_BYTES {
            let oldest = self.listings.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(dir, _)| dir.clone()) else { break };
            self.remove(&oldest);
        }
        self.bytes += bytes;
        self.listings.insert(dir.to_owned(), (Arc::new(listing), self.uses));
    }

    fn remove(&mut self, dir: &Path) {
        if let Some((listing, _)) = self.listings.remove(dir) {
            self.bytes -= listing.bytes();
        }
    }
}

/// What a directory has as long as nothing is added to it or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The names in a directory, in byte order, one after the other in one piece of memory.
#[derive(Debug)]
pub(super) struct Listing {
    stamp: Stamp,
    names: String,
    /// Where each name ends, and whether it is that of a directory.
    ends: Vec<(u32, bool)>,
}

impl Listing {
    /// `None` for more names than can be counted in 32 bits.
    fn new(stamp: Stamp, entries: &[Entry]) -> Option<Self> {
        let mut names = String::with_capacity(entries.iter().map(|entry| entry.name.len()).sum());
        let mut ends = Vec::with_capacity(entries.len());
        for entry in entries {
            names.push_str(&entry.name);
            ends.push((u32::try_from(names.len()).ok()?, entry.is_dir));
        }
        Some(Self { stamp, names, ends })
    }

    fn bytes(&self) -> usize {
        self.names.capacity() + self.ends.capacity() * size_of::<(u32, bool)>() + size_of::<Self>()
    }

    fn name(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before].0 as usize);
        &self.names[start..self.ends[index].0 as usize]
    }

    /// Up to `limit` entries after `after`.
    pub(super) fn page(&self, after: Option<&str>, limit: usize) -> Vec<Entry> {
        let (mut start, mut end) = (0, self.ends.len());
        while let Some(after) = after
            && start < end
        {
            let middle = start.midpoint(end);
            if self.name(middle) <= after {
                start = middle + 1;
            } else {
                end = middle;
            }
        }
        let page = start..start.saturating_add(limit).min(self.ends.len());
        page.map(|index| Entry { name: self.name(index).to_owned(), is_dir: self.ends[index].1 }).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::SystemTime;

    use super::*;

    fn entries(count: usize) -> Vec<Entry> {
        (0..count).map(|n| Entry { name: format!("v{n:05}"), is_dir: n % 3 == 0 }).collect()
    }

    /// Puts the last change of `dir` to `seconds` and `nanoseconds` of that second ago.
    fn rest(dir: &Path, seconds: u64, nanoseconds: u32) -> Metadata {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let past = SystemTime::UNIX_EPOCH + Duration::new(now - seconds, nanoseconds);
        File::open(dir).unwrap().set_modified(past).unwrap();
        dir.metadata().unwrap()
    }

    #[test]
    fn where_times_are_whole_seconds_the_rest_has_to_be_longer() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!Listings::at_rest(&dir.path().metadata().unwrap()), "it is new");
        assert!(Listings::at_rest(&rest(dir.path(), 1, 1)));
        assert!(!Listings::at_rest(&rest(dir.path(), 1, 0)));
        assert!(Listings::at_rest(&rest(dir.path(), 4, 0)));
        let future = SystemTime::now() + Duration::from_secs(60);
        File::open(dir.path()).unwrap().set_modified(future).unwrap();
        assert!(!Listings::at_rest(&dir.path().metadata().unwrap()), "another clock");
    }

    #[test]
    fn a_page_is_cut_out_of_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        let all = entries(1000);
        let listing = Listing::new(Stamp::of(&dir.path().metadata().unwrap()), &all).unwrap();
        assert_eq!(listing.page(None, usize::MAX), all);
        assert_eq!(listing.page(None, 2), all[..2]);
        assert_eq!(listing.page(Some("v00499"), 3), all[500..503]);
        assert_eq!(listing.page(Some("v00499x"), 3), all[500..503], "a name that is not there");
        assert_eq!(listing.page(Some(""), 1), all[..1]);
        assert_eq!(listing.page(Some("v00998"), 5), all[999..]);
        assert_eq!(listing.page(Some("w"), 5), []);
    }

    #[test]
    fn a_directory_is_known_until_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let listings = Listings::default();
        listings.keep(dir.path(), &dir.path().metadata().unwrap(), &entries(LEAST));
        assert!(listings.get(dir.path()).is_none(), "it may change again within the same step of the clock");

        let before = rest(dir.path(), 10, 1);
        listings.keep(dir.path(), &before, &entries(LEAST - 1));
        assert!(listings.get(dir.path()).is_none(), "too small to be worth it");

        listings.keep(dir.path(), &before, &entries(LEAST));
        let kept = listings.get(dir.path());
        if at_hand::locate(dir.path()).unwrap().is_none() {
            return; // This system cannot tell what it has at hand: nothing is ever served from here.
        }
        assert_eq!(kept.unwrap().page(None, usize::MAX), entries(LEAST));

        File::create(dir.path().join("new")).unwrap();
        assert!(listings.get(dir.path()).is_none(), "it has changed");
        listings.keep(dir.path(), &before, &entries(LEAST));
        assert!(listings.get(dir.path()).is_none(), "it changed while it was read");
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let stamp = Stamp::of(&dir.path().metadata().unwrap());
        let mut kept = Kept::default();
        let path = |n: usize| PathBuf::from(format!("/{n}"));
        for n in 0..100 {
            kept.insert(&path(n), Listing::new(stamp.clone(), &entries(20_000)).unwrap());
            kept.touch(&path(0));
            assert!(kept.bytes <= MOST_BYTES);
        }
        assert_eq!(kept.bytes, kept.listings.values().map(|(listing, _)| listing.bytes()).sum::<usize>());
        assert!(kept.listings.len() > 10);
        assert!(kept.touch(&path(0)).is_some(), "used all the time");
        assert!(kept.touch(&path(99)).is_some(), "the newest");
        assert!(kept.touch(&path(50)).is_none(), "long unused");
    }
}
