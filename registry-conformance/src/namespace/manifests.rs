//! Manifests of a repository.

use std::sync::Arc;

use futures::future::join_all;
use registry_core::{Algorithm, Error, Manifest, MediaType, Namespace, PageRequest, PutManifest};

use super::{image, manifest, publish, push, repository, tag};
use crate::suite::refused;

/// Odd white space, key order and repeated keys included.
pub async fn a_manifest_is_served_byte_for_byte(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let odd = "{\n\t\"layers\" : [ ],\"x\":1,\"x\":2,   \"schemaVersion\":2 , \"é\": \"\\u00e9\"}\r\n\n";
    let pushed = manifest(MediaType::OCI_IMAGE, odd);
    publish(&one, &pushed, &["latest"]).await;
    let served = one.manifests().get(pushed.digest()).await.unwrap();
    assert_eq!(served, pushed);
    assert_eq!(one.manifests().stat(pushed.digest()).await.unwrap(), pushed.descriptor());
}

/// Whether or not its bytes say it.
pub async fn a_manifest_keeps_the_type_it_was_pushed_as(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    const OWN: &str = "application/vnd.example.thing.v1+json";
    let stated = |media_type: &str| format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}"}}"#);
    let cases = [
        (MediaType::OCI_IMAGE, stated(MediaType::OCI_IMAGE)),
        (MediaType::OCI_IMAGE, r#"{"schemaVersion":2,"layers":[]}"#.to_owned()),
        (MediaType::OCI_INDEX, stated(MediaType::OCI_INDEX)),
        (MediaType::OCI_INDEX, r#"{"schemaVersion":2,"manifests":[]}"#.to_owned()),
        (MediaType::DOCKER_IMAGE, stated(MediaType::DOCKER_IMAGE)),
        (MediaType::DOCKER_LIST, stated(MediaType::DOCKER_LIST)),
        (OWN, stated(OWN)),
        (OWN, r#"{"schemaVersion":2,"own":1}"#.to_owned()),
        (OWN, r#"{"schemaVersion":2,"manifests":[],"own":1}"#.to_owned()),
    ];
    for (media_type, payload) in cases {
        let pushed = manifest(media_type, payload.clone());
        publish(&one, &pushed, &[]).await;
        let served = one.manifests().get(pushed.digest()).await.unwrap();
        assert_eq!(served.media_type().as_str(), media_type, "{payload}");
    }
}

/// In one call; each points at it afterwards.
pub async fn a_manifest_is_published_under_all_its_tags(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let pushed = image("x");
    let tags: Vec<String> = (0..20).map(|n| format!("v{n}")).collect();
    publish(&one, &pushed, &tags.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for text in &tags {
        assert_eq!(&one.tags().get(&tag(text)).await.unwrap(), pushed.digest(), "{text}");
    }
}

/// And nothing is tagged.
pub async fn a_manifest_without_tags_is_found_by_digest(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let pushed = image("x");
    publish(&one, &pushed, &[]).await;
    one.manifests().get(pushed.digest()).await.unwrap();
    assert!(one.tags().list(&PageRequest::first(10)).await.unwrap().items.is_empty());
}

/// Found by that digest, and no other.
pub async fn a_manifest_is_pushed_under_sha512(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let payload = image("x").payload().clone();
    let media_type = MediaType::parse(MediaType::OCI_IMAGE).unwrap();
    let pushed = Manifest::new(media_type, Algorithm::Sha512, payload.clone());
    publish(&one, &pushed, &["latest"]).await;
    assert_eq!(one.manifests().get(pushed.digest()).await.unwrap(), pushed);
    assert_eq!(&one.tags().get(&tag("latest")).await.unwrap(), pushed.digest());
    let sha256 = Algorithm::Sha256.digest(&payload);
    refused!(one.manifests().get(&sha256).await, Error::ManifestUnknown { .. }, "by another digest");
    one.manifests().delete(pushed.digest()).await.unwrap();
    refused!(one.tags().get(&tag("latest")).await, Error::ManifestUnknown { .. }, "deleted");
}

/// And leaves nothing behind, no tag either.
pub async fn what_is_no_manifest_is_refused(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    for payload in
        ["", "{", "[]", "null", r#"{"schemaVersion":1}"#, r#"{"schemaVersion":2,"mediaType":"a/b"}"#]
    {
        let wrong = manifest(MediaType::OCI_IMAGE, payload);
        let options = PutManifest::default().with_tags([tag("latest")]);
        refused!(one.manifests().put(&wrong, options).await, Error::ManifestInvalid { .. }, "{payload:?}");
        refused!(one.manifests().get(wrong.digest()).await, Error::ManifestUnknown { .. }, "{payload:?}");
    }
    refused!(one.tags().get(&tag("latest")).await, Error::ManifestUnknown { .. }, "no tag was set");
}

/// Go's readers, Distribution's collector among them, see other layers in the first and stop at the others.
pub async fn what_others_read_otherwise_is_refused(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    for fields in [
        r#""layers":[],"Layers":null"#,
        r#""layers":[],"MediaType":"application/vnd.example""#,
        r#""layers":[{"annotations":{"a":1}}]"#,
        r#""layers":[{"data":"***"}]"#,
    ] {
        let wrong = manifest(MediaType::OCI_IMAGE, format!(r#"{{"schemaVersion":2,{fields}}}"#));
        let put = one.manifests().put(&wrong, PutManifest::default()).await;
        refused!(put, Error::ManifestInvalid { .. }, "{fields}");
    }
}

/// A client that lost the answer pushes again.
pub async fn pushing_a_manifest_again_changes_nothing(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let pushed = image("x");
    for _ in 0..3 {
        publish(&one, &pushed, &["latest"]).await;
        assert_eq!(one.manifests().get(pushed.digest()).await.unwrap(), pushed);
    }
    assert_eq!(one.manifests().list(&PageRequest::first(10)).await.unwrap().items.len(), 1);
    assert_eq!(one.tags().list(&PageRequest::first(10)).await.unwrap().items.len(), 1);
}

/// Those that point at it, and no others; its blobs stay.
pub async fn a_deleted_manifest_takes_its_tags_along(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let blob = push(&one, "layer").await;
    let (doomed, other) = (image("doomed"), image("other"));
    publish(&one, &doomed, &["a", "b", "moved"]).await;
    publish(&one, &other, &["c", "moved"]).await;
    one.manifests().delete(doomed.digest()).await.unwrap();
    refused!(one.manifests().get(doomed.digest()).await, Error::ManifestUnknown { .. }, "deleted");
    refused!(one.manifests().stat(doomed.digest()).await, Error::ManifestUnknown { .. }, "deleted");
    refused!(one.manifests().delete(doomed.digest()).await, Error::ManifestUnknown { .. }, "deleted twice");
    let left = one.tags().list(&PageRequest::first(10)).await.unwrap().items;
    assert_eq!(left, [tag("c"), tag("moved")]);
    assert_eq!(&one.tags().get(&tag("moved")).await.unwrap(), other.digest());
    one.blobs().stat(&blob).await.unwrap();
}

/// With its tags.
pub async fn a_deleted_manifest_can_be_pushed_again(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let pushed = image("x");
    for _ in 0..3 {
        publish(&one, &pushed, &["latest"]).await;
        assert_eq!(&one.tags().get(&tag("latest")).await.unwrap(), pushed.digest());
        one.manifests().delete(pushed.digest()).await.unwrap();
        refused!(one.tags().get(&tag("latest")).await, Error::ManifestUnknown { .. }, "deleted");
    }
}

/// Each once, whatever the size of the pages.
pub async fn manifests_are_listed_page_by_page(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let mut expected = Vec::new();
    for n in 0..12 {
        let pushed = image(&n.to_string());
        publish(&one, &pushed, &[]).await;
        expected.push(pushed.digest().clone());
    }
    let media_type = MediaType::parse(MediaType::OCI_IMAGE).unwrap();
    let sha512 = Manifest::new(media_type, Algorithm::Sha512, image("sha512").payload().clone());
    publish(&one, &sha512, &[]).await;
    expected.push(sha512.digest().clone());
    expected.sort();
    for limit in [1, 5, 12, 13, 100] {
        let mut found = Vec::new();
        let mut page = PageRequest::first(limit);
        loop {
            let part = one.manifests().list(&page).await.unwrap();
            assert!(part.items.len() <= limit);
            found.extend(part.items);
            if !part.more {
                break;
            }
            page = PageRequest::after(limit, found.last().map(ToString::to_string).unwrap());
        }
        assert_eq!(found, expected, "pages of {limit}");
    }
}

/// Though its content is stored.
pub async fn a_manifest_of_one_repository_is_unknown_in_another(namespace: Arc<dyn Namespace>) {
    let pushed = image("x");
    publish(&repository(&namespace, "one").await, &pushed, &["latest"]).await;
    let two = repository(&namespace, "one/two").await;
    refused!(two.manifests().get(pushed.digest()).await, Error::ManifestUnknown { .. }, "elsewhere");
    refused!(two.manifests().delete(pushed.digest()).await, Error::ManifestUnknown { .. }, "elsewhere");
    refused!(two.tags().get(&tag("latest")).await, Error::ManifestUnknown { .. }, "elsewhere");
    let one = repository(&namespace, "one").await;
    refused!(one.blobs().stat(pushed.digest()).await, Error::BlobUnknown { .. }, "a manifest is no blob");
    let blob = push(&one, "layer").await;
    refused!(one.manifests().get(&blob).await, Error::ManifestUnknown { .. }, "a blob is no manifest");
}

/// The same and different ones, under the same and different tags.
pub async fn many_manifests_are_pushed_at_once(namespace: Arc<dyn Namespace>) {
    let pushes = (0..32).map(|n| {
        let namespace = Arc::clone(&namespace);
        tokio::spawn(async move {
            let one = repository(&namespace, "one").await;
            let pushed = image(&(n % 8).to_string());
            publish(&one, &pushed, &[&format!("own{n}"), "shared"]).await;
            assert_eq!(one.manifests().get(pushed.digest()).await.unwrap(), pushed);
            assert_eq!(&one.tags().get(&tag(&format!("own{n}"))).await.unwrap(), pushed.digest());
        })
    });
    for push in join_all(pushes).await {
        push.unwrap();
    }
    let one = repository(&namespace, "one").await;
    let shared = one.tags().get(&tag("shared")).await.unwrap();
    one.manifests().get(&shared).await.unwrap();
    assert_eq!(one.tags().list(&PageRequest::first(100)).await.unwrap().items.len(), 33);
}
