//! Middleware by the names that a configuration uses.

use std::sync::Arc;

use registry_core::{
    BuildError, Factories, Options, RegistryMiddleware, RepositoryMiddleware, StorageMiddleware,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::registry::{ReadOnly, Select};
use crate::repository::ImmutableTags;
#[cfg(feature = "cloudfront")]
use crate::storage::cloudfront;
use crate::storage::{BaseUrl, BaseUrlError, Redirect, Rewrite};

const IMMUTABLE_TAGS: &str = "immutabletags";
const READ_ONLY: &str = "readonly";
const REDIRECT: &str = "redirect";
const REWRITE: &str = "rewrite";
const SELECT: &str = "select";

/// Factories of middleware, one set for each hook. An embedder adds its own.
///
/// ```
/// use registry_core::Options;
/// use registry_middleware::Middlewares;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let options = serde_json::from_str(r#"{"pattern": "release-*"}"#)?;
/// let middleware = Middlewares::builtin().repository.build("immutabletags", Options::new(options)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Middlewares {
    /// For the storage hook.
    pub storage: Factories<dyn StorageMiddleware>,
    /// For the registry hook.
    pub registry: Factories<dyn RegistryMiddleware>,
    /// For the repository hook.
    pub repository: Factories<dyn RepositoryMiddleware>,
}

impl Middlewares {
    /// No factories.
    pub fn empty() -> Self {
        Self {
            storage: Factories::new("storage middleware"),
            registry: Factories::new("registry middleware"),
            repository: Factories::new("repository middleware"),
        }
    }

    /// The factories of this crate:
    ///
    /// | Hook | Name | Options | Middleware |
    /// |---|---|---|---|
    /// | storage | `cloudfront` (with that feature) | `baseurl`, `privatekey`: a path, `keypairid`, `duration`, `ipfilteredby`, `awsregion`, `updatefrequency`, `iprangesurl`; times as `20m` | `CloudFront` |
    /// | storage | `redirect` | `baseurl` | [`Redirect`] |
    /// | storage | `rewrite` | `scheme`, `host`, `trimpathprefix` | [`Rewrite`] |
    /// | registry | `readonly` | | [`ReadOnly`] |
    /// | registry | `select` | `allow`: patterns | [`Select`] |
    /// | repository | `immutabletags` | `pattern` | [`ImmutableTags`] |
    /// | repository | `readonly` | | [`ReadOnly`] |
    ///
    /// Options that are missing, unknown or of no use are a [`BuildError`] when one is built.
    pub fn builtin() -> Self {
        let mut all = Self::empty();
        all.register_builtin().expect("nothing is registered in new factories");
        all
    }

    fn register_builtin(&mut self) -> Result<(), BuildError> {
        self.storage.register(REDIRECT, |options| async move {
            let RedirectOptions { baseurl } = parse(REDIRECT, options)?;
            let base = BaseUrl::parse(&baseurl).map_err(|error| key(REDIRECT, "baseurl", error))?;
            Ok(Arc::new(Redirect::to(base)) as Arc<dyn StorageMiddleware>)
        })?;
        self.storage.register(REWRITE, |options| async move {
            let rewrite = parse::<RewriteOptions>(REWRITE, options)?.rewrite()?;
            Ok(Arc::new(rewrite) as Arc<dyn StorageMiddleware>)
        })?;
        #[cfg(feature = "cloudfront")]
        self.storage.register(cloudfront::NAME, |options| async move {
            let options: cloudfront::Options = parse(cloudfront::NAME, options)?;
            let middleware =
                options.open().await.map_err(|error| BuildError::options(cloudfront::NAME, error))?;
            Ok(Arc::new(middleware) as Arc<dyn StorageMiddleware>)
        })?;
        self.registry.register(READ_ONLY, |options| async move {
            let NoOptions {} = parse(READ_ONLY, options)?;
            Ok(Arc::new(ReadOnly) as Arc<dyn RegistryMiddleware>)
        })?;
        self.registry.register(SELECT, |options| async move {
            let SelectOptions { allow } = parse(SELECT, options)?;
            let select = Select::allow(allow).map_err(|error| BuildError::options(SELECT, error))?;
            Ok(Arc::new(select) as Arc<dyn RegistryMiddleware>)
        })?;
        self.repository.register(READ_ONLY, |options| async move {
            let NoOptions {} = parse(READ_ONLY, options)?;
            Ok(Arc::new(ReadOnly) as Arc<dyn RepositoryMiddleware>)
        })?;
        self.repository.register(IMMUTABLE_TAGS, |options| async move {
            let ImmutableTagsOptions { pattern } = parse(IMMUTABLE_TAGS, options)?;
            let tags = ImmutableTags::checked(pattern)
                .map_err(|error| BuildError::options(IMMUTABLE_TAGS, error))?;
            Ok(Arc::new(tags) as Arc<dyn RepositoryMiddleware>)
        })?;
        Ok(())
    }
}

fn parse<T: DeserializeOwned>(name: &str, options: Options) -> Result<T, BuildError> {
    options.parse().map_err(|error| BuildError::options(name, error))
}

/// An option of `name` has a value that is of no use.
fn key(name: &str, key: &str, error: BaseUrlError) -> BuildError {
    BuildError::options(name, format!("{key}: {error}"))
}

/// Options of [`Redirect`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RedirectOptions {
    baseurl: String,
}

/// Options of [`Rewrite`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RewriteOptions {
    scheme: Option<String>,
    host: Option<String>,
    trimpathprefix: Option<String>,
}

impl RewriteOptions {
    fn rewrite(self) -> Result<Rewrite, BuildError> {
        let mut rewrite = Rewrite::new();
        if let Some(scheme) = &self.scheme {
            rewrite = rewrite.with_scheme(scheme).map_err(|error| key(REWRITE, "scheme", error))?;
        }
        if let Some(host) = &self.host {
            rewrite = rewrite.with_host(host).map_err(|error| key(REWRITE, "host", error))?;
        }
        Ok(rewrite.with_trimmed_prefix(self.trimpathprefix.unwrap_or_default()))
    }
}

/// Options of [`ReadOnly`]: none, so that a stray key stops the start.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

/// Options of [`ImmutableTags`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImmutableTagsOptions {
    pattern: String,
}

/// Options of [`Select`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectOptions {
    allow: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options(value: serde_json::Value) -> Options {
        Options::new(value.as_object().cloned().unwrap())
    }

    #[tokio::test]
    async fn built_ins_are_found_by_name() {
        let all = Middlewares::builtin();
        let storage: &[&str] = if cfg!(feature = "cloudfront") {
            &["cloudfront", "redirect", "rewrite"]
        } else {
            &["redirect", "rewrite"]
        };
        assert_eq!(all.storage.names().collect::<Vec<_>>(), storage);
        let base = options(json!({ "baseurl": "https://cdn.example.com" }));
        assert!(all.storage.build("redirect", base).await.is_ok());
        assert!(all.storage.build("rewrite", Options::none()).await.is_ok());
        let all_options = json!({ "scheme": "http", "host": "cdn", "trimpathprefix": "/x" });
        assert!(all.storage.build("rewrite", options(all_options)).await.is_ok());
        assert_eq!(all.registry.names().collect::<Vec<_>>(), ["readonly", "select"]);
        assert_eq!(all.repository.names().collect::<Vec<_>>(), ["immutabletags", "readonly"]);
        assert!(all.registry.build("readonly", Options::none()).await.is_ok());
        assert!(all.registry.build("select", options(json!({ "allow": ["team/**"] }))).await.is_ok());
        assert!(all.repository.build("readonly", Options::none()).await.is_ok());
        assert!(all.repository.build("immutabletags", options(json!({ "pattern": "v*" }))).await.is_ok());
    }

    #[tokio::test]
    async fn a_mistake_in_options_names_the_middleware_and_the_key() {
        let all = Middlewares::builtin();
        let cases = [
            (
                all.repository.build("immutabletags", Options::none()).await.map(|_| ()),
                "missing field `pattern`",
            ),
            (
                all.repository
                    .build("immutabletags", options(json!({ "pattern": "v*", "x": 1 })))
                    .await
                    .map(|_| ()),
                "unknown field `x`",
            ),
            (
                all.repository.build("immutabletags", options(json!({ "pattern": "v/*" }))).await.map(|_| ()),
                "nothing can match",
            ),
            (
                all.repository.build("readonly", options(json!({ "enabled": true }))).await.map(|_| ()),
                "unknown field `enabled`",
            ),
            (all.storage.build("redirect", Options::none()).await.map(|_| ()), "missing field `baseurl`"),
            (
                all.storage.build("redirect", options(json!({ "baseurl": "cdn" }))).await.map(|_| ()),
                "baseurl: no scheme specified",
            ),
            (
                all.storage.build("rewrite", options(json!({ "host": "a/b" }))).await.map(|_| ()),
                "host: is not a URL",
            ),
        ];
        for (result, expected) in cases {
            let error = result.unwrap_err().to_string();
            assert!(error.starts_with("options of \"") && error.contains(expected), "{error}");
        }
        let error = all.registry.build("select", options(json!({ "deny": [] }))).await.unwrap_err();
        assert!(error.to_string().contains("unknown field `deny`"), "{error}");
    }
}
