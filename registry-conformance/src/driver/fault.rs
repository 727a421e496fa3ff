//! Futures that are dropped: the client went away, or a deadline passed.

use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use registry_core::{Batch, StorageDriver, StorageDriverExt, StorageError, WriteMode};

use super::{drain, get, is_file, open, path, put, reopen, writer};
use crate::data::{assert_same, random};

/// Polls a future a few times and drops it.
async fn abandon<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        if let Some(done) = future.as_mut().now_or_never() {
            return Some(done);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// A put that is dropped on the way leaves the old file or the new one, and can be repeated.
pub async fn a_dropped_put_leaves_the_old_or_the_new(driver: Arc<dyn StorageDriver>) {
    let (old, new) = (random(1, 100_000), random(2, 200_000));
    for polls in 0..6 {
        put(&*driver, "/file", old.clone()).await;
        abandon(driver.put(&path("/file"), new.clone()), polls).await;
        let found = get(&*driver, "/file").await;
        assert!(found == old || found == new, "a dropped put left {} bytes of neither", found.len());
        put(&*driver, "/other", "x").await;
    }
}

/// A batch that is dropped on the way leaves the beginning of itself.
pub async fn a_dropped_batch_leaves_its_beginning(driver: Arc<dyn StorageDriver>) {
    for polls in 0..8 {
        let at = |name: &str| format!("/{polls}/{name}");
        let batch = Batch::new()
            .put(path(&at("data")), "data")
            .then()
            .put(path(&at("link")), "link")
            .then()
            .put(path(&at("tag")), "tag");
        abandon(driver.apply(batch.clone()), polls).await;
        // Later names first: what is done in the meantime can only make the earlier ones appear.
        let tag = is_file(&*driver, &at("tag")).await;
        let link = is_file(&*driver, &at("link")).await;
        let data = is_file(&*driver, &at("data")).await;
        assert!(link || !tag, "the third stage is there without the second");
        assert!(data || !link, "the second stage is there without the first");
        driver.apply(batch).await.expect("the batch can be repeated");
        assert_eq!(get(&*driver, &at("tag")).await, "tag");
    }
}

/// A write that is dropped on the way is a crash: the file has a beginning of what was written.
pub async fn a_dropped_write_leaves_a_beginning(driver: Arc<dyn StorageDriver>) {
    let expected = random(3, 3_000_000);
    for polls in 0..4 {
        put(&*driver, "/file", expected.slice(..1000)).await;
        let mut file = writer(&*driver, "/file", WriteMode::Append).await;
        file.write(expected.slice(1000..2000)).await.unwrap();
        abandon(file.write(expected.slice(2000..2_000_000)), polls).await;
        drop(file);
        let mut file = reopen(&*driver, "/file", WriteMode::Append).await.expect("the file can be continued");
        let size = file.size() as usize;
        assert!((1000..=2_000_000).contains(&size), "{size} bytes are left");
        file.write(expected.slice(size..)).await.unwrap();
        assert_eq!(file.close().await.unwrap(), expected.len() as u64);
        assert_same(&get(&*driver, "/file").await, &expected, "a file continued after a dropped write");
    }
}

/// A reader may stop at any point; others and the next go on.
pub async fn a_dropped_read_leaves_no_trace(driver: Arc<dyn StorageDriver>) {
    let expected = random(4, 2 << 20);
    put(&*driver, "/file", expected.clone()).await;
    for polls in 0..4 {
        abandon(driver.reader(&path("/file"), None), polls).await;
        let mut stream = open(&*driver, "/file", None).await.body.into_stream();
        stream.next().await.expect("there is a first piece").expect("it can be read");
        abandon(stream.next(), polls).await;
        drop(stream);
        let again = drain(open(&*driver, "/file", None).await).await.expect("the next reader reads");
        assert_same(&again, &expected, "a file read after others gave up");
    }
    driver.delete(&path("/file")).await.expect("nobody holds the file");
    assert!(!is_file(&*driver, "/file").await);
}

/// A close or a commit that is dropped on the way has happened or has not; the caller asks again.
pub async fn a_dropped_close_or_commit_can_be_done_again(driver: Arc<dyn StorageDriver>) {
    let expected = random(5, 300_000);
    for polls in 0..6 {
        let (work, done) = (format!("/work/{polls}"), format!("/done/{polls}"));
        writer(&*driver, &work, WriteMode::Truncate).await.close().await.unwrap();
        let mut file = writer(&*driver, &work, WriteMode::Append).await;
        file.write(expected.clone()).await.unwrap();
        abandon(file.close(), polls).await;

        let mut file = reopen(&*driver, &work, WriteMode::Append).await.expect("the file can be continued");
        let size = file.size() as usize;
        assert!(size <= expected.len(), "{size} bytes are more than were written");
        file.write(expected.slice(size..)).await.unwrap();
        let then = Batch::new().rename(path(&work), path(&done));
        abandon(file.commit(then.clone()), polls).await;

        match reopen(&*driver, &work, WriteMode::Append).await {
            Ok(mut file) => {
                let size = file.size() as usize;
                file.write(expected.slice(size..)).await.unwrap();
                file.commit(then).await.expect("the commit can be repeated");
            }
            Err(StorageError::NotFound { .. }) => {}
            Err(error) => panic!("the file cannot be opened after a dropped commit: {error:?}"),
        }
        assert_same(&get(&*driver, &done).await, &expected, "a file committed after dropped attempts");
        put(&*driver, &done, Bytes::new()).await;
    }
}
