//! Need: one application object behind all hooks.
//!
//! [`App`] holds what the program needs; [`Hooks`] is a handle on it that implements every hook, each in
//! the file of its need. Instances go to the builder as they are; where a configuration chooses by
//! name, factories are closures over the same handle.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use registry::core::{
    AccessController, BlobDescriptorsLayer, BuildError, DescriptorCache, Factories, Namespace,
    RegistryMiddleware, RepositoryMiddleware, RequestContext, StorageDriver,
};
use registry::middleware::Middlewares;
use registry::{Registry, RegistryBuilder};
use tokio::task::JoinSet;

use crate::access::ApiClient;
use crate::api::{MetadataApi, User};
use crate::cache::DigestCache;
use crate::upstream::Upstream;

/// The name of all hooks in a configuration.
const NAME: &str = "cluster";

/// What the program needs, once.
#[derive(Debug)]
pub struct App {
    pub(crate) api: Arc<dyn MetadataApi>,
    pub(crate) upstream: Arc<dyn Upstream>,
    pub(crate) cache: DigestCache,
    store: OnceLock<Store>,
    background: Mutex<JoinSet<()>>,
}

/// What is below the hooks: the registry's own store.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) namespace: Arc<dyn Namespace>,
    pub(crate) driver: Arc<dyn StorageDriver>,
}

/// A handle on the [`App`]. It is each of the hooks.
#[derive(Debug, Clone)]
pub struct Hooks(pub(crate) Arc<App>);

impl App {
    /// An application over an API and an upstream registry.
    pub fn new(api: Arc<dyn MetadataApi>, upstream: Arc<dyn Upstream>) -> Arc<Self> {
        let (cache, store, background) = (DigestCache::default(), OnceLock::new(), Mutex::default());
        Arc::new(Self { api, upstream, cache, store, background })
    }

    /// A registry with all hooks in place.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] if the application has a registry already.
    pub async fn registry(self: &Arc<Self>, driver: impl StorageDriver) -> Result<Registry, BuildError> {
        let hooks = Hooks(Arc::clone(self));
        self.common(Registry::builder(driver))
            .access_controller(hooks.clone())
            .registry_middleware(hooks.clone())
            .repository_middleware(hooks)
            .build()
            .await
    }

    /// The same registry out of parts that are known by name.
    ///
    /// # Errors
    /// Those of [`registry`](Self::registry).
    pub async fn configured_registry(
        self: &Arc<Self>,
        driver: impl StorageDriver,
    ) -> Result<Registry, BuildError> {
        let mut middlewares = Middlewares::builtin();
        let mut controllers = Factories::<dyn AccessController>::new("access controller");
        let hooks = Hooks(Arc::clone(self));
        middlewares.registry.register(NAME, {
            let hooks = hooks.clone();
            move |_| std::future::ready(Ok(Arc::new(hooks.clone()) as Arc<dyn RegistryMiddleware>))
        })?;
        middlewares.repository.register(NAME, {
            let hooks = hooks.clone();
            move |_| std::future::ready(Ok(Arc::new(hooks.clone()) as Arc<dyn RepositoryMiddleware>))
        })?;
        controllers.register(NAME, move |_| {
            std::future::ready(Ok(Arc::new(hooks.clone()) as Arc<dyn AccessController>))
        })?;
        self.common(Registry::builder(driver))
            .access_controller_over(controllers.build(NAME, Default::default()).await?)
            .registry_middleware_over(middlewares.registry.build(NAME, Default::default()).await?)
            .repository_middleware_over(middlewares.repository.build(NAME, Default::default()).await?)
            .build()
            .await
    }

    /// What no configuration chooses.
    fn common(self: &Arc<Self>, builder: RegistryBuilder) -> RegistryBuilder {
        let hooks = Hooks(Arc::clone(self));
        builder
            .blob_descriptors_layer(hooks.clone())
            .descriptor_cache(Some(Arc::new(hooks) as Arc<dyn DescriptorCache>))
            // `manifests.rs` checks references itself.
            .manifest_validation(None)
    }

    /// The cache, for whoever wants to know what it knows.
    pub fn cache(&self) -> &DigestCache {
        &self.cache
    }

    pub(crate) fn set_store(&self, store: Store) -> Result<(), BuildError> {
        self.store.set(store).map_err(|_| BuildError::Invalid {
            what: "application",
            reason: "it has a registry already".to_owned(),
        })
    }

    /// The registry's own store; `None` before there is a registry.
    pub(crate) fn store(&self) -> Option<&Store> {
        self.store.get()
    }

    /// The API as the caller of a request, or as the registry itself where nobody called.
    pub(crate) fn client(&self, cx: &RequestContext) -> ApiClient {
        cx.extensions.get::<ApiClient>().cloned().unwrap_or_else(|| self.system())
    }

    /// The API as the registry itself.
    pub(crate) fn system(&self) -> ApiClient {
        let user = User { name: "system:registry".to_owned(), admin: true };
        ApiClient { api: Arc::clone(&self.api), user }
    }

    /// Does something that nobody waits for.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut background = self.background.lock().unwrap_or_else(PoisonError::into_inner);
        while background.try_join_next().is_some() {}
        background.spawn(work);
    }

    /// Waits for everything that goes on in the background: before the program ends, and in tests.
    pub async fn settle(&self) {
        let work = std::mem::take(&mut *self.background.lock().unwrap_or_else(PoisonError::into_inner));
        work.join_all().await;
    }
}

/// What a handle has to be.
const _: fn() = || {
    fn hooks<T>()
    where
        T: AccessController
            + RegistryMiddleware
            + RepositoryMiddleware
            + BlobDescriptorsLayer
            + DescriptorCache,
    {
    }
    hooks::<Hooks>();
};
