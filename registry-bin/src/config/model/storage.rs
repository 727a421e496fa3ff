//! Buckets that can keep the store.

#[cfg(feature = "azure")]
use registry::storage::bucket::AzureOptions;
#[cfg(feature = "gcs")]
use registry::storage::bucket::GcsOptions;
#[cfg(feature = "s3")]
use registry::storage::bucket::S3Options;

/// A bucket, and how it is reached. There are those that the program was built with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bucket {
    /// S3 and what speaks its language.
    #[cfg(feature = "s3")]
    S3(S3Options),
    /// Google Cloud Storage.
    #[cfg(feature = "gcs")]
    Gcs(GcsOptions),
    /// Azure Blob Storage.
    #[cfg(feature = "azure")]
    Azure(AzureOptions),
}

impl Bucket {
    /// What it is and where, for the first lines of the log.
    pub(crate) fn describe(&self) -> String {
        match *self {
            #[cfg(feature = "s3")]
            Self::S3(ref options) => {
                let place = match &options.endpoint {
                    Some(endpoint) => format!("at {endpoint}"),
                    None => format!("in {}", options.region),
                };
                let name = &options.bucket.bucket;
                format!("the S3 bucket {name} {place}{}", below(&options.bucket.root))
            }
            #[cfg(feature = "gcs")]
            Self::Gcs(ref options) => {
                let place = options.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}"));
                let name = &options.bucket.bucket;
                format!(
                    "the Google bucket {name}{}{}",
                    place.unwrap_or_default(),
                    below(&options.bucket.root)
                )
            }
            #[cfg(feature = "azure")]
            Self::Azure(ref options) => {
                let place = match &options.service_url {
                    Some(url) => format!("at {url}"),
                    None => format!("of {}.blob.{}", options.account, options.realm),
                };
                let name = &options.bucket.bucket;
                format!("the Azure container {name} {place}{}", below(&options.bucket.root))
            }
        }
    }
}

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
fn below(root: &str) -> String {
    match root.trim_matches('/') {
        "" => String::new(),
        root => format!(", below {root}/"),
    }
}
