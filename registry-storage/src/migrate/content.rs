//! Copying content, which its digest vouches for.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, future};
use registry_core::{Batch, Content, Digest, Digester, StorageError, StoragePath, WriteMode};
use tokio::task::JoinSet;

use super::engine::{Engine, Trouble};
use super::merge::{self, At};
use super::store::{Broken, Store, absent_as_none};
use super::tally::MigrationKind;
use crate::layout;

impl Engine {
    /// Copies all content that the destination does not have.
    pub(super) async fn contents(self: &Arc<Self>) {
        let dir = layout::blobs();
        merge::files(&self.source, &self.destination, &dir, At::BOTH)
            .take_while(|_| future::ready(!self.counters.has_ended()))
            .for_each_concurrent(self.jobs, |found| {
                let (engine, dir) = (Arc::clone(self), dir.clone());
                async move {
                    // A task of its own, for digests are work for more than one processor; it ends with this future.
                    let mut task = JoinSet::new();
                    task.spawn(async move {
                        match found {
                            Ok((name, at)) => engine.content_file(&dir, &name, at).await,
                            Err(broken) => engine.failed(dir.as_str().to_owned(), Trouble::Broken(broken)),
                        }
                    });
                    if let Some(Err(error)) = task.join_next().await {
                        self.failed(layout::blobs().as_str().to_owned(), Trouble::Task(error));
                    }
                }
            })
            .await;
    }

    async fn content_file(&self, dir: &StoragePath, name: &str, at: At) {
        let digest = layout::parse_blob_data(name).filter(|digest| digest.algorithm().is_some());
        let place = digest.as_ref().and_then(layout::blob_data_name);
        let (Some(digest), true) = (digest, place.as_deref() == Some(name)) else {
            if at.source {
                self.counters.unknown(format!("{dir}/{name}"), "no content of a registry");
            }
            return;
        };
        self.counters.reached(&digest);
        if !at.source {
            self.counters.count(MigrationKind::Blob, |tally| tally.extra += 1);
            return;
        }
        let outcome = async {
            if at.destination {
                if self.is_sound(&digest).await? {
                    self.counters.present(&digest);
                    self.counters.count(MigrationKind::Blob, |tally| tally.present += 1);
                    return Ok(());
                }
                self.counters.replaced.fetch_add(1, Ordering::Relaxed);
            }
            self.copy(&digest).await.map(|_| ())
        };
        if let Err(trouble) = outcome.await {
            self.content_failed(&digest, trouble);
        }
    }

    /// Whether what the destination has is what it should be, as far as was asked for: by its bytes, or by
    /// its length where that costs nothing. A store of the other shape has whole objects or none.
    async fn is_sound(&self, digest: &Digest) -> Result<bool, Trouble> {
        let Some(data) = layout::blob_data(digest) else { return Ok(false) };
        if self.verify {
            let mut tried = 0;
            let sound = loop {
                match self.verify_once(&data, digest).await {
                    Err(trouble) if self.again(&mut tried, &trouble).await => {}
                    outcome => break outcome?,
                }
            };
            self.counters.verified.fetch_add(u64::from(sound), Ordering::Relaxed);
            return Ok(sound);
        }
        if self.source.is_tree() && self.destination.is_tree() {
            let (from, to) = futures::try_join!(self.source.stat(&data), self.destination.stat(&data))?;
            // Gone at the source: nothing to compare it with.
            return Ok(from.is_none_or(|from| to.is_some_and(|to| to.size == from.size)));
        }
        Ok(true)
    }

    async fn verify_once(&self, data: &StoragePath, digest: &Digest) -> Result<bool, Trouble> {
        let Some(content) = open(&self.destination, data).await? else { return Ok(false) };
        let mut digester = Digester::for_digest(digest).map_err(|_| Trouble::NoPath)?;
        let mut reading = Reading::new(&self.destination, content);
        while let Some(piece) = reading.next(self).await? {
            digester.update(&piece);
        }
        Ok(digester.finish() == *digest)
    }

    /// Makes sure that content is at the destination. False if the source does not have it, or has damaged
    /// bytes, which have been reported then.
    pub(super) async fn ensure(&self, digest: &Digest) -> Result<bool, Trouble> {
        let (Some(_), Some(data)) = (digest.algorithm(), layout::blob_data(digest)) else { return Ok(false) };
        if self.counters.is_present(digest) {
            return Ok(true);
        }
        let stripe = self.hasher.hash_one(digest) as usize % self.stripes.len();
        let _alone = self.stripes[stripe].lock().await;
        if self.counters.is_damaged(digest) {
            return Ok(false);
        }
        if self.counters.is_present(digest) {
            return Ok(true);
        }
        if self.destination.has(&data).await? {
            self.counters.present(digest);
            return Ok(true);
        }
        match self.copy(digest).await {
            Err(trouble @ Trouble::Damaged(_)) => {
                self.content_failed(digest, trouble);
                Ok(false)
            }
            outcome => outcome,
        }
    }

    fn content_failed(&self, digest: &Digest, trouble: Trouble) {
        if matches!(trouble, Trouble::Damaged(_)) {
            self.counters.damaged(digest);
        }
        self.failed(
            layout::blob_data(digest).map_or_else(String::new, |data| data.as_str().to_owned()),
            trouble,
        );
    }

    /// Copies content. False if it is not at the source, or is there no longer.
    async fn copy(&self, digest: &Digest) -> Result<bool, Trouble> {
        let Some(data) = layout::blob_data(digest) else { return Ok(false) };
        let copied = if self.dry_run {
            self.source.stat(&data).await?.map(|found| found.size)
        } else {
            let mut tried = 0;
            loop {
                match self.copy_once(&data, digest).await {
                    Err(trouble) if self.again(&mut tried, &trouble).await => {}
                    outcome => break outcome?,
                }
            }
        };
        if let Some(bytes) = copied {
            self.counters.present(digest);
            self.counters.copied(MigrationKind::Blob, bytes);
        }
        Ok(copied.is_some())
    }

    /// The number of bytes, or `None` if there is no such content.
    async fn copy_once(&self, data: &StoragePath, digest: &Digest) -> Result<Option<u64>, Trouble> {
        let Some(content) = open(&self.source, data).await? else { return Ok(None) };
        let size = content.size;
        let mut digester = Digester::for_digest(digest).map_err(|_| Trouble::NoPath)?;
        let mut reading = Reading::new(&self.source, content);
        if size <= self.whole {
            let mut whole = BytesMut::with_capacity(size as usize);
            while let Some(piece) = reading.next(self).await? {
                whole.extend_from_slice(&piece);
            }
            digester.update(&whole);
            matches(digester, digest)?;
            let batch = Batch::new().put(data.clone(), whole.freeze());
            self.destination.driver.apply(batch).await.map_err(|error| self.destination.broken(error))?;
            return Ok(Some(size));
        }
        let arrival = layout::arrival(digest).ok_or(Trouble::NoPath)?;
        let broken = |error| self.destination.broken(error);
        let mut writer =
            self.destination.driver.writer(&arrival, WriteMode::Truncate).await.map_err(broken)?;
        writer.destined_for(data);
        while let Some(piece) = reading.next(self).await? {
            digester.update(&piece);
            writer.write(piece).await.map_err(broken)?;
        }
        if let Err(damaged) = matches(digester, digest) {
            writer.cancel().await.map_err(broken)?;
            return Err(damaged);
        }
        writer.commit(Batch::new().rename(arrival, data.clone())).await.map_err(broken)?;
        Ok(Some(size))
    }
}

fn matches(digester: Digester, expected: &Digest) -> Result<(), Trouble> {
    let actual = digester.finish();
    if actual == *expected { Ok(()) } else { Err(Trouble::Damaged(actual)) }
}

async fn open(store: &Store, data: &StoragePath) -> Result<Option<Content>, Broken> {
    let opened = store.driver.reader(data, None).await;
    absent_as_none(opened.map_err(|error| store.broken(error)))
}

/// A body being read to its end, and no less.
struct Reading<'a> {
    store: &'a Store,
    body: registry_core::ByteStream<StorageError>,
    left: u64,
}

impl<'a> Reading<'a> {
    fn new(store: &'a Store, content: Content) -> Self {
        Self { store, left: content.size, body: content.body.into_stream() }
    }

    async fn next(&mut self, engine: &Engine) -> Result<Option<Bytes>, Broken> {
        match self.body.next().await {
            Some(Ok(piece)) => {
                self.left = self.left.saturating_sub(piece.len() as u64);
                engine.counters.transferred.fetch_add(piece.len() as u64, Ordering::Relaxed);
                Ok(Some(piece))
            }
            Some(Err(error)) => Err(self.store.broken(error)),
            None if self.left > 0 => {
                let source = format!("the body ended {} bytes early", self.left).into();
                let driver = self.store.driver.name();
                Err(self.store.broken(StorageError::Unavailable { driver, source }))
            }
            None => Ok(None),
        }
    }
}
