//! Tags of a repository.

use std::sync::Arc;

use futures::future::join_all;
use registry_core::{Error, Namespace, PageRequest, Repository, Tag, TagExpect};

use super::{image, publish, push, repository, tag};
use crate::suite::refused;

/// To the last manifest it was set to; the earlier one stays.
pub async fn a_tag_moves(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let (old, new) = (image("old"), image("new"));
    publish(&one, &old, &["latest"]).await;
    publish(&one, &new, &["latest"]).await;
    assert_eq!(&one.tags().get(&tag("latest")).await.unwrap(), new.digest());
    one.manifests().get(old.digest()).await.unwrap();
    one.tags().set(&tag("latest"), &old.descriptor(), TagExpect::Any).await.unwrap();
    assert_eq!(&one.tags().get(&tag("latest")).await.unwrap(), old.digest());
}

/// And other tags of it.
pub async fn a_deleted_tag_leaves_its_manifest(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let pushed = image("x");
    publish(&one, &pushed, &["a", "b"]).await;
    one.tags().delete(&tag("a")).await.unwrap();
    refused!(one.tags().get(&tag("a")).await, Error::ManifestUnknown { .. }, "deleted");
    refused!(one.tags().delete(&tag("a")).await, Error::ManifestUnknown { .. }, "deleted twice");
    assert_eq!(&one.tags().get(&tag("b")).await.unwrap(), pushed.digest());
    one.manifests().get(pushed.digest()).await.unwrap();
    one.tags().set(&tag("a"), &pushed.descriptor(), TagExpect::Absent).await.unwrap();
    assert_eq!(&one.tags().get(&tag("a")).await.unwrap(), pushed.digest());
}

/// Upper case before lower case, digits before both.
pub async fn tags_are_listed_in_byte_order(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let tags = ["v1.tmp", "a", "B", "_x", "1", "a-b", "a.b", "a_b", "aa", "A", "10", "2"];
    publish(&one, &image("x"), &tags).await;
    let mut expected = tags.map(tag);
    expected.sort();
    let page = one.tags().list(&PageRequest::first(100)).await.unwrap();
    assert_eq!(page.items, expected);
    assert!(!page.more);
}

/// Each once; a page begins after a tag that need not exist.
pub async fn tags_are_listed_page_by_page(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let texts: Vec<String> = (0..25).map(|n| format!("t{n:02}")).collect();
    publish(&one, &image("x"), &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for limit in [1, 2, 5, 24, 25, 26] {
        let mut found: Vec<Tag> = Vec::new();
        let mut page = PageRequest::first(limit);
        loop {
            let part = one.tags().list(&page).await.unwrap();
            assert!(part.items.len() <= limit, "pages of {limit}");
            found.extend(part.items);
            if !part.more {
                break;
            }
            page = PageRequest::after(limit, found.last().unwrap().as_str());
        }
        assert_eq!(found.iter().map(Tag::as_str).collect::<Vec<_>>(), texts, "pages of {limit}");
    }
    let list = async |limit, after: &str| one.tags().list(&PageRequest::after(limit, after)).await.unwrap();
    assert_eq!(list(1, "t0").await.items, [tag("t00")], "after one that does not exist");
    assert_eq!(list(1, "t10zzz").await.items, [tag("t11")], "after one that does not exist");
    let last = list(5, "t24").await;
    assert!(last.items.is_empty() && !last.more, "the page after the last");
    let none = one.tags().list(&PageRequest::first(0)).await.unwrap();
    assert!(none.items.is_empty() && !none.more, "a page of none");
}

/// Clients may say any text for the last tag.
pub async fn a_page_of_tags_begins_after_any_text(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let tags = ["0", "9", "A", "Z", "_x", "a", "a-b", "a.b", "a0", "z"];
    publish(&one, &image("x"), &tags).await;
    let odd = [
        "..",
        "../",
        "../../one",
        ".",
        "./a",
        "-",
        "/",
        "/a",
        "a/",
        "a/..",
        "a/b",
        "a//",
        "a\0",
        " ",
        "9:",
        "@",
        "Z[",
        "^",
        "`",
        "a~",
        "a\u{fffd}",
        "z{",
        "~",
        "\u{10ffff}",
        "a-b\n",
        &"a".repeat(2000),
        &"z".repeat(2000),
    ];
    for after in odd {
        let expected: Vec<&str> = tags.into_iter().filter(|tag| *tag > after).collect();
        let page = one.tags().list(&PageRequest::after(100, after)).await.unwrap();
        assert_eq!(page.items.iter().map(Tag::as_str).collect::<Vec<_>>(), expected, "after {after:?}");
    }
}

/// One that holds only blobs has none either, or an empty one: a bucket cannot tell it from one whose last manifest
/// was deleted.
pub async fn an_unknown_repository_has_no_list_of_tags(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    refused!(one.tags().list(&PageRequest::first(10)).await, Error::NameUnknown { .. }, "nothing here");
    refused!(one.tags().list(&PageRequest::first(0)).await, Error::NameUnknown { .. }, "nothing here");
    push(&one, "content").await;
    no_tags(&one).await;
    publish(&repository(&namespace, "one/below").await, &image("x"), &["a"]).await;
    no_tags(&one).await;
}

async fn no_tags(repository: &Arc<dyn Repository>) {
    match repository.tags().list(&PageRequest::first(10)).await {
        Ok(page) => assert!(page.items.is_empty() && !page.more, "tags of a blob alone: {:?}", page.items),
        Err(error) => assert!(matches!(error, Error::NameUnknown { .. }), "a blob alone: {error}"),
    }
}

/// Immutable tags rest on this.
pub async fn one_of_many_that_expect_a_tag_absent_wins(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    for n in 0..16 {
        publish(&one, &image(&n.to_string()), &[]).await;
    }
    let setters = (0..16).map(|n| {
        let namespace = Arc::clone(&namespace);
        tokio::spawn(async move {
            let one = repository(&namespace, "one").await;
            let target = image(&n.to_string()).descriptor();
            match one.tags().set(&tag("release"), &target, TagExpect::Absent).await {
                Ok(()) => Some(target.digest),
                Err(Error::TagExists { .. }) => None,
                Err(error) => panic!("{error}"),
            }
        })
    });
    let winners: Vec<_> = join_all(setters).await.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(winners.len(), 1, "exactly one wins");
    assert_eq!(one.tags().get(&tag("release")).await.unwrap(), winners[0]);
}

/// Not even to where it points.
pub async fn a_tag_that_is_expected_absent_is_not_moved(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let (old, new) = (image("old"), image("new"));
    publish(&one, &old, &["release"]).await;
    publish(&one, &new, &[]).await;
    for target in [&new, &old] {
        let set = one.tags().set(&tag("release"), &target.descriptor(), TagExpect::Absent).await;
        refused!(set, Error::TagExists { .. }, "it exists");
    }
    assert_eq!(&one.tags().get(&tag("release")).await.unwrap(), old.digest());
}

/// Those that point at it now, not those that once did.
pub async fn the_tags_of_a_manifest_are_found(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let (old, new) = (image("old"), image("new"));
    publish(&one, &old, &["a", "b", "c"]).await;
    publish(&one, &new, &["b"]).await;
    let mut found = one.tags().lookup(old.digest()).await.unwrap();
    found.sort();
    assert_eq!(found, [tag("a"), tag("c")]);
    assert_eq!(one.tags().lookup(new.digest()).await.unwrap(), [tag("b")]);
    let unknown = image("unknown");
    assert!(one.tags().lookup(unknown.digest()).await.unwrap().is_empty());
}

/// Never at nothing, and what it points at is there.
pub async fn a_tag_that_moves_points_at_the_old_or_the_new(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    publish(&one, &image("0"), &["latest"]).await;
    let mover = {
        let namespace = Arc::clone(&namespace);
        tokio::spawn(async move {
            let one = repository(&namespace, "one").await;
            for n in 1..40 {
                publish(&one, &image(&n.to_string()), &["latest"]).await;
            }
        })
    };
    while !mover.is_finished() {
        let digest = one.tags().get(&tag("latest")).await.unwrap();
        one.manifests().get(&digest).await.unwrap();
        tokio::task::yield_now().await;
    }
    mover.await.unwrap();
}

/// Only a manifest of the repository can be tagged.
pub async fn a_tag_is_not_set_to_what_is_not_there(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    publish(&repository(&namespace, "two").await, &image("elsewhere"), &[]).await;
    for expect in [TagExpect::Any, TagExpect::Absent] {
        let set = one.tags().set(&tag("a"), &image("elsewhere").descriptor(), expect).await;
        refused!(set, Error::ManifestUnknown { .. }, "a manifest of another repository");
    }
    refused!(one.tags().get(&tag("a")).await, Error::ManifestUnknown { .. }, "no tag was set");
}

/// Whoever pushes or tags at the same moment comes before the delete or after it.
pub async fn a_delete_leaves_no_tag_without_a_manifest(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let pushed = image("x");
    for _ in 0..30 {
        publish(&one, &pushed, &["a"]).await;
        let publishing = publish(&one, &pushed, &["b", "c"]);
        let target = pushed.descriptor();
        let (tags, d) = (one.tags(), tag("d"));
        let tagging = tags.set(&d, &target, TagExpect::Any);
        let manifests = one.manifests();
        let deleting = manifests.delete(pushed.digest());
        let ((), tagged, deleted) = futures::join!(publishing, tagging, deleting);
        deleted.unwrap();
        assert!(matches!(tagged, Ok(()) | Err(Error::ManifestUnknown { .. })), "{tagged:?}");
        let there = one.manifests().get(pushed.digest()).await.is_ok();
        for text in ["a", "b", "c", "d"] {
            let points = one.tags().get(&tag(text)).await.is_ok();
            assert!(there || !points, "{text} points at a manifest that is gone");
        }
    }
}
