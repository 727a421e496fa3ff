//! The list of repositories.

use std::sync::Arc;

use registry_core::{Namespace, PageRequest, RepositoryName, RequestContext};

use super::{image, publish, push, repository};

/// In the order of components, which is that of a walk: what is below a name follows it.
const NAMES: [&str; 10] = ["a", "a/b", "a/b/c", "a-b", "a.c", "ab", "b", "b/tags/list", "c/d/e", "z"];

async fn fill(namespace: &Arc<dyn Namespace>) {
    for text in NAMES.iter().rev() {
        publish(&repository(namespace, text).await, &image("x"), &["latest"]).await;
    }
}

async fn list(namespace: &Arc<dyn Namespace>, page: PageRequest) -> (Vec<String>, bool) {
    let cx = RequestContext::system("conformance");
    let page = namespace.repositories(&cx, &page).await.unwrap().map(|name: RepositoryName| name.to_string());
    (page.items, page.more)
}

/// `/` comes before every other character.
pub async fn repositories_are_listed_in_the_order_of_their_components(namespace: Arc<dyn Namespace>) {
    fill(&namespace).await;
    assert_eq!(list(&namespace, PageRequest::first(100)).await, (NAMES.map(str::to_owned).to_vec(), false));
}

/// Each once, whatever the size of the pages.
pub async fn repositories_are_listed_page_by_page(namespace: Arc<dyn Namespace>) {
    fill(&namespace).await;
    for limit in 1..=NAMES.len() + 1 {
        let mut found: Vec<String> = Vec::new();
        let mut page = PageRequest::first(limit);
        loop {
            let (items, more) = list(&namespace, page).await;
            assert!(items.len() <= limit);
            found.extend(items);
            if !more {
                break;
            }
            page = PageRequest::after(limit, found.last().unwrap().clone());
        }
        assert_eq!(found, NAMES, "pages of {limit}");
    }
    assert_eq!(list(&namespace, PageRequest::first(0)).await, (Vec::new(), false));
}

/// A repository is what holds manifests, or did.
pub async fn a_repository_with_blobs_alone_is_not_listed(namespace: Arc<dyn Namespace>) {
    push(&repository(&namespace, "blobs").await, "content").await;
    push(&repository(&namespace, "a/deep/one").await, "content").await;
    publish(&repository(&namespace, "a/deep/one/below").await, &image("x"), &[]).await;
    assert_eq!(list(&namespace, PageRequest::first(10)).await.0, ["a/deep/one/below"]);
}

/// Wherever it would be.
pub async fn a_page_begins_after_a_name_that_does_not_exist(namespace: Arc<dyn Namespace>) {
    fill(&namespace).await;
    let after = async |text: &str| list(&namespace, PageRequest::after(1, text)).await.0;
    assert_eq!(after("0").await, ["a"]);
    assert_eq!(after("a/a").await, ["a/b"]);
    assert_eq!(after("a/b/c/d/e").await, ["a-b"]);
    assert_eq!(after("a/z").await, ["a-b"]);
    assert_eq!(after("b/tags").await, ["b/tags/list"]);
    assert_eq!(after("y").await, ["z"]);
    assert!(after("z").await.is_empty());
    assert!(after("zz").await.is_empty());
    for odd in ["..", "../x", "/", ".", "-", " ", "\0"] {
        assert_eq!(after(odd).await, ["a"], "after {odd:?}");
    }
    for odd in ["a/..", "a//", "a/\0"] {
        assert_eq!(after(odd).await, ["a/b"], "after {odd:?}");
    }
    for odd in ["~", "\u{fffd}", "z/\u{fffd}"] {
        assert!(after(odd).await.is_empty(), "after {odd:?}");
    }
}

/// Not an error.
pub async fn an_empty_registry_has_an_empty_list(namespace: Arc<dyn Namespace>) {
    assert_eq!(list(&namespace, PageRequest::first(10)).await, (Vec::new(), false));
}
