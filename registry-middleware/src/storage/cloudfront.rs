//! Sends clients to Amazon CloudFront, in front of the bucket.

mod options;
mod ranges;
mod sign;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use registry_core::{
    BoxError, BuildError, RedirectHint, StorageDriver, StorageError, StorageMiddleware, StoragePath,
};
use reqwest::Client;

use self::ranges::Watched;
use self::sign::Signer;
use super::base_url::BaseUrl;
use super::elsewhere::{Elsewhere, Locate};

pub(crate) use self::options::Options;
pub use self::ranges::AwsRanges;
pub use self::sign::KeyError;

pub(crate) const NAME: &str = "cloudfront";

/// How long URLs are good, unless said otherwise.
const DURATION: Duration = Duration::from_secs(20 * 60);

/// What a key of an object has in a URL as it is: what RFC 3986, section 2.3, calls unreserved, and `/`.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Gives out URLs of CloudFront that are good for a while: `<base URL>/<key in the bucket>`, signed with a
/// canned policy.
///
/// Works over any driver whose files are objects under keys of their own.
#[derive(Debug, Clone)]
pub struct CloudFront {
    base: BaseUrl,
    signer: Arc<Signer>,
    duration: Duration,
    direct: Option<(AwsRanges, Client)>,
}

impl CloudFront {
    /// The shortest time for which a URL is good, and after which a list is fetched again.
    pub const LEAST_TIME: Duration = Duration::from_secs(1);

    /// Of the distribution that is reached at `base`, with the private key of a PEM file and the id that
    /// CloudFront has given to its public key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn new(base: BaseUrl, key_pair_id: &str, private_key_pem: &[u8]) -> Result<Self, KeyError> {
        let signer = Arc::new(Signer::from_pem(key_pair_id, private_key_pem)?);
        Ok(Self { base, signer, duration: DURATION, direct: None })
    }

    /// Sets how long a URL is good; 20 minutes unless said otherwise. A download that has begun goes on.
    #[must_use]
    pub fn with_duration(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    /// Gives clients with these addresses what the driver gives: who is near the bucket need not go through
    /// CloudFront. The list of addresses is fetched with `client`. As long as that has not succeeded nobody
    /// counts as near.
    #[must_use]
    pub fn with_direct(mut self, ranges: AwsRanges, client: Client) -> Self {
        self.direct = Some((ranges, client));
        self
    }
}

#[async_trait]
impl StorageMiddleware for CloudFront {
    async fn wrap(&self, inner: Arc<dyn StorageDriver>) -> Result<Arc<dyn StorageDriver>, BuildError> {
        let some_path =
            StoragePath::root().join("docker").map_err(|error| BuildError::failed(NAME, error))?;
        if inner.object_key(&some_path).is_none() {
            let reason = format!("{} has no objects that it could fetch; it needs a bucket", inner.name());
            return Err(BuildError::Invalid { what: NAME, reason });
        }
        let direct = self.direct.as_ref().map(|(ranges, client)| ranges.watch(client.clone())).transpose()?;
        let signed = Signed {
            base: self.base.clone(),
            signer: Arc::clone(&self.signer),
            duration: self.duration,
            direct,
        };
        Ok(Elsewhere::around(inner, signed))
    }
}

/// What is needed for each URL.
#[derive(Debug)]
struct Signed {
    base: BaseUrl,
    signer: Arc<Signer>,
    duration: Duration,
    direct: Option<Watched>,
}

impl Signed {
    fn url(&self, key: &str, now: SystemTime) -> Result<Uri, BoxError> {
        let path = format!("/{}", utf8_percent_encode(key, KEPT));
        let url = self.base.join(&path).ok_or("the key of an object does not fit into a URL")?;
        let expires = now.duration_since(UNIX_EPOCH)?.saturating_add(self.duration);
        self.signer.sign(&url, expires.as_secs())
    }
}

#[async_trait]
impl Locate for Signed {
    async fn locate(
        &self,
        inner: &dyn StorageDriver,
        path: &StoragePath,
        hint: &RedirectHint,
    ) -> Result<Option<Uri>, StorageError> {
        let near = match (&self.direct, hint.client) {
            (Some(direct), Some(client)) => direct.current().contains(client),
            _ => false,
        };
        match inner.object_key(path) {
            Some(key) if !near => self.url(&key, SystemTime::now()).map(Some).map_err(|source| {
                StorageError::Backend { driver: inner.name(), operation: "signing a URL", source }
            }),
            _ => inner.redirect_url(path, hint).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{BLOB, Bucket, ask};
    use super::testing::{EC, RSA};
    use super::*;

    fn cloudfront() -> CloudFront {
        let base = BaseUrl::parse_or_https("d111111abcdef8.cloudfront.net/base/").unwrap();
        CloudFront::new(base, "K2JCJMDEHXQW5F", RSA.pems[0].as_bytes()).unwrap()
    }

    fn now() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    #[tokio::test]
    async fn cloudfront_signs_the_url_of_the_object_for_as_long_as_is_said() {
        for (cloudfront, minutes) in
            [(cloudfront(), 20), (cloudfront().with_duration(Duration::from_secs(300)), 5)]
        {
            let driver = cloudfront.wrap(Arc::new(Bucket::with_urls())).await.unwrap();
            let begun = now();
            let signed = ask(&*driver, None).await.unwrap();
            let (url, expires) = RSA.verify(&signed).unwrap();
            assert_eq!(url, format!("https://d111111abcdef8.cloudfront.net/base/images{BLOB}"));
            let expected = begun + minutes * 60..=now() + minutes * 60;
            assert!(expected.contains(&expires), "{expires} is not in {expected:?}");
        }
    }

    #[tokio::test]
    async fn the_key_of_an_object_is_written_as_a_url_wants_it() {
        let base = BaseUrl::parse("http://cdn.example.com").unwrap();
        let cloudfront = CloudFront::new(base, "K1", EC.pems[0].as_bytes()).unwrap();
        let driver = cloudfront.wrap(Arc::new(Bucket::below("my images/ä?/"))).await.unwrap();
        let (url, _) = EC.verify(&ask(&*driver, None).await.unwrap()).unwrap();
        assert_eq!(url, format!("http://cdn.example.com/my%20images/%C3%A4%3F{BLOB}"));
    }

    #[tokio::test]
    async fn cloudfront_needs_a_driver_with_objects() {
        let error = cloudfront().wrap(Arc::new(Bucket::tree())).await.unwrap_err().to_string();
        assert_eq!(error, "cloudfront: bucket has no objects that it could fetch; it needs a bucket");
    }

    #[tokio::test]
    async fn clients_in_aws_get_the_url_of_the_bucket_once_the_list_is_there() {
        let list = r#"{"prefixes": [{"ip_prefix": "192.0.2.0/24", "region": "r"}]}"#;
        let (url, may, _) = ranges::tests::server(vec![format!("HTTP/1.1 200 OK\r\n\r\n{list}")]).await;
        let ranges = AwsRanges::everywhere().with_url(&url).unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        let driver =
            cloudfront().with_direct(ranges, client).wrap(Arc::new(Bucket::with_urls())).await.unwrap();
        let near = |url: &str| url.starts_with("https://bucket.s3.example/");
        assert!(!near(&ask(&*driver, Some("192.0.2.1")).await.unwrap()), "before there is a list");
        may.notify_one();
        while !near(&ask(&*driver, Some("192.0.2.1")).await.unwrap()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for client in [Some("198.51.100.1"), Some("2001:db8::1"), None] {
            assert!(!near(&ask(&*driver, client).await.unwrap()), "{client:?}");
        }
    }
}
