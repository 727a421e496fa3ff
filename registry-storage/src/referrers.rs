//! Which manifests refer to a subject.
//!
//! The index has one small file for each referrer, below the digest of its subject, with the descriptor
//! that a client is given. An entry states facts about content that never changes, so it is never wrong
//! and never removed with its manifest: a referrer counts if it has an entry *and* its manifest is in
//! the repository. That holds whoever deletes and pushes in the meantime, Distribution included.
//!
//! Manifests that were pushed while Distribution served the store have no entry. They are found by a
//! scan of the repository's revisions when referrers are first asked for, and again when a minute has
//! passed; `scanned` tells which revisions need not be read again. Manifests under the referrers tag
//! scheme are revisions like all others and found in the same way.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use registry_core::{
    Algorithm, Batch, Descriptor, Digest, Error, ListMode, ListRequest, Manifest, ManifestDocument, Page,
    PageRequest, ReferrerFilter, RepositoryName, Result, StorageDriverExt, StorageError,
};
use tokio::time::Instant;
use tracing::Instrument;

use crate::manifests::{self, READ_LIMIT};
use crate::namespace::Shared;
use crate::{flat, layout, link};

/// How long a scan holds. What another registry pushes into the same store is found after it.
const SCAN_HOLDS: Duration = Duration::from_secs(60);

/// How many manifests are read at once.
const CONCURRENCY: usize = 16;

/// The most bytes of an entry: annotations of a manifest can fill most of it.
const ENTRY_LIMIT: u64 = 2 * Manifest::MAX_LEN as u64;

/// About how many bytes a page may have: clients read no longer document than a manifest. A referrer alone may have
/// more.
const PAGE_BYTES: usize = Manifest::MAX_LEN - (64 << 10);

/// The most bytes of the list of scanned revisions; beyond it, they are scanned again.
const SCANNED_LIMIT: u64 = 64 << 20;

/// The last scan of each repository. A repository that is being scanned is locked.
#[derive(Debug, Default)]
pub(crate) struct Scans(Mutex<HashMap<RepositoryName, Arc<tokio::sync::Mutex<Option<Scan>>>>>);

impl Scans {
    /// How many repositories are remembered before those at rest are forgotten.
    const LIMIT: usize = 10_000;

    fn of(&self, name: &RepositoryName) -> Arc<tokio::sync::Mutex<Option<Scan>>> {
        let mut scans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if scans.len() >= Self::LIMIT {
            scans.retain(|_, scan| Arc::strong_count(scan) > 1);
        }
        Arc::clone(scans.entry(name.clone()).or_default())
    }
}

/// When a repository was scanned, and what could not be saved then, because the store is read-only or full.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    at: Instant,
    unsaved: Arc<Vec<Referrer>>,
}

/// A manifest that refers to a subject.
#[derive(Debug)]
struct Referrer {
    subject: Digest,
    descriptor: Descriptor,
}

/// The file of an entry.
pub(crate) fn encode(referrer: &Descriptor) -> Result<Bytes> {
    let json = serde_json::to_vec(referrer).map_err(|error| Error::internal("writing a referrer", error))?;
    Ok(json.into())
}

/// About how many bytes a descriptor takes in a list.
fn weight(referrer: &Descriptor) -> usize {
    const REST: usize = 512;
    let annotations = referrer.annotations.iter().map(|(key, value)| key.len() + value.len() + 6);
    annotations.sum::<usize>() + referrer.artifact_type.as_ref().map_or(0, String::len) + REST
}

/// The referrers in one repository.
#[derive(Debug, Clone)]
pub(crate) struct Referrers {
    shared: Arc<Shared>,
    name: RepositoryName,
}

impl Referrers {
    pub(crate) fn new(shared: Arc<Shared>, name: RepositoryName) -> Self {
        Self { shared, name }
    }

    /// A page of the referrers of a subject.
    pub(crate) async fn list(
        &self,
        subject: &Digest,
        filter: &ReferrerFilter,
        page: &PageRequest,
    ) -> Result<Page<Descriptor>> {
        let Some(dir) = layout::subject_referrers(&self.name, subject) else { return Ok(Page::default()) };
        let unsaved = self.ensure_scanned().await?;
        let after = page.after.as_deref().map(Digest::parse).transpose()?;
        let mut after = after.as_ref().map(layout::referrer_name);
        let mut referrers = self.present(&unsaved, subject, after.as_deref()).await?;
        referrers.retain(|referrer| filter.matches(referrer));
        let in_memory = referrers.len();
        let (mut bytes, mut last_read) = (0, None);
        'pages: while page.limit > 0 && referrers.len() - in_memory <= page.limit {
            // Where there are no directories, this is a listing of files whatever it is called; and a call
            // gives so many of them at once.
            let limit = page.limit + 1;
            let request = match self.shared.flat() {
                true => ListRequest::recursive(limit),
                false => ListRequest::children(limit),
            };
            let found = self.shared.driver.list(&dir, &request.after(after.take())).await?;
            after = found.entries.last().map(|entry| entry.name.clone());
            let digests = found.entries.iter().filter_map(|entry| layout::parse_referrer_name(&entry.name));
            let mut read = stream::iter(digests.collect::<Vec<_>>())
                .map(|digest| self.entry(subject, digest))
                .buffered(CONCURRENCY);
            while let Some(referrer) = read.try_next().await? {
                let Some(referrer) = referrer.filter(|referrer| filter.matches(referrer)) else { continue };
                bytes += weight(&referrer);
                referrers.push(referrer);
                // One that does not fit, so that it is certain that something follows.
                if bytes > PAGE_BYTES && referrers.len() - in_memory > 1 {
                    last_read = referrers.last().map(|last| layout::referrer_name(&last.digest));
                    break 'pages;
                }
            }
            if !found.more {
                break;
            }
        }
        if in_memory > 0 {
            referrers.sort_by_key(|referrer| layout::referrer_name(&referrer.digest));
            referrers.dedup_by(|a, b| a.digest == b.digest);
            // What comes later may have others before it that were not read.
            referrers.retain(|found| {
                last_read.as_ref().is_none_or(|last| layout::referrer_name(&found.digest) <= *last)
            });
        }
        let mut bytes = 0;
        let fits = |referrer: &&Descriptor| {
            bytes += weight(referrer);
            bytes <= PAGE_BYTES
        };
        let fitting = referrers.iter().take_while(fits).count().max(1);
        Ok(Page::cut(referrers, page.limit.min(fitting)))
    }

    /// Those of what a scan could not save that refer to the subject, come after `after`, and are still in
    /// the repository.
    async fn present(
        &self,
        unsaved: &[Referrer],
        subject: &Digest,
        after: Option<&str>,
    ) -> Result<Vec<Descriptor>> {
        let mut present = Vec::new();
        for Referrer { descriptor, .. } in unsaved.iter().filter(|referrer| referrer.subject == *subject) {
            let follows =
                after.is_none_or(|after| layout::referrer_name(&descriptor.digest).as_str() > after);
            if follows && self.has_revision(&descriptor.digest).await? {
                present.push(descriptor.clone());
            }
        }
        Ok(present)
    }

    /// Whether a manifest is in the repository: the link and the content that it leads to, as for a GET.
    /// Distribution's collector takes the content and leaves the link where a repository has no tags.
    async fn has_revision(&self, digest: &Digest) -> Result<bool> {
        let driver = &self.shared.driver;
        let Some(revision) = layout::revision_link(&self.name, digest) else { return Ok(false) };
        let Some(target) = link::read(driver.as_ref(), &revision).await? else { return Ok(false) };
        match layout::blob_data(&target) {
            Some(data) => Ok(driver.exists(&data).await?),
            None => Ok(false),
        }
    }

    /// The same where each question is a round trip: all are asked at once.
    async fn has_revision_at_once(&self, digest: &Digest) -> Result<bool> {
        let driver = &self.shared.driver;
        let (Some(revision), Some(data)) =
            (layout::revision_link(&self.name, digest), layout::blob_data(digest))
        else {
            return Ok(false);
        };
        let (target, there) = futures::join!(link::read(driver.as_ref(), &revision), driver.exists(&data));
        match target? {
            Some(target) if target == *digest => Ok(there?),
            Some(_) => self.has_revision(digest).await,
            None => Ok(false),
        }
    }

    /// An entry, if its manifest is in the repository.
    async fn entry(&self, subject: &Digest, digest: Digest) -> Result<Option<Descriptor>> {
        let Some(path) = layout::referrer(&self.name, subject, &digest) else { return Ok(None) };
        let entry = link::small(self.shared.driver.as_ref(), &path, ENTRY_LIMIT);
        let content = if self.shared.flat() {
            let (present, content) = futures::join!(self.has_revision_at_once(&digest), entry);
            present?.then_some(content?).flatten()
        } else if self.has_revision(&digest).await? {
            entry.await?
        } else {
            None
        };
        let Some(content) = content else { return Ok(None) };
        match serde_json::from_slice(&content) {
            Ok(descriptor) => Ok(Some(descriptor)),
            Err(error) => {
                tracing::warn!(%path, %error, "an entry of the referrers index is damaged and passed over");
                Ok(None)
            }
        }
    }

    /// Makes sure that every manifest that was here a minute ago has been looked at. Returns what was
    /// found and could not be saved.
    async fn ensure_scanned(&self) -> Result<Arc<Vec<Referrer>>> {
        let mut last = self.shared.scans.of(&self.name).lock_owned().await;
        if let Some(scan) = last.as_ref().filter(|scan| scan.at.elapsed() < SCAN_HOLDS) {
            return Ok(Arc::clone(&scan.unsaved));
        }
        let this = self.clone();
        // A task of its own, so that the work is not lost when the client that caused it goes away.
        let scan = async move {
            let unsaved = Arc::new(this.scan().await?);
            *last = Some(Scan { at: Instant::now(), unsaved: Arc::clone(&unsaved) });
            Ok(unsaved)
        };
        let task = tokio::spawn(scan.in_current_span());
        task.await.map_err(|error| Error::internal("scanning for referrers", error))?
    }

    async fn scan(&self) -> Result<Vec<Referrer>> {
        let driver = &self.shared.driver;
        let present = self.revisions().await?;
        let path = layout::referrers_scanned(&self.name);
        let scanned = match driver.get_if_present(&path, SCANNED_LIMIT).await {
            Ok(content) => content.unwrap_or_default(),
            Err(StorageError::TooLarge { .. }) => Bytes::new(),
            Err(error) => return Err(error.into()),
        };
        let known: BTreeSet<&str> = std::str::from_utf8(&scanned).unwrap_or_default().lines().collect();
        let fresh: Vec<Digest> =
            present.iter().filter(|digest| !known.contains(digest.as_str())).cloned().collect();
        if fresh.is_empty() {
            return Ok(Vec::new());
        }
        let count = fresh.len();
        let found: Vec<Referrer> = stream::iter(fresh)
            .map(|digest| self.examine(digest))
            .buffer_unordered(CONCURRENCY)
            .try_filter_map(|found| async move { Ok(found) })
            .try_collect()
            .await?;
        tracing::info!(repository = %self.name, manifests = count, referrers = found.len(), "scanned for referrers");
        if self.shared.read_only {
            return Ok(found);
        }
        let mut batch = Batch::new();
        for Referrer { subject, descriptor } in &found {
            if let Some(path) = layout::referrer(&self.name, subject, &descriptor.digest) {
                batch = batch.put(path, encode(descriptor)?);
            }
        }
        let lines: Vec<&str> = present.iter().map(Digest::as_str).collect();
        // Last, and not before the entries are durable: what is called scanned is not looked at again.
        match driver.apply(batch.then().put(path, lines.join("\n"))).await {
            Ok(()) => Ok(Vec::new()),
            Err(error @ (StorageError::ReadOnly { .. } | StorageError::Full { .. })) => {
                tracing::warn!(repository = %self.name, %error, "what was scanned is kept in memory");
                Ok(found)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Every revision of the repository, in order.
    async fn revisions(&self) -> Result<BTreeSet<Digest>> {
        let mut digests = BTreeSet::new();
        if self.shared.flat() {
            let mut after = None;
            loop {
                let page =
                    manifests::flat::list(&self.shared, &self.name, after.as_ref(), flat::PAGE).await?;
                after = page.items.last().filter(|_| page.more).cloned();
                digests.extend(page.items);
                if after.is_none() {
                    return Ok(digests);
                }
            }
        }
        for algorithm in Algorithm::ALL {
            let dir = layout::revisions(&self.name, algorithm);
            for entry in self.shared.driver.list_all(&dir, ListMode::Children).await? {
                digests.extend(Digest::parse(&format!("{algorithm}:{}", entry.name)));
            }
        }
        Ok(digests)
    }

    /// What a manifest refers to, if it does.
    async fn examine(&self, digest: Digest) -> Result<Option<Referrer>> {
        let Some(data) = layout::blob_data(&digest) else { return Ok(None) };
        let payload = match self.shared.driver.get_if_present(&data, READ_LIMIT).await {
            Ok(Some(payload)) => payload,
            Ok(None) | Err(StorageError::TooLarge { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Ok(document) = ManifestDocument::parse(&payload) else { return Ok(None) };
        let Some(subject) = document.subject_digest() else { return Ok(None) };
        let media_type = manifests::media_type(&self.shared, &self.name, &digest, &payload).await?;
        let descriptor = Manifest::from_stored(media_type, digest, payload).descriptor();
        Ok(Some(Referrer { subject, descriptor: document.referrer_descriptor(descriptor) }))
    }
}
