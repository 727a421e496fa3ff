//! Upload sessions in the store.
//!
//! A session is a directory (see [`layout`]). Whoever has its `data` open for writing holds the session;
//! the driver sees to it that this is one at a time, also across processes where it can. The length of
//! `data` is the truth about how far the session has come.
//!
//! Where each call is a round trip, what a session needs to go on is in its [`tickets`](crate::tickets) as
//! long as it goes well, and in the store when it does not.

mod session;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::TryStreamExt;
use registry_core::{
    Algorithm, Batch, BlobDescriptors, BlobWriter, Change, Digester, Durability, Error, FileWriter, PutMode,
    RepositoryName, Result, StorageDriverExt, StorageError, UploadId, UploadStatus, WriteMode,
};
use uuid::Uuid;

pub(crate) use self::session::SIGN_OF_LIFE;
use self::session::{Hashing, Session};
use crate::namespace::Shared;
use crate::tickets::{Files, Ticket};
use crate::{layout, link};

/// The most bytes that a saved state of a digest may have.
const STATE_LIMIT: u64 = 4096;

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

/// Where nobody can be kept from opening a session twice, whoever finishes second learns it only then.
fn overtaken(error: StorageError, id: &UploadId) -> Error {
    match error {
        // What is gone from under a session was finished by somebody else.
        StorageError::Busy { .. } | StorageError::NotFound { .. } => Error::UploadBusy { id: id.clone() },
        error => error.into(),
    }
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
        Ok(Box::new(Session::new(self, id, started_at, file, hashing, files)))
    }

    /// Goes on with a session.
    pub(crate) async fn resume(self, id: &UploadId, ticket: Option<&str>) -> Result<Box<dyn BlobWriter>> {
        let newest = self.shared.tickets.newest(id, ticket);
        // The ticket that a session begins with is as good at its end. Only here it is known to be the last.
        let known = |ticket: &Ticket| ticket.size > 0 || self.shared.tickets.knows(id);
        let newest = match newest {
            Some(ticket) if known(&ticket) => {
                return Ok(Box::new(self.resume_with(id, ticket).await?));
            }
            newest => newest,
        };
        Ok(Box::new(self.find(id, newest).await?))
    }

    /// Goes on with a session as it is in the store, or else with this ticket.
    async fn find(self, id: &UploadId, newest: Option<Ticket>) -> Result<Session> {
        let started_at = self.started_at(id).await?;
        let file = match (self.open_as(id, WriteMode::Append).await, newest) {
            (Err(Error::UploadUnknown { .. }), Some(ticket)) => return self.resume_with(id, ticket).await,
            // Where a file is made when it has its first bytes, a session begins without one.
            (Err(Error::UploadUnknown { .. }), None) if self.shared.flat() => {
                self.open_as(id, WriteMode::Truncate).await?
            }
            (opened, _) => opened?,
        };
        let hashing = match file.size() {
            0 => Hashing::Undecided { held: Vec::new(), otherwise: None },
            size => self.restore(id, size).await?.map_or(Hashing::Unread, Hashing::known),
        };
        let files = Files::Unknown;
        Ok(Session::new(self, id.clone(), started_at, file, hashing, files))
    }

    /// Goes on with a session that need not be looked for.
    async fn resume_with(self, id: &UploadId, ticket: Ticket) -> Result<Session> {
        if !self.shared.tickets.knows(id) {
            // A ticket outlives its session, which may have ended in another process.
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
        Ok(Session::new(self, id.clone(), started_at, file, hashing, files).with_ticket(ticket.file))
    }

    /// How far a session has come.
    pub(crate) async fn status(self, id: &UploadId, ticket: Option<&str>) -> Result<UploadStatus> {
        let started_at = self.started_at(id).await?;
        let data = self.shared.driver.stat_if_present(&layout::upload_data(&self.name, id)).await?;
        let newest = self.shared.tickets.newest(id, ticket);
        let in_store = match data.map(|data| data.size) {
            // Another process may have come further than any ticket says that is at hand.
            None if self.shared.flat() => Some(self.unseen(id).await?),
            size => size,
        };
        let in_store = in_store.ok_or_else(|| self.unknown(id))?;
        if newest.as_ref().is_some_and(|ticket| ticket.size < in_store) {
            // Somebody else has gone on, or a write that failed left more than was acknowledged. Whoever goes on
            // from where we say it is must not be held against what is remembered.
            self.shared.tickets.forget(id);
        }
        // What a ticket says is in the store too, but it may take more than a look to see it.
        let newest = newest.filter(|ticket| ticket.size >= in_store);
        let size = newest.as_ref().map_or(in_store, |ticket| ticket.size);
        let ticket = newest.map(|ticket| ticket.encode());
        Ok(UploadStatus { id: id.clone(), size, started_at, ticket })
    }

    /// How many bytes there are of what is no file yet: parts that are on their way to one are seen by nobody but
    /// whoever goes on with them.
    async fn unseen(&self, id: &UploadId) -> Result<u64> {
        match self.open_as(id, WriteMode::Append).await {
            Ok(file) => Ok(file.size()),
            // Nothing was written, or the first bytes are.
            Err(Error::UploadUnknown { .. } | Error::UploadBusy { .. }) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// The error of a writer, and what it says of the ticket that the writer was opened with.
    fn left_behind(&self, error: StorageError, id: &UploadId, ticket: Option<&Bytes>) -> Error {
        let error = overtaken(error, id);
        if let (Error::UploadBusy { .. }, Some(ticket)) = (&error, ticket) {
            self.shared.tickets.distrust(id, ticket.clone());
        }
        error
    }

    /// The error for a request that went on from `since` bytes, where somebody else had gone on before.
    async fn misplaced(&self, id: &UploadId, since: u64) -> Error {
        self.shared.tickets.forget(id);
        match self.clone().status(id, None).await {
            Ok(status) if status.size != since => {
                Error::UploadOffset { id: id.clone(), expected: status.size, actual: since }
            }
            Ok(_) => Error::UploadBusy { id: id.clone() },
            Err(error) => error,
        }
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
        let overtaken = |error| overtaken(error, id);
        let content = self.shared.driver.reader(&layout::upload_data(&self.name, id), None).await;
        let mut stream = content.map_err(overtaken)?.body.into_stream();
        while let Some(piece) = stream.try_next().await.map_err(overtaken)? {
            digester.update(&piece);
        }
        Ok(digester)
    }
}
