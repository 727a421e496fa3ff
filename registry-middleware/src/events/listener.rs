//! Watching a repository and telling what happened.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use registry_core::events::Action;
use registry_core::{
    Blob, BlobStore, BlobWriter, ComposedRepository, Descriptor, Digest, Error, Event, EventSink,
    EventTarget, GetBlob, Manifest, ManifestStore, Page, PageRequest, PutManifest, ReferrerFilter,
    Repository, RepositoryMiddleware, RepositoryName, RequestContext, Result, StartUpload, Tag, TagExpect,
    TagStore, UploadId, UploadStart, UploadStatus,
};

use super::whole::whole;

/// Tells an [`EventSink`] what happens in a repository, after it succeeded and before the caller hears of
/// it. The same events as Distribution's:
///
/// | Call | Events |
/// |---|---|
/// | an upload is committed | push of the blob |
/// | a mount succeeds | mount of the blob |
/// | a blob is read or asked for, by redirect too | pull of the blob |
/// | a blob is deleted | delete of its digest |
/// | a manifest is put | push of the manifest, with its tags |
/// | a manifest is read or asked for | pull of the manifest, with the tag by which it was found |
/// | a manifest is deleted | delete of its digest, then of each tag that pointed at it |
/// | a tag is deleted | delete of the tag |
/// | a tag is set on its own | push of the manifest, with the tag |
///
/// The last row is one more than Distribution has, where tags are only set along with a manifest. Here
/// [`ImmutableTags`](crate::ImmutableTags) around this sets them one by one.
///
/// Only requests that read, GET and HEAD, pull: what a push looks at to check its references or a mount
/// its source is not reported.
///
/// Whatever changes something goes on when its caller goes away meanwhile, together with the telling, in a task of
/// its own: an event is not cut off from what it tells of. So it needs a tokio runtime.
///
/// A process that ends between the two does. Its client has no answer then, and asks again: a manifest is put
/// again, and that is told. An upload that has ended cannot be ended again; the answer to the second try is that
/// the blob is there, and that is told as a push, too. So a push may be told twice, but none that was
/// acknowledged is never told.
#[derive(Debug, Clone)]
pub struct EventListener {
    sink: Arc<dyn EventSink>,
}

impl EventListener {
    /// Tells this sink.
    pub fn new(sink: Arc<dyn EventSink>) -> Self {
        Self { sink }
    }

    /// Puts this around a repository; cannot fail.
    pub fn around(&self, cx: &Arc<RequestContext>, inner: Arc<dyn Repository>) -> Arc<dyn Repository> {
        let teller = Arc::new(Teller {
            sink: Arc::clone(&self.sink),
            cx: Arc::clone(cx),
            repository: inner.name().clone(),
            content: self.sink.wants_manifests(),
            resolved: Mutex::default(),
            upload_gone: AtomicBool::new(false),
        });
        let blobs = Blobs { inner: inner.blobs(), teller: Arc::clone(&teller) };
        let manifests =
            Manifests { inner: inner.manifests(), tags: inner.tags(), teller: Arc::clone(&teller) };
        let tags = Tags { inner: inner.tags(), teller };
        Arc::new(ComposedRepository::of(inner).with_blobs(blobs).with_manifests(manifests).with_tags(tags))
    }
}

#[async_trait]
impl RepositoryMiddleware for EventListener {
    async fn wrap(
        &self,
        cx: &Arc<RequestContext>,
        inner: Arc<dyn Repository>,
    ) -> Result<Arc<dyn Repository>> {
        Ok(self.around(cx, inner))
    }
}

/// Tells the sink, for one repository and one request.
#[derive(Debug)]
struct Teller {
    sink: Arc<dyn EventSink>,
    cx: Arc<RequestContext>,
    repository: RepositoryName,
    /// Whether the sink wants the content of manifests.
    content: bool,
    /// The tag that this request has resolved last, and to what.
    resolved: Mutex<Option<(Tag, Digest)>>,
    /// Whether this request has looked for an upload that is not there any more.
    upload_gone: AtomicBool,
}

impl Teller {
    async fn tell(&self, action: Action, target: EventTarget) {
        self.sink.publish(&self.cx, Event::now(action, self.repository.clone(), target)).await;
    }

    /// Whether what is read is for the client.
    fn pulls(&self) -> bool {
        matches!(self.cx.method, Some(Method::GET | Method::HEAD))
    }

    async fn blob_seen(&self, descriptor: &Descriptor) {
        let action = if self.pulls() {
            Action::Pull
        } else if self.cx.method == Some(Method::PUT) && self.upload_gone.swap(false, Ordering::Relaxed) {
            Action::Push
        } else {
            return;
        };
        let target = EventTarget::Blob { descriptor: descriptor.clone(), from: None };
        self.tell(action, target).await;
    }

    async fn manifest_pulled(&self, descriptor: Descriptor, content: Option<Manifest>) {
        if self.pulls() {
            let tags = self.tag_of(&descriptor.digest).into_iter().collect();
            self.tell(Action::Pull, EventTarget::Manifest { descriptor, tags, content }).await;
        }
    }

    fn content(&self, manifest: &Manifest) -> Option<Manifest> {
        self.content.then(|| manifest.clone())
    }

    fn resolved(&self, tag: &Tag, digest: &Digest) {
        let mut resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        *resolved = Some((tag.clone(), digest.clone()));
    }

    fn tag_of(&self, digest: &Digest) -> Option<Tag> {
        let resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        resolved.as_ref().filter(|(_, target)| target == digest).map(|(tag, _)| tag.clone())
    }
}

#[derive(Debug)]
struct Blobs {
    inner: Arc<dyn BlobStore>,
    teller: Arc<Teller>,
}

impl Blobs {
    fn watch(&self, inner: Box<dyn BlobWriter>) -> Box<dyn BlobWriter> {
        Box::new(Writer { inner, teller: Arc::clone(&self.teller) })
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl BlobStore for Blobs {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        let descriptor = self.inner.stat(digest).await?;
        self.teller.blob_seen(&descriptor).await;
        Ok(descriptor)
    }

    async fn get(&self, digest: &Digest, options: GetBlob) -> Result<Blob> {
        let blob = self.inner.get(digest, options).await?;
        self.teller.blob_seen(&blob.descriptor).await;
        Ok(blob)
    }

    async fn start(&self, options: StartUpload) -> Result<UploadStart> {
        let Some(source) = &options.mount else {
            return match self.inner.start(options).await? {
                UploadStart::Session(writer) => Ok(UploadStart::Session(self.watch(writer))),
                mounted @ UploadStart::Mounted(_) => Ok(mounted),
            };
        };
        let from = source.from.clone();
        let (inner, teller) = (Arc::clone(&self.inner), Arc::clone(&self.teller));
        let started = whole(async move {
            let started = inner.start(options).await?;
            if let UploadStart::Mounted(descriptor) = &started {
                let target = EventTarget::Blob { descriptor: descriptor.clone(), from };
                teller.tell(Action::Mount, target).await;
            }
            Ok::<_, Error>(started)
        });
        match started.await? {
            UploadStart::Session(writer) => Ok(UploadStart::Session(self.watch(writer))),
            mounted @ UploadStart::Mounted(_) => Ok(mounted),
        }
    }

    async fn resume(&self, id: &UploadId, ticket: Option<&str>) -> Result<Box<dyn BlobWriter>> {
        let resumed = self.inner.resume(id, ticket).await;
        if matches!(resumed, Err(Error::UploadUnknown { .. })) {
            self.teller.upload_gone.store(true, Ordering::Relaxed);
        }
        Ok(self.watch(resumed?))
    }

    async fn status(&self, id: &UploadId, ticket: Option<&str>) -> Result<UploadStatus> {
        self.inner.status(id, ticket).await
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        let (inner, teller, digest) = (Arc::clone(&self.inner), Arc::clone(&self.teller), digest.clone());
        whole(async move {
            inner.delete(&digest).await?;
            teller.tell(Action::Delete, EventTarget::BlobDigest(digest)).await;
            Ok(())
        })
        .await
    }
}

#[derive(Debug)]
struct Writer {
    inner: Box<dyn BlobWriter>,
    teller: Arc<Teller>,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl BlobWriter for Writer {
    fn id(&self) -> &UploadId {
        self.inner.id()
    }

    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn started_at(&self) -> SystemTime {
        self.inner.started_at()
    }

    fn min_chunk_size(&self) -> Option<NonZeroU64> {
        self.inner.min_chunk_size()
    }

    fn expect(&mut self, digest: &Digest) {
        self.inner.expect(digest);
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        self.inner.write(data).await
    }

    async fn close(self: Box<Self>) -> Result<u64> {
        self.inner.close().await
    }

    async fn detach(self: Box<Self>) -> Result<UploadStatus> {
        self.inner.detach().await
    }

    async fn commit(self: Box<Self>, expected: &Digest) -> Result<Descriptor> {
        let Self { inner, teller } = *self;
        let expected = expected.clone();
        whole(async move {
            let descriptor = inner.commit(&expected).await?;
            let target = EventTarget::Blob { descriptor: descriptor.clone(), from: None };
            teller.tell(Action::Push, target).await;
            Ok(descriptor)
        })
        .await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        self.inner.cancel().await
    }
}

#[derive(Debug)]
struct Manifests {
    inner: Arc<dyn ManifestStore>,
    tags: Arc<dyn TagStore>,
    teller: Arc<Teller>,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ManifestStore for Manifests {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        if self.teller.content && self.teller.pulls() {
            let manifest = self.inner.get(digest).await?;
            let descriptor = manifest.descriptor();
            self.teller.manifest_pulled(descriptor.clone(), Some(manifest)).await;
            return Ok(descriptor);
        }
        let descriptor = self.inner.stat(digest).await?;
        self.teller.manifest_pulled(descriptor.clone(), None).await;
        Ok(descriptor)
    }

    async fn get(&self, digest: &Digest) -> Result<Manifest> {
        let manifest = self.inner.get(digest).await?;
        self.teller.manifest_pulled(manifest.descriptor(), self.teller.content(&manifest)).await;
        Ok(manifest)
    }

    async fn put(&self, manifest: &Manifest, options: PutManifest) -> Result<Descriptor> {
        let (inner, teller, manifest) = (Arc::clone(&self.inner), Arc::clone(&self.teller), manifest.clone());
        whole(async move {
            let tags = options.tags.clone();
            let descriptor = inner.put(&manifest, options).await?;
            let content = teller.content(&manifest);
            let target = EventTarget::Manifest { descriptor: descriptor.clone(), tags, content };
            teller.tell(Action::Push, target).await;
            Ok(descriptor)
        })
        .await
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        let (inner, tags, teller) =
            (Arc::clone(&self.inner), Arc::clone(&self.tags), Arc::clone(&self.teller));
        let digest = digest.clone();
        whole(async move {
            let tags = tags.lookup(&digest).await.unwrap_or_else(|error| {
                tracing::warn!(%digest, error = &error as &dyn std::error::Error, "events: no tags of a manifest");
                Vec::new()
            });
            inner.delete(&digest).await?;
            teller.tell(Action::Delete, EventTarget::ManifestDigest(digest)).await;
            for tag in tags {
                teller.tell(Action::Delete, EventTarget::Tag(tag)).await;
            }
            Ok(())
        })
        .await
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Digest>> {
        self.inner.list(page).await
    }

    async fn referrers(
        &self,
        subject: &Digest,
        filter: &ReferrerFilter,
        page: &PageRequest,
    ) -> Result<Page<Descriptor>> {
        self.inner.referrers(subject, filter, page).await
    }
}

#[derive(Debug)]
struct Tags {
    inner: Arc<dyn TagStore>,
    teller: Arc<Teller>,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl TagStore for Tags {
    async fn get(&self, tag: &Tag) -> Result<Digest> {
        let digest = self.inner.get(tag).await?;
        self.teller.resolved(tag, &digest);
        Ok(digest)
    }

    async fn set(&self, tag: &Tag, target: &Descriptor, expect: TagExpect) -> Result<()> {
        let (inner, teller, tag) = (Arc::clone(&self.inner), Arc::clone(&self.teller), tag.clone());
        let descriptor = target.clone();
        whole(async move {
            inner.set(&tag, &descriptor, expect).await?;
            let target = EventTarget::Manifest { descriptor, tags: vec![tag], content: None };
            teller.tell(Action::Push, target).await;
            Ok(())
        })
        .await
    }

    async fn delete(&self, tag: &Tag) -> Result<()> {
        let (inner, teller, tag) = (Arc::clone(&self.inner), Arc::clone(&self.teller), tag.clone());
        whole(async move {
            inner.delete(&tag).await?;
            teller.tell(Action::Delete, EventTarget::Tag(tag)).await;
            Ok(())
        })
        .await
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Tag>> {
        self.inner.list(page).await
    }

    async fn lookup(&self, target: &Digest) -> Result<Vec<Tag>> {
        self.inner.lookup(target).await
    }
}

#[cfg(test)]
mod tests;
