//! The tags of one repository.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use registry_core::{
    Batch, Descriptor, Digest, Error, Page, PageRequest, Reference, RepositoryName, Result, StorageDriverExt,
    StorageError, Tag, TagExpect, TagStore,
};

use crate::namespace::Shared;
use crate::{layout, link, tagged};

/// The tags of a repository.
#[derive(Debug)]
pub(crate) struct Tags {
    shared: Arc<Shared>,
    name: RepositoryName,
}

impl Tags {
    pub(crate) fn new(shared: Arc<Shared>, name: RepositoryName) -> Self {
        Self { shared, name }
    }

    fn unknown(&self, tag: &Tag) -> Error {
        Error::ManifestUnknown { repository: self.name.clone(), reference: Reference::Tag(tag.clone()) }
    }

    async fn current(&self, tag: &Tag) -> Result<Option<Digest>> {
        link::read(self.shared.driver.as_ref(), &layout::tag_current(&self.name, tag)).await
    }

    /// A tag unless its directory is what a crash or a delete left.
    async fn if_present(&self, tag: Tag) -> Result<Option<Tag>> {
        let present = self.shared.driver.exists(&layout::tag_current(&self.name, &tag)).await?;
        Ok(present.then_some(tag))
    }

    /// # Errors
    /// [`Error::NameUnknown`] unless a manifest was stored here at some time.
    async fn check_known(&self) -> Result<()> {
        if self.shared.driver.exists(&layout::manifests(&self.name)).await? {
            return Ok(());
        }
        Err(Error::NameUnknown { repository: self.name.clone() })
    }
}

#[async_trait]
impl TagStore for Tags {
    async fn get(&self, tag: &Tag) -> Result<Digest> {
        self.current(tag).await?.ok_or_else(|| self.unknown(tag))
    }

    async fn set(&self, tag: &Tag, target: &Descriptor, expect: TagExpect) -> Result<()> {
        let unsupported = || Error::DigestUnsupported { digest: target.digest.clone() };
        let index = layout::tag_index(&self.name, tag, &target.digest).ok_or_else(unsupported)?;
        let current = layout::tag_current(&self.name, tag);
        let content = link::content(&target.digest);
        let batch = Batch::new().put(index, content.clone());
        let batch = tagged::note(batch, &self.name, &target.digest, tag).then();
        let batch = match expect {
            TagExpect::Any => batch.put(current, content),
            TagExpect::Absent => batch.create(current, content),
        };
        let _shared = self.shared.locks.share(&self.name).await;
        let manifest = layout::revision_link(&self.name, &target.digest).ok_or_else(unsupported)?;
        if !self.shared.driver.exists(&manifest).await? {
            return Err(Error::ManifestUnknown {
                repository: self.name.clone(),
                reference: Reference::Digest(target.digest.clone()),
            });
        }
        match self.shared.driver.apply(batch).await {
            Err(StorageError::AlreadyExists { .. }) if expect == TagExpect::Absent => {
                Err(Error::TagExists { repository: self.name.clone(), tag: tag.clone() })
            }
            result => Ok(result?),
        }
    }

    async fn delete(&self, tag: &Tag) -> Result<()> {
        self.shared.check_deletes()?;
        if self.if_present(tag.clone()).await?.is_none() {
            return Err(self.unknown(tag));
        }
        Ok(self.shared.driver.delete(&layout::tag_dir(&self.name, tag)).await?)
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Tag>> {
        if page.limit == 0 {
            self.check_known().await?;
            return Ok(Page::default());
        }
        let mut after = page.after.clone();
        let mut tags = Vec::new();
        loop {
            let (candidates, next) =
                tagged::candidates(&self.shared, &self.name, after, page.limit + 1).await?;
            let present: Vec<Option<Tag>> = stream::iter(candidates)
                .map(|tag| self.if_present(tag))
                .buffered(self.shared.tag_concurrency)
                .try_collect()
                .await?;
            tags.extend(present.into_iter().flatten());
            after = next;
            if after.is_none() || tags.len() > page.limit {
                break;
            }
        }
        if tags.is_empty() {
            self.check_known().await?;
        }
        Ok(Page::cut(tags, page.limit))
    }

    async fn lookup(&self, target: &Digest) -> Result<Vec<Tag>> {
        tagged::lookup(&self.shared, &self.name, target).await
    }
}
