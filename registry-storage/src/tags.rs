//! The tags of one repository.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use registry_core::{
    Batch, Descriptor, Digest, Error, ListRequest, Page, PageRequest, Reference, RepositoryName, Result,
    StorageDriverExt, StorageError, Tag, TagExpect, TagStore,
};

use crate::flat::Names;
use crate::namespace::{Shared, to_its_end};
use crate::remembered::Followed;
use crate::{flat, layout, link, tagged};

/// The tags of a repository.
#[derive(Debug, Clone)]
pub(crate) struct Tags {
    shared: Arc<Shared>,
    name: RepositoryName,
    followed: Arc<Followed>,
}

impl Tags {
    pub(crate) fn new(shared: Arc<Shared>, name: RepositoryName, followed: Arc<Followed>) -> Self {
        Self { shared, name, followed }
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
    /// [`Error::NameUnknown`] unless a manifest was stored here at some time. A bucket does not remember the last one
    /// that was deleted: there, a repository that still has a blob is known, as it is to Distribution.
    async fn check_known(&self) -> Result<()> {
        let (driver, dir) = (&self.shared.driver, layout::manifests(&self.name));
        let known = if self.shared.flat() {
            let one = ListRequest::recursive(1);
            !driver.list(&dir, &one).await?.entries.is_empty()
                || !driver.list(&layout::layers(&self.name), &one).await?.entries.is_empty()
        } else {
            driver.exists(&dir).await?
        };
        known.then_some(()).ok_or_else(|| Error::NameUnknown { repository: self.name.clone() })
    }

    /// Tags after `after`, one more than `limit` if there are so many. One listing shows which there are and
    /// which of them are set; what a tag pointed at before is jumped over.
    async fn list_flat(&self, after: Option<String>, limit: usize) -> Result<Vec<Tag>> {
        let driver = self.shared.driver.as_ref();
        let mut names = Names::below(layout::tags(&self.name));
        let (mut tags, mut after) = (Vec::new(), after);
        while tags.len() <= limit
            && let Some(child) = names.child(driver, "", after.as_deref()).await?
        {
            if let Ok(tag) = Tag::parse(&child)
                && names.has(driver, &format!("{child}/{}", layout::TAG_CURRENT)).await?
            {
                tags.push(tag);
            }
            after = Some(child);
        }
        Ok(tags)
    }

    /// Removes a tag, with what it pointed at before. Its files are listed, which says whether it is there.
    async fn delete_flat(&self, tag: &Tag) -> Result<()> {
        let driver = &self.shared.driver;
        let dir = layout::tag_dir(&self.name, tag);
        let found = driver.list(&dir, &ListRequest::recursive(flat::PAGE)).await?;
        if found.entries.first().is_none_or(|first| first.name != layout::TAG_CURRENT) {
            return Err(self.unknown(tag));
        }
        let mut batch = Batch::new();
        for entry in &found.entries {
            batch = batch.remove(dir.join(&entry.name)?);
        }
        if found.more {
            batch = batch.then().delete(dir);
        }
        let (this, tag) = (self.clone(), tag.clone());
        let delete = async move {
            let deleted = this.shared.driver.apply(batch).await;
            if deleted.is_err()
                && let Err(error) = this.index_again(&tag).await
            {
                tracing::warn!(repository = %this.name, %tag, %error, "a tag that was deleted in part may have lost its index");
            }
            Ok(deleted?)
        };
        to_its_end("deleting a tag", delete).await
    }

    /// Sees to it that a tag which is still there has its index: without it, it would be left behind when its
    /// manifest is deleted.
    async fn index_again(&self, tag: &Tag) -> Result<()> {
        if let Some(target) = self.current(tag).await?
            && let Some(index) = layout::tag_index(&self.name, tag, &target)
        {
            self.shared.driver.put(&index, link::content(&target)).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl TagStore for Tags {
    async fn get(&self, tag: &Tag) -> Result<Digest> {
        let target = self.current(tag).await?.ok_or_else(|| self.unknown(tag))?;
        self.followed.put(&target);
        Ok(target)
    }

    async fn set(&self, tag: &Tag, target: &Descriptor, expect: TagExpect) -> Result<()> {
        let unsupported = || Error::DigestUnsupported { digest: target.digest.clone() };
        let index = layout::tag_index(&self.name, tag, &target.digest).ok_or_else(unsupported)?;
        let current = layout::tag_current(&self.name, tag);
        let content = link::content(&target.digest);
        let batch = Batch::new().put(index, content.clone());
        let batch = tagged::note(&self.shared, batch, &self.name, &target.digest, tag).then();
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
                return Err(Error::TagExists { repository: self.name.clone(), tag: tag.clone() });
            }
            result => result?,
        }
        if self.shared.flat() && !self.shared.driver.exists(&manifest).await? {
            // Another process has deleted the manifest meanwhile, as if this had come first.
            if self.current(tag).await?.as_ref() == Some(&target.digest) {
                self.shared.driver.apply(Batch::new().remove(layout::tag_current(&self.name, tag))).await?;
            }
            return Err(self.unknown(tag));
        }
        Ok(())
    }

    async fn delete(&self, tag: &Tag) -> Result<()> {
        self.shared.check_deletes()?;
        if self.shared.flat() {
            return self.delete_flat(tag).await;
        }
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
        if self.shared.flat() {
            let tags = self.list_flat(page.after.clone(), page.limit).await?;
            if tags.is_empty() {
                self.check_known().await?;
            }
            return Ok(Page::cut(tags, page.limit));
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
