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

/// Factories of the built-in drivers: `filesystem` (`rootdirectory`, `maxthreads`) and `inmemory`.
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
        assert!(error.to_string().contains("known: filesystem, inmemory"), "{error}");
    }
}
