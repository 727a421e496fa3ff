//! The one place that knows the library: from configuration values to a running registry.

mod bucket;
mod middleware;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use registry::auth::audit::AuditLog;
use registry::core::{AccessController, AuditSink, BuildError, DescriptorCache, StorageDriver};
use registry::http::{HttpOptions, Locations, RegistryService};
use registry::metrics::{BucketCounts, Metrics};
use registry::middleware::{ManifestClasses, ManifestValidation, Platform, Platforms};
use registry::storage::{FilesystemDriver, MemoryCache, MemoryDriver};
use registry::{Registry, RegistryBuilder};
use registry_notifications::{Notifier, NotifierError};
use registry_redis::{RedisCache, RedisConfigError};

use crate::config::{Config, Driver, model};
use crate::health::Answers;
use crate::telemetry::Telemetry;
use crate::{access, notifications, observe};

/// Why the registry cannot be put together from a valid configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StartError {
    /// The store cannot be used.
    #[error("cannot use the store in {}: {source}", path.display())]
    Store {
        /// Root of the store.
        path: PathBuf,
        source: std::io::Error,
    },
    /// The bucket cannot be used.
    #[error(transparent)]
    Bucket(#[from] bucket::BucketStartError),
    /// `http.host` is not a URL.
    #[error("http.host {value:?}: {source}")]
    Host { value: String, source: http::uri::InvalidUri },
    /// Events could not be kept, or told to anybody.
    #[error(transparent)]
    Notifications(#[from] NotifierError),
    /// The cache cannot be what the configuration wants, wherever Redis may be.
    #[error("redis: {0}")]
    Redis(#[from] RedisConfigError),
    /// The library refuses a value.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// A registry that is ready to serve.
pub(crate) struct Assembly {
    pub(crate) service: RegistryService,
    /// The store below it, for what runs beside the requests.
    pub(crate) driver: Arc<dyn StorageDriver>,
    /// Whether the service that keeps it answers, where there is one.
    pub(crate) answers: Option<Answers>,
    /// Who tells endpoints what happens, and counts it; `None` if there is no endpoint.
    pub(crate) notifier: Option<Arc<Notifier>>,
    /// The descriptor cache, if it is in Redis.
    pub(crate) redis: Option<Arc<RedisCache>>,
    pub(crate) metrics: Metrics,
}

/// Builds the registry. Everything that can only fail at start-up fails here.
pub(crate) async fn assemble(
    config: &Config,
    access: Arc<dyn AccessController>,
    audit: Option<Arc<AuditLog>>,
    telemetry: Option<&Telemetry>,
) -> Result<Assembly, StartError> {
    over(store(&config.storage).await?, config, access, audit, telemetry).await
}

/// Where everything is kept.
struct Store {
    driver: Arc<dyn StorageDriver>,
    answers: Option<Answers>,
    /// What the service was asked.
    counts: Option<Box<dyn Fn() -> BucketCounts + Send + Sync>>,
}

impl From<Arc<dyn StorageDriver>> for Store {
    fn from(driver: Arc<dyn StorageDriver>) -> Self {
        Self { driver, answers: None, counts: None }
    }
}

/// Builds the registry over this store, whichever one the configuration names.
async fn over(
    store: Store,
    config: &Config,
    access: Arc<dyn AccessController>,
    audit: Option<Arc<AuditLog>>,
    telemetry: Option<&Telemetry>,
) -> Result<Assembly, StartError> {
    let storage = &config.storage;
    let Store { driver, answers, counts } = store;
    let mut builder = Registry::builder_over(driver)
        .deletes(storage.delete_enabled)
        .redirects(storage.redirects.enabled)
        .read_only(storage.read_only)
        .manifest_cache(storage.manifest_cache)
        .access_controller_over(access)
        .manifest_validation(Some(validation(&config.validation)?));
    if let Some(limit) = storage.tag_concurrency {
        builder = builder.tag_concurrency(limit);
    }
    let metrics = observe::metrics();
    if let Some(counts) = counts {
        metrics.bucket(counts);
    }
    if observe::counting(config, telemetry) {
        builder = builder.storage_middleware(metrics.storage());
    }
    if let Some(tracing) = telemetry.and_then(Telemetry::storage) {
        builder = builder.storage_middleware_over(tracing);
    }
    for middleware in middleware::storage(&config.storage_middleware)? {
        builder = builder.storage_middleware_over(middleware);
    }
    let notifier = notifications::start(&config.notifications, &config.http.addrs[0])?.map(Arc::new);
    if let Some(notifier) = &notifier {
        builder = builder.event_sink_over(Arc::<Notifier>::clone(notifier));
    }
    if !config.classes.is_empty() {
        builder = builder.repository_middleware(ManifestClasses::new(&config.classes));
    }
    if let Some(audit) = &audit {
        access::audit::count(&metrics, audit);
    }
    let (builder, redis) = with_cache(builder, storage.descriptor_cache.as_ref(), &metrics).await?;
    let registry = builder.build().await?;
    let driver = Arc::clone(registry.driver());
    let options = http_options(config)?.with_audit(audit.map(|audit| audit as Arc<dyn AuditSink>));
    Ok(Assembly { service: registry.service(options), driver, answers, notifier, redis, metrics })
}

/// Opens the store to write to it, but not to serve it. A bucket is tried out first.
pub(crate) async fn open(storage: &model::Storage) -> Result<Arc<dyn StorageDriver>, StartError> {
    Ok(store(storage).await?.driver)
}

/// Opens the store to serve it. A bucket is tried out first.
async fn store(storage: &model::Storage) -> Result<Store, StartError> {
    match &storage.driver {
        Driver::Bucket(bucket) => Ok(bucket::open(bucket, storage).await?),
        other => Ok(driver(other)?.into()),
    }
}

/// Makes the driver, and the directory that it needs. Asks no service.
///
/// # Errors
/// What cannot be opened.
pub(crate) fn driver(driver: &Driver) -> Result<Arc<dyn StorageDriver>, StartError> {
    Ok(match driver {
        Driver::Filesystem { root, max_threads } => {
            std::fs::create_dir_all(root)
                .map_err(|source| StartError::Store { path: root.clone(), source })?;
            Arc::new(FilesystemDriver::new(root).with_max_threads(*max_threads))
        }
        Driver::InMemory => Arc::new(MemoryDriver::new()),
        Driver::Bucket(bucket) => bucket::driver(bucket)?,
    })
}

async fn with_cache(
    builder: RegistryBuilder,
    cache: Option<&model::DescriptorCache>,
    metrics: &Metrics,
) -> Result<(RegistryBuilder, Option<Arc<RedisCache>>), StartError> {
    /// As good as no bound, for `blobdescriptorsize` of zero and below.
    const UNBOUNDED: usize = 100_000_000;
    let mut redis = None;
    let cache: Arc<dyn DescriptorCache> = match cache {
        None => return Ok((builder, None)),
        Some(model::DescriptorCache::InMemory { entries }) => {
            let cache = Arc::new(MemoryCache::new(entries.unwrap_or(UNBOUNDED)));
            let counted = Arc::clone(&cache);
            metrics.descriptor_cache(move || counted.counts());
            cache
        }
        Some(model::DescriptorCache::Redis(options)) => {
            let cache = Arc::new(RedisCache::connect(options.as_ref().clone()).await?);
            let counted = Arc::clone(&cache);
            metrics.descriptor_cache(move || counted.counts());
            redis = Some(Arc::clone(&cache));
            Arc::new(metrics.redis_cache(cache))
        }
    };
    Ok((builder.descriptor_cache(Some(cache)), redis))
}

fn validation(validation: &model::Validation) -> Result<ManifestValidation, StartError> {
    let platforms = match &validation.platforms {
        model::Platforms::All => Platforms::All,
        model::Platforms::None => Platforms::None,
        model::Platforms::List(list) => Platforms::List(
            list.iter()
                .map(|platform| Platform {
                    os: platform.os.clone(),
                    architecture: platform.architecture.clone(),
                })
                .collect(),
        ),
    };
    Ok(ManifestValidation::default()
        .with_disabled(!validation.enabled)
        .with_allowed_urls(&validation.urls_allow)?
        .with_denied_urls(&validation.urls_deny)?
        .with_platforms(platforms)
        .with_layers_required(validation.layers_required))
}

fn http_options(config: &Config) -> Result<HttpOptions, StartError> {
    let http = &config.http;
    let locations = match &http.host {
        Some(host) => Locations::External(
            host.parse().map_err(|source| StartError::Host { value: host.clone(), source })?,
        ),
        None if http.relative_urls => Locations::Relative,
        None => Locations::FromRequest { trust_forwarded: true },
    };
    let options = HttpOptions::default()
        .with_prefix(http.prefix.as_deref().unwrap_or_default())
        .with_locations(locations)
        .with_secret(http.secret.as_ref().map(|secret| secret.expose().to_owned()))
        .with_read_only(config.storage.read_only)
        .with_redirects(middleware::redirects(&config.storage.redirects))
        .with_catalog_max_entries(config.catalog_max_entries)
        .with_tags_max(config.tags_max);
    let headers = http.headers.iter().cloned();
    Ok(headers.fold(options, |options, (name, value)| options.with_header(name, value)))
}
