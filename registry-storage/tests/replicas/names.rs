//! What is found among names.

use super::*;

/// Tags in byte order, whatever comes between their names and the separator, across pages of the store.
#[tokio::test]
async fn tags_are_in_byte_order_however_many_there_are() {
    let store = MemoryDriver::flat();
    let process = Process::over(&store);
    let manifest = image("x");
    process.put(&manifest, &[]).await.unwrap();
    let mut expected: Vec<String> = (0..900).map(|n| format!("1.{}.{}", n / 30, n % 30)).collect();
    for text in ["1", "1.7", "1.29", "1-x", "10", "_1", "a", "a.b", "a-b", "a-b.c", "A"] {
        expected.push(text.to_owned());
    }
    expected.sort_unstable();
    let (digest, hex) = (manifest.digest(), manifest.digest().encoded());
    for chunk in expected.chunks(100) {
        let dirs = chunk.iter().map(|tag| format!("/repositories/a/_manifests/tags/{tag}"));
        let files =
            dirs.flat_map(|dir| [format!("{dir}/current/link"), format!("{dir}/index/sha256/{hex}/link")]);
        put_files(&store, files.map(|at| (at, digest.to_string()))).await;
    }
    // What a delete left behind is no tag, and one that has moved often is one.
    put_files(
        &store,
        [("/repositories/a/_manifests/tags/1.5.5x/index/sha256/00/link".into(), String::new())].into_iter(),
    )
    .await;
    let moved = (0..2500).map(|n| format!("/repositories/a/_manifests/tags/a-b/index/sha256/{n:064x}/link"));
    put_files(&store, moved.map(|at| (at, String::new()))).await;

    let tags = process.for_a(Method::GET, "a").await.tags();
    for limit in [1, 7, 100, 1000, 2000] {
        let (mut found, mut page) = (Vec::new(), PageRequest::first(limit));
        let mut most = 0;
        loop {
            let before = process.driver.faults().calls();
            let part = tags.list(&page).await.unwrap();
            most = most.max(process.driver.faults().calls() - before);
            found.extend(part.items.iter().map(ToString::to_string));
            if !part.more {
                break;
            }
            page = PageRequest::after(limit, found.last().unwrap().clone());
        }
        assert_eq!(found, expected, "pages of {limit}");
        assert!(most <= 4 + limit / 400, "a page of {limit} takes {most} calls");
        if limit == 1 {
            assert_eq!(tags.list(&PageRequest::after(2, "1.29.9")).await.unwrap().items[0].as_str(), "1.3.0");
        }
    }
    assert_eq!(process.tags().await.len(), 100);
    let before = process.driver.faults().calls();
    assert_eq!(tags.lookup(&image("y").digest().clone()).await.unwrap(), []);
    let calls = process.driver.faults().calls() - before;
    assert!(calls <= 6, "the past of a tag is jumped over: {calls} calls");
}

/// What comes from other hands: a tag without any index may point anywhere.
#[tokio::test]
async fn a_manifest_takes_tags_along_that_have_no_index() {
    let store = MemoryDriver::flat();
    let process = Process::over(&store);
    let (x, y) = (image("x"), image("y"));
    process.put(&x, &["v1"]).await.unwrap();
    process.put(&y, &["v2"]).await.unwrap();
    let link = |tag: &str, to: &Manifest| {
        (format!("/repositories/a/_manifests/tags/{tag}/current/link"), to.digest().to_string())
    };
    put_files(&store, [link("bare-x", &x), link("bare-y", &y)].into_iter()).await;
    process.delete(x.digest()).await.unwrap();
    assert_eq!(process.tags().await, ["bare-y", "v2"]);
    let left = store.list_all(&path("/repositories/a/_manifests/tags"), ListMode::Recursive).await.unwrap();
    assert_eq!(left.len(), 3, "{left:?}");
}

/// As the API reads it: with the types that a registry was told, and with content that is no longer there.
#[tokio::test]
async fn an_image_is_read_back_by_a_process_that_has_seen_nothing() {
    let store = MemoryDriver::flat();
    let content =
        Content::new().blob("config", "{}").image("image", "config", &["config"]).tag("v1", "image");
    content.push(&*Process::over(&store).for_a(Method::PUT, "a").await).await.unwrap();
    let process = Process::over(&store);
    let manifest = content.manifest("image");
    assert_eq!(process.by_tag("v1").await.unwrap(), *manifest);
    let hex = manifest.digest().encoded();
    store.delete(&path(&format!("/blobs/sha256/{}/{hex}", &hex[..2]))).await.unwrap();
    let process = Process::over(&store);
    assert!(is_unknown(&process.by_tag("v1").await));
    assert!(is_unknown(&process.by_digest(manifest.digest()).await));
}
