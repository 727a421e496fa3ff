//! Azure Blob Storage.
//!
//! Uploads in parts are blocks ([`blocks`]). There is no call that removes blocks without writing the blob, which
//! would show an empty one for a moment: what an upload that was given up has left is removed by the service
//! after a week.
//!
//! Distribution writes append blobs. They are read and copied like others; what to do where one has to make room
//! for a blob of another kind is in [`aside`].

mod api;
mod aside;
mod blocks;
mod copy;
mod credentials;
mod delegation;
mod listing;
mod sas;

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http::header::{CONTENT_RANGE, IF_NONE_MATCH};
use http::{HeaderMap, Method, StatusCode, Uri};
use object_store::PutPayload;
use object_store::azure::{AzureAuthorizer, AzureCredentialProvider, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::client::{HttpConnector, HttpRequest};
use registry_core::{BoxError, BuildError, RedirectHint};

use super::absent::{Screened, absent, refused};
use super::breaker::BucketHealth;
use super::errors::invalid;
use super::http::{Protocol, Refused, Transport, Verdict, client_options, no_retries, refusal};
use super::object::{self, bucket_error};
use super::options::{AzureCredentials, AzureOptions};
use super::retry::Patience;
use super::store::{
    Bucket, BucketError, GetRange, KeyPage, Limits, ListKeys, Object, ObjectMeta, Part, Pending,
};
use super::unsigned::Unsigned;
use api::Api;
use copy::Polls;
use credentials::Env;
use delegation::Delegation;
use listing::Listings;
use sas::Grant;

const NAME: &str = "azure";
/// How long a signed URL is good where nothing else is asked for.
const SIGNED_FOR: Duration = Duration::from_secs(20 * 60);
/// How many blobs are deleted or looked at at once.
const TOGETHER: usize = 16;

/// A container of Azure Blob Storage.
#[derive(Debug)]
pub(super) struct Azure {
    store: MicrosoftAzure,
    api: Api,
    account: String,
    credentials: AzureCredentials,
    delegation: Delegation,
    https: bool,
    polls: Polls,
    listings: Listings,
    limits: Limits,
    /// For bodies that break off.
    patience: Patience,
    unsigned: Unsigned,
}

impl Azure {
    /// Makes a bucket of options. Asks nobody.
    ///
    /// # Errors
    /// Credentials or a URL that cannot be used.
    pub(super) fn new(options: &AzureOptions, health: BucketHealth) -> Result<Self, BuildError> {
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::with(options, health, &env)
    }

    fn with(options: &AzureOptions, health: BucketHealth, env: Env<'_>) -> Result<Self, BuildError> {
        let common = &options.bucket;
        let service = match &options.service_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("https://{}.blob.{}", options.account, options.realm),
        };
        let uri: Uri = service
            .parse()
            .map_err(|error| invalid("serviceurl")(format!("{service} is no URL: {error}").into()))?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(invalid("serviceurl")(format!("{service} is no URL; write https://…").into())),
        };
        let elsewhere = Transport::elsewhere(common);
        let provider = credentials::provider(options, env, elsewhere).map_err(invalid("credentials"))?;
        let protocol = Arc::new(Signed { provider, account: options.account.clone() });
        let transport = Transport::new(protocol, common, health);
        let client = client_options(common, !https)?;
        let built = |error: object_store::Error| invalid("container")(Box::new(error));
        let http = transport.connect(&client).map_err(built)?;
        let store = MicrosoftAzureBuilder::new()
            .with_account(&options.account)
            .with_container_name(&common.bucket)
            .with_endpoint(service.clone())
            .with_client_options(client)
            .with_retry(no_retries())
            // Each try is signed where requests are tried again.
            .with_skip_signature(true)
            .with_http_connector(Screened { client: http.clone(), refuse: unreadable })
            .build()
            .map_err(built)?;
        Ok(Self {
            store,
            api: Api { http, service, container: common.bucket.clone() },
            account: options.account.clone(),
            credentials: options.credentials.clone(),
            delegation: Delegation::default(),
            https,
            polls: Polls { most: options.copy_polls, delay: options.copy_delay },
            listings: Listings::default(),
            limits: Limits {
                // The service has no least size. Blocks that are smaller make many requests for little.
                min_part: 1 << 20,
                max_parts: blocks::MOST,
                part: common.part_size,
                page: 5000,
                lists_uploads: true,
                starts_anywhere: true,
                creates: true,
            },
            patience: Patience::for_bodies(common),
            unsigned: Unsigned::default(),
        })
    }

    /// A URL with which one blob can be read.
    async fn signed(&self, key: &str, good_for: Duration) -> Result<String, BoxError> {
        let now = SystemTime::now();
        let grant = Grant {
            account: &self.account,
            container: &self.api.container,
            key,
            starts: None,
            ends: now + good_for,
            https: self.https,
        };
        let query = match &self.credentials {
            AzureCredentials::SharedKey(account_key) => grant.by_account(account_key.expose())?,
            AzureCredentials::ClientSecret { .. } | AzureCredentials::Default => {
                let delegated = self.delegation.key(&self.api, now, grant.ends).await?;
                grant.by_delegation(&delegated)?
            }
        };
        Ok(format!("{}?{query}", self.api.url(key)))
    }
}

#[async_trait]
impl Bucket for Azure {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    async fn get(&self, key: &str, range: Option<GetRange>) -> Result<Object, BucketError> {
        let range = match range {
            // The service does not know these.
            Some(GetRange::Suffix(length)) => {
                let size = self.head(key).await?.size;
                if size == 0 || length == 0 {
                    return Err(BucketError::InvalidRange { len: Some(size) });
                }
                Some(GetRange::Bounded(size.saturating_sub(length)..size))
            }
            range => range,
        };
        object::get(&self.store, NAME, key, range, self.patience.clone()).await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, BucketError> {
        object::head(&self.store, key).await
    }

    async fn put(&self, key: &str, content: Bytes, create: bool) -> Result<(), BucketError> {
        let request = || {
            let request = self.api.request(Method::PUT, key, "").header("x-ms-blob-type", "BlockBlob");
            self.api.send(if create { request.header(IF_NONE_MATCH, "*") } else { request }, content.clone())
        };
        let Err(error) = request().await else { return Ok(()) };
        if !create && aside::is_of_another_kind(&error) {
            self.remove(key).await?;
            return request().await.map(drop).map_err(bucket_error);
        }
        object::not_written(self, key, &content, error).await
    }

    async fn copy(&self, from: &str, to: &str, _size: u64) -> Result<(), BucketError> {
        self.copy_over(from, to).await
    }

    async fn delete(&self, keys: &[String]) -> Result<(), BucketError> {
        let remove = |key: String| async move { self.remove(&key).await };
        futures::stream::iter(keys.to_vec()).map(remove).buffer_unordered(TOGETHER).try_collect().await
    }

    async fn list(&self, request: &ListKeys<'_>) -> Result<KeyPage, BucketError> {
        self.listings.list(&self.api, request).await
    }

    async fn begin(&self, _key: &str) -> Result<String, BucketError> {
        Ok(blocks::begin(SystemTime::now()))
    }

    async fn put_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        content: Vec<Bytes>,
    ) -> Result<Part, BucketError> {
        let content = PutPayload::from_iter(content);
        let size = content.content_length() as u64;
        let tag =
            self.put_block(key, upload, number, |request| self.api.send(request, content.clone())).await?;
        Ok(Part { number, size, tag })
    }

    async fn copy_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        from: &str,
        range: Range<u64>,
    ) -> Result<Option<Part>, BucketError> {
        // The source is asked for as anybody would. Who cannot sign cannot do this.
        let Ok(source) = self.signed(from, SIGNED_FOR).await else { return Ok(None) };
        let bytes = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let tag = self.put_block(key, upload, number, |request| {
            self.api.ask(request.header("x-ms-copy-source", &source).header("x-ms-source-range", &bytes))
        });
        match tag.await {
            Ok(tag) => Ok(Some(Part { number, size: range.end - range.start, tag })),
            // As older versions of azurite say.
            Err(BucketError::Other(error))
                if refusal(&*error).is_some_and(|refused| refused.status == StatusCode::NOT_IMPLEMENTED) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn complete(&self, key: &str, upload: &str, parts: &[Part]) -> Result<(), BucketError> {
        self.commit(key, upload, parts).await
    }

    /// Asks nobody: see the module.
    async fn abort(&self, _key: &str, _upload: &str) -> Result<(), BucketError> {
        Ok(())
    }

    async fn parts(&self, key: &str, upload: &str) -> Result<Vec<Part>, BucketError> {
        let parts = self.waiting(key, upload).await?.of(upload);
        if parts.is_empty() { Err(BucketError::NoSuchUpload) } else { Ok(parts) }
    }

    /// One request for a page of blobs, and one for each blob that may have no more than blocks. Blocks of a
    /// blob that is there are not found.
    async fn uploads(&self, prefix: &str, after: Option<&Pending>) -> Result<Vec<Pending>, BucketError> {
        let last = |pending: &Pending| (pending.key.clone(), pending.upload.clone());
        let after = after.map(last);
        let request = ListKeys { prefix, fold: false, after: None, limit: self.limits.page };
        let mut marker = None;
        loop {
            let (keys, next) = self.listings.unfinished(&self.api, &request, marker.as_deref()).await?;
            let ask = |key: String| async move {
                let uploads = self.blocks_of(&key).await.map_err(bucket_error)?.uploads();
                let pending = uploads.into_iter().filter_map(move |upload| {
                    let initiated = blocks::begun(&upload)?;
                    Some(Pending { key: key.clone(), upload, initiated })
                });
                Ok::<_, BucketError>(pending.collect::<Vec<_>>())
            };
            let keys = keys.into_iter().filter(|key| after.as_ref().is_none_or(|(after, _)| key >= after));
            let found: Vec<Vec<Pending>> =
                futures::stream::iter(keys).map(ask).buffered(TOGETHER).try_collect().await?;
            let mut found: Vec<Pending> = found.into_iter().flatten().collect();
            found.retain(|pending| after.as_ref().is_none_or(|after| last(pending) > *after));
            match next {
                Some(next) if found.is_empty() => marker = Some(next),
                _ => return Ok(found),
            }
        }
    }

    /// A shared access signature.
    async fn sign(&self, key: &str, hint: &RedirectHint) -> Result<Option<Uri>, BucketError> {
        if !matches!(hint.method, Method::GET | Method::HEAD) {
            return Ok(None);
        }
        let signed = self.signed(key, hint.expires_in.unwrap_or(SIGNED_FOR)).await;
        let signed = signed.and_then(|url| Ok(Some(url.parse()?)));
        let needs = "an account key, or else the role Storage Blob Delegator";
        Ok(self.unsigned.or_none(signed, "Azure", needs))
    }
}

/// Whether an answer is not what was asked for: a copy that is not done, or no byte at all where azurite is
/// asked for those after the last.
fn unreadable(headers: &HeaderMap) -> Option<Refused> {
    if copy::unfinished(headers) {
        return Some(absent("it is a copy that is not done"));
    }
    let (range, len) = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    // Of an empty blob it says `0--1`.
    let start: u64 = start.parse().ok()?;
    if end.parse().is_ok_and(|end| start <= end) {
        return None;
    }
    let whole = format!("bytes */{len}").parse().ok()?;
    let headers = HeaderMap::from_iter([(CONTENT_RANGE, whole)]);
    Some(refused(StatusCode::RANGE_NOT_SATISFIABLE, "no byte is in the range", headers))
}

/// Signs each try.
#[derive(Debug)]
struct Signed {
    provider: AzureCredentialProvider,
    account: String,
}

#[async_trait]
impl Protocol for Signed {
    async fn prepare(&self, request: &mut HttpRequest) -> Result<(), BoxError> {
        let credential = self.provider.get_credential().await?;
        Ok(AzureAuthorizer::new(&credential, &self.account).try_authorize(request)?)
    }

    async fn refused(&self, _: &HttpRequest, _: &Refused) -> Verdict {
        Verdict::AsUsual
    }
}

#[cfg(test)]
mod tests;
