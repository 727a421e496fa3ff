//! Finding a file that is being written, when nobody brings a ticket: its writer crashed, or the ticket was
//! lost.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use registry_core::{StorageError, StoragePath};

use super::super::driver::Shared;
use super::super::names::{Beside, Names};
use super::super::read::whole;
use super::super::store::{Bucket, BucketError, Key, ListKeys, ObjectMeta, Pending};
use super::parts::Parts;
use super::saved::{Piece, Stored, Upload};

/// How far two clocks may be apart.
const CLOCKS: Duration = Duration::from_secs(60);

/// A file that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) stored: Stored,
    /// When it was last written to, as far as that can be told.
    pub(crate) modified: SystemTime,
}

/// Everything that is beside a file.
#[derive(Default)]
struct Around {
    uploads: Vec<(u64, Piece)>,
    tails: Vec<(u64, u64, Piece)>,
    states: Vec<(u64, String)>,
    pending: Vec<Pending>,
}

/// What is in the bucket of the file at `path`. `None` if there is nothing.
pub(crate) async fn find(shared: &Shared, path: &StoragePath) -> Result<Option<Found>, StorageError> {
    let key = shared.names.file(path);
    let failed = || shared.failed("get", path);
    let around = Around::list(shared, &key).await.map_err(failed())?;
    let finished = match shared.bucket.head(&key).await {
        Ok(meta) => Some(meta),
        Err(BucketError::NotFound) => None,
        Err(error) => return Err(failed()(error)),
    };
    let mut candidates = around.candidates(shared, &key).await.map_err(failed())?;
    let last_state = around.states.iter().max();
    if let Some((_, state)) = last_state {
        let object = shared.bucket.get(state, None).await.map_err(failed())?;
        if let Some(stored) = Stored::read(&shared.names, &key, &whole(object).await?) {
            // What was written down is the whole truth of its lineage, unless that has become an object since;
            // and where everything is written down that was acknowledged, nothing else is.
            let listed = shared.bucket.limits().lists_uploads;
            let became = |other: &Stored| other.base.is_some() && other.size() >= stored.size();
            candidates.retain(|other| if other.lineage == stored.lineage { became(other) } else { listed });
            if candidates.iter().all(|other| other.lineage != stored.lineage) {
                candidates.push(stored);
            }
        }
    }
    // The last beginning counts, be it a finished object or not.
    candidates.sort_by_key(|stored| (stored.lineage, stored.size()));
    let mut best = candidates.pop().map(|stored| Found { modified: began(stored.lineage), stored });
    if let Some(meta) = finished
        && best.as_ref().is_none_or(|best| is_later(&meta, best))
    {
        let mut stored = Stored::nothing();
        stored.base = Some(Piece { key: key.clone(), len: meta.size });
        best = Some(Found { stored, modified: meta.modified });
    }
    let Some(mut found) = best else { return Ok(None) };
    if let Some(piece) = found.stored.tail.as_ref().filter(|piece| piece.key != key) {
        match shared.bucket.head(&piece.key).await {
            Ok(meta) => found.modified = found.modified.max(meta.modified),
            Err(BucketError::NotFound) => return Err(shared.busy(path)),
            Err(error) => return Err(failed()(error)),
        }
    }
    found.stored.sequence = last_state.map_or(0, |(sequence, _)| *sequence);
    around.leave_the_rest(&mut found.stored);
    Ok(Some(found))
}

/// When a lineage was begun.
fn began(lineage: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(lineage >> 12)
}

/// Whether an object was finished after the file was begun once more. Times are those of two clocks; where
/// they are not far apart, it is the one that has more, since what is appended begins with all of the object.
fn is_later(finished: &ObjectMeta, begun: &Found) -> bool {
    let (one, other) = (finished.modified, begun.modified);
    let apart = one.duration_since(other).or_else(|_| other.duration_since(one)).unwrap_or_default();
    if apart <= CLOCKS { finished.size >= begun.stored.size() } else { one > other }
}

/// Readies a file to be continued. Nothing can come after a part that is too small: what ends with one becomes
/// an object.
pub(crate) async fn finish_short(shared: &Shared, stored: &mut Stored) -> Result<(), BucketError> {
    let min = shared.bucket.limits().min_part;
    let short = |upload: &Upload| upload.parts.last().is_some_and(|last| last.size < min);
    let Some(upload) = stored.upload.take_if(|upload| upload.destined.is_none() && short(upload)) else {
        return Ok(());
    };
    let (Some(id), Some(parts)) = (&upload.id, upload.parts.all()) else { return Ok(()) };
    shared.bucket.complete(&upload.key, id, parts).await?;
    stored.base = Some(Piece { len: upload.parts.bytes(), key: upload.key });
    Ok(())
}

impl Around {
    async fn list(shared: &Shared, key: &str) -> Result<Self, BucketError> {
        let mut around = Self::default();
        let prefix = Names::beside_all(key);
        let mut after: Option<String> = None;
        loop {
            let limit = shared.bucket.limits().page;
            let request = ListKeys { prefix: &prefix, fold: true, after: after.as_deref(), limit };
            let page = shared.bucket.list(&request).await?;
            after = page.keys.last().map(|last| last.key.clone());
            page.keys.into_iter().for_each(|found| around.sort(key, found));
            if !page.more || after.is_none() {
                break;
            }
        }
        if shared.bucket.limits().lists_uploads {
            let mut after: Option<Pending> = None;
            loop {
                let page = shared.bucket.uploads(key, after.as_ref()).await?;
                let Some(last) = page.last().cloned() else { break };
                let own = |found: &Pending| found.key == key || found.key.starts_with(&prefix);
                around.pending.extend(page.into_iter().filter(own));
                after = Some(last);
            }
        }
        Ok(around)
    }

    fn sort(&mut self, key: &str, found: Key) {
        let Some(len) = found.size else { return };
        match Names::parse_beside(key, &found.key) {
            Some(Beside::Upload { lineage }) => self.uploads.push((lineage, Piece { key: found.key, len })),
            Some(Beside::Tail { offset, lineage, .. }) => {
                self.tails.push((lineage, offset, Piece { key: found.key, len }));
            }
            Some(Beside::State { sequence }) => self.states.push((sequence, found.key)),
            None => {}
        }
    }

    /// Every beginning of the file.
    async fn candidates(&self, shared: &Shared, key: &str) -> Result<Vec<Stored>, BucketError> {
        let mut candidates = Vec::new();
        for (lineage, piece) in &self.uploads {
            let mut stored = Stored::of(*lineage);
            stored.base = Some(piece.clone());
            candidates.push(stored);
        }
        for (lineage, offset, _) in &self.tails {
            if *offset == 0 {
                let mut stored = Stored::of(*lineage);
                stored.tail = self.tail(*lineage, 0);
                candidates.push(stored);
            }
        }
        for pending in &self.pending {
            let lineage = match Names::parse_beside(key, &pending.key) {
                Some(Beside::Upload { lineage }) => lineage,
                // Distribution's: it began before everything that there is of us.
                None if pending.key == key => 0,
                _ => continue,
            };
            let listed = match shared.bucket.parts(&pending.key, &pending.upload).await {
                Ok(listed) => listed,
                Err(BucketError::NoSuchUpload | BucketError::NotFound) => continue,
                Err(error) => return Err(error),
            };
            let Some(parts) = Parts::listed(listed).filter(|parts| parts.count() > 0) else { continue };
            let mut stored = Stored::of(lineage);
            stored.tail = self.tail(lineage, parts.bytes());
            let id = Some(pending.upload.clone());
            stored.upload = Some(Upload { key: pending.key.clone(), destined: None, id, parts });
            candidates.push(stored);
        }
        Ok(candidates)
    }

    /// The most that there is of a lineage after `offset` bytes.
    fn tail(&self, lineage: u64, offset: u64) -> Option<Piece> {
        let tails = self.tails.iter().filter(|tail| (tail.0, tail.1) == (lineage, offset));
        tails.map(|(_, _, piece)| piece).max_by_key(|piece| piece.len).cloned()
    }

    /// Notes what is not part of the file that was found, to be cleared up when the file is finished.
    fn leave_the_rest(self, stored: &mut Stored) {
        let used = [&stored.base, &stored.tail].map(|piece| piece.as_ref().map(|piece| piece.key.clone()));
        let pieces = self.uploads.into_iter().map(|(_, piece)| piece.key);
        let pieces = pieces.chain(self.tails.into_iter().map(|(_, _, piece)| piece.key));
        let objects = pieces.chain(self.states.into_iter().map(|(_, state)| state));
        let rest = objects.filter(|key| !used.contains(&Some(key.clone())) && !stored.old.contains(key));
        let rest: Vec<String> = rest.collect();
        stored.old.extend(rest);
        let id = stored.upload.as_ref().and_then(|upload| upload.id.clone());
        let others = self.pending.into_iter().filter(|pending| Some(&pending.upload) != id.as_ref());
        stored.doomed.extend(others.map(|pending| (pending.key, pending.upload)));
    }
}
