//! Opens a bucket, and finds out at the start whether it is there and what it can do.

use crate::config::model::{Bucket, Storage};

use super::Store;

/// Why a bucket cannot be used.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(
    not(any(feature = "s3", feature = "gcs", feature = "azure")),
    allow(dead_code, reason = "there are no buckets")
)]
pub(crate) enum BucketStartError {
    /// An option makes no sense, or credentials cannot be read.
    #[error("storage.{driver}: {source}")]
    Options {
        driver: &'static str,
        #[source]
        source: registry::core::BuildError,
    },
    /// It is not there, or not for us.
    #[error("storage.{driver}: cannot use {place}: {reason}")]
    Unusable { driver: &'static str, place: String, reason: String },
    /// More than one replica would be wrong.
    #[error(
        "storage.replicas: {replicas} replicas cannot be safe over {place}: {reason}; set it to 1 and run one \
         process, or use a service that can do this"
    )]
    Replicas { replicas: usize, place: String, reason: String },
}

/// Opens the bucket and tries it out.
///
/// # Errors
/// It cannot be used, or not by as many replicas as there are.
#[cfg(not(any(feature = "s3", feature = "gcs", feature = "azure")))]
pub(super) async fn open(bucket: &Bucket, _: &Storage) -> Result<Store, BucketStartError> {
    match *bucket {}
}

/// Makes the driver. Asks nobody.
///
/// # Errors
/// Its options make no sense.
#[cfg(not(any(feature = "s3", feature = "gcs", feature = "azure")))]
pub(super) fn driver(
    bucket: &Bucket,
) -> Result<std::sync::Arc<dyn registry::core::StorageDriver>, BucketStartError> {
    match *bucket {}
}

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
pub(super) use present::{driver, open};

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
mod present {
    use std::sync::Arc;

    use registry::core::StorageDriver;
    use registry::metrics::{BucketCalls, BucketCounts};
    use registry::storage::bucket::{BucketDriver, BucketHealth, OpenBucket, Probe, ProbeError};
    use tracing::{info, warn};

    use super::{Bucket, BucketStartError, Storage, Store};
    use crate::health::Answers;

    /// Opens the bucket and tries it out.
    ///
    /// # Errors
    /// It cannot be used, or not by as many replicas as there are.
    pub(in super::super) async fn open(
        bucket: &Bucket,
        storage: &Storage,
    ) -> Result<Store, BucketStartError> {
        let (driver, opened) = opened(bucket)?;
        let place = bucket.describe();
        match opened.probe().await {
            Ok(found) => judge(&found, storage.replicas, &place)?,
            // Nothing is written, so nothing can go wrong with it.
            Err(ProbeError::ReadOnly(reason)) if storage.read_only => {
                warn!("{place} can only be read, so what it can do has not been tried: {reason}");
            }
            Err(error) => {
                let reason = error.to_string();
                return Err(BucketStartError::Unusable { driver, place, reason });
            }
        }
        let (health, counted) = (opened.health(), opened.driver());
        let answers = Answers::new({
            let health = health.clone();
            move || health.state().answering
        });
        let driver: Arc<dyn StorageDriver> = Arc::new(opened.driver());
        Ok(Store {
            driver,
            answers: Some(answers),
            counts: Some(Box::new(move || counts(&counted, &health))),
        })
    }

    /// Makes the driver. Asks nobody.
    ///
    /// # Errors
    /// Its options make no sense.
    pub(in super::super) fn driver(bucket: &Bucket) -> Result<Arc<dyn StorageDriver>, BucketStartError> {
        Ok(Arc::new(opened(bucket)?.1.driver()))
    }

    /// The key of the driver, and the bucket.
    fn opened(bucket: &Bucket) -> Result<(&'static str, OpenBucket), BucketStartError> {
        let (driver, opened) = match bucket {
            #[cfg(feature = "s3")]
            Bucket::S3(options) => ("s3", OpenBucket::s3(options)),
            #[cfg(feature = "gcs")]
            Bucket::Gcs(options) => ("gcs", OpenBucket::gcs(options)),
            #[cfg(feature = "azure")]
            Bucket::Azure(options) => ("azure", OpenBucket::azure(options)),
        };
        Ok((driver, opened.map_err(|source| BucketStartError::Options { driver, source })?))
    }

    /// Says what was found and what that means. Several replicas do not start where they would not be safe.
    fn judge(found: &Probe, replicas: usize, place: &str) -> Result<(), BucketStartError> {
        for line in found.describe() {
            info!("storage: {line}");
        }
        if found.is_safe_for_replicas() {
            return Ok(());
        }
        let reason = match (found.conditional_put, found.strong_listing) {
            (false, false) => "it ignores conditions on writes, and its listings lag behind",
            (false, true) => "it ignores conditions on writes",
            (true, _) => "its listings lag behind",
        };
        if replicas > 1 {
            let (place, reason) = (place.to_owned(), reason.to_owned());
            return Err(BucketStartError::Replicas { replicas, place, reason });
        }
        warn!("{place} is not safe for more than one replica: {reason}; run one process only");
        Ok(())
    }

    fn counts(driver: &BucketDriver, health: &BucketHealth) -> BucketCounts {
        let state = health.state();
        let mut counts = BucketCounts::new(driver.name());
        counts.answering = state.answering;
        counts.retries = state.retries;
        counts.calls = driver
            .calls()
            .into_iter()
            .map(|count| {
                let mut calls = BucketCalls::new(count.call.as_str());
                (calls.calls, calls.errors, calls.bytes) = (count.calls, count.errors, count.bytes);
                calls
            })
            .collect();
        counts
    }
}
