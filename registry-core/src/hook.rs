//! The three hooks into which middleware goes.
//!
//! An instance is made once, by a [`Factory`](crate::Factory) or by an embedder; `wrap` applies it.
//! Instances apply in configured order, each around the one before, so the last is outermost.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::context::RequestContext;
use crate::driver::StorageDriver;
use crate::error::Result;
use crate::namespace::Namespace;
use crate::plugin::BuildError;
use crate::repository::Repository;

/// Wraps the storage driver, once at start.
#[async_trait]
pub trait StorageMiddleware: fmt::Debug + Send + Sync + 'static {
    /// Puts this around `inner`.
    async fn wrap(&self, inner: Arc<dyn StorageDriver>) -> Result<Arc<dyn StorageDriver>, BuildError>;
}

/// Wraps the namespace, once at start.
#[async_trait]
pub trait RegistryMiddleware: fmt::Debug + Send + Sync + 'static {
    /// Puts this around `inner`. `driver` is the driver that the storage-backed namespace uses, storage
    /// middleware included.
    async fn wrap(
        &self,
        inner: Arc<dyn Namespace>,
        driver: &Arc<dyn StorageDriver>,
    ) -> Result<Arc<dyn Namespace>, BuildError>;
}

/// Wraps each repository, for each request.
#[async_trait]
pub trait RepositoryMiddleware: fmt::Debug + Send + Sync + 'static {
    /// Puts this around `inner` for the request `cx`.
    async fn wrap(&self, cx: &Arc<RequestContext>, inner: Arc<dyn Repository>)
    -> Result<Arc<dyn Repository>>;
}
