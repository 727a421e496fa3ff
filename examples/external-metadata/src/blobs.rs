//! Needs: a mount must obey the source's rules; pull-through, mirroring in the background.
//!
//! Before a blob is mounted, it is looked up in its source with everything that is around it, this
//! wrapper included: a source that refuses turns the mount into an upload.
//!
//! A blob that storage does not show is fetched from upstream. The bytes go to the client and into the
//! store at once, so they come over the network once; storing goes on if the client goes away. Two
//! clients that miss the same blob at the same time both fetch it, which costs time and harms nothing.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::Method;
use registry::core::{
    Blob, BlobBody, BlobStore, BlobWriter, ByteStream, Descriptor, Digest, Error, GetBlob, Result,
    StartUpload, UploadId, UploadStart, UploadStatus, verify_stream,
};
use tokio::sync::mpsc;

use crate::quota::WithQuota;
use crate::repository::Scope;

/// How many pieces the store may be ahead of a client.
const AHEAD: usize = 4;

#[derive(Debug)]
pub(crate) struct Blobs {
    scope: Scope,
    inner: Arc<dyn BlobStore>,
}

impl Blobs {
    pub(crate) fn new(scope: Scope, inner: Arc<dyn BlobStore>) -> Self {
        Self { scope, inner }
    }

    /// A blob from upstream, which is stored while it is read and after.
    async fn pull(&self, digest: &Digest) -> Result<Option<(u64, ByteStream)>> {
        let Some(repository) = self.scope.upstream().await? else { return Ok(None) };
        let found = self.scope.app.upstream.blob(&repository, digest).await?;
        let Some((size, upstream)) = found else { return Ok(None) };
        let upstream = verify_stream(digest, upstream)?;
        let options = StartUpload::default().with_algorithm(digest.algorithm());
        // Not through our own `start`: what the registry fetches itself is under no quota.
        let UploadStart::Session(writer) = self.inner.start(options).await? else {
            return Ok(Some((size, upstream)));
        };
        let (sender, receiver) = mpsc::channel(AHEAD);
        self.scope.app.spawn(mirror(upstream, writer, digest.clone(), sender));
        let pieces = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        Ok(Some((size, pieces.boxed())))
    }
}

/// Writes a stream to the store, and to a client as long as that listens. If storing fails the client is
/// served all the same, and the next one comes by here again.
async fn mirror(
    mut upstream: ByteStream,
    writer: Box<dyn BlobWriter>,
    digest: Digest,
    client: mpsc::Sender<Result<bytes::Bytes>>,
) {
    let mut writer = Some(writer);
    loop {
        match upstream.try_next().await {
            Ok(Some(piece)) => {
                if let Some(open) = &mut writer
                    && open.write(piece.clone()).await.is_err()
                {
                    writer = None;
                }
                let gone = client.send(Ok(piece)).await.is_err();
                if gone && writer.is_none() {
                    return;
                }
            }
            Ok(None) => {
                if let Some(writer) = writer {
                    drop(writer.commit(&digest).await);
                }
                return;
            }
            Err(error) => {
                if let Some(writer) = writer {
                    drop(writer.cancel().await);
                }
                drop(client.send(Err(error)).await);
                return;
            }
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl BlobStore for Blobs {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        self.scope.check_quarantine().await?;
        match self.inner.stat(digest).await {
            Err(Error::BlobUnknown { .. }) => {}
            answer => return answer,
        }
        let unknown = || self.scope.blob_unknown(digest);
        let repository = self.scope.upstream().await?.ok_or_else(unknown)?;
        let size = self.scope.app.upstream.size(&repository, digest).await?.ok_or_else(unknown)?;
        Ok(Descriptor::blob(digest.clone(), size))
    }

    async fn get(&self, digest: &Digest, options: GetBlob) -> Result<Blob> {
        self.scope.check_quarantine().await?;
        match self.inner.get(digest, options.clone()).await {
            Err(Error::BlobUnknown { .. }) => {}
            answer => return answer,
        }
        if options.redirect.as_ref().is_some_and(|hint| hint.method == Method::HEAD) {
            // Nobody wants the bytes, so none are fetched.
            let descriptor = self.stat(digest).await?;
            return Ok(Blob { descriptor, range: 0..0, body: BlobBody::Bytes(Bytes::new()) });
        }
        let pulled = self.pull(digest).await?;
        let (size, mut stream) = pulled.ok_or_else(|| self.scope.blob_unknown(digest))?;
        if options.range.is_some() {
            // A part cannot be verified. The whole is stored first, and the part comes from there.
            while stream.try_next().await?.is_some() {}
            return self.inner.get(digest, options).await;
        }
        let descriptor = Descriptor::blob(digest.clone(), size);
        Ok(Blob { descriptor, range: 0..size, body: BlobBody::Stream(stream) })
    }

    async fn start(&self, options: StartUpload) -> Result<UploadStart> {
        match self.inner.start(options).await? {
            UploadStart::Session(writer) => {
                Ok(UploadStart::Session(Box::new(WithQuota::new(writer, self.scope.clone()))))
            }
            mounted @ UploadStart::Mounted(_) => Ok(mounted),
        }
    }

    async fn resume(&self, id: &UploadId, ticket: Option<&str>) -> Result<Box<dyn BlobWriter>> {
        Ok(Box::new(WithQuota::new(self.inner.resume(id, ticket).await?, self.scope.clone())))
    }

    async fn status(&self, id: &UploadId, ticket: Option<&str>) -> Result<UploadStatus> {
        self.inner.status(id, ticket).await
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        self.inner.delete(digest).await
    }
}
