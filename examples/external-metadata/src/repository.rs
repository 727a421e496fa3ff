//! Need: manifests and tags in an external API.
//!
//! The repository hook replaces the services for manifests and tags and wraps the one for blobs. Nothing
//! is asked of the API before a service is used.

use std::sync::Arc;

use async_trait::async_trait;
use registry::core::{
    BlobStore, Digest, Error, ManifestStore, Reference, Repository, RepositoryMiddleware, RepositoryName,
    RequestContext, Result, TagStore,
};

use crate::access::ApiClient;
use crate::api::{ApiError, Image, Stream};
use crate::app::{App, Hooks};
use crate::blobs::Blobs;
use crate::errors::refused;
use crate::manifests::Manifests;
use crate::tags::Tags;

/// A stream, and on whose behalf it is used.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) app: Arc<App>,
    pub(crate) client: ApiClient,
    pub(crate) name: RepositoryName,
}

impl Scope {
    pub(crate) fn new(app: &Arc<App>, cx: &RequestContext, name: &RepositoryName) -> Self {
        Self { app: Arc::clone(app), client: app.client(cx), name: name.clone() }
    }

    /// The stream, if there is one.
    pub(crate) async fn find(&self) -> Result<Option<Stream>> {
        match self.client.api.get_stream(&self.client.user, &self.name).await {
            Ok(stream) => Ok(Some(stream)),
            Err(ApiError::NotFound) => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    /// The images of the stream.
    pub(crate) async fn images(&self) -> Result<Vec<Image>> {
        match self.client.api.list_images(&self.client.user, &self.name).await {
            Ok(images) => Ok(images),
            Err(ApiError::NotFound) => Ok(Vec::new()),
            Err(error) => Err(refused(error)),
        }
    }

    /// Refuses to hand out anything of a stream in quarantine. Called by the services rather than by
    /// the hook: where the stream is the source of a mount, a refusal there means "no such blob", but
    /// one of the hook would be a refusal of the push.
    pub(crate) async fn check_quarantine(&self) -> Result<()> {
        if self.find().await?.is_some_and(|stream| stream.quarantined) {
            return Err(Error::Denied { reason: "the stream is in quarantine".into() });
        }
        Ok(())
    }

    /// Where upstream content of this stream may be found.
    pub(crate) async fn upstream(&self) -> Result<Option<String>> {
        Ok(self.find().await?.and_then(|stream| stream.upstream))
    }

    pub(crate) fn manifest_unknown(&self, reference: Reference) -> Error {
        Error::ManifestUnknown { repository: self.name.clone(), reference }
    }

    pub(crate) fn blob_unknown(&self, digest: &Digest) -> Error {
        Error::BlobUnknown { repository: self.name.clone(), digest: digest.clone() }
    }
}

#[async_trait]
impl RepositoryMiddleware for Hooks {
    async fn wrap(
        &self,
        cx: &Arc<RequestContext>,
        inner: Arc<dyn Repository>,
    ) -> Result<Arc<dyn Repository>> {
        Ok(Arc::new(StreamRepository { scope: Scope::new(&self.0, cx, inner.name()), inner }))
    }
}

/// A repository of which storage keeps the blobs and the API everything else.
#[derive(Debug)]
struct StreamRepository {
    scope: Scope,
    inner: Arc<dyn Repository>,
}

#[deny(clippy::missing_trait_methods)]
impl Repository for StreamRepository {
    fn name(&self) -> &RepositoryName {
        &self.scope.name
    }

    fn blobs(&self) -> Arc<dyn BlobStore> {
        Arc::new(Blobs::new(self.scope.clone(), self.inner.blobs()))
    }

    fn manifests(&self) -> Arc<dyn ManifestStore> {
        Arc::new(Manifests::new(self.scope.clone(), self.blobs()))
    }

    fn tags(&self) -> Arc<dyn TagStore> {
        Arc::new(Tags::new(self.scope.clone()))
    }
}
