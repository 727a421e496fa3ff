//! The per-request chain of repository middleware.

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::{
    GlobalBlobs, Namespace, Page, PageRequest, Repository, RepositoryMiddleware, RepositoryName,
    RepositoryRemover, RequestContext, Result,
};

/// A namespace whose repositories are wrapped by a list of middleware.
///
/// Because it is a [`Namespace`] itself, whoever asks it for a repository gets the same stack: HTTP
/// handlers, mounts, background jobs and embedders. The list is settled when this is made; a request only
/// applies it. Content across repositories and the remover are passed on as they are.
#[derive(Debug)]
pub struct MiddlewareNamespace {
    inner: Arc<dyn Namespace>,
    chain: Vec<Arc<dyn RepositoryMiddleware>>,
}

impl MiddlewareNamespace {
    /// Wraps the repositories of `inner` with each of `chain` in turn, so that the last is outermost.
    pub fn new(
        inner: Arc<dyn Namespace>,
        chain: impl IntoIterator<Item = Arc<dyn RepositoryMiddleware>>,
    ) -> Self {
        Self { inner, chain: chain.into_iter().collect() }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Namespace for MiddlewareNamespace {
    async fn repository(
        &self,
        cx: &Arc<RequestContext>,
        name: &RepositoryName,
    ) -> Result<Arc<dyn Repository>> {
        let mut repository = self.inner.repository(cx, name).await?;
        for middleware in &self.chain {
            repository = middleware.wrap(cx, repository).await?;
        }
        Ok(repository)
    }

    async fn repositories(&self, cx: &RequestContext, page: &PageRequest) -> Result<Page<RepositoryName>> {
        self.inner.repositories(cx, page).await
    }

    fn blobs(&self) -> Arc<dyn GlobalBlobs> {
        self.inner.blobs()
    }

    fn remover(&self) -> Option<Arc<dyn RepositoryRemover>> {
        self.inner.remover()
    }
}

#[cfg(test)]
mod tests {
    use registry_core::Error;

    use super::*;
    use crate::testing::{Fake, digest, name};

    /// Changes nothing; what was wrapped in which order shows in the debug text.
    #[derive(Debug)]
    struct Named(&'static str);

    #[derive(Debug)]
    struct NamedRepository(#[expect(dead_code, reason = "shown by Debug")] &'static str, Arc<dyn Repository>);

    #[async_trait]
    impl RepositoryMiddleware for Named {
        async fn wrap(
            &self,
            _cx: &Arc<RequestContext>,
            inner: Arc<dyn Repository>,
        ) -> Result<Arc<dyn Repository>> {
            Ok(Arc::new(NamedRepository(self.0, inner)))
        }
    }

    impl Repository for NamedRepository {
        fn name(&self) -> &RepositoryName {
            self.1.name()
        }
        fn blobs(&self) -> Arc<dyn registry_core::BlobStore> {
            self.1.blobs()
        }
        fn manifests(&self) -> Arc<dyn registry_core::ManifestStore> {
            self.1.manifests()
        }
        fn tags(&self) -> Arc<dyn registry_core::TagStore> {
            self.1.tags()
        }
    }

    #[derive(Debug)]
    struct Refusing;

    #[async_trait]
    impl RepositoryMiddleware for Refusing {
        async fn wrap(
            &self,
            _cx: &Arc<RequestContext>,
            _inner: Arc<dyn Repository>,
        ) -> Result<Arc<dyn Repository>> {
            Err(Error::Denied { reason: "not today".into() })
        }
    }

    #[tokio::test]
    async fn the_last_of_the_list_is_outermost() {
        let chain: [Arc<dyn RepositoryMiddleware>; 2] = [Arc::new(Named("first")), Arc::new(Named("last"))];
        let namespace = MiddlewareNamespace::new(Fake::new(), chain);
        let cx = Arc::new(RequestContext::new("1"));
        let shown = format!("{:?}", namespace.repository(&cx, &name("a")).await.unwrap());
        assert!(shown.starts_with("NamedRepository(\"last\", NamedRepository(\"first\", "), "{shown}");
    }

    #[tokio::test]
    async fn a_refusal_reaches_the_caller_and_nothing_else_is_touched() {
        let fake = Fake::new();
        fake.add_blob("a", b"x");
        let chain: [Arc<dyn RepositoryMiddleware>; 2] = [Arc::new(Refusing), Arc::new(Named("unreached"))];
        let namespace = MiddlewareNamespace::new(fake, chain);
        let cx = Arc::new(RequestContext::new("1"));
        let refused = namespace.repository(&cx, &name("a")).await.unwrap_err();
        assert!(matches!(refused, Error::Denied { .. }));
        assert!(namespace.blobs().stat(&digest(b"x")).await.unwrap().is_some());
    }
}
