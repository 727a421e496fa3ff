//! Google Cloud Storage, by its XML interface.
//!
//! Uploads in parts are those of the XML interface. Distribution uses resumable sessions instead and keeps
//! what it needs to go on with one in an object in the place of the file; such an object does not count as
//! there. One that holds an upload of another program is not gone on with.
//!
//! A copy within a bucket and a storage class moves no bytes, whatever its size. One that has to is ended by the
//! service after half a minute; then the JSON interface is asked to rewrite the object, in as many calls as
//! that takes.

mod api;
mod identity;
mod key;
mod sign;
mod token;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use object_store::StaticCredentialProvider;
use object_store::client::{HttpConnector, HttpRequest};
use object_store::gcp::{GcpCredential, GoogleCloudStorage, GoogleCloudStorageBuilder};
use registry_core::{BoxError, BuildError, RedirectHint};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::absent::{Screened, absent};
use super::breaker::BucketHealth;
use super::errors::invalid;
use super::http::{Protocol, Refused, Transport, Verdict, client_options, no_retries};
use super::object;
use super::options::GcsOptions;
use super::pages;
use super::retry::Patience;
use super::store::{
    Bucket, BucketError, GetRange, KeyPage, Limits, ListKeys, Object, ObjectMeta, Part, Pending,
};
use super::unsigned::Unsigned;
use api::Api;
use identity::{Env, Identity};
use sign::ToSign;
use token::{Places, SignedBy, Tokens};

const NAME: &str = "gcs";
/// Where the service is.
const GOOGLE: &str = "https://storage.googleapis.com";
/// How long a signed URL is good where nothing else is asked for.
const SIGNED_FOR: Duration = Duration::from_secs(20 * 60);
/// What Distribution's unfinished uploads have as their content type.
const SESSION: &str = "application/x-docker-upload-session";

/// A bucket of Google Cloud Storage.
#[derive(Debug)]
pub(super) struct Gcs {
    store: GoogleCloudStorage,
    api: Api,
    tokens: Arc<Tokens>,
    bucket: String,
    endpoint: Uri,
    limits: Limits,
    /// For bodies that break off.
    patience: Patience,
    slots: Semaphore,
    unsigned: Unsigned,
}

impl Gcs {
    /// Makes a bucket of options. Asks nobody.
    ///
    /// # Errors
    /// Credentials that cannot be read.
    pub(super) fn new(options: &GcsOptions, health: BucketHealth) -> Result<Self, BuildError> {
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::with(options, health, &env, "https://iamcredentials.googleapis.com")
    }

    fn with(options: &GcsOptions, health: BucketHealth, env: Env<'_>, iam: &str) -> Result<Self, BuildError> {
        let common = &options.bucket;
        let endpoint = options.endpoint.as_deref().unwrap_or(GOOGLE).trim_end_matches('/');
        let uri: Uri = endpoint.parse().map_err(|error| invalid("endpoint")(Box::new(error)))?;
        if uri.authority().is_none() || uri.scheme().is_none() {
            return Err(invalid("endpoint")(format!("{endpoint} is no URL; write https://…").into()));
        }
        let identity = Identity::find(&options.credentials, env).map_err(invalid("credentials"))?;
        let built = |error: object_store::Error| invalid("bucket")(Box::new(error));
        // The metadata server has no certificate.
        let http = Transport::elsewhere(common).connect(&client_options(common, true)?).map_err(built)?;
        let metadata = env("GCE_METADATA_HOST").unwrap_or_else(|| "metadata.google.internal".to_owned());
        let places = Places { metadata, iam: iam.to_owned() };
        let tokens = Arc::new(Tokens::new(identity, http, places));

        let transport = Transport::new(Arc::new(Bearer(Arc::clone(&tokens))), common, health);
        let client = client_options(common, uri.scheme_str() == Some("http"))?;
        let http = transport.connect(&client).map_err(built)?;
        // The token is put into requests where they are tried again, so that each try has a good one.
        let none = GcpCredential { bearer: String::new() };
        let store = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&common.bucket)
            .with_base_url(endpoint)
            .with_credentials(Arc::new(StaticCredentialProvider::new(none)))
            .with_client_options(client)
            .with_retry(no_retries())
            .with_http_connector(Screened { client: http.clone(), refuse: session })
            .build()
            .map_err(built)?;
        Ok(Self {
            store,
            api: Api { http, endpoint: endpoint.to_owned(), bucket: common.bucket.clone() },
            tokens,
            bucket: common.bucket.clone(),
            endpoint: uri,
            limits: Limits {
                min_part: 5 << 20,
                max_parts: 10_000,
                part: common.part_size,
                page: pages::PAGE,
                lists_uploads: true,
                starts_anywhere: true,
                creates: true,
            },
            patience: Patience::for_bodies(common),
            slots: Semaphore::new(options.max_concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            unsigned: Unsigned::default(),
        })
    }

    /// Waits until there are not too many requests. Held until a request is answered, not for its body.
    async fn slot(&self) -> Result<SemaphorePermit<'_>, BucketError> {
        self.slots.acquire().await.map_err(|closed| BucketError::Other(Box::new(closed)))
    }

    async fn signed(&self, key: &str, hint: &RedirectHint) -> Result<Option<Uri>, BoxError> {
        let signer = self.tokens.signed_by().await?;
        let email = match &signer {
            SignedBy::Key(account) => account.email.as_str(),
            SignedBy::Iam(email) => email,
            SignedBy::Nobody => return Err("these credentials cannot sign".into()),
        };
        let to_sign = ToSign {
            method: &hint.method,
            scheme: self.endpoint.scheme_str().unwrap_or("https"),
            host: self.endpoint.authority().map_or("", |authority| authority.as_str()),
            base: self.endpoint.path().trim_end_matches('/'),
            bucket: &self.bucket,
            key,
            email,
            now: SystemTime::now(),
            expires_in: hint.expires_in.unwrap_or(SIGNED_FOR),
        };
        let unsigned = to_sign.prepare();
        let signature = match &signer {
            SignedBy::Key(account) => account.key.sign(unsigned.message.as_bytes())?,
            SignedBy::Iam(email) => self.tokens.sign_blob(email, unsigned.message.as_bytes()).await?,
            SignedBy::Nobody => return Ok(None),
        };
        Ok(Some(unsigned.with(&signature)?))
    }
}

#[async_trait]
impl Bucket for Gcs {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    async fn get(&self, key: &str, range: Option<GetRange>) -> Result<Object, BucketError> {
        let _slot = self.slot().await?;
        object::get(&self.store, NAME, key, range, self.patience.clone()).await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, BucketError> {
        let _slot = self.slot().await?;
        object::head(&self.store, key).await
    }

    async fn put(&self, key: &str, content: Bytes, create: bool) -> Result<(), BucketError> {
        let slot = self.slot().await?;
        let put = self.api.put(key, content.clone(), create).await;
        drop(slot);
        let Err(error) = put else { return Ok(()) };
        object::not_written(self, key, &content, error).await
    }

    async fn copy(&self, from: &str, to: &str, _size: u64) -> Result<(), BucketError> {
        let _slot = self.slot().await?;
        if self.api.copy(from, to).await? { Ok(()) } else { self.api.rewrite(from, to).await }
    }

    /// One request for each: the batches of the service are requests too, and are counted.
    async fn delete(&self, keys: &[String]) -> Result<(), BucketError> {
        let delete = |key: String| async move {
            let _slot = self.slot().await?;
            self.api.delete(&key).await
        };
        let together = self.slots.available_permits().clamp(1, 32);
        futures::stream::iter(keys.to_vec()).map(delete).buffer_unordered(together).try_collect().await
    }

    async fn list(&self, request: &ListKeys<'_>) -> Result<KeyPage, BucketError> {
        let _slot = self.slot().await?;
        pages::objects(&self.api, request).await
    }

    async fn begin(&self, key: &str) -> Result<String, BucketError> {
        let _slot = self.slot().await?;
        object::begin(&self.store, key, Default::default()).await
    }

    async fn put_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        content: Vec<Bytes>,
    ) -> Result<Part, BucketError> {
        let _slot = self.slot().await?;
        object::put_part(&self.store, key, upload, number, content).await
    }

    async fn complete(&self, key: &str, upload: &str, parts: &[Part]) -> Result<(), BucketError> {
        let _slot = self.slot().await?;
        self.api.complete(key, upload, parts).await
    }

    async fn abort(&self, key: &str, upload: &str) -> Result<(), BucketError> {
        let _slot = self.slot().await?;
        object::abort(&self.store, key, upload).await
    }

    async fn parts(&self, key: &str, upload: &str) -> Result<Vec<Part>, BucketError> {
        let _slot = self.slot().await?;
        pages::parts(&self.api, key, upload).await
    }

    async fn uploads(&self, prefix: &str, after: Option<&Pending>) -> Result<Vec<Pending>, BucketError> {
        let _slot = self.slot().await?;
        pages::uploads(&self.api, prefix, after).await
    }

    /// A version 4 URL.
    async fn sign(&self, key: &str, hint: &RedirectHint) -> Result<Option<Uri>, BucketError> {
        if !matches!(hint.method, Method::GET | Method::HEAD) {
            return Ok(None);
        }
        let needs = "the key of a service account, or one that may use iam.serviceAccounts.signBlob";
        Ok(self.unsigned.or_none(self.signed(key, hint).await, "Google Cloud Storage", needs))
    }
}

/// Puts an access token into each try.
#[derive(Debug)]
struct Bearer(Arc<Tokens>);

#[async_trait]
impl Protocol for Bearer {
    async fn prepare(&self, request: &mut HttpRequest) -> Result<(), BoxError> {
        let token = self.0.token().await?;
        if token.is_empty() {
            request.headers_mut().remove(header::AUTHORIZATION);
        } else {
            request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {token}").parse()?);
        }
        Ok(())
    }

    /// A token may be taken back before it ends.
    async fn refused(&self, _: &HttpRequest, refusal: &Refused) -> Verdict {
        let renewed = refusal.status == StatusCode::UNAUTHORIZED && self.0.forget().await;
        if renewed { Verdict::Corrected } else { Verdict::AsUsual }
    }
}

/// Whether an object is an upload that Distribution has not finished.
fn session(headers: &HeaderMap) -> Option<Refused> {
    let kind = headers.get(header::CONTENT_TYPE)?;
    (kind == SESSION).then(|| absent("it is an unfinished upload of Distribution"))
}

#[cfg(test)]
mod tests;
