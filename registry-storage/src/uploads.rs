//! Upload sessions in the store.
//!
//! A session is a directory (see [`layout`]). Whoever has its `data` open for writing holds the session;
//! the driver sees to it that this is one at a time, also across processes where it can. The length of
//! `data` is the truth about how far the session has come.
//!
//! Where each call is a round trip, what a session needs to go on is in its [`tickets`](crate::tickets) as
//! long as it goes well, and in the store when it does not.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use registry_core::{
    Algorithm, Batch, BlobDescriptors, BlobWriter, Change, Descriptor, Digest, Digester, Durability, Error,
    FileWriter, PutMode, RepositoryName, Result, StorageDriverExt, StorageError, UploadId, UploadStatus,
    WriteMode,
};
use tracing::Instrument;
use uuid::Uuid;

use crate::namespace::Shared;
use crate::tickets::{Files, Ticket};
use crate::{layout, link};

/// The most bytes that a saved state of a digest may have.
const STATE_LIMIT: u64 = 4096;

/// How much of the beginning of a session is kept until it is clear which digest to compute.
const HOLD_BYTES: u64 = 64 * 1024;

/// The upload sessions of one repository.
#[derive(Debug, Clone)]
pub(crate) struct Uploads {
    shared: Arc<Shared>,
    name: RepositoryName,
    descriptors: Arc<dyn BlobDescriptors>,
}

fn relaxed(batch: Batch, path: registry_core::StoragePath, content: impl Into<Bytes>) -> Batch {
    let put = Change::Put { path, content: content.into(), mode: PutMode::Overwrite };
    batch.step(put, Durability::Relaxed)
}

impl Uploads {
    pub(crate) fn new(
        shared: Arc<Shared>,
        name: RepositoryName,
        descriptors: Arc<dyn BlobDescriptors>,
    ) -> Self {
        Self { shared, name, descriptors }
    }

    /// Begins a session. Until the first bytes are acknowledged nothing of it has to survive a power
    /// cut, so nothing is synced.
    pub(crate) async fn start(self, algorithm: Algorithm) -> Result<Box<dyn BlobWriter>> {
        let id = UploadId::try_from(Uuid::new_v4().to_string())?;
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        // To the second, as it will be read again.
        let started_at = humantime::parse_rfc3339(&now).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut batch = relaxed(Batch::new(), layout::upload_started_at(&self.name, &id), now);
        let digester = Digester::new(algorithm);
        let mut files = Files::Record;
        if algorithm != Algorithm::default() {
            // Tells whoever goes on with the session which digest to compute.
            let path = layout::upload_hash_state(&self.name, &id, algorithm, 0);
            batch = relaxed(batch, path, digester.save());
            files = Files::Unknown;
        }
        self.shared.driver.apply(batch).await?;
        let data = layout::upload_data(&self.name, &id);
        let file = self.shared.driver.writer(&data, WriteMode::Truncate).await?;
        let hashing = Hashing::known(digester);
        Ok(Box::new(Session { uploads: self, id, started_at, file, hashing, wrote: false, files }))
    }

    /// Goes on with a session.
    pub(crate) async fn resume(self, id: &UploadId, ticket: Option<&str>) -> Result<Box<dyn BlobWriter>> {
        if let Some(ticket) = self.shared.tickets.newest(id, ticket) {
            return self.resume_with(id, ticket).await;
        }
        let started_at = self.started_at(id).await?;
        let file = self.open(id).await?;
        let hashing = match file.size() {
            0 => Hashing::Undecided { held: Vec::new(), otherwise: None },
            size => self.restore(id, size).await?.map_or(Hashing::Unread, Hashing::known),
        };
        let files = Files::Unknown;
        Ok(Box::new(Session {
            uploads: self,
            id: id.clone(),
            started_at,
            file,
            hashing,
            wrote: false,
            files,
        }))
    }

    /// Goes on with a session that need not be looked for.
    async fn resume_with(self, id: &UploadId, ticket: Ticket) -> Result<Box<dyn BlobWriter>> {
        if ticket.size == 0 && !self.shared.tickets.knows(id) {
            // Nothing of it is in the store but the record, and that may be gone.
            self.started_at(id).await?;
        }
        let file = self.open_as(id, WriteMode::Continue(ticket.file.clone())).await?;
        if file.size() != ticket.size {
            return Err(Error::UploadBusy { id: id.clone() });
        }
        let hashing = match (ticket.size, ticket.digester()) {
            (0, digester) => Hashing::Undecided { held: Vec::new(), otherwise: digester.map(Box::new) },
            (_, Some(digester)) => Hashing::known(digester),
            (_, None) => Hashing::Unread,
        };
        let (started_at, files) = (ticket.started_at(), ticket.files);
        Ok(Box::new(Session {
            uploads: self,
            id: id.clone(),
            started_at,
            file,
            hashing,
            wrote: false,
            files,
        }))
    }

    /// How far a session has come.
    pub(crate) async fn status(self, id: &UploadId, ticket: Option<&str>) -> Result<UploadStatus> {
        let started_at = self.started_at(id).await?;
        let data = self.shared.driver.stat_if_present(&layout::upload_data(&self.name, id)).await?;
        let in_store = match data {
            None if self.shared.flat() => Some(0),
            data => data.map(|data| data.size),
        };
        let newest = self.shared.tickets.newest(id, ticket);
        let in_store = in_store.ok_or_else(|| self.unknown(id))?;
        // What a ticket says is in the store too, but it may take more than a look to see it.
        let newest = newest.filter(|ticket| ticket.size >= in_store);
        let size = newest.as_ref().map_or(in_store, |ticket| ticket.size);
        let ticket = newest.map(|ticket| ticket.encode());
        Ok(UploadStatus { id: id.clone(), size, started_at, ticket })
    }

    fn unknown(&self, id: &UploadId) -> Error {
        Error::UploadUnknown { repository: self.name.clone(), id: id.clone() }
    }

    async fn started_at(&self, id: &UploadId) -> Result<SystemTime> {
        let path = layout::upload_started_at(&self.name, id);
        let content = link::small(self.shared.driver.as_ref(), &path, 256).await?;
        let content = content.ok_or_else(|| self.unknown(id))?;
        let text = std::str::from_utf8(&content).unwrap_or_default().trim();
        Ok(humantime::parse_rfc3339(text).unwrap_or(SystemTime::UNIX_EPOCH))
    }

    async fn open(&self, id: &UploadId) -> Result<Box<dyn FileWriter>> {
        match self.open_as(id, WriteMode::Append).await {
            // Where a file is made when it has its first bytes, a session begins without one.
            Err(Error::UploadUnknown { .. }) if self.shared.flat() => {
                self.open_as(id, WriteMode::Truncate).await
            }
            opened => opened,
        }
    }

    async fn open_as(&self, id: &UploadId, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        let data = layout::upload_data(&self.name, id);
        match self.shared.driver.writer(&data, mode).await {
            Ok(file) => Ok(file),
            Err(StorageError::Busy { .. }) => Err(Error::UploadBusy { id: id.clone() }),
            Err(error) if error.is_not_found() => Err(self.unknown(id)),
            Err(error) => Err(error.into()),
        }
    }

    /// The digest of the first `size` bytes, if its state was saved. Without it the bytes are read again
    /// when the session is committed, and not before.
    async fn restore(&self, id: &UploadId, size: u64) -> Result<Option<Digester>> {
        // Nothing is saved at the beginning of a session with the usual algorithm.
        let saved = |algorithm: &Algorithm| size > 0 || *algorithm != Algorithm::default();
        for algorithm in Algorithm::ALL.into_iter().filter(saved) {
            let path = layout::upload_hash_state(&self.name, id, algorithm, size);
            if let Some(saved) = link::small(self.shared.driver.as_ref(), &path, STATE_LIMIT).await?
                && let Some(digester) = Digester::restore(algorithm, &saved)
                && digester.bytes_hashed() == size
            {
                return Ok(Some(digester));
            }
        }
        Ok((size == 0).then(|| Digester::new(Algorithm::default())))
    }

    /// Saves the state of a session's digest, after its bytes: a state that outlived them in a power cut
    /// would vouch for what is not there.
    async fn save(&self, id: &UploadId, hashing: Hashing, size: u64) -> Result<()> {
        let Hashing::Known(digester) = hashing else { return Ok(()) };
        let path = layout::upload_hash_state(&self.name, id, digester.algorithm(), size);
        Ok(self.shared.driver.apply(relaxed(Batch::new(), path, digester.save())).await?)
    }

    /// The digest of the bytes of a session, read from the store.
    async fn rehash(&self, id: &UploadId, algorithm: Algorithm) -> Result<Digester> {
        let mut digester = Digester::new(algorithm);
        let content = self.shared.driver.reader(&layout::upload_data(&self.name, id), None).await?;
        let mut stream = content.body.into_stream();
        while let Some(piece) = stream.try_next().await? {
            digester.update(&piece);
        }
        Ok(digester)
    }
}

/// A session that is held.
#[derive(Debug)]
struct Session {
    uploads: Uploads,
    id: UploadId,
    started_at: SystemTime,
    file: Box<dyn FileWriter>,
    hashing: Hashing,
    wrote: bool,
    files: Files,
}

/// The digest of all bytes so far.
#[derive(Debug)]
enum Hashing {
    Known(Box<Digester>),
    /// All bytes so far, which are few. Which digest to compute of them is in the store; but a session is
    /// most often ended by the request that brings the first bytes, and that names its digest. Where it is
    /// known without asking the store, it is at hand.
    Undecided {
        held: Vec<Bytes>,
        otherwise: Option<Box<Digester>>,
    },
    /// The bytes of an earlier request would have to be read.
    Unread,
}

impl Hashing {
    fn known(digester: Digester) -> Self {
        Self::Known(Box::new(digester))
    }

    fn digester(&self) -> Option<&Digester> {
        match self {
            Self::Known(digester) => Some(digester),
            Self::Undecided { .. } | Self::Unread => None,
        }
    }
}

#[async_trait]
impl BlobWriter for Session {
    fn id(&self) -> &UploadId {
        &self.id
    }

    fn size(&self) -> u64 {
        self.file.size()
    }

    fn started_at(&self) -> SystemTime {
        self.started_at
    }

    fn min_chunk_size(&self) -> Option<NonZeroU64> {
        None
    }

    fn expect(&mut self, digest: &Digest) {
        if let Some(path) = layout::blob_data(digest) {
            self.file.destined_for(&path);
        }
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        self.wrote = true;
        match &mut self.hashing {
            Hashing::Known(digester) => digester.update(&data),
            Hashing::Undecided { held, .. } => {
                held.push(data.clone());
                if self.file.size() + data.len() as u64 > HOLD_BYTES {
                    self.decide(None).await?;
                }
            }
            Hashing::Unread => {}
        }
        Ok(self.file.write(data).await?)
    }

    async fn close(self: Box<Self>) -> Result<u64> {
        let size = self.size();
        if !self.wrote {
            // Nothing is acknowledged that was not before.
            return Ok(size);
        }
        let mut session = *self;
        session.decide(None).await?;
        let Self { uploads, id, file, hashing, .. } = session;
        file.close().await?;
        uploads.shared.tickets.forget(&id);
        uploads.save(&id, hashing, size).await?;
        Ok(size)
    }

    async fn detach(self: Box<Self>) -> Result<UploadStatus> {
        let (id, size, started_at) = (self.id.clone(), self.size(), self.started_at);
        let mut status = UploadStatus { id, size, started_at, ticket: None };
        if !self.uploads.shared.flat() {
            self.close().await?;
            return Ok(status);
        }
        let mut session = *self;
        session.decide(None).await?;
        let Self { uploads, id, file, hashing, files, wrote, .. } = session;
        let detached = file.detach().await?;
        match detached.ticket {
            Some(file) => {
                let ticket = Ticket::new(started_at, size, hashing.digester(), file, files);
                status.ticket = Some(ticket.encode());
                uploads.shared.tickets.remember(&id, ticket);
            }
            None => {
                uploads.shared.tickets.forget(&id);
                if wrote {
                    uploads.save(&id, hashing, size).await?;
                }
            }
        }
        Ok(status)
    }

    async fn commit(self: Box<Self>, expected: &Digest) -> Result<Descriptor> {
        let expected = expected.clone();
        // A task of its own: a client that goes away does not cut it in half.
        let task = tokio::spawn(self.finish(expected).in_current_span());
        task.await.map_err(|error| Error::internal("committing an upload", error))?
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        let Self { uploads, id, file, .. } = *self;
        uploads.shared.tickets.forget(&id);
        file.cancel().await?;
        let dir = layout::upload_dir(&uploads.name, &id);
        let delete = Batch::new().step(Change::Delete { path: dir }, Durability::Relaxed);
        Ok(uploads.shared.driver.apply(delete).await?)
    }
}

impl Session {
    /// Begins the digest of a session of which no bytes were there, if that has not been done: with the
    /// algorithm that its last request asks for, or else with the one that its first one did.
    async fn decide(&mut self, algorithm: Option<Algorithm>) -> Result<()> {
        let Hashing::Undecided { held, otherwise } = &mut self.hashing else { return Ok(()) };
        let (held, otherwise) = (std::mem::take(held), otherwise.take());
        let digester = match (algorithm, otherwise) {
            (Some(algorithm), _) => Some(Digester::new(algorithm)),
            (None, Some(digester)) => Some(*digester),
            (None, None) => self.uploads.restore(&self.id, 0).await?,
        };
        self.hashing = digester.map_or(Hashing::Unread, |mut digester| {
            held.iter().for_each(|data| digester.update(data));
            Hashing::known(digester)
        });
        Ok(())
    }

    async fn finish(mut self: Box<Self>, expected: Digest) -> Result<Descriptor> {
        let Some(algorithm) = expected.algorithm() else {
            self.close().await?;
            return Err(Error::DigestUnsupported { digest: expected });
        };
        let size = self.size();
        self.decide(Some(algorithm)).await?;
        let digester = match std::mem::replace(&mut self.hashing, Hashing::Unread) {
            Hashing::Known(digester) if digester.algorithm() == algorithm => *digester,
            _ => {
                // Let go of the session so that all bytes are in the store, and take it again.
                self.file.close().await?;
                let digester = self.uploads.rehash(&self.id, algorithm).await?;
                self.file = self.uploads.open(&self.id).await?;
                if self.file.size() != size || digester.bytes_hashed() != size {
                    return Err(Error::UploadBusy { id: self.id });
                }
                digester
            }
        };
        let actual = digester.finish();
        if actual != expected {
            self.cancel().await?;
            return Err(Error::DigestMismatch { expected, actual: Some(actual) });
        }
        let Self { uploads, id, file, files, .. } = *self;
        let Uploads { shared, name, descriptors } = uploads;
        shared.tickets.forget(&id);
        let unsupported = || Error::DigestUnsupported { digest: expected.clone() };
        let target = layout::blob_data(&expected).ok_or_else(unsupported)?;
        let link_path = layout::layer_link(&name, &expected).ok_or_else(unsupported)?;
        let descriptor = Descriptor::blob(expected.clone(), size);
        // The link first: until the content is there it counts as none, and a commit that was cut short
        // between the two finds its bytes where they were when it is asked for again.
        let linked_here = shared.layer.is_none();
        let mut batch = Batch::new();
        if linked_here {
            batch = batch.put(link_path, link::content(&expected)).then();
        }
        // Content that is there already is replaced all the same: it may be what a crash left of it.
        let batch = batch.rename(layout::upload_data(&name, &id), target);
        let session = match files {
            Files::Record if shared.flat() => Change::Remove { path: layout::upload_started_at(&name, &id) },
            _ => Change::Delete { path: layout::upload_dir(&name, &id) },
        };
        file.commit(batch.then().step(session, Durability::Relaxed)).await?;
        shared.content.remember(&descriptor).await;
        if !linked_here {
            descriptors.set(&expected, &descriptor).await?;
        }
        Ok(descriptor)
    }
}
