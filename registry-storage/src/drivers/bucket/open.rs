//! Buckets as they are made of options.

use std::sync::Arc;

use registry_core::BuildError;

use super::breaker::BucketHealth;
use super::driver::BucketDriver;
#[cfg(feature = "azure")]
use super::options::AzureOptions;
use super::options::BucketOptions;
#[cfg(feature = "gcs")]
use super::options::GcsOptions;
#[cfg(feature = "s3")]
use super::options::S3Options;
use super::probe::{Probe, ProbeError, probe};
use super::store::Bucket;

/// A bucket, and what belongs to it beside the driver.
#[derive(Debug, Clone)]
pub struct OpenBucket {
    bucket: Arc<dyn Bucket>,
    driver: BucketDriver,
    health: BucketHealth,
    root: String,
}

impl OpenBucket {
    /// A bucket of S3. Asks nobody: [`probe`](Self::probe) does.
    ///
    /// # Errors
    /// What is wrong with an option, by the name of its key.
    #[cfg(feature = "s3")]
    pub fn s3(options: &S3Options) -> Result<Self, BuildError> {
        let health = BucketHealth::new();
        let bucket = super::s3::S3::new(options, health.clone())?;
        Ok(Self::over(Arc::new(bucket), &options.bucket, health))
    }

    /// A bucket of Google Cloud Storage. Asks nobody: [`probe`](Self::probe) does.
    ///
    /// # Errors
    /// What is wrong with an option, by the name of its key.
    #[cfg(feature = "gcs")]
    pub fn gcs(options: &GcsOptions) -> Result<Self, BuildError> {
        let health = BucketHealth::new();
        let bucket = super::gcs::Gcs::new(options, health.clone())?;
        Ok(Self::over(Arc::new(bucket), &options.bucket, health))
    }

    /// A container of Azure Blob Storage. Asks nobody: [`probe`](Self::probe) does.
    ///
    /// # Errors
    /// What is wrong with an option, by the name of its key.
    #[cfg(feature = "azure")]
    pub fn azure(options: &AzureOptions) -> Result<Self, BuildError> {
        let health = BucketHealth::new();
        let bucket = super::azure::Azure::new(options, health.clone())?;
        Ok(Self::over(Arc::new(bucket), &options.bucket, health))
    }

    fn over(bucket: Arc<dyn Bucket>, options: &BucketOptions, health: BucketHealth) -> Self {
        let driver = BucketDriver::over(Arc::clone(&bucket), options);
        Self { bucket, driver, health, root: options.root.clone() }
    }

    /// The driver over the bucket. All that are given out share what is known of it.
    pub fn driver(&self) -> BucketDriver {
        self.driver.clone()
    }

    /// Whether the bucket answers.
    pub fn health(&self) -> BucketHealth {
        self.health.clone()
    }

    /// Finds out what the bucket can do, by doing it under `<root>/.registry-probe/`, where nothing is left.
    /// The driver goes by what was found from then on: it is for a start, before anything is served. Takes no
    /// longer than 40 s.
    ///
    /// # Errors
    /// Why the bucket cannot be used as it is.
    pub async fn probe(&self) -> Result<Probe, ProbeError> {
        let found = probe(&*self.bucket, &self.root).await?;
        self.bucket.learn(&found);
        Ok(found)
    }
}
