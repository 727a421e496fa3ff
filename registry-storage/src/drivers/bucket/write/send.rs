//! Accepting bytes, and sending them as parts.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use registry_core::StorageError;
use tokio::task::JoinHandle;

use super::super::store::{Bucket, BucketError, Part};
use super::BucketWriter;
use super::parts::{early_size, part_size};
use super::saved::{Piece, Upload};

/// The largest piece of an object that a service takes as a part.
const LARGEST_COPY: u64 = 5 << 30;

/// A part on its way, in a task of its own, so that it makes progress while its writer waits for a client.
/// It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Flying {
    task: JoinHandle<Landed>,
    len: u64,
}

/// What became of a part.
#[derive(Debug)]
struct Landed {
    id: Option<String>,
    part: Result<Part, BucketError>,
}

impl Drop for Flying {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl BucketWriter {
    /// Takes bytes into memory, and sends parts that are full.
    pub(super) async fn accept(&mut self, data: &Bytes) -> Result<(), StorageError> {
        if self.broken {
            return Err(self.gave_way());
        }
        if !self.wrote {
            self.wrote = true;
            self.load().await?;
        }
        self.fill(data).await?;
        self.size += data.len() as u64;
        Ok(())
    }

    async fn fill(&mut self, mut data: &[u8]) -> Result<(), StorageError> {
        while !data.is_empty() {
            let (part, early) = self.part_sizes();
            let have = self.held.len();
            if have >= part {
                self.send().await?;
                continue;
            }
            let mut room = None;
            let mut fits = self.held.spare();
            if fits == 0 {
                let most = usize::try_from(part - have).unwrap_or(usize::MAX);
                let wants = self.held.wants(data.len()).min(most);
                let budget = Arc::clone(&self.shared.budget);
                room = match budget.try_take(wants as u64, &self.held) {
                    Some(room) => Some(room),
                    None if have >= early => {
                        self.send().await?;
                        continue;
                    }
                    None => Some(budget.take(wants as u64, &self.held).await),
                };
                fits = wants;
            }
            let most = usize::try_from(part - have).unwrap_or(usize::MAX);
            let (now, rest) = data.split_at(fits.min(most).min(data.len()));
            if !self.held.push(now, room) {
                return Err(self.gave_way());
            }
            data = rest;
        }
        if self.held.len() >= self.part_sizes().0 {
            self.send().await?;
        }
        Ok(())
    }

    /// The size of the next part, and the size that it needs to be sent early.
    fn part_sizes(&self) -> (u64, u64) {
        let limits = self.shared.bucket.limits();
        let parts = self.stored.upload.as_ref().map(|upload| &upload.parts);
        let flying = self.flying.as_ref().map_or(0, |flying| flying.len);
        let count = parts.map_or(0, |parts| parts.count()) + u32::from(flying > 0);
        let bytes = parts.map_or(0, |parts| parts.bytes()) + flying;
        (part_size(limits, count, bytes), early_size(limits, count, bytes))
    }

    /// The error of a writer whose bytes were thrown away.
    pub(super) fn gave_way(&self) -> StorageError {
        let source = "bytes of the file were lost, or its memory was needed for others".into();
        StorageError::Unavailable { driver: self.shared.driver(), source }
    }

    /// Brings what is in the bucket and is not a part to where more can come after it.
    pub(super) async fn load(&mut self) -> Result<(), StorageError> {
        let Some(piece) = self.stored.base.take().or_else(|| self.stored.tail.take()) else { return Ok(()) };
        let min = self.shared.bucket.limits().min_part;
        if piece.len >= min && self.stored.upload.is_none() && self.copy_in(&piece).await? {
            self.stored.old.push(piece.key);
            return Ok(());
        }
        let failed = self.shared.failed("write", &self.path);
        let object = match self.shared.bucket.get(&piece.key, None).await {
            Ok(object) if object.meta.size == piece.len => object,
            // Somebody else goes on with the file, or has finished it.
            Ok(_) | Err(BucketError::NotFound) => return Err(self.shared.busy(&self.path)),
            Err(error) => return Err(failed(error)),
        };
        let mut body = object.body;
        while let Some(bytes) = body.try_next().await? {
            self.fill(&bytes).await?;
        }
        self.stored.old.push(piece.key);
        Ok(())
    }

    /// Makes the first parts of an object, without its bytes coming here. `false` if the service does not do
    /// that.
    async fn copy_in(&mut self, piece: &Piece) -> Result<bool, StorageError> {
        let shared = Arc::clone(&self.shared);
        let failed = || shared.failed("write", &self.path);
        let mut upload = self.new_upload();
        let id = shared.bucket.begin(&upload.key).await.map_err(failed())?;
        upload.id = Some(id.clone());
        let pieces = piece.len.div_ceil(LARGEST_COPY);
        let each = piece.len.div_ceil(pieces.max(1));
        for (number, start) in (1..).zip((0..piece.len).step_by(usize::try_from(each).unwrap_or(usize::MAX)))
        {
            let range = start..(start + each).min(piece.len);
            match shared.bucket.copy_part(&upload.key, &id, number, &piece.key, range).await {
                Ok(Some(part)) => upload.parts.push(part),
                Ok(None) => {
                    shared.bucket.abort(&upload.key, &id).await.map_err(failed())?;
                    return Ok(false);
                }
                Err(error) => {
                    self.stored.upload = Some(upload);
                    return Err(failed()(error));
                }
            }
        }
        self.stored.upload = Some(upload);
        Ok(true)
    }

    pub(super) fn new_upload(&self) -> Upload {
        let destined = self.target.clone();
        let key = destined.as_ref().map(|path| self.shared.names.file(path));
        let key = key.unwrap_or_else(|| self.stored.upload_key(&self.key));
        Upload { key, destined, id: None, parts: Default::default() }
    }

    /// Sends what is in memory as a part, after the one before has arrived.
    pub(super) async fn send(&mut self) -> Result<(), StorageError> {
        self.land().await?;
        let pieces = self.held.take().ok_or_else(|| self.gave_way())?;
        if self.stored.upload.is_none() {
            self.stored.upload = Some(self.new_upload());
        }
        let Some(upload) = &self.stored.upload else { return Ok(()) };
        let number = upload.parts.count() + 1;
        if number > self.shared.bucket.limits().max_parts {
            let source = format!("a file has no more than {} parts", number - 1).into();
            return Err(StorageError::Full { driver: self.shared.driver(), operation: "write", source });
        }
        let (shared, open) = (Arc::clone(&self.shared), Arc::clone(&self.open));
        let (key, id, len) = (upload.key.clone(), upload.id.clone(), pieces.len());
        let flight = self.shared.budget.flight();
        let task = tokio::spawn(async move {
            let begun = match id {
                Some(id) => Ok(id),
                None => shared.bucket.begin(&key).await,
            };
            let id = match begun {
                Ok(id) => id,
                Err(error) => return Landed { id: None, part: Err(error) },
            };
            let (content, room) = pieces.into_parts();
            let part = shared.bucket.put_part(&key, &id, number, content).await;
            drop((room, flight, open));
            Landed { id: Some(id), part }
        });
        self.flying = Some(Flying { task, len });
        Ok(())
    }

    /// Waits for the part that is on its way.
    pub(super) async fn land(&mut self) -> Result<(), StorageError> {
        let Some(flying) = &mut self.flying else { return Ok(()) };
        let landed = (&mut flying.task).await;
        self.flying = None;
        let landed = landed.map_err(|error| StorageError::Backend {
            driver: self.shared.driver(),
            operation: "write",
            source: error.into(),
        })?;
        let Some(upload) = &mut self.stored.upload else { return Ok(()) };
        upload.id = landed.id;
        match landed.part {
            Ok(part) => upload.parts.push(part),
            Err(error) => {
                self.broken = true;
                return Err(self.shared.failed("write", &self.path)(error));
            }
        }
        Ok(())
    }

    /// Sends everything that is in memory, and waits until it has arrived.
    pub(super) async fn send_all(&mut self) -> Result<(), StorageError> {
        if self.held.len() > 0 {
            self.send().await?;
        }
        self.land().await
    }

    /// Makes the last bytes, which are beside the file, the last part.
    pub(super) async fn send_tail(&mut self) -> Result<(), StorageError> {
        let Some(tail) = self.stored.tail.clone() else { return Ok(()) };
        let Some(Upload { key, id: Some(id), parts, .. }) = &mut self.stored.upload else {
            return Ok(());
        };
        let copied = self.shared.bucket.copy_part(key, id, parts.count() + 1, &tail.key, 0..tail.len).await;
        match copied {
            Ok(Some(part)) => {
                parts.push(part);
                self.stored.tail = None;
                self.stored.old.push(tail.key);
                Ok(())
            }
            Ok(None) => {
                self.load().await?;
                self.send_all().await
            }
            Err(BucketError::NotFound) => Err(self.shared.busy(&self.path)),
            Err(error) => Err(self.shared.failed("write", &self.path)(error)),
        }
    }

    /// Whether the upload has bytes, or is about to.
    pub(super) fn has_upload(&self) -> bool {
        self.flying.is_some() || self.stored.upload.is_some()
    }
}
