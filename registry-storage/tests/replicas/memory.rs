//! What a process remembers, and what another does meanwhile.

use super::*;

/// A delete on one holds on the other at once: links and tags are asked of the store, whatever is remembered.
#[tokio::test]
async fn a_delete_elsewhere_holds_at_once() {
    let store = MemoryDriver::flat();
    let (one, two) = (Process::over(&store), Process::over(&store));
    let manifest = image("x");
    let digest = manifest.digest();
    one.put(&manifest, &["v1", "v2"]).await.unwrap();
    for process in [&one, &two] {
        for _ in 0..2 {
            assert_eq!(process.by_tag("v1").await.unwrap(), manifest);
            assert_eq!(process.by_digest(digest).await.unwrap(), manifest);
        }
    }
    two.delete_tag("v1").await.unwrap();
    assert!(is_unknown(&one.by_tag("v1").await));
    assert_eq!(one.tags().await, ["v2"]);
    assert!(one.by_digest(digest).await.is_ok());
    two.delete(digest).await.unwrap();
    assert!(is_unknown(&one.by_tag("v2").await));
    assert!(is_unknown(&one.by_digest(digest).await), "its bytes are remembered, that it is here is not");
    assert!(is_unknown(&one.delete(digest).await));

    let blob = one.push("a", "hello").await;
    one.blobs(Method::HEAD, "a").await.stat(&blob).await.unwrap();
    two.blobs(Method::DELETE, "a").await.delete(&blob).await.unwrap();
    assert!(is_unknown(&one.blobs(Method::HEAD, "a").await.stat(&blob).await));
}

/// What is remembered of a repository's manifests is of that repository: another does not show them.
#[tokio::test]
async fn bytes_in_memory_are_shown_by_no_repository_without_a_link() {
    let store = MemoryDriver::flat();
    let process = Process::over(&store);
    let manifest = image("x");
    process.put(&manifest, &["v1"]).await.unwrap();
    process.by_digest(manifest.digest()).await.unwrap();
    let other = process.for_a(Method::GET, "b").await;
    assert!(is_unknown(&other.manifests().get(manifest.digest()).await));
    assert!(is_unknown(&other.manifests().stat(manifest.digest()).await));
    // Nor does following a tag vouch for more than its manifest, or for longer than its request.
    let repository = process.for_a(Method::GET, "a").await;
    let second = image("y");
    process.put(&second, &["v2"]).await.unwrap();
    repository.tags().get(&tag("v2")).await.unwrap();
    process.delete(manifest.digest()).await.unwrap();
    assert!(is_unknown(&repository.manifests().get(manifest.digest()).await));
}

/// A push is believed while its manifest is awaited, by the process that made it and nobody else.
#[tokio::test(start_paused = true)]
async fn what_a_process_has_pushed_need_not_be_asked_for_until_its_time_is_over() {
    let store = MemoryDriver::flat();
    let (one, two) = (Process::over(&store), Process::over(&store));
    let digest = one.push("a", "hello").await;
    let ask = async |process: &Process, name: &str| {
        let before = process.driver.faults().calls();
        let found = process.blobs(Method::PUT, name).await.stat(&digest).await;
        (found.map(|found| found.size).ok(), process.driver.faults().calls() - before)
    };
    assert_eq!(ask(&one, "a").await, (Some(5), 0));
    assert_eq!(ask(&two, "a").await, (Some(5), 2));
    assert_eq!(ask(&one, "b").await.0, None, "it was not pushed there");

    let source = || MountSource {
        from: Some(RepositoryName::parse("a").unwrap()),
        descriptor: Descriptor::blob(digest.clone(), 5),
    };
    let mount = StartUpload::default().with_mount(Some(source()));
    let started = one.blobs(Method::POST, "b").await.start(mount).await.unwrap();
    assert!(matches!(started, UploadStart::Mounted(_)));
    assert_eq!(ask(&one, "b").await, (Some(5), 0));

    tokio::time::advance(Duration::from_secs(601)).await;
    assert_eq!(ask(&one, "a").await, (Some(5), 2));
    assert_eq!(ask(&one, "b").await, (Some(5), 2));

    one.push("a", "hello").await;
    one.blobs(Method::DELETE, "a").await.delete(&digest).await.unwrap();
    assert_eq!(ask(&one, "a").await.0, None, "a delete is not forgotten");
}

/// Distribution's collector and ours work on the store: what is gone there is not vouched for by a mount.
#[tokio::test]
async fn a_mount_of_what_was_not_pushed_here_asks_the_store() {
    let store = MemoryDriver::flat();
    let (one, two) = (Process::over(&store), Process::over(&store));
    let digest = one.push("a", "hello").await;
    let from = Some(RepositoryName::parse("a").unwrap());
    let hex = digest.encoded();
    store.delete(&path(&format!("/blobs/sha256/{}/{hex}", &hex[..2]))).await.unwrap();
    let mount = MountSource { from, descriptor: Descriptor::blob(digest.clone(), 5) };
    let blobs = two.blobs(Method::POST, "b").await;
    let started = blobs.start(StartUpload::default().with_mount(Some(mount))).await.unwrap();
    assert!(matches!(started, UploadStart::Session(_)));
    assert!(is_unknown(&two.blobs(Method::PUT, "a").await.stat(&digest).await));
}

/// For reads a link is remembered, so that a GET is one call; content that is gone is noticed by the read.
#[tokio::test]
async fn a_get_is_one_call_and_notices_that_content_is_gone() {
    let store = MemoryDriver::flat();
    let (one, two) = (Process::over(&store), Process::over(&store));
    let digest = one.push("a", "hello").await;
    let get = async |name: &str| {
        let before = two.driver.faults().calls();
        let found = two.blobs(Method::GET, name).await.get(&digest, GetBlob::default()).await;
        (found.is_ok(), two.driver.faults().calls() - before)
    };
    assert_eq!(get("a").await, (true, 2));
    assert_eq!(get("a").await, (true, 1));
    assert!(!get("b").await.0, "the content is stored, but not in this repository");
    let hex = digest.encoded();
    store.delete(&path(&format!("/blobs/sha256/{}/{hex}", &hex[..2]))).await.unwrap();
    assert_eq!(get("a").await, (false, 1));
    assert_eq!(get("a").await, (false, 2), "nothing of it is remembered");
}
