//! The endings of a writer.

use std::sync::Arc;

use registry_core::{Batch, Detached, StorageError, StoragePath};

use super::super::apply::{self, Own, Source};
use super::super::names::{Beside, Names};
use super::super::store::{Bucket, BucketError, Part};
use super::BucketWriter;
use super::saved::{Piece, Upload};

/// How many objects that are no longer needed a ticket remembers, before they are removed.
const OLD: usize = 8;

impl BucketWriter {
    /// Everything that was written becomes an object under the name of the file; if parts of it are on their
    /// way to another file already, it stays in parts.
    pub(super) async fn close(mut self: Box<Self>) -> Result<u64, StorageError> {
        if self.broken {
            return self.keep_the_beginning().await;
        }
        self.land().await?;
        if self.stored.upload.as_ref().is_some_and(|upload| upload.destined.is_some()) {
            self.keep_parts().await?;
            self.write_down().await?;
            return Ok(self.size);
        }
        let source = self.gather(None).await?;
        self.settle(source).await?;
        Ok(self.size)
    }

    /// After an error, what is certain to be in the bucket counts, and nothing else. Returns how much that is.
    async fn keep_the_beginning(&mut self) -> Result<u64, StorageError> {
        // A part that is on its way may arrive yet.
        drop(self.land().await);
        drop(self.held.take());
        let before = self.before.size();
        if self.stored.size() > before {
            // Parts are found by listing them, unless they have to be written down.
            let upload = self.stored.upload.as_ref();
            let found = upload.is_none_or(|upload| upload.destined.is_none());
            if !self.shared.bucket.limits().lists_uploads || !found {
                self.write_down().await?;
            }
            return Ok(self.stored.size());
        }
        if self.before.upload.is_none() {
            self.abort().await?;
        }
        Ok(before)
    }

    async fn abort(&mut self) -> Result<(), StorageError> {
        let Some(Upload { key, id: Some(id), .. }) = self.stored.upload.take() else { return Ok(()) };
        self.shared.bucket.abort(&key, &id).await.map_err(self.shared.failed("cancel", &self.path))
    }

    /// Like [`close`](Self::close), but nothing has to be readable, and a ticket says where everything is.
    pub(super) async fn detach(mut self: Box<Self>) -> Result<Detached, StorageError> {
        if self.broken {
            return Ok(Detached::stored(self.keep_the_beginning().await?));
        }
        if self.wrote {
            self.keep_parts().await?;
        }
        if self.goes_by_ticket() {
            self.forget_old(OLD).await?;
        } else if self.wrote && self.size > 0 {
            self.write_down().await?;
            return Ok(Detached::stored(self.size));
        } else if self.stored.sequence > 0 {
            return Ok(Detached::stored(self.size));
        }
        let mut ticket = self.stored.write(&self.key, false);
        if ticket.len() > Detached::TICKET_LIMIT {
            ticket = self.stored.write(&self.key, true);
        }
        let ticket = (ticket.len() <= Detached::TICKET_LIMIT).then(|| ticket.into());
        if ticket.is_none() {
            self.write_down().await?;
        }
        Ok(Detached { size: self.size, ticket })
    }

    /// Whether what was written is found again without its ticket, so that nothing else need be written down.
    fn goes_by_ticket(&self) -> bool {
        let listed = self.shared.bucket.limits().lists_uploads;
        listed && self.stored.upload.as_ref().is_none_or(|upload| upload.destined.is_none())
    }

    /// Puts everything that is in memory into the bucket: as a part, or beside the file.
    async fn keep_parts(&mut self) -> Result<(), StorageError> {
        if self.held.len() >= self.shared.bucket.limits().min_part {
            self.send().await?;
        }
        self.land().await?;
        if self.held.len() == 0 {
            return Ok(());
        }
        let pieces = self.held.take().ok_or_else(|| self.gave_way())?;
        let (len, offset) = (pieces.len(), self.stored.size());
        // Where the tail is the last that is written, it decides between two writers; otherwise the state does.
        let alone = self.goes_by_ticket() && self.shared.bucket.limits().creates;
        let key = self.stored.tail_key(&self.key, offset, alone.then_some(self.before.size()));
        let (content, room) = pieces.into_whole();
        let put = self.shared.bucket.put(&key, content, alone).await;
        drop(room);
        match put {
            Ok(()) => {}
            // Somebody else went on from where this writer did.
            Err(BucketError::AlreadyExists) => return Err(self.shared.busy(&self.path)),
            Err(error) => return Err(self.shared.failed("write", &self.path)(error)),
        }
        self.stored.tail = Some(Piece { key, len });
        Ok(())
    }

    /// Writes down in the bucket what is needed to go on.
    async fn write_down(&mut self) -> Result<(), StorageError> {
        let before = self.stored.sequence;
        self.stored.sequence = before + 1;
        let state = |sequence| Names::beside(&self.key, &Beside::State { sequence });
        let old = std::mem::take(&mut self.stored.old);
        let text = self.stored.write(&self.key, false);
        match self.shared.bucket.put(&state(before + 1), text.into(), true).await {
            Ok(()) => {}
            // Somebody else went on from where this writer did.
            Err(BucketError::AlreadyExists) => return Err(self.shared.busy(&self.path)),
            Err(error) => return Err(self.shared.failed("write", &self.path)(error)),
        }
        self.stored.old = old;
        if before > 0 {
            self.stored.old.push(Names::beside(&self.key, &Beside::State { sequence: before }));
        }
        self.forget_old(0).await
    }

    /// Removes what is no longer needed, if it is more than `most`.
    async fn forget_old(&mut self, most: usize) -> Result<(), StorageError> {
        if self.stored.old.len() <= most {
            return Ok(());
        }
        let old = std::mem::take(&mut self.stored.old);
        let (keep, old): (Vec<_>, Vec<_>) = old.into_iter().partition(|old| *old == self.key);
        self.stored.old = keep;
        self.remove(&old).await
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StorageError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.shared.bucket.delete(keys).await.map_err(self.shared.failed("delete", &self.path))
    }

    /// Everything that was written, in a form that can be put somewhere with one step. With a target that
    /// the parts were sent to already, they are left to be made an object there.
    async fn gather(&mut self, target: Option<&StoragePath>) -> Result<Source, StorageError> {
        if self.broken {
            return Err(self.gave_way());
        }
        if self.has_upload() {
            self.send_all().await?;
            self.send_tail().await?;
        }
        let Some(upload) = self.stored.upload.take() else {
            return match self.stored.base.take().or_else(|| self.stored.tail.take()) {
                Some(Piece { key, len }) => Ok(Source::Object { key, size: len }),
                None => {
                    let pieces = self.held.take().ok_or_else(|| self.gave_way())?;
                    let (content, room) = pieces.into_whole();
                    Ok(Source::Memory(content, room))
                }
            };
        };
        if upload.destined.is_some() {
            if upload.destined.as_ref() == target {
                return Ok(Source::Upload(upload));
            }
            // It cannot be moved before it is an object, and must not be one where nobody meant it to be.
            self.stored.upload = Some(upload);
            self.abort().await?;
            return Err(self.shared.not_found(&self.path));
        }
        apply::complete(&self.shared, &self.path, &upload).await?;
        let size = upload.parts.bytes();
        Ok(Source::Object { key: upload.key, size })
    }

    /// Makes a gathered file an object under its own name.
    async fn settle(&mut self, source: Source) -> Result<(), StorageError> {
        let (shared, failed) = (Arc::clone(&self.shared), self.shared.failed("write", &self.path));
        let bucket = &shared.bucket;
        let mut old = std::mem::take(&mut self.stored.old);
        match source {
            Source::Memory(content, _room) => {
                bucket.put(&self.key, content, false).await.map_err(failed)?;
            }
            Source::Object { key, size } if key != self.key => {
                bucket.copy(&key, &self.key, size).await.map_err(failed)?;
                old.push(key);
            }
            Source::Object { .. } => {}
            Source::Upload(upload) => {
                self.stored.upload = Some(upload);
                self.stored.old = old;
                return self.write_down().await;
            }
        }
        old.extend(self.states());
        old.retain(|old| *old != self.key);
        self.remove(&old).await?;
        self.abort_others().await
    }

    /// What was written down in the bucket.
    fn states(&self) -> impl Iterator<Item = String> {
        let sequence = self.stored.sequence;
        (sequence > 0).then(|| Names::beside(&self.key, &Beside::State { sequence })).into_iter()
    }

    async fn abort_others(&mut self) -> Result<(), StorageError> {
        for (key, id) in std::mem::take(&mut self.stored.doomed) {
            let aborted = self.shared.bucket.abort(&key, &id).await;
            aborted.map_err(self.shared.failed("cancel", &self.path))?;
        }
        Ok(())
    }

    /// Makes the file durable and applies a batch, which usually moves it.
    pub(super) async fn commit(mut self: Box<Self>, then: Batch) -> Result<u64, StorageError> {
        let Some(target) = then.moves(&self.path).cloned() else {
            let source = self.gather(None).await?;
            self.settle(source).await?;
            apply::apply(&self.shared, then, None).await?;
            return Ok(self.size);
        };
        let source = self.gather(Some(&target)).await?;
        let mut leftovers = std::mem::take(&mut self.stored.old);
        leftovers.extend(self.states());
        leftovers.push(self.key.clone());
        let mut own = Own { path: self.path.clone(), source, moved: false, leftovers };
        if let Err(error) = apply::apply(&self.shared, then, Some(&mut own)).await {
            if !own.moved {
                // The file is kept where it was. If that fails as well, the first error is the cause.
                self.stored.old = own.leftovers;
                if let Err(second) = self.settle(own.source).await {
                    let second: &dyn std::error::Error = &second;
                    tracing::warn!(error = second, path = %self.path, "a file whose batch failed could not be kept");
                }
            }
            return Err(error);
        }
        self.abort_others().await?;
        Ok(self.size)
    }

    /// Gives up, and removes everything that there is of the file.
    pub(super) async fn cancel(mut self: Box<Self>) -> Result<(), StorageError> {
        // A part that failed is as good as one that arrived.
        drop(self.land().await);
        drop(self.held.take());
        self.abort().await?;
        self.abort_others().await?;
        let mut keys = std::mem::take(&mut self.stored.old);
        keys.extend(self.states());
        for stored in [&self.stored, &self.before] {
            let pieces = [&stored.base, &stored.tail];
            keys.extend(pieces.into_iter().flatten().map(|piece| piece.key.clone()));
        }
        keys.push(self.key.clone());
        keys.sort_unstable();
        keys.dedup();
        self.remove(&keys).await
    }
}

/// The parts of an upload by name, asking the service for those that were written down short.
pub(crate) async fn all_parts(
    bucket: &impl Bucket,
    upload: &Upload,
    id: &str,
) -> Result<Vec<Part>, BucketError> {
    match upload.parts.all() {
        Some(parts) => Ok(parts.to_vec()),
        None => {
            let listed = bucket.parts(&upload.key, id).await?;
            upload.parts.all_of(listed).ok_or(BucketError::PartChanged)
        }
    }
}
