//! A repository middleware of one's own: a tag leads only to what is signed.
//!
//! [`SignedTags`] answers a request for a tag with 403 `UNSIGNED` unless some manifest in the repository
//! has the tagged one as its subject and is of a certain artifact type. Pushing is not touched: an image
//! comes first, its signature after it. Requests by digest are not either, since whoever verifies a
//! signature needs the image.
//!
//! What it shows:
//!
//! - a middleware depends on `registry-core` and on no other crate of the registry (`Cargo.toml`);
//! - one of the three services is replaced, the others are handed on;
//! - every method is forwarded by hand, under a lint that refuses to compile what was forgotten: a
//!   policy that calls pass by is none;
//! - an error code of its own, which reaches the client as it is;
//! - options with names, under a name in [`Factories`], so that a configuration can ask for it.
//!
//! ```text
//! cargo run -p example-custom-middleware --example serve_signed
//! curl -i http://127.0.0.1:5000/v2/prod/app/manifests/latest
//! ```

use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;
use registry_core::{
    BlobStore, BuildError, Descriptor, Digest, Error, ErrorCode, Factories, ManifestStore, MediaType, Page,
    PageRequest, ReferrerFilter, Repository, RepositoryMiddleware, RepositoryName, RequestContext, Result,
    Tag, TagExpect, TagStore,
};
use serde::Deserialize;

/// The code of what is not signed.
pub const UNSIGNED: ErrorCode =
    ErrorCode::custom("UNSIGNED", StatusCode::FORBIDDEN, "the tag leads to something that is not signed");

/// The name under which a configuration asks for it.
pub const NAME: &str = "signedtags";

/// Lets tags lead only to manifests with a referrer of a certain artifact type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTags {
    options: Arc<SignedTagsOptions>,
}

/// The options of [`SignedTags`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct SignedTagsOptions {
    /// The artifact type of a signature.
    pub artifact_type: MediaType,
    /// Only repositories below one of these need signatures; without any, all do.
    #[serde(default)]
    pub below: Vec<RepositoryName>,
}

impl SignedTags {
    /// All repositories need signatures of this artifact type.
    pub fn new(artifact_type: MediaType) -> Self {
        Self { options: Arc::new(SignedTagsOptions { artifact_type, below: Vec::new() }) }
    }

    /// Makes this known to a configuration as [`NAME`].
    ///
    /// # Errors
    /// [`BuildError::Taken`] if something is called that already.
    pub fn register(factories: &mut Factories<dyn RepositoryMiddleware>) -> Result<(), BuildError> {
        factories.register(NAME, |options| async move {
            let options = options.parse().map_err(|error| BuildError::options(NAME, error))?;
            Ok(Arc::new(Self { options: Arc::new(options) }) as Arc<dyn RepositoryMiddleware>)
        })?;
        Ok(())
    }

    fn applies_to(&self, name: &RepositoryName) -> bool {
        let below = |parent: &RepositoryName| {
            let rest = name.as_str().strip_prefix(parent.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.options.below.is_empty() || self.options.below.iter().any(below)
    }
}

#[async_trait]
impl RepositoryMiddleware for SignedTags {
    async fn wrap(
        &self,
        _cx: &Arc<RequestContext>,
        inner: Arc<dyn Repository>,
    ) -> Result<Arc<dyn Repository>> {
        if self.applies_to(inner.name()) {
            Ok(Arc::new(Guarded { inner, options: Arc::clone(&self.options) }))
        } else {
            Ok(inner)
        }
    }
}

/// A repository whose tags are guarded.
#[derive(Debug)]
struct Guarded {
    inner: Arc<dyn Repository>,
    options: Arc<SignedTagsOptions>,
}

#[deny(clippy::missing_trait_methods)]
impl Repository for Guarded {
    fn name(&self) -> &RepositoryName {
        self.inner.name()
    }

    fn blobs(&self) -> Arc<dyn BlobStore> {
        self.inner.blobs()
    }

    fn manifests(&self) -> Arc<dyn ManifestStore> {
        self.inner.manifests()
    }

    fn tags(&self) -> Arc<dyn TagStore> {
        Arc::new(GuardedTags {
            inner: self.inner.tags(),
            manifests: self.inner.manifests(),
            options: Arc::clone(&self.options),
        })
    }
}

#[derive(Debug)]
struct GuardedTags {
    inner: Arc<dyn TagStore>,
    manifests: Arc<dyn ManifestStore>,
    options: Arc<SignedTagsOptions>,
}

impl GuardedTags {
    async fn is_signed(&self, digest: &Digest) -> Result<bool> {
        let filter = ReferrerFilter { artifact_type: Some(self.options.artifact_type.as_str().to_owned()) };
        let signatures = self.manifests.referrers(digest, &filter, &PageRequest::first(1)).await?;
        Ok(!signatures.items.is_empty())
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl TagStore for GuardedTags {
    async fn get(&self, tag: &Tag) -> Result<Digest> {
        let digest = self.inner.get(tag).await?;
        if self.is_signed(&digest).await? { Ok(digest) } else { Err(Error::coded(UNSIGNED)) }
    }

    async fn set(&self, tag: &Tag, target: &Descriptor, expect: TagExpect) -> Result<()> {
        self.inner.set(tag, target, expect).await
    }

    async fn delete(&self, tag: &Tag) -> Result<()> {
        self.inner.delete(tag).await
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Tag>> {
        self.inner.list(page).await
    }

    async fn lookup(&self, target: &Digest) -> Result<Vec<Tag>> {
        self.inner.lookup(target).await
    }
}
