//! Changes the URLs that the driver gives.

use std::sync::Arc;

use async_trait::async_trait;
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use registry_core::{BuildError, RedirectHint, StorageDriver, StorageError, StorageMiddleware, StoragePath};

use super::base_url::{BaseUrlError, authority};
use super::elsewhere::{Elsewhere, Locate};

/// Replaces parts of the URLs below it, for a store that clients reach by another name than we do. Where
/// there is no URL there is none afterwards.
///
/// A URL that is signed for its host is good only if whoever answers under the new one asks the store under
/// the old one.
///
/// ```
/// use registry_middleware::storage::Rewrite;
/// let middleware = Rewrite::new()
///     .with_host("cdn.example.com")
///     .unwrap()
///     .with_trimmed_prefix("/bucket");
/// # let _ = middleware;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewrite {
    scheme: Option<Scheme>,
    host: Option<Authority>,
    trim: String,
}

impl Rewrite {
    /// Changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the scheme, `http` or `https`.
    ///
    /// # Errors
    /// [`BaseUrlError::Scheme`].
    pub fn with_scheme(self, scheme: &str) -> Result<Self, BaseUrlError> {
        let known = [Scheme::HTTP, Scheme::HTTPS].into_iter().find(|known| known == scheme);
        Ok(Self { scheme: Some(known.ok_or(BaseUrlError::Scheme)?), ..self })
    }

    /// Sets the host, with a port if it is not the usual one.
    ///
    /// # Errors
    /// [`BaseUrlError`].
    pub fn with_host(self, host: &str) -> Result<Self, BaseUrlError> {
        let host = authority(host.parse().map_err(|_| BaseUrlError::NotUrl)?)?;
        Ok(Self { host: Some(host), ..self })
    }

    /// Takes this away from the beginning of paths, once, where they have it.
    #[must_use]
    pub fn with_trimmed_prefix(self, prefix: impl Into<String>) -> Self {
        Self { trim: prefix.into(), ..self }
    }

    fn apply(&self, uri: Uri) -> Result<Uri, http::Error> {
        let mut parts = uri.into_parts();
        if let Some(scheme) = &self.scheme {
            parts.scheme = Some(scheme.clone());
        }
        if let Some(host) = &self.host {
            parts.authority = Some(host.clone());
        }
        let all = parts.path_and_query.as_ref().map_or("/", PathAndQuery::as_str);
        let rest = all.strip_prefix(&self.trim).unwrap_or(all);
        let slash = if rest.starts_with('/') { "" } else { "/" };
        parts.path_and_query = Some(format!("{slash}{rest}").parse()?);
        Ok(Uri::from_parts(parts)?)
    }
}

#[async_trait]
impl StorageMiddleware for Rewrite {
    async fn wrap(&self, inner: Arc<dyn StorageDriver>) -> Result<Arc<dyn StorageDriver>, BuildError> {
        Ok(Elsewhere::around(inner, self.clone()))
    }
}

#[async_trait]
impl Locate for Rewrite {
    async fn locate(
        &self,
        inner: &dyn StorageDriver,
        path: &StoragePath,
        hint: &RedirectHint,
    ) -> Result<Option<Uri>, StorageError> {
        let Some(uri) = inner.redirect_url(path, hint).await? else {
            return Ok(None);
        };
        self.apply(uri).map(Some).map_err(|error| StorageError::Backend {
            driver: inner.name(),
            operation: "rewriting a URL",
            source: error.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bucket, ask};
    use super::*;

    #[test]
    fn rewrite_changes_scheme_host_and_path_and_keeps_the_query() {
        let inner = "https://bucket.s3.example/images/docker/data?X-Amz-Signature=a%2Fb";
        let host = |host| Rewrite::new().with_host(host).unwrap();
        for (rewrite, expected) in [
            (Rewrite::new(), inner),
            (
                Rewrite::new().with_scheme("http").unwrap(),
                "http://bucket.s3.example/images/docker/data?X-Amz-Signature=a%2Fb",
            ),
            (host("cdn:8443"), "https://cdn:8443/images/docker/data?X-Amz-Signature=a%2Fb"),
            (host("[::1]").with_trimmed_prefix("/images"), "https://[::1]/docker/data?X-Amz-Signature=a%2Fb"),
            (
                Rewrite::new().with_trimmed_prefix("/images/"),
                "https://bucket.s3.example/docker/data?X-Amz-Signature=a%2Fb",
            ),
            (Rewrite::new().with_trimmed_prefix("images"), inner),
            (Rewrite::new().with_trimmed_prefix("/other"), inner),
        ] {
            assert_eq!(rewrite.apply(inner.parse().unwrap()).unwrap().to_string(), expected, "{rewrite:?}");
        }
        let bare = Rewrite::new().with_trimmed_prefix("/");
        assert_eq!(bare.apply("https://h".parse().unwrap()).unwrap().to_string(), "https://h/");
    }

    #[test]
    fn what_cannot_be_in_a_url_is_no_scheme_or_host() {
        for scheme in ["", "ftp", "https:", "HT TP"] {
            assert_eq!(Rewrite::new().with_scheme(scheme), Err(BaseUrlError::Scheme), "{scheme:?}");
        }
        assert!(Rewrite::new().with_scheme("HTTPS").is_ok());
        for (host, expected) in [
            ("", BaseUrlError::NotUrl),
            ("a b", BaseUrlError::NotUrl),
            ("a/b", BaseUrlError::NotUrl),
            ("https://a", BaseUrlError::NotUrl),
            ("a:port", BaseUrlError::NotUrl),
            (":80", BaseUrlError::NoHost),
            ("user@a", BaseUrlError::User),
        ] {
            assert_eq!(Rewrite::new().with_host(host), Err(expected), "{host:?}");
        }
    }

    #[tokio::test]
    async fn rewrite_passes_nothing_on_where_the_driver_has_no_url() {
        let rewrite = Rewrite::new().with_host("cdn.example.com").unwrap();
        let driver = rewrite.wrap(Arc::new(Bucket::tree())).await.unwrap();
        assert_eq!(ask(&*driver, None).await, None);
        let driver = rewrite.wrap(Arc::new(Bucket::with_urls())).await.unwrap();
        assert!(ask(&*driver, None).await.unwrap().starts_with("https://cdn.example.com/images/docker/"));
    }
}
