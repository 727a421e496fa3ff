//! Batches: renames, deletes, stages and their order.

use std::sync::Arc;

use futures::future::join_all;
use registry_core::{Batch, Change, Durability, PutMode, StorageDriver, StorageError};

use super::{exists, get, is_file, path, put};
use crate::data::{assert_same, random};
use crate::suite::refused;

/// A batch without steps succeeds.
pub async fn an_empty_batch_does_nothing(driver: Arc<dyn StorageDriver>) {
    driver.apply(Batch::new()).await.expect("nothing can be done");
    driver.apply(Batch::new().then().then()).await.expect("nothing in stages can be done");
}

/// A rename moves a file and makes the directories it needs.
pub async fn rename_moves_and_creates_directories(driver: Arc<dyn StorageDriver>) {
    let content = random(1, 10_000);
    put(&*driver, "/from/file", content.clone()).await;
    driver.apply(Batch::new().rename(path("/from/file"), path("/to/some/where"))).await.unwrap();
    assert_same(&get(&*driver, "/to/some/where").await, &content, "the moved file");
    assert!(!exists(&*driver, "/from/file").await, "a moved file is not where it was");
}

/// A rename replaces what is at its destination.
pub async fn rename_replaces(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/a", "new").await;
    put(&*driver, "/b", "old and longer").await;
    driver.apply(Batch::new().rename(path("/a"), path("/b"))).await.unwrap();
    assert_eq!(get(&*driver, "/b").await, "new");
    assert!(!exists(&*driver, "/a").await);
}

/// A rename of nothing fails, and its destination stays as it was.
pub async fn rename_without_a_source_changes_nothing(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/to", "old").await;
    let onto = driver.apply(Batch::new().rename(path("/absent"), path("/to"))).await;
    refused!(onto, StorageError::NotFound { .. }, "rename of nothing onto a file");
    assert_eq!(get(&*driver, "/to").await, "old", "the destination is untouched");
    let beside = driver.apply(Batch::new().rename(path("/absent"), path("/new/file"))).await;
    refused!(beside, StorageError::NotFound { .. }, "rename of nothing to nothing");
    assert!(!is_file(&*driver, "/new/file").await, "a failed rename makes no file");
}

/// While a file is replaced, by a put or by a rename, somebody is always there.
pub async fn a_replaced_file_is_never_absent(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/file", "0").await;
    let writer = {
        let driver = Arc::clone(&driver);
        tokio::spawn(async move {
            for round in 0..20 {
                put(&*driver, "/file", "put").await;
                let from = path(&format!("/work/{round}"));
                let batch = Batch::new().put(from.clone(), "renamed").then().rename(from, path("/file"));
                driver.apply(batch).await.expect("the source was put by the stage before");
            }
        })
    };
    while !writer.is_finished() {
        let content = get(&*driver, "/file").await;
        assert!(["0", "put", "renamed"].iter().any(|&known| content == known), "unknown content {content:?}");
        tokio::task::yield_now().await;
    }
    writer.await.expect("the writer succeeds");
}

/// A delete removes a file, or a directory with everything below it.
pub async fn delete_removes_files_and_directories(driver: Arc<dyn StorageDriver>) {
    for at in ["/d/a", "/d/b", "/d/sub/c", "/d/sub/sub/e", "/f"] {
        put(&*driver, at, "x").await;
    }
    driver.apply(Batch::new().delete(path("/d/a"))).await.unwrap();
    assert!(!exists(&*driver, "/d/a").await, "the file is gone");
    assert!(exists(&*driver, "/d/b").await, "the file next to it is not");
    driver.apply(Batch::new().delete(path("/d"))).await.unwrap();
    for at in ["/d", "/d/b", "/d/sub", "/d/sub/c", "/d/sub/sub/e"] {
        assert!(!exists(&*driver, at).await, "{at} went with its directory");
    }
    assert!(exists(&*driver, "/f").await, "what is outside of the directory stays");
}

/// Nothing there is no error, however often.
pub async fn delete_of_nothing_succeeds(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/dir/file", "x").await;
    for at in ["/absent", "/absent/below", "/dir/absent", "/dir/file", "/dir/file", "/dir", "/dir"] {
        let deleted = driver.apply(Batch::new().delete(path(at))).await;
        deleted.unwrap_or_else(|error| panic!("delete of {at}: {error:?}"));
    }
}

/// `/a` goes without `/ab`.
pub async fn delete_spares_names_that_share_a_prefix(driver: Arc<dyn StorageDriver>) {
    for at in ["/a/file", "/ab/file", "/a-b/file", "/a.b", "/a0", "/b/a/file"] {
        put(&*driver, at, at).await;
    }
    driver.apply(Batch::new().delete(path("/a"))).await.unwrap();
    assert!(!exists(&*driver, "/a/file").await);
    for at in ["/ab/file", "/a-b/file", "/a.b", "/a0", "/b/a/file"] {
        assert_eq!(get(&*driver, at).await, at, "{at} is not below /a");
    }
}

/// After a delete the path is free, for a file or for a directory.
pub async fn a_deleted_path_can_be_used_again(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/x", "file").await;
    driver.apply(Batch::new().delete(path("/x")).then().put(path("/x/below"), "directory")).await.unwrap();
    assert_eq!(get(&*driver, "/x/below").await, "directory");
    driver.apply(Batch::new().delete(path("/x")).then().put(path("/x"), "file again")).await.unwrap();
    assert_eq!(get(&*driver, "/x").await, "file again");
}

/// Steps of one stage, on different paths, are all done.
pub async fn steps_of_one_stage_are_all_done(driver: Arc<dyn StorageDriver>) {
    for at in ["/renamed", "/replaced", "/deleted", "/dir/deleted"] {
        put(&*driver, at, "old").await;
    }
    let mut batch = Batch::new()
        .put(path("/replaced"), "new")
        .create(path("/created"), "new")
        .rename(path("/renamed"), path("/moved"))
        .delete(path("/deleted"))
        .delete(path("/dir"));
    for n in 0..30 {
        batch = batch.put(path(&format!("/many/{n}")), n.to_string());
    }
    driver.apply(batch).await.unwrap();
    for (at, content) in [("/replaced", "new"), ("/created", "new"), ("/moved", "old"), ("/many/29", "29")] {
        assert_eq!(get(&*driver, at).await, content, "{at}");
    }
    for at in ["/renamed", "/deleted", "/dir/deleted"] {
        assert!(!exists(&*driver, at).await, "{at} is gone");
    }
}

/// A stage sees what the stages before it did.
pub async fn later_stages_build_on_earlier_ones(driver: Arc<dyn StorageDriver>) {
    let batch = Batch::new()
        .put(path("/one"), "content")
        .then()
        .rename(path("/one"), path("/two"))
        .then()
        .put(path("/one"), "again")
        .rename(path("/two"), path("/three"))
        .then()
        .delete(path("/one"));
    driver.apply(batch).await.unwrap();
    assert_eq!(get(&*driver, "/three").await, "content");
    assert!(!exists(&*driver, "/one").await && !exists(&*driver, "/two").await);
}

/// If a step fails, nothing of the stages after it is done.
pub async fn a_failed_stage_ends_the_batch(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/kept", "old").await;
    let tail = |batch: Batch| batch.then().put(path("/kept"), "new").put(path("/later"), "new");
    let renamed = driver.apply(tail(Batch::new().rename(path("/absent"), path("/to")))).await;
    refused!(renamed, StorageError::NotFound { .. }, "a batch that begins with a rename of nothing");
    let created = driver.apply(tail(Batch::new().create(path("/kept"), "new"))).await;
    refused!(
        created,
        StorageError::AlreadyExists { .. },
        "a batch that begins with a create of what is there"
    );
    assert_eq!(get(&*driver, "/kept").await, "old", "the stage after the failure was not done");
    assert!(!is_file(&*driver, "/later").await, "the stage after the failure was not done");
}

/// Remove takes a file and nothing below the path; nothing there is no error.
pub async fn remove_removes_a_file_alone(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/dir/file", "x").await;
    put(&*driver, "/dir/file2", "x").await;
    put(&*driver, "/other", "x").await;
    let batch = Batch::new()
        .remove(path("/dir/file"))
        .remove(path("/absent"))
        .remove(path("/dir/absent"))
        .remove(path("/other/below"));
    for _ in 0..2 {
        driver.apply(batch.clone()).await.expect("what is there is removed, what is not is not missed");
        assert!(!exists(&*driver, "/dir/file").await);
        assert!(is_file(&*driver, "/dir/file2").await && is_file(&*driver, "/other").await);
    }
    driver.apply(Batch::new().remove(path("/dir"))).await.expect("a directory is no file");
    assert!(is_file(&*driver, "/dir/file2").await, "a directory stays");
}

/// Whoever sees a stage sees the stages before it.
pub async fn later_stages_are_never_seen_first(driver: Arc<dyn StorageDriver>) {
    let writer = {
        let driver = Arc::clone(&driver);
        tokio::spawn(async move {
            for round in 0..30 {
                let data = path(&format!("/data/{round}"));
                let batch = Batch::new()
                    .put(data.clone(), round.to_string())
                    .put(path(&format!("/more/{round}")), round.to_string())
                    .then()
                    .put(path("/link"), round.to_string());
                driver.apply(batch).await.expect("the batch succeeds");
            }
        })
    };
    while !writer.is_finished() {
        if is_file(&*driver, "/link").await {
            let round = get(&*driver, "/link").await;
            let round = std::str::from_utf8(&round).unwrap();
            for at in [format!("/data/{round}"), format!("/more/{round}")] {
                assert!(is_file(&*driver, &at).await, "the link was seen before {at}");
            }
        }
        tokio::task::yield_now().await;
    }
    writer.await.expect("the writer succeeds");
}

/// A caller that lost the answer asks again. What replaces succeeds again; what moves or creates may
/// say that it is done already; and the store is as it was after the first time.
pub async fn a_repeated_batch_leaves_the_same(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/old", "x").await;
    let replacing = Batch::new().put(path("/a"), "1").delete(path("/old")).then().put(path("/b"), "2");
    for _ in 0..3 {
        driver.apply(replacing.clone()).await.expect("puts and deletes can be repeated");
        assert_eq!(get(&*driver, "/a").await, "1");
        assert_eq!(get(&*driver, "/b").await, "2");
        assert!(!exists(&*driver, "/old").await);
    }
    let moving = Batch::new().put(path("/work"), "3").then().rename(path("/work"), path("/done"));
    for _ in 0..3 {
        driver.apply(moving.clone()).await.expect("a move of what the batch puts can be repeated");
        assert_eq!(get(&*driver, "/done").await, "3");
        assert!(!exists(&*driver, "/work").await);
    }
    let create = Batch::new().create(path("/new"), "4");
    driver.apply(create.clone()).await.unwrap();
    let again = driver.apply(create).await;
    refused!(again, StorageError::AlreadyExists { .. }, "a repeated create");
    assert_eq!(get(&*driver, "/new").await, "4");
    let rename = Batch::new().rename(path("/new"), path("/moved"));
    driver.apply(rename.clone()).await.unwrap();
    refused!(driver.apply(rename).await, StorageError::NotFound { .. }, "a repeated rename");
    assert_eq!(get(&*driver, "/moved").await, "4");
}

/// Relaxed steps need not be durable, but they are done.
pub async fn relaxed_steps_are_visible_too(driver: Arc<dyn StorageDriver>) {
    put(&*driver, "/from", "moved").await;
    put(&*driver, "/clutter/a", "x").await;
    let file = Change::Put { path: path("/file"), content: "put".into(), mode: PutMode::Overwrite };
    let batch = Batch::new()
        .step(file, Durability::Relaxed)
        .step(Change::Rename { from: path("/from"), to: path("/to") }, Durability::Relaxed)
        .step(Change::Delete { path: path("/clutter") }, Durability::Relaxed);
    driver.apply(batch).await.unwrap();
    assert_eq!(get(&*driver, "/file").await, "put");
    assert_eq!(get(&*driver, "/to").await, "moved");
    assert!(!exists(&*driver, "/from").await && !exists(&*driver, "/clutter/a").await);
}

/// A file that is written while a directory above it is deleted is there afterwards or is not; neither
/// the one who writes nor the one who deletes hears of it.
pub async fn a_directory_is_deleted_while_it_is_written(driver: Arc<dyn StorageDriver>) {
    for round in 0..200 {
        let (deep, work) = (path("/dir/sub/put/deep/file"), path(&format!("/work/{round}")));
        put(&*driver, "/dir/sub/other/file", "x").await;
        put(&*driver, work.as_str(), "x").await;
        let batches = [
            ("put", Batch::new().put(deep.clone(), "x")),
            ("rename", Batch::new().rename(work, path("/dir/sub/moved/file"))),
            ("delete", Batch::new().delete(path("/dir/sub"))),
        ];
        let tasks = batches.map(|(what, batch)| {
            let driver = Arc::clone(&driver);
            tokio::spawn(async move { (what, driver.apply(batch).await) })
        });
        for outcome in join_all(tasks).await {
            let (what, applied) = outcome.expect("no task panics");
            applied.unwrap_or_else(|error| panic!("the {what} of round {round} failed: {error:?}"));
        }
        if is_file(&*driver, deep.as_str()).await {
            assert_eq!(get(&*driver, deep.as_str()).await, "x", "a file appears whole or not at all");
        }
    }
}
