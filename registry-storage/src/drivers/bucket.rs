//! Storage drivers over buckets: S3, Google Cloud Storage and Azure Blob Storage.

mod options;
mod store;

pub use options::{
    AzureCredentials, AzureOptions, BucketOptions, GcsCredentials, GcsOptions, S3Credentials, S3Encryption,
    S3Log, S3Options, Secret,
};
