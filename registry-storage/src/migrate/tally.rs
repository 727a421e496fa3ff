//! What a migration has done so far.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use registry_core::Digest;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationKind {
    /// Content, of blobs and manifests.
    Blob,
    /// That a blob is in a repository.
    Layer,
    /// That a manifest is in a repository, its type, and the notes beside it.
    Manifest,
    /// The index of referrers.
    Referrer,
    /// What a tag points at, and what it pointed at.
    Tag,
}

impl MigrationKind {
    /// Every kind, in the order in which they are copied.
    pub const ALL: [Self; 5] = [Self::Blob, Self::Layer, Self::Manifest, Self::Referrer, Self::Tag];

    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blob => "blobs",
            Self::Layer => "layers",
            Self::Manifest => "manifests",
            Self::Referrer => "referrers",
            Self::Tag => "tags",
        }
    }
}

/// Files of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationTally {
    /// Files that were written at the destination, or would have been in a dry run.
    pub copied: u64,
    /// The bytes they have.
    pub bytes: u64,
    /// Files that were there already.
    pub present: u64,
    /// Files that lead to nothing at the source, or to what could not be copied, and stayed behind.
    pub left_out: u64,
    /// Files that only the destination has.
    pub extra: u64,
    /// What was removed of those, or would have been in a dry run. A tag goes with its history and a manifest with
    /// what is beside it, and counts as one.
    pub removed: u64,
}

/// Something that a report names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationNote {
    /// The path in the store.
    pub path: String,
    /// What about it.
    pub reason: String,
}

/// What a migration is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MigrationStage {
    /// It has not begun.
    #[default]
    Waiting,
    /// It copies content.
    Content,
    /// It copies repositories.
    Repositories,
    /// It removes what the source has no longer.
    Removal,
    /// It has come to an end.
    Done,
}

/// What a migration has done so far, or in all.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct MigrationReport {
    /// How far it is.
    pub stage: MigrationStage,
    /// How much of the source's content has been walked over, from 0 to 1. An estimate: digests are spread
    /// evenly, and the walk goes through them in order.
    pub share: f64,
    /// Bytes of content that have been read so far, of blobs under way too.
    pub transferred: u64,
    /// Repositories that have been gone through.
    pub repositories: u64,
    /// What was done with each kind of file, in the order of [`MigrationKind::ALL`].
    pub tallies: [MigrationTally; MigrationKind::ALL.len()],
    /// Blobs that were there already, whose bytes at the destination were read and found right.
    pub verified: u64,
    /// Blobs that were there already with other bytes or another length than they should have, and were replaced.
    pub replaced: u64,
    /// Calls that were repeated because a store was temporarily unavailable.
    pub retries: u64,
    /// Uploads in progress, which are not copied.
    pub uploads: u64,
    /// Files below the layout's root that are none of its, which are not copied.
    pub unknown: u64,
    /// The first of those.
    pub unknown_files: Vec<MigrationNote>,
    /// Files that could not be copied or removed, with blobs whose bytes do not match their digest.
    pub failed: u64,
    /// The first of those.
    pub failures: Vec<MigrationNote>,
    /// Why it ended early, if it did.
    pub ended: Option<String>,
}

impl MigrationReport {
    /// What was done with one kind of file.
    pub fn of(&self, kind: MigrationKind) -> MigrationTally {
        self.tallies[kind as usize]
    }

    /// All kinds together.
    pub fn total(&self) -> MigrationTally {
        let mut total = MigrationTally::default();
        for tally in &self.tallies {
            total.copied += tally.copied;
            total.bytes += tally.bytes;
            total.present += tally.present;
            total.left_out += tally.left_out;
            total.extra += tally.extra;
            total.removed += tally.removed;
        }
        total
    }

    /// Whether everything was done that was to be done.
    pub fn is_complete(&self) -> bool {
        self.stage == MigrationStage::Done && self.failed == 0 && self.ended.is_none()
    }
}

/// How many files a report names of each sort.
const NAMED: usize = 20;

/// After how many failures, with nothing done in between, the stores are given up.
const IN_A_ROW: u32 = 100;

/// As many digests are remembered as being there.
const REMEMBERED: usize = 50_000;

/// Counts while a migration runs.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) transferred: AtomicU64,
    pub(super) repositories: AtomicU64,
    pub(super) verified: AtomicU64,
    pub(super) replaced: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) uploads: AtomicU64,
    /// The first 32 bits of the digest that the walk has come to.
    place: AtomicU32,
    in_a_row: AtomicU32,
    ended: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    report: MigrationReport,
    present: HashSet<Digest>,
    damaged: HashSet<Digest>,
}

impl Counters {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn report(&self) -> MigrationReport {
        let mut report = self.state().report.clone();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        report.share = match report.stage {
            MigrationStage::Waiting => 0.0,
            MigrationStage::Content => f64::from(self.place.load(Ordering::Relaxed)) / f64::from(u32::MAX),
            MigrationStage::Repositories | MigrationStage::Removal | MigrationStage::Done => 1.0,
        };
        report.transferred = read(&self.transferred);
        report.repositories = read(&self.repositories);
        report.verified = read(&self.verified);
        report.replaced = read(&self.replaced);
        report.retries = read(&self.retries);
        report.uploads = read(&self.uploads);
        report
    }

    pub(super) fn begin(&self, stage: MigrationStage) {
        self.state().report.stage = stage;
    }

    /// The walk over content has come to this digest.
    pub(super) fn reached(&self, digest: &Digest) {
        let place = digest.encoded().get(..8).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        if let Some(place) = place {
            self.place.store(place, Ordering::Relaxed);
        }
    }

    /// Counts a file of this kind.
    pub(super) fn count(&self, kind: MigrationKind, count: impl FnOnce(&mut MigrationTally)) {
        count(&mut self.state().report.tallies[kind as usize]);
        self.in_a_row.store(0, Ordering::Relaxed);
    }

    pub(super) fn copied(&self, kind: MigrationKind, bytes: u64) {
        self.count(kind, |tally| {
            tally.copied += 1;
            tally.bytes += bytes;
        });
    }

    /// A file is none of the layout's.
    pub(super) fn unknown(&self, path: String, reason: &str) {
        let mut state = self.state();
        state.report.unknown += 1;
        if state.report.unknown_files.len() < NAMED {
            state.report.unknown_files.push(MigrationNote { path, reason: reason.to_owned() });
        }
    }

    /// Something could not be done.
    pub(super) fn failed(&self, path: String, reason: String) {
        let mut state = self.state();
        state.report.failed += 1;
        if state.report.failures.len() < NAMED {
            tracing::debug!(path, reason, "not migrated");
            state.report.failures.push(MigrationNote { path, reason });
        }
        drop(state);
        if self.in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= IN_A_ROW {
            self.end(format!("{IN_A_ROW} files in a row could not be copied"));
        }
    }

    /// Nothing more is begun, for this reason.
    pub(super) fn end(&self, reason: String) {
        self.state().report.ended.get_or_insert(reason);
        self.ended.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Whether content is known to be at the destination; if not, it may be there all the same.
    pub(super) fn is_present(&self, digest: &Digest) -> bool {
        self.state().present.contains(digest)
    }

    pub(super) fn present(&self, digest: &Digest) {
        remember(&mut self.state().present, digest);
    }

    /// Whether content was reported as one that cannot be copied.
    pub(super) fn is_damaged(&self, digest: &Digest) -> bool {
        self.state().damaged.contains(digest)
    }

    pub(super) fn damaged(&self, digest: &Digest) {
        remember(&mut self.state().damaged, digest);
    }
}

fn remember(digests: &mut HashSet<Digest>, digest: &Digest) {
    if digests.len() >= REMEMBERED {
        digests.clear();
    }
    digests.insert(digest.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_end_it_and_others_do_not() {
        let counters = Counters::default();
        for number in 0..IN_A_ROW - 1 {
            counters.failed(format!("/{number}"), "broken".to_owned());
        }
        counters.copied(MigrationKind::Tag, 71);
        counters.failed("/x".to_owned(), "broken".to_owned());
        let report = counters.report();
        assert!(!counters.has_ended() && report.ended.is_none());
        assert_eq!((report.failed, report.failures.len()), (u64::from(IN_A_ROW), NAMED));
        for number in 0..IN_A_ROW {
            counters.failed(format!("/{number}"), "broken".to_owned());
        }
        assert_eq!(counters.report().ended.as_deref(), Some("100 files in a row could not be copied"));
        assert!(counters.has_ended());
    }

    #[test]
    fn the_share_is_the_place_among_all_digests() {
        let counters = Counters::default();
        counters.begin(MigrationStage::Content);
        counters.reached(&Digest::parse(&format!("sha256:80{}", "0".repeat(62))).unwrap());
        assert!((counters.report().share - 0.5).abs() < 1e-6);
        counters.begin(MigrationStage::Repositories);
        assert!((counters.report().share - 1.0).abs() < 1e-6);
    }
}
