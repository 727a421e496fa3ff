//! A part of a registry that looks like all of it.

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::{
    Blob, BuildError, Descriptor, Digest, Error, Glob, GlobalBlobs, Namespace, Page, PageRequest,
    RegistryMiddleware, Repository, RepositoryName, RepositoryRemover, RequestContext, Result, StorageDriver,
};

use super::page::remaining;

/// Shows only the repositories whose names match a pattern; the others look as if they did not exist.
///
/// In a pattern `*` stands for any text within a path component and `**` for any text across components,
/// so `team/*` is `team/app` but not `team/app/debug`, and `team/**` is both. Names match as a whole. No
/// pattern, no repositories.
///
/// Content across repositories is hidden altogether: a digest does not say in which repository it is, so
/// [`GlobalBlobs`] could give away what is hidden. A mount without a source then becomes an upload, and
/// garbage collection has to work on the namespace below.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Select {
    allow: Arc<[Glob]>,
}

impl Select {
    /// Shows repositories that match one of the patterns.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] for a pattern that no repository name can match, since it can only be a
    /// mistake.
    pub fn allow<I>(patterns: I) -> Result<Self, BuildError>
    where
        I: IntoIterator<Item: Into<String>>,
    {
        let globs: Result<Vec<Glob>, BuildError> = patterns.into_iter().map(|p| checked(p.into())).collect();
        Ok(Self { allow: globs?.into() })
    }

    /// Puts this around a namespace; cannot fail.
    pub fn around(&self, inner: Arc<dyn Namespace>) -> Arc<dyn Namespace> {
        Arc::new(Selected { inner, select: self.clone() })
    }

    fn shows(&self, name: &RepositoryName) -> bool {
        self.allow.iter().any(|glob| glob.matches(name.as_str()))
    }

    fn check(&self, name: &RepositoryName) -> Result<()> {
        if self.shows(name) { Ok(()) } else { Err(Error::NameUnknown { repository: name.clone() }) }
    }
}

/// The pattern, if some repository name can match it: each `*` may stand for a letter.
fn checked(pattern: String) -> Result<Glob, BuildError> {
    match RepositoryName::parse(&pattern.replace('*', "x")) {
        Ok(_) => Ok(Glob::new(pattern)),
        Err(error) => Err(BuildError::Invalid {
            what: "pattern for repository names",
            reason: format!("nothing can match {pattern:?}: {}", error.reason()),
        }),
    }
}

#[async_trait]
impl RegistryMiddleware for Select {
    async fn wrap(
        &self,
        inner: Arc<dyn Namespace>,
        _driver: &Arc<dyn StorageDriver>,
    ) -> Result<Arc<dyn Namespace>, BuildError> {
        Ok(self.around(inner))
    }
}

#[derive(Debug)]
struct Selected {
    inner: Arc<dyn Namespace>,
    select: Select,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Namespace for Selected {
    async fn repository(
        &self,
        cx: &Arc<RequestContext>,
        name: &RepositoryName,
    ) -> Result<Arc<dyn Repository>> {
        self.select.check(name)?;
        self.inner.repository(cx, name).await
    }

    async fn repositories(&self, cx: &RequestContext, page: &PageRequest) -> Result<Page<RepositoryName>> {
        remaining(self.inner.as_ref(), cx, page, |name| self.select.shows(name), None).await
    }

    fn blobs(&self) -> Arc<dyn GlobalBlobs> {
        Arc::new(Hidden)
    }

    fn remover(&self) -> Option<Arc<dyn RepositoryRemover>> {
        let inner = self.inner.remover()?;
        Some(Arc::new(Remover { inner, select: self.select.clone() }))
    }
}

/// No content at all.
#[derive(Debug)]
struct Hidden;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl GlobalBlobs for Hidden {
    async fn stat(&self, _digest: &Digest) -> Result<Option<Descriptor>> {
        Ok(None)
    }

    async fn get(&self, _digest: &Digest) -> Result<Option<Blob>> {
        Ok(None)
    }

    async fn list(&self, _page: &PageRequest) -> Result<Page<Digest>> {
        Ok(Page::default())
    }

    async fn delete(&self, _digest: &Digest) -> Result<()> {
        Err(Error::unsupported("deleting content in a selection of repositories"))
    }
}

#[derive(Debug)]
struct Remover {
    inner: Arc<dyn RepositoryRemover>,
    select: Select,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl RepositoryRemover for Remover {
    async fn remove(&self, name: &RepositoryName) -> Result<()> {
        self.select.check(name)?;
        self.inner.remove(name).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fake, cx, digest, image, name};

    fn names(namespace: &Page<RepositoryName>) -> Vec<&str> {
        namespace.items.iter().map(RepositoryName::as_str).collect()
    }

    /// 300 repositories `r000` to `r299`, of which every hundredth also exists below `team/`.
    fn many() -> Arc<Fake> {
        let fake = Fake::new();
        for number in 0..300 {
            fake.add_manifest(&format!("r{number:03}"), &image(&[]), &[]);
        }
        for number in ["team/a", "team/b", "team/b/deep", "team/c"] {
            fake.add_manifest(number, &image(&[]), &[]);
        }
        fake
    }

    #[tokio::test]
    async fn pages_are_full_although_most_names_are_hidden() {
        let namespace = Select::allow(["r*99", "team/*"]).unwrap().around(many());
        let page = |limit, after: Option<&str>| {
            let request = PageRequest { limit, after: after.map(str::to_owned) };
            let namespace = Arc::clone(&namespace);
            async move { namespace.repositories(&cx("GET"), &request).await.unwrap() }
        };
        let first = page(2, None).await;
        assert_eq!((names(&first), first.more), (vec!["r099", "r199"], true));
        let second = page(2, Some("r199")).await;
        assert_eq!((names(&second), second.more), (vec!["r299", "team/a"], true));
        let third = page(2, Some("team/a")).await;
        assert_eq!((names(&third), third.more), (vec!["team/b", "team/c"], false));
        let beyond = page(2, Some("team/c")).await;
        assert_eq!((names(&beyond), beyond.more), (vec![], false));
        let exact = page(6, None).await;
        assert_eq!((exact.items.len(), exact.more), (6, false));
        assert_eq!(page(0, None).await, Page::default());
        assert_eq!(page(usize::MAX, None).await.items.len(), 6);
    }

    #[tokio::test]
    async fn a_hidden_repository_looks_unknown() {
        let fake = many();
        fake.add_blob("r001", b"secret");
        let namespace = Select::allow(["team/**"]).unwrap().around(fake);
        assert!(namespace.repository(&cx("GET"), &name("team/b/deep")).await.is_ok());
        let hidden = namespace.repository(&cx("GET"), &name("r001")).await.unwrap_err();
        assert!(matches!(hidden, Error::NameUnknown { .. }));
        assert_eq!(namespace.blobs().stat(&digest(b"secret")).await.unwrap(), None);
        let remover = namespace.remover().unwrap();
        assert!(matches!(remover.remove(&name("r001")).await, Err(Error::NameUnknown { .. })));
        assert!(remover.remove(&name("team/a")).await.is_ok());
    }

    #[tokio::test]
    async fn no_pattern_shows_nothing() {
        let namespace = Select::default().around(many());
        assert_eq!(
            namespace.repositories(&cx("GET"), &PageRequest::first(5)).await.unwrap(),
            Page::default()
        );
    }

    #[test]
    fn a_pattern_that_nothing_can_match_is_a_mistake() {
        for pattern in ["", "Team/*", "/team/*", "team//a", "https://host/team"] {
            let error = Select::allow([pattern]).unwrap_err();
            assert!(error.to_string().contains("nothing can match"), "{error}");
        }
        assert!(Select::allow(["a*", "*/b", "**", "a-**-b"]).is_ok());
    }
}
