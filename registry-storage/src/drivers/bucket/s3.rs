//! Amazon S3, and services that speak its language.
//!
//! Requests are our own: `object_store` loses the storage class of a copy, has no copies in parts, cannot sign
//! with version 2 or with a clock that is put right, and refuses whole listings for one odd key. Reading an
//! object, with bodies that are gone on with after they broke off, is left to it.

mod call;
mod credentials;
mod delete;
mod endpoint;
mod multipart;
mod protocol;
mod sign;
mod sign2;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use object_store::StaticCredentialProvider;
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential};
use object_store::client::{HttpClient, HttpConnector};
use registry_core::{BuildError, RedirectHint};

use self::call::{Call, object_headers};
use self::credentials::{Credentials, Environment, Keyring, Outside};
use self::endpoint::Endpoint;
use self::protocol::Authority;
use super::breaker::BucketHealth;
use super::http::{Connected, Transport, client_options, no_retries};
use super::object;
use super::options::S3Options;
use super::pages::{self, Pages};
use super::probe::Probe;
use super::retry::Patience;
use super::store::{
    Bucket, BucketError, GetRange, KeyPage, Limits, ListKeys, Object, ObjectMeta, Part, Pending,
};

const NAME: &str = "s3";
/// How long a signed URL is good where nothing else is asked for, and the longest that there is.
const SIGNED_FOR: Duration = Duration::from_secs(20 * 60);
const SIGNED_FOR_MOST: Duration = Duration::from_secs(7 * 24 * 3600);

/// A bucket of S3.
#[derive(Debug)]
pub(super) struct S3 {
    store: AmazonS3,
    client: HttpClient,
    endpoint: Arc<Endpoint>,
    /// Where clients are sent.
    redirect: Endpoint,
    authority: Arc<Authority>,
    /// What is said of each new object.
    headers: HeaderMap,
    limits: Limits,
    /// What was found out, where it is not what is documented.
    found: OnceLock<Found>,
    copy_threshold: u64,
    copy_part: u64,
    copy_concurrency: usize,
    /// For bodies that break off.
    patience: Patience,
    /// The first wait before keys are deleted once more.
    pause: Duration,
}

#[derive(Debug)]
struct Found {
    limits: Limits,
    copies_parts: bool,
}

impl S3 {
    /// Whether parts can be copied, as far as is known.
    fn copies_parts(&self) -> bool {
        self.found.get().is_none_or(|found| found.copies_parts)
    }

    /// What is wrong about where the bucket is said to be.
    pub(super) fn check(options: &S3Options) -> Vec<BuildError> {
        match Endpoint::new(options) {
            Ok(endpoint) => endpoint.redirect(options).err().into_iter().collect(),
            Err(error) => vec![error],
        }
    }

    /// Makes a bucket of options. Asks nobody.
    ///
    /// # Errors
    /// What is wrong with an option.
    pub(super) fn new(options: &S3Options, health: BucketHealth) -> Result<Self, BuildError> {
        Self::with(options, health, Arc::new(|name| std::env::var(name).ok()))
    }

    fn with(options: &S3Options, health: BucketHealth, env: Environment) -> Result<Self, BuildError> {
        let endpoint = Arc::new(Endpoint::new(options)?);
        let redirect = endpoint.redirect(options)?;
        let region = if options.region.is_empty() { "us-east-1" } else { &options.region };
        let keyring = match &options.credentials {
            Some(given) => Keyring::fixed(Credentials::from(given)),
            None => Keyring::fetched(Outside::new(env, region)?),
        };
        let (v4, log) = (options.v4_auth, options.log);
        let authority = Arc::new(Authority::new(keyring, region, v4, log, Arc::clone(&endpoint)));
        let protocol = Arc::clone(&authority);
        let transport = Transport { log, ..Transport::new(protocol, &options.bucket, health) };
        let client_options = client_options(&options.bucket, endpoint.is_plain())?;
        let built = |error| BuildError::failed("client for S3", error);
        let client = transport.connect(&client_options).map_err(built)?;
        // Signed where requests are tried again; without this it would look for credentials of its own.
        let nobody = AwsCredential { key_id: String::new(), secret_key: String::new(), token: None };
        // Where the bucket is in the URL has been seen to: taken as a host it stays where it is.
        let store = AmazonS3Builder::new()
            .with_endpoint(endpoint.base())
            .with_virtual_hosted_style_request(true)
            .with_bucket_name(endpoint.bucket())
            .with_region(region)
            .with_client_options(client_options)
            .with_retry(no_retries())
            .with_skip_signature(true)
            .with_credentials(Arc::new(StaticCredentialProvider::new(nobody)))
            .with_http_connector(Connected(client.clone()))
            .build()
            .map_err(built)?;
        let headers = object_headers(options).map_err(|error| BuildError::options(NAME, error))?;
        let limits = Limits {
            min_part: 5 << 20,
            max_parts: multipart::PARTS,
            part: options.bucket.part_size,
            page: pages::PAGE,
            lists_uploads: true,
            starts_anywhere: true,
            creates: true,
        };
        Ok(Self {
            store,
            client,
            endpoint,
            redirect,
            authority,
            headers,
            limits,
            found: OnceLock::new(),
            copy_threshold: options.copy_threshold,
            copy_part: options.copy_part,
            copy_concurrency: options.copy_concurrency,
            patience: Patience::for_bodies(&options.bucket),
            pause: options.bucket.retry_pause,
        })
    }
}

#[async_trait]
impl Pages for S3 {
    async fn page(&self, key: Option<&str>, query: &[(&str, &str)]) -> Result<Bytes, BucketError> {
        let call = Call::new(Method::GET, key);
        self.ask(query.iter().fold(call, |call, (name, value)| call.query(name, value))).await
    }
}

#[async_trait]
impl Bucket for S3 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> &Limits {
        self.found.get().map_or(&self.limits, |found| &found.limits)
    }

    async fn get(&self, key: &str, range: Option<GetRange>) -> Result<Object, BucketError> {
        object::get(&self.store, NAME, key, range, self.patience.clone()).await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, BucketError> {
        object::head(&self.store, key).await
    }

    async fn put(&self, key: &str, content: Bytes, create: bool) -> Result<(), BucketError> {
        let mut call = Call::new(Method::PUT, key).headers(&self.headers).body(vec![content.clone()]);
        if create {
            call = call.header("if-none-match", "*")?;
        }
        match self.client.execute(self.request(call)?).await {
            Ok(_) => Ok(()),
            Err(error) => object::not_written(self, key, &content, error).await,
        }
    }

    async fn copy(&self, from: &str, to: &str, size: u64) -> Result<(), BucketError> {
        self.copy_object(from, to, size).await
    }

    async fn delete(&self, keys: &[String]) -> Result<(), BucketError> {
        self.delete_objects(keys).await
    }

    async fn list(&self, request: &ListKeys<'_>) -> Result<KeyPage, BucketError> {
        pages::objects(self, request).await
    }

    async fn begin(&self, key: &str) -> Result<String, BucketError> {
        self.create_upload(key).await
    }

    async fn put_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        content: Vec<Bytes>,
    ) -> Result<Part, BucketError> {
        self.upload_part(key, upload, number, content).await
    }

    async fn copy_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        from: &str,
        range: Range<u64>,
    ) -> Result<Option<Part>, BucketError> {
        if !self.copies_parts() {
            return Ok(None);
        }
        self.upload_part_copy(key, upload, number, from, range).await.map(Some)
    }

    async fn complete(&self, key: &str, upload: &str, parts: &[Part]) -> Result<(), BucketError> {
        self.complete_upload(key, upload, parts).await
    }

    async fn abort(&self, key: &str, upload: &str) -> Result<(), BucketError> {
        self.abort_upload(key, upload).await
    }

    async fn parts(&self, key: &str, upload: &str) -> Result<Vec<Part>, BucketError> {
        pages::parts(self, key, upload).await
    }

    async fn uploads(&self, prefix: &str, after: Option<&Pending>) -> Result<Vec<Pending>, BucketError> {
        pages::uploads(self, prefix, after).await
    }

    async fn sign(&self, key: &str, hint: &RedirectHint) -> Result<Option<Uri>, BucketError> {
        if hint.method != Method::GET && hint.method != Method::HEAD {
            return Ok(None);
        }
        let good_for = hint.expires_in.unwrap_or(SIGNED_FOR);
        let good_for = good_for.clamp(Duration::from_secs(1), SIGNED_FOR_MOST);
        let path = self.redirect.path(Some(key));
        let signed = self.authority.presign(&self.redirect, &hint.method, &path, good_for).await;
        let query = signed.map_err(|source| BucketError::Unavailable { retry_after: None, source })?;
        let url = self.redirect.url(&path, &query);
        url.parse().map(Some).map_err(|error| BucketError::Other(Box::new(error)))
    }

    async fn refuses_damage(&self, key: &str) -> Result<Option<bool>, BucketError> {
        let other = BASE64_STANDARD.encode([0; 32]);
        let call = Call::new(Method::PUT, key)
            .headers(&self.headers)
            .header("x-amz-checksum-sha256", &other)?
            .body(vec![Bytes::from_static(b"not what the checksum is of")]);
        match self.send(call).await {
            Ok(_) => Ok(Some(false)),
            // Those that do not know the header may say so.
            Err(BucketError::Other(_)) => Ok(Some(true)),
            Err(error) => Err(error),
        }
    }

    fn learn(&self, found: &Probe) {
        let limits = Limits {
            lists_uploads: found.lists_uploads,
            creates: found.conditional_put,
            ..self.limits.clone()
        };
        // The first one counts: what a driver does must not change while it runs.
        let _ = self.found.set(Found { limits, copies_parts: found.multipart_copy != Some(false) });
    }
}
