//! Sends clients to a copy of the store.

use std::sync::Arc;

use async_trait::async_trait;
use http::Uri;
use registry_core::{BuildError, RedirectHint, StorageDriver, StorageError, StorageMiddleware, StoragePath};

use super::base_url::BaseUrl;
use super::elsewhere::{Elsewhere, Locate};

/// Sends clients to a server that has the files of the store: `<base URL><path in the store>`, whatever the
/// driver offers. What a driver puts before paths (its root directory) is not in it, as in Distribution.
///
/// URLs are not signed, so whoever can reach that server can have every blob of every repository.
///
/// ```
/// use registry_middleware::storage::{BaseUrl, Redirect};
/// let middleware = Redirect::to("https://cdn.example.com/images".parse::<BaseUrl>().unwrap());
/// # let _ = middleware;
/// ```
#[derive(Debug, Clone)]
pub struct Redirect {
    base: BaseUrl,
}

impl Redirect {
    /// To URLs that begin with this one.
    pub fn to(base: BaseUrl) -> Self {
        Self { base }
    }
}

#[async_trait]
impl StorageMiddleware for Redirect {
    async fn wrap(&self, inner: Arc<dyn StorageDriver>) -> Result<Arc<dyn StorageDriver>, BuildError> {
        Ok(Elsewhere::around(inner, self.clone()))
    }
}

#[async_trait]
impl Locate for Redirect {
    async fn locate(
        &self,
        _: &dyn StorageDriver,
        path: &StoragePath,
        _: &RedirectHint,
    ) -> Result<Option<Uri>, StorageError> {
        Ok(self.base.join(path.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{BLOB, Bucket, ask};
    use super::*;

    #[tokio::test]
    async fn redirect_sends_clients_to_the_path_below_the_base_url() {
        for inner in [Bucket::tree(), Bucket::with_urls()] {
            let redirect = Redirect::to(BaseUrl::parse("https://cdn.example.com/base/x/").unwrap());
            let driver = redirect.wrap(Arc::new(inner)).await.unwrap();
            let expected = format!("https://cdn.example.com/base/x{BLOB}");
            assert_eq!(ask(&*driver, None).await.as_deref(), Some(expected.as_str()));
        }
    }
}
