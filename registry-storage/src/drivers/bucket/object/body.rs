//! Bodies that break off and are gone on with.
//!
//! `object_store` could do this itself. It goes on as often as it may in the whole life of a body, however long
//! that is; takes a body that ends too soon for a whole one where its length was not said; and does not tell an
//! object that is another one meanwhile from a service that is away.

use std::ops::Range;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, GetResult, ObjectStore};
use registry_core::{ByteStream, StorageError};

use super::{broken_off, bucket_error};
use crate::drivers::bucket::retry::{Patience, Tries};
use crate::drivers::bucket::store::BucketError;
use crate::replaced::Replaced;

/// A body ended before it should, and nobody said that it broke off.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the answer ended {missing} bytes too soon")]
struct TooShort {
    missing: u64,
}

/// The rest of a body.
struct Body<S> {
    store: S,
    driver: &'static str,
    path: Path,
    /// What the service knows this version of the object by.
    tag: Option<String>,
    /// The length of the object.
    size: u64,
    /// Which bytes are to come.
    left: Range<u64>,
    body: BoxStream<'static, object_store::Result<Bytes>>,
    patience: Patience,
    tries: Tries,
    /// Which byte was to come when the tries began.
    began: u64,
}

/// The body of an answer. Where it breaks off, what is left is asked for, as long as it is the same object and
/// there are tries; each of these requests has its own for being answered.
pub(super) fn body<S>(
    store: S,
    driver: &'static str,
    path: Path,
    found: GetResult,
    patience: Patience,
) -> ByteStream<StorageError>
where
    S: ObjectStore,
{
    let (tag, size, left) = (found.meta.e_tag.clone(), found.meta.size, found.range.clone());
    let (tries, began) = (Tries::begin(&patience), left.start);
    let body = found.into_stream();
    let body = Body { store, driver, path, tag, size, left, body, patience, tries, began };
    stream::try_unfold(body, Body::next).boxed()
}

impl<S: ObjectStore> Body<S> {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, StorageError> {
        loop {
            let missing = self.left.end - self.left.start;
            let error = match self.body.next().await {
                // What comes after the last byte is nothing to the reader, whatever it is. It is waited for
                // because the connection can be used again then.
                _ if missing == 0 => return Ok(None),
                Some(Ok(mut piece)) => {
                    piece.truncate(usize::try_from(missing).unwrap_or(usize::MAX));
                    self.left.start += piece.len() as u64;
                    return Ok(Some((piece, self)));
                }
                Some(Err(error)) => error,
                None => Error::Generic { store: self.driver, source: Box::new(TooShort { missing }) },
            };
            self.go_on(error).await?;
        }
    }

    /// Asks for what is left after `error`.
    async fn go_on(&mut self, error: Error) -> Result<(), StorageError> {
        let next = self.left.start;
        if next - self.began >= self.patience.progress {
            (self.tries, self.began) = (Tries::begin(&self.patience), next);
        }
        let Some(wait) = self.tries.next(None) else { return Err(broken_off(self.driver, error)) };
        // Without it, nobody can tell whether it is the same object.
        let Some(tag) = self.tag.clone() else { return Err(self.replaced(error)) };
        tracing::debug!(key = %self.path, next, error = &error as &dyn std::error::Error, "a body broke off");
        tokio::time::sleep(wait).await;
        let options = GetOptions {
            range: Some(GetRange::Bounded(self.left.clone())),
            // A weak one never matches (RFC 9110 13.1.1).
            if_match: Some(tag).filter(|tag| !tag.starts_with("W/")),
            ..GetOptions::default()
        };
        match self.store.get_opts(&self.path, options).await {
            // There are services that know no conditions here.
            Ok(found) if found.meta.e_tag == self.tag && found.meta.size == self.size => {
                self.body = found.into_stream();
                Ok(())
            }
            Ok(_) => Err(self.replaced(error)),
            Err(refused) => match bucket_error(refused) {
                BucketError::AlreadyExists | BucketError::InvalidRange { .. } => Err(self.replaced(error)),
                refused => {
                    tracing::debug!(key = %self.path, next, error = %refused, "and cannot be gone on with");
                    Err(broken_off(self.driver, error))
                }
            },
        }
    }

    fn replaced(&self, error: Error) -> StorageError {
        StorageError::Unavailable { driver: self.driver, source: Box::new(Replaced::after(error)) }
    }
}
