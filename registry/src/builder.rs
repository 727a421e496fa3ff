//! Putting a registry together.

use std::sync::Arc;

use registry_auth::Anonymous;
use registry_core::{
    AccessController, BlobDescriptorsLayer, BuildError, DescriptorCache, EventSink, Namespace,
    RegistryMiddleware, RepositoryMiddleware, StorageDriver, StorageMiddleware,
};
use registry_http::{HttpOptions, RegistryService};
use registry_middleware::{EventListener, ManifestValidation, MiddlewareNamespace, ReferenceCheck, Visible};
use registry_storage::StorageNamespace;

/// A registry: a namespace over a driver with all middleware around both, and an access controller.
#[derive(Debug, Clone)]
pub struct Registry {
    driver: Arc<dyn StorageDriver>,
    namespace: Arc<dyn Namespace>,
    access: Arc<dyn AccessController>,
}

impl Registry {
    /// Begins a registry that keeps its content in `driver`.
    pub fn builder(driver: impl StorageDriver) -> RegistryBuilder {
        Self::builder_over(Arc::new(driver))
    }

    /// Begins a registry over a driver that is shared already, such as one made by name.
    pub fn builder_over(driver: Arc<dyn StorageDriver>) -> RegistryBuilder {
        RegistryBuilder {
            driver,
            access: Arc::new(Anonymous),
            cache: None,
            manifest_bytes: None,
            layer: None,
            events: None,
            storage: Vec::new(),
            registry: Vec::new(),
            repository: Vec::new(),
            validation: Some(ManifestValidation::default()),
            deletes: true,
            redirects: true,
            read_only: false,
            tag_concurrency: None,
        }
    }

    /// The namespace that clients see, with all middleware around it.
    pub fn namespace(&self) -> &Arc<dyn Namespace> {
        &self.namespace
    }

    /// The driver, with storage middleware around it.
    pub fn driver(&self) -> &Arc<dyn StorageDriver> {
        &self.driver
    }

    /// The access controller, for routes of an embedder's own.
    pub fn access_controller(&self) -> &Arc<dyn AccessController> {
        &self.access
    }

    /// The HTTP API. Several services with different options can share one registry.
    pub fn service(&self, options: HttpOptions) -> RegistryService {
        RegistryService::new(Arc::clone(&self.namespace), Arc::clone(&self.access), options)
    }
}

/// Puts a [`Registry`] together. Every mistake surfaces in [`build`](Self::build).
#[derive(Debug)]
#[must_use]
pub struct RegistryBuilder {
    driver: Arc<dyn StorageDriver>,
    access: Arc<dyn AccessController>,
    cache: Option<Arc<dyn DescriptorCache>>,
    manifest_bytes: Option<u64>,
    layer: Option<Arc<dyn BlobDescriptorsLayer>>,
    events: Option<Arc<dyn EventSink>>,
    storage: Vec<Arc<dyn StorageMiddleware>>,
    registry: Vec<Arc<dyn RegistryMiddleware>>,
    repository: Vec<Arc<dyn RepositoryMiddleware>>,
    validation: Option<ManifestValidation>,
    deletes: bool,
    redirects: bool,
    read_only: bool,
    tag_concurrency: Option<usize>,
}

impl RegistryBuilder {
    /// Decides who may do what; without this call everybody may do everything.
    pub fn access_controller(self, access: impl AccessController) -> Self {
        self.access_controller_over(Arc::new(access))
    }

    /// The same with a controller that is shared already.
    pub fn access_controller_over(mut self, access: Arc<dyn AccessController>) -> Self {
        self.access = access;
        self
    }

    /// Adds a middleware around the driver.
    pub fn storage_middleware(self, middleware: impl StorageMiddleware) -> Self {
        self.storage_middleware_over(Arc::new(middleware))
    }

    /// The same with a middleware that is shared already.
    pub fn storage_middleware_over(mut self, middleware: Arc<dyn StorageMiddleware>) -> Self {
        self.storage.push(middleware);
        self
    }

    /// Adds a middleware around the namespace.
    pub fn registry_middleware(self, middleware: impl RegistryMiddleware) -> Self {
        self.registry_middleware_over(Arc::new(middleware))
    }

    /// The same with a middleware that is shared already.
    pub fn registry_middleware_over(mut self, middleware: Arc<dyn RegistryMiddleware>) -> Self {
        self.registry.push(middleware);
        self
    }

    /// Adds a middleware around each repository.
    pub fn repository_middleware(self, middleware: impl RepositoryMiddleware) -> Self {
        self.repository_middleware_over(Arc::new(middleware))
    }

    /// The same with a middleware that is shared already.
    pub fn repository_middleware_over(mut self, middleware: Arc<dyn RepositoryMiddleware>) -> Self {
        self.repository.push(middleware);
        self
    }

    /// Decides which blobs a repository shows.
    pub fn blob_descriptors_layer(self, layer: impl BlobDescriptorsLayer) -> Self {
        self.blob_descriptors_layer_over(Arc::new(layer))
    }

    /// The same with a layer that is shared already.
    pub fn blob_descriptors_layer_over(mut self, layer: Arc<dyn BlobDescriptorsLayer>) -> Self {
        self.layer = Some(layer);
        self
    }

    /// Remembers that content is stored; without this call nothing is remembered. For stores that are far
    /// away. It answers GET and HEAD; what decides about a write is asked of the store.
    pub fn descriptor_cache(mut self, cache: Option<Arc<dyn DescriptorCache>>) -> Self {
        self.cache = cache;
        self
    }

    /// How many bytes of manifests are kept in memory, by digest, where the store is [flat]; 16 MiB unless said
    /// otherwise, 0 for none. Whether a repository has a manifest is asked of the store all the same, and what a
    /// tag points at each time.
    ///
    /// [flat]: registry_core::Shape::Flat
    pub fn manifest_cache(mut self, bytes: u64) -> Self {
        self.manifest_bytes = Some(bytes);
        self
    }

    /// Tells `sink` what happens. Events fire below the repository middleware.
    pub fn event_sink(self, sink: impl EventSink) -> Self {
        self.event_sink_over(Arc::new(sink))
    }

    /// The same with a sink that is shared already.
    pub fn event_sink_over(mut self, sink: Arc<dyn EventSink>) -> Self {
        self.events = Some(sink);
        self
    }

    /// How manifests are checked before they are stored. `None` leaves the check out, for middleware
    /// that does its own.
    pub fn manifest_validation(mut self, validation: Option<ManifestValidation>) -> Self {
        self.validation = validation;
        self
    }

    /// Whether blobs, manifests and tags can be deleted; they can unless said otherwise.
    pub fn deletes(mut self, enabled: bool) -> Self {
        self.deletes = enabled;
        self
    }

    /// Whether clients may be sent elsewhere for the bytes of blobs, where the driver offers it; they
    /// may unless said otherwise.
    pub fn redirects(mut self, enabled: bool) -> Self {
        self.redirects = enabled;
        self
    }

    /// Whether nothing is written that nobody asked for, such as an index of what a scan has found. That
    /// clients write is prevented by [`HttpOptions::with_read_only`] or the `ReadOnly` middleware.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// How many tags are looked at at once, for a list and when a manifest is deleted.
    pub fn tag_concurrency(mut self, limit: usize) -> Self {
        self.tag_concurrency = Some(limit);
        self
    }

    /// Puts everything together. Asks the store nothing, unless a middleware does.
    ///
    /// # Errors
    /// Those of the middleware.
    pub async fn build(self) -> Result<Registry, BuildError> {
        let mut driver = self.driver;
        for middleware in &self.storage {
            driver = middleware.wrap(driver).await?;
        }
        let mut storage = StorageNamespace::builder(Arc::clone(&driver))
            .descriptor_cache(self.cache)
            .blob_descriptors_layer(self.layer)
            .deletes(self.deletes)
            .redirects(self.redirects)
            .read_only(self.read_only);
        if let Some(limit) = self.tag_concurrency {
            storage = storage.tag_concurrency(limit);
        }
        if let Some(bytes) = self.manifest_bytes {
            storage = storage.manifest_cache(bytes);
        }
        let mut namespace: Arc<dyn Namespace> = Arc::new(storage.build());
        for middleware in &self.registry {
            namespace = middleware.wrap(namespace, &driver).await?;
        }
        let mut chain: Vec<Arc<dyn RepositoryMiddleware>> = Vec::new();
        if let Some(sink) = self.events {
            chain.push(Arc::new(EventListener::new(sink)));
        }
        chain.extend(self.repository);
        if let Some(validation) = self.validation {
            chain.push(Arc::new(ReferenceCheck::new(validation)));
        }
        let namespace = Arc::new(MiddlewareNamespace::new(namespace, chain));
        let namespace = Arc::new(Visible::new(namespace));
        Ok(Registry { driver, namespace, access: self.access })
    }
}
