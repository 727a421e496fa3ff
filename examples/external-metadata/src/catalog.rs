//! Needs: the catalog from the external API; the raw driver for pruning.
//!
//! The registry hook is called once, with the namespace and the driver that are below all others. Both
//! are kept for the parts that need them; the namespace is wrapped for the list of repositories.

use std::sync::Arc;

use async_trait::async_trait;
use registry::core::{
    BuildError, GlobalBlobs, Namespace, Page, PageRequest, RegistryMiddleware, Repository, RepositoryName,
    RepositoryRemover, RequestContext, Result, StorageDriver,
};

use crate::app::{App, Hooks, Store};
use crate::errors::refused;

#[async_trait]
impl RegistryMiddleware for Hooks {
    async fn wrap(
        &self,
        inner: Arc<dyn Namespace>,
        driver: &Arc<dyn StorageDriver>,
    ) -> Result<Arc<dyn Namespace>, BuildError> {
        self.0.set_store(Store { namespace: Arc::clone(&inner), driver: Arc::clone(driver) })?;
        Ok(Arc::new(Streams { inner, app: Arc::clone(&self.0) }))
    }
}

/// The streams of the API, over a store that knows nothing of them.
#[derive(Debug)]
struct Streams {
    inner: Arc<dyn Namespace>,
    app: Arc<App>,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Namespace for Streams {
    async fn repository(
        &self,
        cx: &Arc<RequestContext>,
        name: &RepositoryName,
    ) -> Result<Arc<dyn Repository>> {
        self.inner.repository(cx, name).await
    }

    async fn repositories(&self, cx: &RequestContext, page: &PageRequest) -> Result<Page<RepositoryName>> {
        let client = self.app.client(cx);
        let limit = page.limit.saturating_add(1);
        let names = client.api.list_streams(&client.user, page.after.as_deref(), limit).await;
        Ok(Page::cut(names.map_err(refused)?, page.limit))
    }

    fn blobs(&self) -> Arc<dyn GlobalBlobs> {
        self.inner.blobs()
    }

    /// Streams are removed in the API.
    fn remover(&self) -> Option<Arc<dyn RepositoryRemover>> {
        None
    }
}
