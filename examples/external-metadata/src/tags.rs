//! Tags of a stream, each the newest event of a history.

use async_trait::async_trait;
use registry::core::{
    Descriptor, Digest, Error, Page, PageRequest, Reference, Result, Tag, TagExpect, TagStore,
};

use crate::api::{ApiError, Stream};
use crate::errors::refused;
use crate::repository::Scope;

#[derive(Debug)]
pub(crate) struct Tags {
    scope: Scope,
}

impl Tags {
    pub(crate) fn new(scope: Scope) -> Self {
        Self { scope }
    }

    async fn stream(&self) -> Result<Stream> {
        let found = self.scope.find().await?;
        found.ok_or_else(|| Error::NameUnknown { repository: self.scope.name.clone() })
    }

    fn unknown(&self, tag: &Tag) -> Error {
        self.scope.manifest_unknown(Reference::Tag(tag.clone()))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl TagStore for Tags {
    async fn get(&self, tag: &Tag) -> Result<Digest> {
        let stream = self.scope.find().await?;
        let current = stream.as_ref().and_then(|stream| stream.current(tag));
        current.cloned().ok_or_else(|| self.unknown(tag))
    }

    async fn set(&self, tag: &Tag, target: &Descriptor, expect: TagExpect) -> Result<()> {
        let Scope { client, name, .. } = &self.scope;
        let new = expect == TagExpect::Absent;
        match client.api.set_tag(&client.user, name, tag, &target.digest, new).await {
            Ok(()) => Ok(()),
            Err(ApiError::Conflict) => Err(Error::TagExists { repository: name.clone(), tag: tag.clone() }),
            Err(ApiError::NotFound) => {
                Err(self.scope.manifest_unknown(Reference::Digest(target.digest.clone())))
            }
            Err(error) => Err(refused(error)),
        }
    }

    async fn delete(&self, tag: &Tag) -> Result<()> {
        let Scope { client, name, .. } = &self.scope;
        match client.api.delete_tag(&client.user, name, tag).await {
            Ok(()) => Ok(()),
            Err(ApiError::NotFound) => Err(self.unknown(tag)),
            Err(error) => Err(refused(error)),
        }
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Tag>> {
        let tags = self.stream().await?.tags.into_keys();
        let after = tags.skip_while(|tag| page.after.as_deref().is_some_and(|after| tag.as_str() <= after));
        Ok(Page::cut(after.take(page.limit.saturating_add(1)).collect(), page.limit))
    }

    async fn lookup(&self, target: &Digest) -> Result<Vec<Tag>> {
        let stream = self.scope.find().await?.unwrap_or_default();
        Ok(stream.tags.keys().filter(|tag| stream.current(tag) == Some(target)).cloned().collect())
    }
}
