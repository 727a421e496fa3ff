//! The one place that knows the library: from configuration values to a running registry.

use std::path::PathBuf;
use std::sync::Arc;

use registry::core::{BuildError, DescriptorCache, StorageDriver};
use registry::http::{HttpOptions, Locations, RegistryService};
use registry::middleware::{ManifestValidation, Platform, Platforms};
use registry::storage::{FilesystemDriver, MemoryCache, MemoryDriver};
use registry::{Registry, RegistryBuilder};

use crate::config::{Config, Driver, model};

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
    /// `http.host` is not a URL.
    #[error("http.host {value:?}: {source}")]
    Host { value: String, source: http::uri::InvalidUri },
    /// The library refuses a value.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Builds the registry. Everything that can only fail at start-up fails here.
pub(crate) async fn assemble(config: &Config) -> Result<RegistryService, StartError> {
    let storage = &config.storage;
    let mut builder = Registry::builder_over(driver(&storage.driver)?)
        .deletes(storage.delete_enabled)
        .redirects(storage.redirect)
        .read_only(storage.read_only)
        .manifest_validation(Some(validation(&config.validation)?));
    if storage.tag_concurrency > 0 {
        builder = builder.tag_concurrency(storage.tag_concurrency);
    }
    let registry = with_cache(builder, storage.descriptor_cache).build().await?;
    Ok(registry.service(http_options(config)?))
}

fn driver(driver: &Driver) -> Result<Arc<dyn StorageDriver>, StartError> {
    Ok(match driver {
        Driver::Filesystem { root, max_threads } => {
            std::fs::create_dir_all(root)
                .map_err(|source| StartError::Store { path: root.clone(), source })?;
            Arc::new(FilesystemDriver::new(root).with_max_threads(*max_threads))
        }
        Driver::InMemory => Arc::new(MemoryDriver::new()),
    })
}

fn with_cache(builder: RegistryBuilder, cache: Option<model::DescriptorCache>) -> RegistryBuilder {
    /// As good as no bound, for `blobdescriptorsize` of zero and below.
    const UNBOUNDED: usize = 100_000_000;
    match cache {
        None => builder,
        Some(cache) => {
            let cache = MemoryCache::new(cache.entries.unwrap_or(UNBOUNDED));
            builder.descriptor_cache(Some(Arc::new(cache) as Arc<dyn DescriptorCache>))
        }
    }
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
        .with_catalog_max_entries(config.catalog_max_entries)
        .with_tags_max(config.tags_max);
    let headers = http.headers.iter().cloned();
    Ok(headers.fold(options, |options, (name, value)| options.with_header(name, value)))
}
