//! How buckets are reached: one plain value for each service.
//!
//! Whoever reads configuration fills these in; what is left out has the default that the documentation of
//! the key gives.

use std::path::PathBuf;
use std::time::Duration;

/// A text that is not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// What all buckets have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketOptions {
    /// The name of the bucket or container.
    pub bucket: String,
    /// What all keys begin with; slashes around it are passed over.
    pub root: String,
    /// The size in bytes that parts of an upload begin with.
    pub part_size: u64,
    /// How much of all uploads together is held in memory, in bytes.
    pub memory: u64,
    /// Whether certificates of the service are taken unseen.
    pub skip_verify: bool,
    /// Added to the `User-Agent` of requests.
    pub user_agent: Option<String>,
    /// How often a request is tried again.
    pub retries: usize,
    /// How long all tries of a request may take together.
    pub retry_deadline: Duration,
    /// The longest wait before the second try of a request; each after that is twice the one before, up to 5 s.
    pub retry_pause: Duration,
}

impl BucketOptions {
    /// The options of a bucket, with the defaults.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            root: String::new(),
            part_size: 8 << 20,
            memory: 16 << 20,
            skip_verify: false,
            user_agent: None,
            retries: 5,
            retry_deadline: Duration::from_secs(20),
            retry_pause: Duration::from_millis(100),
        }
    }
}

/// S3 and what speaks its language.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct S3Options {
    /// Bucket, sizes and patience.
    pub bucket: BucketOptions,
    /// The key and its secret. Without them: environment, shared profile, web identity, container and
    /// instance metadata, in this order.
    pub credentials: Option<S3Credentials>,
    /// Such as `eu-central-1`.
    pub region: String,
    /// Where the service is, if it is not Amazon's.
    pub endpoint: Option<String>,
    /// The scheme where `endpoint` has none.
    pub secure: bool,
    /// Where clients are sent, if they reach the service elsewhere than we do.
    pub redirect_endpoint: Option<String>,
    /// Whether the bucket is in the path of the URL rather than in its host.
    pub path_style: bool,
    /// Transfer acceleration.
    pub accelerate: bool,
    /// Endpoints with IPv6.
    pub dual_stack: bool,
    /// Endpoints validated for FIPS 140.
    pub fips: bool,
    /// Encryption by the service.
    pub encryption: S3Encryption,
    /// The storage class of new objects; `None` sends nothing.
    pub storage_class: Option<String>,
    /// The canned access control list of new objects; `None` sends nothing, which means `private`.
    pub acl: Option<String>,
    /// Whether requests are signed with version 4; otherwise with version 2.
    pub v4_auth: bool,
    /// From this size in bytes on a copy is made in parts.
    pub copy_threshold: u64,
    /// The size in bytes of these parts.
    pub copy_part: u64,
    /// How many of them are under way at once.
    pub copy_concurrency: usize,
    /// What is logged of requests.
    pub log: S3Log,
}

/// A key and its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Credentials {
    /// The access key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: Secret,
    /// The token of temporary credentials.
    pub session_token: Option<Secret>,
}

/// Encryption by the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum S3Encryption {
    /// As the bucket has it.
    #[default]
    None,
    /// SSE-S3 (`AES256`).
    Service,
    /// SSE-KMS with this key.
    Kms(String),
}

/// What is logged of requests to the service, at level `debug`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum S3Log {
    /// Nothing.
    #[default]
    Off,
    /// Each request with its answer and duration.
    Requests,
    /// With what was signed (never the secret).
    Signing,
    /// Requests that are tried again.
    Retries,
    /// Requests that failed.
    Errors,
}

impl S3Options {
    /// The options of a bucket in a region, with the defaults.
    pub fn new(bucket: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            bucket: BucketOptions::new(bucket),
            credentials: None,
            region: region.into(),
            endpoint: None,
            secure: true,
            redirect_endpoint: None,
            path_style: false,
            accelerate: false,
            dual_stack: false,
            fips: false,
            encryption: S3Encryption::None,
            storage_class: Some("STANDARD".to_owned()),
            acl: None,
            v4_auth: true,
            copy_threshold: 32 << 20,
            copy_part: 32 << 20,
            copy_concurrency: 100,
            log: S3Log::Off,
        }
    }
}

/// Google Cloud Storage.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcsOptions {
    /// Bucket, sizes and patience.
    pub bucket: BucketOptions,
    /// Who we are.
    pub credentials: GcsCredentials,
    /// Where the service is, if it is not Google's: for emulators.
    pub endpoint: Option<String>,
    /// How many requests are under way at once.
    pub max_concurrency: usize,
}

/// Who we are for Google.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum GcsCredentials {
    /// Application default credentials: the file that `GOOGLE_APPLICATION_CREDENTIALS` names, the one that
    /// `gcloud` writes, workload identity, or the metadata server.
    #[default]
    Default,
    /// A file with a service account's key.
    File(PathBuf),
    /// The JSON of a service account's key.
    Json(Secret),
    /// A fixed bearer token: for emulators.
    Bearer(Secret),
}

impl GcsOptions {
    /// The options of a bucket, with the defaults.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: BucketOptions::new(bucket),
            credentials: GcsCredentials::Default,
            endpoint: None,
            max_concurrency: 50,
        }
    }
}

/// Azure Blob Storage.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AzureOptions {
    /// Container, sizes and patience.
    pub bucket: BucketOptions,
    /// The storage account.
    pub account: String,
    /// Who we are.
    pub credentials: AzureCredentials,
    /// What the host of the service ends with.
    pub realm: String,
    /// Where the service is, if not at `https://<account>.blob.<realm>`.
    pub service_url: Option<String>,
    /// How often the end of a copy is asked for.
    pub copy_polls: u32,
    /// How long the first wait between two of these is; each is longer by this.
    pub copy_delay: Duration,
}

/// Who we are for Azure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AzureCredentials {
    /// The account's key, in base64.
    SharedKey(Secret),
    /// A service principal.
    ClientSecret {
        /// The tenant.
        tenant: String,
        /// The application.
        client: String,
        /// Its secret.
        secret: Secret,
    },
    /// Workload identity or managed identity, whichever the environment offers.
    Default,
}

impl AzureOptions {
    /// The options of a container, with the defaults.
    pub fn new(
        account: impl Into<String>,
        container: impl Into<String>,
        credentials: AzureCredentials,
    ) -> Self {
        Self {
            bucket: BucketOptions::new(container),
            account: account.into(),
            credentials,
            realm: "core.windows.net".to_owned(),
            service_url: None,
            copy_polls: 5,
            copy_delay: Duration::from_millis(100),
        }
    }
}
