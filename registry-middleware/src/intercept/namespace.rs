//! Interception at the registry hook.

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::{
    Blob, BuildError, Descriptor, Digest, GlobalBlobs, Namespace, Page, PageRequest, RegistryMiddleware,
    Repository, RepositoryName, RepositoryRemover, RequestContext, Result, StorageDriver,
};

use super::{Interceptor, Operation, Site, Target};

/// Shows an [`Interceptor`] every call of the namespace below, of its content across repositories and of
/// its remover. What is done in a repository is for [`InterceptRepository`](super::InterceptRepository).
#[derive(Debug, Clone)]
pub struct InterceptNamespace {
    interceptor: Arc<dyn Interceptor>,
}

impl InterceptNamespace {
    /// Shows calls to this interceptor.
    pub fn new(interceptor: Arc<dyn Interceptor>) -> Self {
        Self { interceptor }
    }

    /// Puts this around a namespace; cannot fail.
    pub fn around(&self, inner: Arc<dyn Namespace>) -> Arc<dyn Namespace> {
        Arc::new(Intercepted { inner, interceptor: Arc::clone(&self.interceptor) })
    }
}

#[async_trait]
impl RegistryMiddleware for InterceptNamespace {
    async fn wrap(
        &self,
        inner: Arc<dyn Namespace>,
        _driver: &Arc<dyn StorageDriver>,
    ) -> Result<Arc<dyn Namespace>, BuildError> {
        Ok(self.around(inner))
    }
}

#[derive(Debug)]
struct Intercepted {
    inner: Arc<dyn Namespace>,
    interceptor: Arc<dyn Interceptor>,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Namespace for Intercepted {
    async fn repository(
        &self,
        cx: &Arc<RequestContext>,
        name: &RepositoryName,
    ) -> Result<Arc<dyn Repository>> {
        let site = Site::at(&self.interceptor, Some(Arc::clone(cx)), Some(name.clone()));
        let call = site.enter(Operation::Repository, Target::None).await?;
        call.finish(self.inner.repository(cx, name).await)
    }

    async fn repositories(&self, cx: &RequestContext, page: &PageRequest) -> Result<Page<RepositoryName>> {
        let site = Site::at(&self.interceptor, Some(Arc::new(cx.clone())), None);
        let call = site.enter(Operation::Repositories, Target::None).await?;
        call.finish(self.inner.repositories(cx, page).await)
    }

    fn blobs(&self) -> Arc<dyn GlobalBlobs> {
        Arc::new(Global { inner: self.inner.blobs(), site: Site::new(Arc::clone(&self.interceptor)) })
    }

    fn remover(&self) -> Option<Arc<dyn RepositoryRemover>> {
        let inner = self.inner.remover()?;
        Some(Arc::new(Remover { inner, interceptor: Arc::clone(&self.interceptor) }))
    }
}

#[derive(Debug)]
struct Global {
    inner: Arc<dyn GlobalBlobs>,
    site: Site,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl GlobalBlobs for Global {
    async fn stat(&self, digest: &Digest) -> Result<Option<Descriptor>> {
        let call = self.site.enter(Operation::GlobalStat, Target::Digest(digest.clone())).await?;
        call.finish(self.inner.stat(digest).await)
    }

    async fn get(&self, digest: &Digest) -> Result<Option<Blob>> {
        let call = self.site.enter(Operation::GlobalGet, Target::Digest(digest.clone())).await?;
        match self.inner.get(digest).await {
            Ok(Some(blob)) => Ok(Some(call.follow_blob(blob))),
            nothing => call.finish(nothing),
        }
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Digest>> {
        let call = self.site.enter(Operation::GlobalList, Target::None).await?;
        call.finish(self.inner.list(page).await)
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        let call = self.site.enter(Operation::GlobalDelete, Target::Digest(digest.clone())).await?;
        call.finish(self.inner.delete(digest).await)
    }
}

#[derive(Debug)]
struct Remover {
    inner: Arc<dyn RepositoryRemover>,
    interceptor: Arc<dyn Interceptor>,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl RepositoryRemover for Remover {
    async fn remove(&self, name: &RepositoryName) -> Result<()> {
        let site = Site::at(&self.interceptor, None, Some(name.clone()));
        let call = site.enter(Operation::RemoveRepository, Target::None).await?;
        call.finish(self.inner.remove(name).await)
    }
}
