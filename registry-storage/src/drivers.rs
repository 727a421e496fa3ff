//! The built-in storage drivers, and by which names configuration knows them.

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
pub mod bucket;
mod filesystem;
mod memory;

use std::sync::Arc;

use registry_core::{BuildError, Factories, Options, StorageDriver};
use serde::Deserialize;

pub use filesystem::FilesystemDriver;
pub use memory::MemoryDriver;

/// Factories of the built-in drivers: `filesystem` (`rootdirectory`, `maxthreads`), `inmemory`, and those for
/// buckets that this crate was built with: `s3` (also `s3aws`), `gcs` and `azure`, with the keys that
/// `docs/configuration.md` has for them.
///
/// # Errors
/// None in practice; registering a name twice would be one.
pub fn builtin_drivers() -> Result<Factories<dyn StorageDriver>, BuildError> {
    let mut drivers = Factories::<dyn StorageDriver>::new("storage driver");
    drivers.register("filesystem", |options: Options| async move {
        let options: FilesystemOptions =
            options.parse().map_err(|error| BuildError::options("filesystem", error))?;
        let driver = FilesystemDriver::new(options.rootdirectory).with_max_threads(options.maxthreads);
        Ok(Arc::new(driver) as Arc<dyn StorageDriver>)
    })?;
    drivers.register("inmemory", |_| async move {
        Ok(Arc::new(MemoryDriver::new()) as Arc<dyn StorageDriver>)
    })?;
    #[cfg(feature = "s3")]
    for name in ["s3", "s3aws"] {
        drivers.register(name, |options: Options| async move {
            let options = bucket::parse("s3", options, bucket::S3Options::read)?;
            Ok(Arc::new(bucket::OpenBucket::s3(&options)?.driver()) as Arc<dyn StorageDriver>)
        })?;
    }
    #[cfg(feature = "gcs")]
    drivers.register("gcs", |options: Options| async move {
        let options = bucket::parse("gcs", options, bucket::GcsOptions::read)?;
        Ok(Arc::new(bucket::OpenBucket::gcs(&options)?.driver()) as Arc<dyn StorageDriver>)
    })?;
    #[cfg(feature = "azure")]
    drivers.register("azure", |options: Options| async move {
        let options = bucket::parse("azure", options, bucket::AzureOptions::read)?;
        Ok(Arc::new(bucket::OpenBucket::azure(&options)?.driver()) as Arc<dyn StorageDriver>)
    })?;
    Ok(drivers)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FilesystemOptions {
    rootdirectory: String,
    maxthreads: usize,
}

impl Default for FilesystemOptions {
    fn default() -> Self {
        Self {
            rootdirectory: "/var/lib/registry".to_owned(),
            maxthreads: FilesystemDriver::DEFAULT_MAX_THREADS,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn drivers_are_made_by_name_and_refuse_mistyped_options() {
        let drivers = builtin_drivers().unwrap();
        let build = |name: &str, json: &str| {
            let options = Options::new(serde_json::from_str(json).unwrap());
            drivers.build(name, options).now_or_never().unwrap()
        };
        assert_eq!(build("inmemory", "{}").unwrap().name(), "inmemory");
        assert_eq!(build("filesystem", r#"{"rootdirectory":"/tmp/x"}"#).unwrap().name(), "filesystem");
        let error = build("filesystem", r#"{"rootdir":"/tmp/x"}"#).unwrap_err();
        assert!(error.to_string().contains("rootdir"), "{error}");
        let error = build("tape", "{}").unwrap_err();
        assert!(
            error.to_string().contains("filesystem") && error.to_string().contains("inmemory"),
            "{error}"
        );
    }

    #[cfg(all(feature = "s3", feature = "gcs", feature = "azure"))]
    #[test]
    fn drivers_of_buckets_are_made_by_name_from_the_keys_of_the_configuration() {
        let drivers = builtin_drivers().unwrap();
        for (name, keys) in [
            ("s3", r#"{"bucket":"images","region":"eu-central-1","accesskey":"k","secretkey":"s"}"#),
            ("s3aws", r#"{"bucket":"images","regionendpoint":"http://127.0.0.1:9000","chunksize":6000000}"#),
            ("gcs", r#"{"bucket":"images","endpoint":"http://127.0.0.1:9000"}"#),
            ("azure", r#"{"accountname":"a","accountkey":"a2V5","container":"images"}"#),
        ] {
            let options = Options::new(serde_json::from_str(keys).unwrap());
            let driver = drivers.build(name, options).now_or_never().unwrap().unwrap();
            assert_eq!(driver.shape(), registry_core::Shape::Flat, "{name}");
            let options = Options::new(serde_json::from_str(r#"{"buckett":"images"}"#).unwrap());
            let error = drivers.build(name, options).now_or_never().unwrap().unwrap_err();
            let told = std::error::Error::source(&error).unwrap().to_string();
            assert!(told.contains("unknown key buckett") && told.contains("no "), "{told}");
        }
    }
}
