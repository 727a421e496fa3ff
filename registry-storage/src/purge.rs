//! Removing upload sessions whose clients never came back.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use registry_core::{
    ListRequest, Metadata, RepositoryName, Result, Shape, StorageDriver, StorageDriverExt, StorageError,
    StoragePath, UploadId, WriteMode,
};

use crate::catalog::Walk;
use crate::layout;
use crate::uploads::SIGN_OF_LIFE;

/// How many sessions of a repository are listed at a time.
const PAGE: usize = 1000;

/// Removes upload sessions in which nothing has happened for a long time, across the whole store.
///
/// What counts is when a session was last written to, not when it was begun, so an upload that is slow
/// and alive is left alone however long it takes; and so is one that a request holds at the moment.
/// Sessions of Distribution are treated alike, also those without a readable `startedat`, which
/// Distribution itself never removes.
///
/// Safe while any number of processes serve the store, and to be run by several of them at once. It can
/// be cut off at any point and run again.
///
/// ```
/// # async fn example() -> registry_core::Result<()> {
/// use std::{sync::Arc, time::Duration};
/// use registry_storage::{MemoryDriver, UploadPurge};
///
/// let purge = UploadPurge::new(Arc::new(MemoryDriver::new()), Duration::from_secs(7 * 24 * 3600));
/// let report = purge.run().await?;
/// assert_eq!(report.removed, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct UploadPurge {
    driver: Arc<dyn StorageDriver>,
    age: Duration,
    dry_run: bool,
}

/// A session that is older than was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StaleUpload {
    /// Where it was begun.
    pub repository: RepositoryName,
    /// The session.
    pub id: UploadId,
    /// When something last happened in it.
    pub modified: SystemTime,
    /// How many bytes it has.
    pub size: u64,
}

/// What came of a purge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurgeReport {
    /// Sessions that were looked at.
    pub seen: u64,
    /// Sessions that were removed, or would have been in a dry run.
    pub removed: u64,
    /// The bytes they had.
    pub bytes: u64,
    /// Sessions that are old enough and could not be removed; each was logged.
    pub failed: u64,
    /// Uploads in parts that a bucket kept and that belonged to no session any more.
    pub swept: u64,
}

impl UploadPurge {
    /// Removes sessions in which nothing has happened for `age`; zero is for all that no request holds. In a
    /// bucket it may take an hour longer, because a session does not write down there each time that it is alive.
    pub fn new(driver: Arc<dyn StorageDriver>, age: Duration) -> Self {
        Self { driver, age, dry_run: false }
    }

    /// Whether sessions are only reported.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Goes through the store once. A session that cannot be removed is logged and passed over.
    ///
    /// # Errors
    /// [`Error::Storage`](registry_core::Error::Storage) if the store cannot be listed; what was removed
    /// until then stays removed.
    pub async fn run(&self) -> Result<PurgeReport> {
        let mut report = PurgeReport::default();
        let flat = self.driver.shape() == Shape::Flat;
        let mut walk = Walk::after(self.driver.as_ref(), None);
        while let Some(repository) = walk.next().await? {
            if flat && !walk.has(&repository, &layout::uploads(&repository)).await? {
                continue;
            }
            self.repository(&repository, &mut report).await?;
        }
        // Last: what sessions have begun ends with them.
        if let Some(before) = SystemTime::now().checked_sub(self.age()) {
            report.swept = self.driver.sweep(before, self.dry_run).await?;
        }
        Ok(report)
    }

    /// How old what is seen of a session has to be, so that nothing can have happened in it for as long as was asked
    /// for.
    fn age(&self) -> Duration {
        match self.driver.shape() {
            Shape::Flat if !self.age.is_zero() => self.age.saturating_add(SIGN_OF_LIFE),
            Shape::Flat | Shape::Tree => self.age,
        }
    }

    async fn repository(&self, name: &RepositoryName, report: &mut PurgeReport) -> Result<()> {
        let mut after = None;
        loop {
            let request = ListRequest::children(PAGE).after(after);
            let found = self.driver.list(&layout::uploads(name), &request).await?;
            after = found.entries.last().filter(|_| found.more).map(|entry| entry.name.clone());
            for entry in found.entries.into_iter().filter(|entry| entry.is_dir) {
                let Ok(id) = UploadId::try_from(entry.name) else { continue };
                report.seen += 1;
                let Some(stale) = self.look(name, id).await? else { continue };
                match self.remove(&stale).await {
                    Ok(true) => {
                        report.removed += 1;
                        report.bytes += stale.size;
                    }
                    Ok(false) => {}
                    Err(error) => {
                        report.failed += 1;
                        tracing::warn!(repository = %name, upload = %stale.id, %error, "cannot remove a stale upload");
                    }
                }
            }
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// The session, if it is old enough.
    async fn look(&self, name: &RepositoryName, id: UploadId) -> Result<Option<StaleUpload>> {
        let data = self.driver.stat_if_present(&layout::upload_data(name, &id)).await?;
        let started = self.driver.stat_if_present(&layout::upload_started_at(name, &id)).await?;
        let size = data.as_ref().map_or(0, |data| data.size);
        let modified = match data.into_iter().chain(started).map(|file| file.modified).max() {
            Some(modified) => modified,
            // Neither bytes nor a beginning: what a cancelled upload leaves in Distribution's stores.
            None => match self.left_over(&layout::upload_dir(name, &id)).await? {
                Some(left) => left.modified,
                None => return Ok(None),
            },
        };
        // A time in the future is that of another clock; it is not old.
        let old = modified.elapsed().is_ok_and(|age| age >= self.age());
        Ok(old.then(|| StaleUpload { repository: name.clone(), id, modified, size }))
    }

    /// What says how old the directory of a session is that has neither bytes nor a beginning.
    async fn left_over(&self, dir: &StoragePath) -> Result<Option<Metadata>> {
        if self.driver.shape() == Shape::Tree {
            return Ok(self.driver.stat_if_present(dir).await?);
        }
        // There are no directories: one of the files in it.
        let found = self.driver.list(dir, &ListRequest::recursive(1)).await?;
        match found.entries.first() {
            Some(file) => Ok(self.driver.stat_if_present(&dir.join(&file.name)?).await?),
            None => Ok(None),
        }
    }

    /// Removes a session unless somebody holds it or has written to it since it was looked at.
    async fn remove(&self, stale: &StaleUpload) -> Result<bool, StorageError> {
        let StaleUpload { repository, id, modified, size } = stale;
        let age = humantime::format_duration(Duration::from_secs(
            modified.elapsed().map_or(0, |age| age.as_secs()),
        ));
        if self.dry_run {
            tracing::info!(%repository, upload = %id, bytes = size, idle = %age, "a stale upload would be removed");
            return Ok(true);
        }
        // Whoever has the data open holds the session, in whatever process.
        let data = layout::upload_data(repository, id);
        // In a bucket the bytes of a session are not all in what was looked at.
        let flat = self.driver.shape() == Shape::Flat;
        let held = match self.driver.writer(&data, WriteMode::Append).await {
            Ok(file) if flat || file.size() == *size => Some(file),
            Ok(_) | Err(StorageError::Busy { .. }) => return Ok(false),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        if let Some(file) = held {
            file.cancel().await?;
        }
        self.driver.delete(&layout::upload_dir(repository, id)).await?;
        tracing::info!(%repository, upload = %id, bytes = size, idle = %age, "a stale upload was removed");
        Ok(true)
    }
}
