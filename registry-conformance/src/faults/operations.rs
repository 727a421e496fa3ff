//! Operations of a registry, each of whose driver calls fails in turn.

#![allow(clippy::future_not_send, reason = "an operation stays on the thread of its test")]

use std::future::Future;
use std::sync::Arc;

use futures::future::{Either, select};
use registry_core::{
    Digest, Error, GetBlob, ManifestDocument, Namespace, PageRequest, ReferrerFilter, Repository,
    RepositoryName, RequestContext, Result, Shape, StorageDriver, Tag, collect,
};

use super::{Fault, Faults, FaultyDriver};
use crate::content::Content;
use crate::suite::refused;

const NAME: &str = "team/app";
/// More calls than any of the operations needs.
const MANY: usize = 5000;

/// Pushes an image over an older one, breaking one driver call after the other in each way there is.
///
/// # Panics
/// As [`push_survives`].
pub async fn push_survives_every_fault<G>(
    make: impl AsyncFn() -> (Arc<dyn StorageDriver>, G),
    over: impl AsyncFn(Arc<dyn StorageDriver>) -> Arc<dyn Namespace>,
) {
    for fault in Fault::ALL {
        push_survives(fault, &make, &over).await;
    }
}

/// Pushes an image, its index and its signature over an older image, as many times as it takes driver
/// calls, and each time another call fails.
///
/// # Panics
/// If after a failure a tag points at nothing, a manifest is visible that cannot be read or lacks a
/// blob, a blob is visible with other bytes than its digest says, or a second push does not succeed.
pub async fn push_survives<G>(
    fault: Fault,
    make: impl AsyncFn() -> (Arc<dyn StorageDriver>, G),
    over: impl AsyncFn(Arc<dyn StorageDriver>) -> Arc<dyn Namespace>,
) {
    let (old, new) = (image("old"), image("new"));
    for nth in 0..MANY {
        let (store, _guard) = make().await;
        let (faults, namespace) = break_into(&store, fault, &over).await;
        old.push(&*repository(&*namespace).await).await.expect("nothing fails yet");

        faults.arm(fault, nth, |_| true);
        let repo = repository(&*namespace).await;
        let outcome = or_give_up(&faults, new.push(&*repo)).await;
        let Some(call) = faults.disarm() else {
            outcome.expect("no call stalls").expect("no call fails");
            assert_complete(&*namespace, &new, "a push without a fault").await;
            assert!(nth > 10, "a push of three manifests takes more than {nth} calls");
            return;
        };
        let after = format!("{fault:?} of call {nth} ({call:?})");
        // In this process, and in one that has seen nothing of it.
        let other = over(Arc::clone(&store)).await;
        for namespace in [&namespace, &other] {
            assert_sound(&**namespace, &[&old, &new], &after).await;
        }
        if let Some(Ok(())) = outcome {
            assert_complete(&*other, &new, &format!("a push that succeeded after {after}")).await;
        }
        let again = new.push(&*repository(&*namespace).await).await;
        again.unwrap_or_else(|error| panic!("a push after {after}: {error:?}"));
        for namespace in [&namespace, &other] {
            assert_complete(&**namespace, &new, &format!("a push repeated after {after}")).await;
        }
    }
    panic!("a push takes more than {MANY} calls");
}

/// Deletes a manifest with tags, as many times as it takes driver calls, and each time another call
/// fails.
///
/// # Panics
/// If after a failure a tag points at nothing, something else is gone, or a second delete does not lead
/// to the end.
pub async fn delete_survives<G>(
    fault: Fault,
    make: impl AsyncFn() -> (Arc<dyn StorageDriver>, G),
    over: impl AsyncFn(Arc<dyn StorageDriver>) -> Arc<dyn Namespace>,
) {
    let (kept, gone) = (image("kept").tag("kept", "index"), image("gone").tag("also", "index"));
    let digest = gone.digest("index");
    for nth in 0..MANY {
        let (store, _guard) = make().await;
        let (faults, namespace) = break_into(&store, fault, &over).await;
        let repo = repository(&*namespace).await;
        kept.push(&*repo).await.expect("nothing fails yet");
        gone.push(&*repo).await.expect("nothing fails yet");

        faults.arm(fault, nth, |_| true);
        let manifests = repo.manifests();
        let outcome = or_give_up(&faults, manifests.delete(digest)).await;
        let call = faults.disarm();
        let after = format!("{fault:?} of call {nth} ({call:?})");
        let other = over(Arc::clone(&store)).await;
        for namespace in [&namespace, &other] {
            assert_sound(&**namespace, &[&kept, &gone], &after).await;
        }
        match repository(&*namespace).await.manifests().delete(digest).await {
            Err(Error::ManifestUnknown { .. }) => {}
            Ok(()) => assert!(!matches!(outcome, Some(Ok(()))), "a delete succeeded twice after {after}"),
            Err(error) => panic!("a delete repeated after {after}: {error:?}"),
        }
        for namespace in [&namespace, &other] {
            let repo = repository(&**namespace).await;
            refused!(repo.manifests().get(digest).await, Error::ManifestUnknown { .. }, "{after}: get");
            let left = repo.tags().list(&PageRequest::first(10)).await.expect("the tags can be listed").items;
            assert_eq!(left.iter().map(Tag::as_str).collect::<Vec<_>>(), ["kept"], "tags left after {after}");
            repo.manifests().get(kept.digest("index")).await.expect("another manifest stays");
        }
        if call.is_none() {
            assert!(nth > 1, "a delete takes more than {nth} calls");
            return;
        }
    }
    panic!("a delete takes more than {MANY} calls");
}

/// An image, an index of it, and a signature of the index; tagged `latest`.
fn image(seed: &str) -> Content {
    Content::new()
        .blob("config", format!("{{\"seed\":\"{seed}\"}}"))
        .blob("layer", crate::data::random(seed.bytes().map(u64::from).sum(), 20_000))
        .blob("empty", "{}")
        .image("image", "config", &["layer"])
        .index("index", &["image"])
        .artifact("signature", "application/vnd.example.signature", Some("index"), &[("seed", seed)])
        .tag("latest", "index")
}

async fn break_into(
    store: &Arc<dyn StorageDriver>,
    fault: Fault,
    over: impl AsyncFn(Arc<dyn StorageDriver>) -> Arc<dyn Namespace>,
) -> (Faults, Arc<dyn Namespace>) {
    // Where steps of one stage are under way together, the last may be the first to be seen. Who gives up
    // waiting leaves it at that while the store is away.
    let backwards = store.shape() == Shape::Flat && fault != Fault::Stall;
    let driver = FaultyDriver::new(Arc::clone(store)).backwards(backwards);
    (driver.faults(), over(Arc::new(driver)).await)
}

async fn repository(namespace: &dyn Namespace) -> Arc<dyn Repository> {
    let cx = Arc::new(RequestContext::system("faults"));
    let name = RepositoryName::parse(NAME).expect("a name");
    namespace.repository(&cx, &name).await.expect("a handle asks the store nothing")
}

/// The outcome of an operation, or `None` if a call stalled and the client went away.
async fn or_give_up<T>(faults: &Faults, operation: impl Future<Output = T>) -> Option<T> {
    match select(Box::pin(operation), Box::pin(faults.stalled())).await {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(_) => None,
    }
}

/// Asserts that whatever is visible is whole.
async fn assert_sound(namespace: &dyn Namespace, known: &[&Content], after: &str) {
    let repo = repository(namespace).await;
    let all = PageRequest::first(1000);
    let tags = match repo.tags().list(&all).await {
        Ok(page) => page.items,
        Err(Error::NameUnknown { .. }) => Vec::new(),
        Err(error) => panic!("{after}: tags cannot be listed: {error:?}"),
    };
    for tag in &tags {
        let target = repo.tags().get(tag).await;
        let target = target.unwrap_or_else(|error| panic!("{after}: {tag} is listed, but: {error:?}"));
        let expected = known.iter().any(|content| content.digest("index") == &target);
        assert!(expected, "{after}: {tag} points at {target}, which was never tagged");
        assert_manifest(&*repo, &target, &format!("{after}: the target of {tag}")).await;
    }
    let manifests = repo.manifests().list(&all).await;
    for digest in manifests.unwrap_or_else(|error| panic!("{after}: manifests: {error:?}")).items {
        assert_manifest(&*repo, &digest, &format!("{after}: a listed manifest")).await;
    }
    for content in known {
        let filter = ReferrerFilter::default();
        let referrers = repo.manifests().referrers(content.digest("index"), &filter, &all).await;
        for referrer in referrers.unwrap_or_else(|error| panic!("{after}: referrers: {error:?}")).items {
            assert_manifest(&*repo, &referrer.digest, &format!("{after}: a listed referrer")).await;
        }
        for (digest, _) in content.blobs() {
            if repo.blobs().stat(digest).await.is_ok() {
                assert_blob(&*repo, digest, &format!("{after}: a visible blob")).await;
            }
        }
    }
}

/// Asserts that a manifest is readable with everything that it is made of.
async fn assert_manifest(repo: &dyn Repository, digest: &Digest, what: &str) {
    let manifest = repo.manifests().get(digest).await;
    let manifest = manifest.unwrap_or_else(|error| panic!("{what} cannot be read: {error:?}"));
    let algorithm = digest.algorithm().expect("only such are pushed");
    assert_eq!(algorithm.digest(manifest.payload()), *digest, "{what} has another digest");
    let document = ManifestDocument::parse(manifest.payload()).expect("only such are pushed");
    for blob in document.blob_references() {
        assert_blob(repo, &Digest::parse(&blob.digest).expect("only such are pushed"), what).await;
    }
    for child in document.manifest_references() {
        let child = Digest::parse(&child.digest).expect("only such are pushed");
        let stat = repo.manifests().stat(&child).await;
        stat.unwrap_or_else(|error| panic!("{what} lists {child}, but: {error:?}"));
    }
}

async fn assert_blob(repo: &dyn Repository, digest: &Digest, what: &str) {
    let content = read(repo, digest).await;
    let content = content.unwrap_or_else(|error| panic!("{what}: {digest} cannot be read: {error:?}"));
    let algorithm = digest.algorithm().expect("only such are pushed");
    assert_eq!(algorithm.digest(&content), *digest, "{what}: {digest} has other bytes");
}

async fn read(repo: &dyn Repository, digest: &Digest) -> Result<bytes::Bytes> {
    let blob = repo.blobs().get(digest, GetBlob::default()).await?;
    let stream = blob.body.into_stream().expect("nobody asked for a URL");
    Ok(collect(stream, 1 << 20).await?.expect("only small blobs are pushed"))
}

/// Asserts that all of some content is there.
async fn assert_complete(namespace: &dyn Namespace, content: &Content, when: &str) {
    assert_sound(namespace, &[content], when).await;
    let repo = repository(namespace).await;
    for (digest, _) in content.blobs() {
        assert_blob(&*repo, digest, when).await;
    }
    for (manifest, tags) in content.manifests() {
        assert_manifest(&*repo, manifest.digest(), when).await;
        for tag in tags {
            let target = repo.tags().get(&tag).await;
            let target = target.unwrap_or_else(|error| panic!("{when}: {tag}: {error:?}"));
            assert_eq!(target, *manifest.digest(), "{when}: {tag}");
        }
    }
    let (filter, all) = (ReferrerFilter::default(), PageRequest::first(10));
    let referrers = repo.manifests().referrers(content.digest("index"), &filter, &all).await;
    let referrers = referrers.unwrap_or_else(|error| panic!("{when}: referrers: {error:?}")).items;
    let found: Vec<_> = referrers.iter().map(|referrer| &referrer.digest).collect();
    assert_eq!(found, [content.digest("signature")], "{when}: referrers");
    let cx = RequestContext::system("faults");
    let listed = namespace.repositories(&cx, &all).await;
    let listed = listed.unwrap_or_else(|error| panic!("{when}: repositories: {error:?}")).items;
    assert_eq!(listed.iter().map(RepositoryName::as_str).collect::<Vec<_>>(), [NAME], "{when}");
}
