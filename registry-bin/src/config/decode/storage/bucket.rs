//! Decodes the sections of `storage` that describe buckets. What their keys mean is known to the drivers
//! (`registry_storage::bucket`); here is how a file and an environment have them.

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
use std::time::Duration;

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
use registry::storage::bucket::BucketKeys;

use crate::config::model::{Bucket, Driver};
use crate::config::reader::Reader;

/// The driver `name`. `None` if it cannot be used, which has then been reported.
pub(super) fn driver(name: &str, storage: &Reader<'_>) -> Option<Driver> {
    let bucket: Option<Bucket> = match name {
        #[cfg(feature = "s3")]
        "s3" | "s3aws" => {
            registry::storage::bucket::S3Options::read(&Keys::of(storage, name)).map(Bucket::S3)
        }
        #[cfg(feature = "gcs")]
        "gcs" => registry::storage::bucket::GcsOptions::read(&Keys::of(storage, name)).map(Bucket::Gcs),
        #[cfg(feature = "azure")]
        "azure" => registry::storage::bucket::AzureOptions::read(&Keys::of(storage, name)).map(Bucket::Azure),
        #[cfg(not(all(feature = "s3", feature = "gcs", feature = "azure")))]
        "s3" | "s3aws" | "gcs" | "azure" => {
            let feature = name.trim_end_matches("aws");
            let text = format!("this program was built without this driver (its feature {feature})");
            storage.missing(name, text);
            None
        }
        // Drivers that were dropped, which has been reported.
        _ => None,
    };
    bucket.map(|bucket| Driver::Bucket(Box::new(bucket)))
}

/// A section of the file as the drivers look at it.
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
struct Keys<'a>(Reader<'a>);

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
impl<'a> Keys<'a> {
    fn of(storage: &Reader<'a>, name: &str) -> Self {
        Self(storage.section(name))
    }

    /// The key under which there is a value: the old names of two keys are other words for the new ones.
    fn written<'k>(&self, key: &'k str) -> &'k str {
        let old = match key {
            "max_retries" => "copy_status_poll_max_retry",
            "retry_delay" => "copy_status_poll_delay",
            _ => return key,
        };
        if self.0.node(key).is_none() && self.0.node(old).is_some() { old } else { key }
    }
}

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
impl BucketKeys for Keys<'_> {
    fn text(&self, key: &str) -> Option<String> {
        self.0.text(key)
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.0.switch(key)
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.0.number(self.written(key), true)
    }

    fn time(&self, key: &str) -> Option<Duration> {
        let key = self.written(key);
        let nanoseconds = u64::try_from(self.0.duration(key)?);
        if nanoseconds.is_err() {
            self.0.fail(key, "has to be a time such as 20s");
        }
        nanoseconds.ok().map(Duration::from_nanos)
    }

    fn section(&self, key: &str) -> Box<dyn BucketKeys + '_> {
        Box::new(Keys(self.0.section(key)))
    }

    fn fail(&self, key: &str, text: String) {
        let key = self.written(key);
        match self.0.node(key) {
            Some(_) => self.0.fail(key, text),
            None => self.0.missing(key, text),
        }
    }

    fn warn(&self, key: &str, text: String) {
        self.0.warn(self.written(key), text);
    }
}
