//! Lists of what a caller may learn of.

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::{
    GlobalBlobs, Namespace, Page, PageRequest, Repository, RepositoryName, RepositoryRemover, RequestContext,
    Result,
};

use super::page::remaining;

/// Leaves repositories out of lists that the caller may not learn of, as
/// [`RequestContext::visible`](registry_core::RequestContext::visible) says. Where that is `None`, as it is without a
/// policy, lists pass as they are.
///
/// It belongs outermost, so that whatever middleware shows is judged too; the builder of the facade puts it there.
/// What may be done with a repository is not its affair: an access controller has decided that before.
#[derive(Debug)]
pub struct Visible {
    inner: Arc<dyn Namespace>,
}

impl Visible {
    /// Puts this around a namespace.
    pub fn new(inner: Arc<dyn Namespace>) -> Self {
        Self { inner }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Namespace for Visible {
    async fn repository(
        &self,
        cx: &Arc<RequestContext>,
        name: &RepositoryName,
    ) -> Result<Arc<dyn Repository>> {
        self.inner.repository(cx, name).await
    }

    async fn repositories(&self, cx: &RequestContext, page: &PageRequest) -> Result<Page<RepositoryName>> {
        match &cx.visible {
            None => self.inner.repositories(cx, page).await,
            Some(visible) => {
                let shows = |name: &RepositoryName| visible.shows(name);
                remaining(self.inner.as_ref(), cx, page, shows, visible.among()).await
            }
        }
    }

    fn blobs(&self) -> Arc<dyn GlobalBlobs> {
        self.inner.blobs()
    }

    fn remover(&self) -> Option<Arc<dyn RepositoryRemover>> {
        self.inner.remover()
    }
}

#[cfg(test)]
mod tests {
    use registry_core::Visibility;

    use super::*;
    use crate::testing::{Fake, image, name};

    /// Shows repositories with `own` in their names; says where they are if it is told.
    #[derive(Debug)]
    struct Own(Option<Vec<RepositoryName>>);

    impl Visibility for Own {
        fn shows(&self, name: &RepositoryName) -> bool {
            name.as_str().contains("own")
        }

        fn among(&self) -> Option<Vec<RepositoryName>> {
            self.0.clone()
        }
    }

    /// 500 repositories, of which `own` and three below it are shown.
    fn namespace() -> (Arc<Fake>, Visible) {
        let fake = Fake::new();
        for number in 0..500 {
            fake.add_manifest(&format!("r{number:03}"), &image(&[]), &[]);
        }
        for own in ["m", "own", "own/a", "own/b", "own-c", "owm/x"] {
            fake.add_manifest(own, &image(&[]), &[]);
        }
        let visible = Visible::new(Arc::<Fake>::clone(&fake));
        (fake, visible)
    }

    async fn names(visible: &Visible, among: Option<&[&str]>, page: PageRequest) -> (Vec<String>, bool) {
        let among = among.map(|names| names.iter().map(|text| name(text)).collect());
        let cx = RequestContext::new("1").with_visible(Some(Arc::new(Own(among))));
        let found = visible.repositories(&cx, &page).await.unwrap();
        (found.items.iter().map(ToString::to_string).collect(), found.more)
    }

    #[tokio::test]
    async fn lists_have_what_the_caller_may_learn_of() {
        let (_, visible) = namespace();
        for among in [None, Some(&["own", "own-c"][..]), Some(&["own", "own/a", "own-c", "zebra"])] {
            let all = names(&visible, among, PageRequest::first(10)).await;
            assert_eq!(all, (["own", "own/a", "own/b", "own-c"].map(str::to_owned).to_vec(), false));
            let first = names(&visible, among, PageRequest::first(2)).await;
            assert_eq!(first, (["own", "own/a"].map(str::to_owned).to_vec(), true));
            let second = names(&visible, among, PageRequest::after(2, "own/a")).await;
            assert_eq!(second, (["own/b", "own-c"].map(str::to_owned).to_vec(), false));
            let beyond = names(&visible, among, PageRequest::after(2, "own-c")).await;
            assert_eq!(beyond, (Vec::new(), false));
            assert_eq!(names(&visible, among, PageRequest::first(0)).await, (Vec::new(), false));
        }
        assert_eq!(names(&visible, Some(&[]), PageRequest::first(2)).await, (Vec::new(), false));
    }

    #[tokio::test]
    async fn without_a_visibility_lists_pass_as_they_are() {
        let (_, visible) = namespace();
        let found = visible.repositories(&RequestContext::new("1"), &PageRequest::first(1000)).await.unwrap();
        assert_eq!(found.items.len(), 506);
    }
}
