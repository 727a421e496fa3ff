//! Tags that never move.

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::{
    BuildError, ComposedRepository, Descriptor, Digest, Error, Glob, Manifest, ManifestStore, Page,
    PageRequest, PutManifest, ReferrerFilter, Repository, RepositoryMiddleware, RepositoryName,
    RequestContext, Result, Tag, TagExpect, TagStore,
};

/// Tags that match a pattern can be set once: to set one again to the same manifest is fine, to move or
/// delete it is not, nor is deleting the manifest that it points at. Other tags are not touched.
///
/// Of several requests that set a new tag at once one succeeds, in whatever process they are, because
/// the tag is asked for with [`TagExpect::Absent`]. What cannot be guarded here: a tag that is set while
/// its manifest is being deleted, and whoever works below this wrapper, such as the removal of a whole
/// repository.
///
/// | Attempt | Answer |
/// |---|---|
/// | to move a tag | [`Error::TagExists`] |
/// | to delete a tag, or the manifest under it | [`Error::Denied`] |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImmutableTags {
    pattern: Arc<Glob>,
}

impl ImmutableTags {
    /// Protects tags that match `pattern` as a whole; `*` in it stands for any text. A pattern that no
    /// tag can match protects nothing, see [`checked`](Self::checked).
    pub fn matching(pattern: impl Into<String>) -> Self {
        Self { pattern: Arc::new(Glob::new(pattern)) }
    }

    /// The same for a pattern that comes from a configuration.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] for a pattern that no tag can match, since it can only be a mistake.
    pub fn checked(pattern: impl Into<String>) -> Result<Self, BuildError> {
        let pattern = pattern.into();
        match Tag::parse(&pattern.replace('*', "x")) {
            Ok(_) => Ok(Self::matching(pattern)),
            Err(error) => Err(BuildError::Invalid {
                what: "pattern for tags",
                reason: format!("nothing can match {pattern:?}: {}", error.reason()),
            }),
        }
    }

    /// Puts this around a repository; cannot fail.
    pub fn around(&self, inner: Arc<dyn Repository>) -> Arc<dyn Repository> {
        let guard =
            Guard { tags: inner.tags(), pattern: Arc::clone(&self.pattern), name: inner.name().clone() };
        let manifests = Manifests { inner: inner.manifests(), guard: guard.clone() };
        Arc::new(ComposedRepository::of(inner).with_manifests(manifests).with_tags(Tags(guard)))
    }
}

#[async_trait]
impl RepositoryMiddleware for ImmutableTags {
    async fn wrap(
        &self,
        _cx: &Arc<RequestContext>,
        inner: Arc<dyn Repository>,
    ) -> Result<Arc<dyn Repository>> {
        Ok(self.around(inner))
    }
}

/// The rules, shared by everything that sets or deletes tags.
#[derive(Debug, Clone)]
struct Guard {
    tags: Arc<dyn TagStore>,
    pattern: Arc<Glob>,
    name: RepositoryName,
}

impl Guard {
    fn protects(&self, tag: &Tag) -> bool {
        self.pattern.matches(tag.as_str())
    }

    fn exists(&self, tag: &Tag) -> Error {
        Error::TagExists { repository: self.name.clone(), tag: tag.clone() }
    }

    fn immutable(&self, tag: &Tag) -> Error {
        Error::Denied { reason: format!("tag {tag} is immutable ({})", self.pattern.as_str()).into() }
    }

    /// Sets a protected tag, or finds that it points there already.
    async fn pin(&self, tag: &Tag, target: &Descriptor) -> Result<()> {
        match self.tags.set(tag, target, TagExpect::Absent).await {
            Err(Error::TagExists { .. }) => {}
            other => return other,
        }
        match self.tags.get(tag).await {
            Ok(current) if current == target.digest => Ok(()),
            // Gone between the two calls: whoever removed it works below us. The client may try again.
            Ok(_) | Err(Error::ManifestUnknown { .. }) => Err(self.exists(tag)),
            Err(failed) => Err(failed),
        }
    }

    /// Refuses early what [`pin`](Self::pin) would refuse, so that nothing is stored in vain.
    async fn check_movable(&self, tag: &Tag, target: &Digest) -> Result<()> {
        match self.tags.get(tag).await {
            Ok(current) if current != *target => Err(self.exists(tag)),
            Ok(_) | Err(Error::ManifestUnknown { .. } | Error::NameUnknown { .. }) => Ok(()),
            Err(failed) => Err(failed),
        }
    }
}

#[derive(Debug)]
struct Tags(Guard);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl TagStore for Tags {
    async fn get(&self, tag: &Tag) -> Result<Digest> {
        self.0.tags.get(tag).await
    }

    async fn set(&self, tag: &Tag, target: &Descriptor, expect: TagExpect) -> Result<()> {
        match expect {
            TagExpect::Any if self.0.protects(tag) => self.0.pin(tag, target).await,
            TagExpect::Any | TagExpect::Absent => self.0.tags.set(tag, target, expect).await,
        }
    }

    async fn delete(&self, tag: &Tag) -> Result<()> {
        if self.0.protects(tag) {
            // An unknown tag is unknown rather than immutable.
            self.0.tags.get(tag).await?;
            return Err(self.0.immutable(tag));
        }
        self.0.tags.delete(tag).await
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Tag>> {
        self.0.tags.list(page).await
    }

    async fn lookup(&self, target: &Digest) -> Result<Vec<Tag>> {
        self.0.tags.lookup(target).await
    }
}

#[derive(Debug)]
struct Manifests {
    inner: Arc<dyn ManifestStore>,
    guard: Guard,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ManifestStore for Manifests {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        self.inner.stat(digest).await
    }

    async fn get(&self, digest: &Digest) -> Result<Manifest> {
        self.inner.get(digest).await
    }

    /// Publishes with the free tags, then sets the protected ones. If one of those is lost to another
    /// request in between, the manifest and the free tags stay.
    async fn put(&self, manifest: &Manifest, mut options: PutManifest) -> Result<Descriptor> {
        let protected: Vec<Tag> = options.tags.extract_if(.., |tag| self.guard.protects(tag)).collect();
        for tag in &protected {
            self.guard.check_movable(tag, manifest.digest()).await?;
        }
        let stored = self.inner.put(manifest, options).await?;
        for tag in &protected {
            self.guard.pin(tag, &stored).await?;
        }
        Ok(stored)
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        let tags = self.guard.tags.lookup(digest).await?;
        match tags.iter().find(|tag| self.guard.protects(tag)) {
            Some(tag) => Err(self.guard.immutable(tag)),
            None => self.inner.delete(digest).await,
        }
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Digest>> {
        self.inner.list(page).await
    }

    async fn referrers(
        &self,
        subject: &Digest,
        filter: &ReferrerFilter,
        page: &PageRequest,
    ) -> Result<Page<Descriptor>> {
        self.inner.referrers(subject, filter, page).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fake, cx, image, tag};

    async fn guarded(fake: &Arc<Fake>) -> Arc<dyn Repository> {
        let inner = fake.open("a").await;
        ImmutableTags::matching("release-*").wrap(&cx("PUT"), inner).await.unwrap()
    }

    fn tagged(tags: &[&str]) -> PutManifest {
        PutManifest::default().with_tags(tags.iter().map(|text| tag(text)))
    }

    #[tokio::test]
    async fn a_protected_tag_is_set_once_and_may_be_set_again_to_the_same() {
        let fake = Fake::new();
        let repository = guarded(&fake).await;
        let (one, two) = (image(&[b"1"]), image(&[b"2"]));
        let stored = repository.manifests().put(&one, tagged(&["release-1", "latest"])).await.unwrap();
        repository.manifests().put(&one, tagged(&["release-1"])).await.unwrap();
        repository.tags().set(&tag("release-1"), &stored, TagExpect::Any).await.unwrap();

        let moved = repository.manifests().put(&two, tagged(&["latest", "release-1"])).await.unwrap_err();
        assert!(matches!(moved, Error::TagExists { tag: t, .. } if t == tag("release-1")));
        assert!(!fake.has_manifest("a", two.digest()), "nothing is stored in vain");
        assert_eq!(repository.tags().get(&tag("latest")).await.unwrap(), *one.digest());

        let two = repository.manifests().put(&two, tagged(&["latest"])).await.unwrap();
        let moved = repository.tags().set(&tag("release-1"), &two, TagExpect::Any).await.unwrap_err();
        assert!(matches!(moved, Error::TagExists { .. }));
        assert_eq!(repository.tags().get(&tag("release-1")).await.unwrap(), *one.digest());
        assert_eq!(repository.tags().get(&tag("latest")).await.unwrap(), two.digest);
    }

    #[tokio::test]
    async fn who_expects_absence_is_told_of_a_tag_that_is_there() {
        let fake = Fake::new();
        let repository = guarded(&fake).await;
        let stored = repository.manifests().put(&image(&[]), tagged(&["release-1"])).await.unwrap();
        let again = repository.tags().set(&tag("release-1"), &stored, TagExpect::Absent).await;
        assert!(matches!(again, Err(Error::TagExists { .. })));
    }

    #[tokio::test]
    async fn neither_the_tag_nor_the_manifest_under_it_can_be_deleted() {
        let fake = Fake::new();
        let repository = guarded(&fake).await;
        let kept = repository.manifests().put(&image(&[b"1"]), tagged(&["release-1"])).await.unwrap();
        let free = repository.manifests().put(&image(&[b"2"]), tagged(&["latest"])).await.unwrap();
        assert!(matches!(repository.tags().delete(&tag("release-1")).await, Err(Error::Denied { .. })));
        assert!(matches!(repository.manifests().delete(&kept.digest).await, Err(Error::Denied { .. })));
        assert_eq!(repository.tags().get(&tag("release-1")).await.unwrap(), kept.digest);

        let unknown = repository.tags().delete(&tag("release-2")).await.unwrap_err();
        assert!(matches!(unknown, Error::ManifestUnknown { .. }));
        repository.tags().delete(&tag("latest")).await.unwrap();
        repository.manifests().delete(&free.digest).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_many_that_set_a_tag_at_once_one_wins() {
        for _ in 0..20 {
            let fake = Fake::new();
            let mut setters = Vec::new();
            for number in 0..8u8 {
                let repository = guarded(&fake).await;
                setters.push(tokio::spawn(async move {
                    let manifest = image(&[&[number]]);
                    let outcome = if number % 2 == 0 {
                        repository.manifests().put(&manifest, tagged(&["release-1"])).await.map(|_| ())
                    } else {
                        let stored = repository.manifests().put(&manifest, tagged(&[])).await.unwrap();
                        repository.tags().set(&tag("release-1"), &stored, TagExpect::Any).await
                    };
                    (manifest.digest().clone(), outcome)
                }));
            }
            let mut winners = Vec::new();
            for setter in setters {
                match setter.await.unwrap() {
                    (digest, Ok(())) => winners.push(digest),
                    (_, Err(lost)) => assert!(matches!(lost, Error::TagExists { .. })),
                }
            }
            let current = fake.open("a").await.tags().get(&tag("release-1")).await.unwrap();
            assert_eq!(winners, [current]);
        }
    }

    /// Two setters that both looked before either wrote.
    #[tokio::test]
    async fn a_tag_that_is_lost_after_the_first_look_is_not_moved() {
        let fake = Fake::new();
        let repository = guarded(&fake).await;
        let other = fake.add_manifest("a", &image(&[b"other"]), &[]);
        let racing = Arc::clone(&fake);
        let winner = other.clone();
        fake.after_next_manifest_put(move || racing.force_tag("a", "release-1", &winner.digest));
        let ours = image(&[b"ours"]);
        let lost = repository.manifests().put(&ours, tagged(&["release-1", "latest"])).await.unwrap_err();
        assert!(matches!(lost, Error::TagExists { .. }));
        assert_eq!(repository.tags().get(&tag("release-1")).await.unwrap(), other.digest);
        assert_eq!(repository.tags().get(&tag("latest")).await.unwrap(), *ours.digest());
    }

    #[test]
    fn a_pattern_that_no_tag_can_match_is_a_mistake() {
        assert!(ImmutableTags::checked("release-*").is_ok());
        assert!(ImmutableTags::checked("*").is_ok());
        for pattern in ["", "^release", "v1/*", ".*", "release *"] {
            assert!(ImmutableTags::checked(pattern).is_err(), "{pattern}");
        }
    }
}
