//! Listings: order, pages, and what is not in them.

use std::sync::Arc;

use registry_core::{Batch, Entry, ListMode, ListRequest, StorageDriver, StorageDriverExt, StoragePath};

use super::{path, put};

/// Names whose order is another if a directory counts as its name with a `/` after it.
const CHILDREN: [(&str, bool); 10] = [
    ("-", false),
    (".b", true),
    ("0", false),
    ("B", false),
    ("_", false),
    ("a", true),
    ("a-b", false),
    ("a.c", true),
    ("a0", false),
    ("ab", true),
];

async fn fill(driver: &dyn StorageDriver) {
    for (name, is_dir) in CHILDREN {
        if is_dir {
            put(driver, &format!("/dir/{name}/one"), "x").await;
            put(driver, &format!("/dir/{name}/sub/two"), "x").await;
        } else {
            put(driver, &format!("/dir/{name}"), "x").await;
        }
    }
    put(driver, "/dir-beside", "x").await;
    put(driver, "/dir.beside/file", "x").await;
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.name.as_str()).collect()
}

async fn children(
    driver: &dyn StorageDriver,
    dir: &str,
    after: Option<&str>,
    limit: usize,
) -> (Vec<Entry>, bool) {
    let request = ListRequest::children(limit).after(after.map(str::to_owned));
    let page =
        driver.list(&path(dir), &request).await.unwrap_or_else(|error| panic!("{request:?}: {error:?}"));
    assert!(page.entries.len() <= limit, "{request:?} was answered with {} entries", page.entries.len());
    (page.entries, page.more)
}

/// Children are in byte order of their names, each once, and directories are marked.
pub async fn children_are_in_byte_order(driver: Arc<dyn StorageDriver>) {
    fill(&*driver).await;
    let (entries, more) = children(&*driver, "/dir", None, 100).await;
    let found: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.is_dir)).collect();
    assert_eq!(found, CHILDREN);
    assert!(!more, "all of it is on the page");
    let root = driver.list_all(&StoragePath::root(), ListMode::Children).await.unwrap();
    assert_eq!(names(&root), ["dir", "dir-beside", "dir.beside"], "the root can be listed too");
}

/// `after` is exclusive, may be any text, and a directory that it names is not begun again.
pub async fn children_follow_a_name_that_need_not_exist(driver: Arc<dyn StorageDriver>) {
    fill(&*driver).await;
    let cases = [
        ("", CHILDREN.len()),
        ("!", CHILDREN.len()),
        ("-", 9),
        ("a", 4),
        ("a+", 4),
        ("a-b", 3),
        ("a-b0", 3),
        ("a/", 2),
        ("a/zzz", 2),
        ("a.c", 2),
        ("ab", 0),
        ("zzz", 0),
        ("é", 0),
    ];
    for (after, left) in cases {
        let (entries, more) = children(&*driver, "/dir", Some(after), 100).await;
        let expected: Vec<_> = CHILDREN[CHILDREN.len() - left..].iter().map(|(name, _)| *name).collect();
        assert_eq!(names(&entries), expected, "after {after:?}");
        assert!(!more, "after {after:?} all of it is on the page");
    }
}

/// Pages of any size join up to the whole, and `more` is right on each.
pub async fn pages_of_children_join_up(driver: Arc<dyn StorageDriver>) {
    fill(&*driver).await;
    for limit in 1..=CHILDREN.len() + 1 {
        let mut found: Vec<Entry> = Vec::new();
        loop {
            let after = found.last().map(|entry| entry.name.clone());
            let (entries, more) = children(&*driver, "/dir", after.as_deref(), limit).await;
            assert!(!more || entries.len() == limit, "a page before the last is full");
            found.extend(entries);
            assert_eq!(more, found.len() < CHILDREN.len(), "more after {} entries by {limit}", found.len());
            if !more {
                break;
            }
        }
        assert_eq!(found.len(), CHILDREN.len(), "pages of {limit}");
        assert!(found.iter().zip(CHILDREN).all(|(entry, (name, _))| entry.name == name), "pages of {limit}");
    }
}

/// A page of no entries has none.
pub async fn a_page_of_nothing_is_empty(driver: Arc<dyn StorageDriver>) {
    fill(&*driver).await;
    for mode in [ListMode::Children, ListMode::Recursive] {
        let page = driver.list(&path("/dir"), &ListRequest { mode, after: None, limit: 0 }).await.unwrap();
        assert_eq!(page.entries, [], "{mode:?} with a limit of 0");
    }
}

/// A directory that does not exist is empty, and so is a file.
pub async fn what_is_no_directory_is_empty(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/file", "x").await;
    for at in ["/absent", "/absent/absent", "/fil", "/file", "/file/below"] {
        for mode in [ListMode::Children, ListMode::Recursive] {
            let page = driver.list(&path(at), &ListRequest { mode, after: None, limit: 10 }).await;
            let page = page.unwrap_or_else(|error| panic!("{mode:?} of {at}: {error:?}"));
            assert_eq!((page.entries, page.more), (vec![], false), "{mode:?} of {at}");
        }
    }
}

/// What begins like a directory is not in it.
pub async fn a_prefix_of_a_name_is_not_its_directory(driver: Arc<dyn StorageDriver>) {
    for at in ["/repo/a/x", "/repo/ab/y", "/repo/a-b/z", "/repo/a.b", "/rep/o"] {
        put(&*driver, at, "x").await;
    }
    assert_eq!(names(&driver.list_all(&path("/repo/a"), ListMode::Children).await.unwrap()), ["x"]);
    assert_eq!(names(&driver.list_all(&path("/repo/a"), ListMode::Recursive).await.unwrap()), ["x"]);
    assert_eq!(names(&driver.list_all(&path("/rep"), ListMode::Recursive).await.unwrap()), ["o"]);
}

/// A recursive listing has every file below a directory exactly once, whatever the size of its pages.
pub async fn recursive_lists_every_file_once(driver: Arc<dyn StorageDriver>) {
    fill(&*driver).await;
    let mut expected: Vec<String> = Vec::new();
    for (name, is_dir) in CHILDREN {
        if is_dir {
            expected.extend([format!("{name}/one"), format!("{name}/sub/two")]);
        } else {
            expected.push(name.to_owned());
        }
    }
    expected.sort();
    let whole = driver.list_all(&path("/dir"), ListMode::Recursive).await.unwrap();
    assert!(whole.iter().all(|entry| !entry.is_dir), "only files are listed");
    for limit in [1, 2, 3, 5, expected.len(), 100] {
        let mut found: Vec<Entry> = Vec::new();
        loop {
            let after = found.last().map(|entry| entry.name.clone());
            let page = driver.list(&path("/dir"), &ListRequest::recursive(limit).after(after)).await.unwrap();
            assert!(page.entries.len() <= limit, "a page of {limit} has {} entries", page.entries.len());
            assert!(!page.more || !page.entries.is_empty(), "a page before the last has entries");
            found.extend(page.entries);
            assert!(found.len() <= expected.len(), "pages of {limit} repeat themselves: {:?}", names(&found));
            if !page.more {
                break;
            }
        }
        assert_eq!(found, whole, "pages of {limit} have the order of the whole");
        let mut sorted = names(&found);
        sorted.sort_unstable();
        assert_eq!(sorted, expected, "pages of {limit} have every file once");
    }
}

/// Directories that are empty, if a driver keeps them, are neither listed nor promised.
pub async fn recursive_counts_files_only(driver: Arc<dyn StorageDriver>) {
    for at in ["/dir/a/file", "/dir/b/file", "/dir/z/sub/file"] {
        put(&*driver, at, "x").await;
    }
    driver.apply(Batch::new().delete(path("/dir/a/file")).delete(path("/dir/z/sub/file"))).await.unwrap();
    let page = driver.list(&path("/dir"), &ListRequest::recursive(1)).await.unwrap();
    assert_eq!(names(&page.entries), ["b/file"]);
    assert!(!page.more, "no file follows");
}

/// A directory with more entries than any store returns at once is listed page by page.
pub async fn many_files_are_listed(driver: Arc<dyn StorageDriver>) {
    const FILES: usize = 1050;
    for first in (0..FILES).step_by(50) {
        let batch = (first..first + 50).fold(Batch::new(), |batch, n| {
            batch.step(
                registry_core::Change::Put {
                    path: path(&format!("/many/{n:04}")),
                    content: "x".into(),
                    mode: registry_core::PutMode::Overwrite,
                },
                registry_core::Durability::Relaxed,
            )
        });
        driver.apply(batch).await.unwrap();
    }
    for mode in [ListMode::Children, ListMode::Recursive] {
        let mut entries = driver.list_all(&path("/many"), mode).await.unwrap();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(entries.len(), FILES, "{mode:?}");
        assert!(entries.iter().enumerate().all(|(n, entry)| entry.name == format!("{n:04}")), "{mode:?}");
    }
    let page = driver.list(&path("/many"), &ListRequest::children(FILES + 1)).await.unwrap();
    assert_eq!((page.entries.len(), page.more), (FILES, false), "a large page is filled");
}
