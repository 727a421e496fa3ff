//! A session that is held by one request.

use std::num::NonZeroU64;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use registry_core::{
    Algorithm, Batch, BlobWriter, Change, Descriptor, Digest, Digester, Durability, Error, FileWriter,
    Result, StorageError, UploadId, UploadStatus, WriteMode,
};
use tracing::Instrument;

use super::{Uploads, relaxed};
use crate::remembered::Arrival;
use crate::tickets::{Files, Ticket};
use crate::{layout, link};

/// A session that is older than this writes its record anew with each request, so that a slow one is told from
/// one that was given up. Before, the record may be so much older than what happened last.
pub(crate) const SIGN_OF_LIFE: Duration = Duration::from_secs(3600);

/// How much of the beginning of a session is kept until it is clear which digest to compute.
const HOLD_BYTES: u64 = 64 * 1024;

/// A session that is held.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) uploads: Uploads,
    pub(super) id: UploadId,
    pub(super) started_at: SystemTime,
    pub(super) file: Box<dyn FileWriter>,
    pub(super) hashing: Hashing,
    pub(super) wrote: bool,
    /// Where it was when it was opened.
    pub(super) since: u64,
    pub(super) files: Files,
    /// The driver's ticket with which it was opened.
    pub(super) ticket: Option<Bytes>,
}

/// The digest of all bytes so far.
#[derive(Debug)]
pub(super) enum Hashing {
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
    pub(super) fn known(digester: Digester) -> Self {
        Self::Known(Box::new(digester))
    }

    pub(super) fn digester(&self) -> Option<&Digester> {
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
        let written = self.file.write(data).await;
        written.map_err(|error| self.uploads.left_behind(error, &self.id, self.ticket.as_ref()))
    }

    async fn close(self: Box<Self>) -> Result<u64> {
        let size = self.size();
        if !self.wrote {
            // Nothing is acknowledged that was not before.
            return Ok(size);
        }
        let mut session = *self;
        session.decide(None).await?;
        let Self { uploads, id, file, hashing, ticket, .. } = session;
        let kept = file.close().await;
        let kept = kept.map_err(|error| uploads.left_behind(error, &id, ticket.as_ref()))?;
        uploads.shared.tickets.forget(&id);
        // After an error fewer bytes are kept than were hashed, and others may come in their place.
        if kept == size {
            uploads.save(&id, hashing, size).await?;
        }
        Ok(kept)
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
        let Self { uploads, id, file, hashing, files, wrote, since, ticket, .. } = session;
        let detached = match file.detach().await {
            Ok(detached) => detached,
            Err(error) => {
                let busy = matches!(error, StorageError::Busy { .. });
                let error = uploads.left_behind(error, &id, ticket.as_ref());
                return Err(if busy { uploads.misplaced(&id, since).await } else { error });
            }
        };
        if detached.size != size {
            // After an error fewer bytes are kept than were hashed, and others may come in their place.
            uploads.shared.tickets.forget(&id);
            status.size = detached.size;
            return Ok(status);
        }
        if wrote && started_at.elapsed().is_ok_and(|age| age > SIGN_OF_LIFE) {
            // Parts of a file are seen by nobody who looks for sessions that were given up.
            let record = humantime::format_rfc3339_seconds(started_at).to_string();
            let path = layout::upload_started_at(&uploads.name, &id);
            uploads.shared.driver.apply(relaxed(Batch::new(), path, record)).await?;
        }
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
        let task = tokio::spawn(self.finish_once_more(expected).in_current_span());
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
    pub(super) fn new(
        uploads: Uploads,
        id: UploadId,
        started_at: SystemTime,
        file: Box<dyn FileWriter>,
        hashing: Hashing,
        files: Files,
    ) -> Self {
        let since = file.size();
        Self { uploads, id, started_at, file, hashing, wrote: false, since, files, ticket: None }
    }

    pub(super) fn with_ticket(self, ticket: Bytes) -> Self {
        Self { ticket: Some(ticket), ..self }
    }

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

    /// Ends the session. A ticket may be of a state that a request before has left behind, which could not do
    /// all of this; then everything is in the store all the same, and what is found there counts.
    async fn finish_once_more(self: Box<Self>, expected: Digest) -> Result<Descriptor> {
        // What was written here went with the writer that has failed.
        let again = (self.ticket.is_some() && !self.wrote).then(|| self.uploads.clone());
        let size = self.since;
        match (self.finish(expected.clone()).await, again) {
            (Err(Error::UploadBusy { id }), Some(uploads)) => {
                let found = uploads.find(&id, None).await?;
                if found.since != size {
                    return Err(Error::UploadBusy { id });
                }
                Box::new(found).finish(expected).await
            }
            (finished, _) => finished,
        }
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
                let closed = self.file.close().await;
                closed.map_err(|error| self.uploads.left_behind(error, &self.id, self.ticket.as_ref()))?;
                let digester = self.uploads.rehash(&self.id, algorithm).await?;
                self.file = self.uploads.open_as(&self.id, WriteMode::Append).await?;
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
        let Self { uploads, id, file, files, ticket, .. } = *self;
        let Uploads { shared, name, descriptors } = uploads.clone();
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
        let committed = file.commit(batch.then().step(session, Durability::Relaxed)).await;
        committed.map_err(|error| uploads.left_behind(error, &id, ticket.as_ref()))?;
        shared.content.remember(&descriptor).await;
        if linked_here {
            shared.linked(&name, &expected, Arrival::now(descriptor.clone())).await;
        } else {
            descriptors.set(&expected, &descriptor).await?;
        }
        Ok(descriptor)
    }
}
