//! Storage drivers over buckets: S3, Google Cloud Storage and Azure Blob Storage.

#[cfg(any(feature = "gcs", feature = "azure"))]
mod absent;
mod apply;
#[cfg(feature = "azure")]
mod azure;
mod breaker;
#[cfg(all(test, any(feature = "s3", feature = "gcs", feature = "azure")))]
mod broken;
mod clear;
#[cfg(test)]
mod contract;
mod counts;
mod driver;
mod errors;
#[cfg(test)]
mod fake;
#[cfg(feature = "gcs")]
mod gcs;
mod http;
mod keys;
mod list;
mod names;
mod object;
mod open;
mod options;
#[cfg(any(feature = "gcs", feature = "s3"))]
mod pages;
#[cfg(all(test, any(feature = "gcs", feature = "azure")))]
mod played;
mod probe;
mod read;
mod retry;
#[cfg(feature = "s3")]
mod s3;
mod store;
mod sweep;
#[cfg(any(feature = "azure", feature = "gcs", feature = "s3"))]
mod text;
#[cfg(any(feature = "gcs", feature = "azure"))]
mod unsigned;
mod write;
mod xml;

pub use breaker::{BucketHealth, BucketState};
pub use counts::{BucketCall, CallCount};
pub use driver::BucketDriver;
pub use keys::BucketKeys;
pub(super) use keys::parse;
pub use open::OpenBucket;
pub use options::{
    AzureCredentials, AzureOptions, BucketOptions, GcsCredentials, GcsOptions, S3Credentials, S3Encryption,
    S3Log, S3Options, Secret,
};
pub use probe::{Probe, ProbeError};
