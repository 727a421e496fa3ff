//! Manifests that refer to a manifest.

use std::sync::Arc;

use registry_core::{
    Algorithm, Descriptor, Digest, Manifest, MediaType, Namespace, PageRequest, ReferrerFilter, Repository,
};
use serde_json::{Value, json};

use super::{image, manifest, publish, repository};

const NO_FILTER: ReferrerFilter = ReferrerFilter { artifact_type: None };

fn referrer(subject: &Digest, more: Value) -> Manifest {
    let mut document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_IMAGE,
        "config": {"mediaType": "application/vnd.example.config", "digest": Algorithm::Sha256.digest(b"{}"), "size": 2},
        "layers": [],
        "subject": {"mediaType": MediaType::OCI_IMAGE, "digest": subject, "size": 1},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        document[key] = value.clone();
    }
    manifest(MediaType::OCI_IMAGE, document.to_string())
}

async fn list(repository: &Arc<dyn Repository>, subject: &Digest) -> Vec<Descriptor> {
    let page = repository.manifests().referrers(subject, &NO_FILTER, &PageRequest::first(100)).await.unwrap();
    assert!(!page.more);
    page.items
}

/// With type, size, digest, artifact type and annotations (end-12a).
pub async fn referrers_are_described(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let subject = image("subject");
    publish(&one, &subject, &["latest"]).await;
    assert!(list(&one, subject.digest()).await.is_empty());
    let signature = referrer(
        subject.digest(),
        json!({"artifactType": "application/vnd.example.signature", "annotations": {"by": "me"}}),
    );
    let plain = referrer(subject.digest(), json!({}));
    publish(&one, &signature, &[]).await;
    publish(&one, &plain, &["tagged"]).await;
    let mut expected = vec![
        signature
            .descriptor()
            .with_artifact_type(Some("application/vnd.example.signature".to_owned()))
            .with_annotations([("by".to_owned(), "me".to_owned())].into()),
        plain.descriptor().with_artifact_type(Some("application/vnd.example.config".to_owned())),
    ];
    expected.sort_by(|a, b| a.digest.cmp(&b.digest));
    assert_eq!(list(&one, subject.digest()).await, expected);
    assert!(list(&one, signature.digest()).await.is_empty(), "it is a referrer, not a subject");
}

/// Signatures may be pushed first.
pub async fn the_subject_need_not_exist(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    for subject in [Algorithm::Sha256.digest(b"absent"), Algorithm::Sha512.digest(b"absent")] {
        assert!(list(&one, &subject).await.is_empty());
        let early = referrer(&subject, json!({}));
        publish(&one, &early, &[]).await;
        assert_eq!(list(&one, &subject).await[0].digest, *early.digest());
    }
}

/// A subject may be named in any algorithm, and none gets in the way of another, or of what the store keeps
/// beside them.
pub async fn a_subject_of_an_odd_name_disturbs_no_other(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let subject = Algorithm::Sha256.digest(b"subject");
    let plain = referrer(&subject, json!({"artifactType": "a/b"}));
    let long = format!("x:{}", "a".repeat(Digest::MAX_LEN - 2));
    let in_the_way = format!("sha256+{}:sha256-{}", subject.encoded(), plain.digest().encoded());
    let odd = ["scanned:abc", "scanned+abc:def", "blake3:abcd", "a+b:cd", "a.b:cd", &in_the_way, &long];
    for (n, text) in odd.into_iter().enumerate() {
        let pushed = referrer(&Digest::parse(text).unwrap(), json!({"n": n}));
        publish(&one, &pushed, &[]).await;
        let found = list(&one, &Digest::parse(text).unwrap()).await;
        // One that no file can be named after may have none.
        assert!(found.iter().all(|found| found.digest == *pushed.digest()), "{text}");
        assert!(found.len() == 1 || text == long, "{text}");
    }
    publish(&one, &plain, &[]).await;
    assert_eq!(list(&one, &subject).await.len(), 1);
}

/// Clients read no longer document than a manifest.
pub async fn a_page_of_referrers_is_bounded_in_bytes(namespace: Arc<dyn Namespace>) {
    const MIB: usize = 1 << 20;
    let one = repository(&namespace, "one").await;
    let subject = Algorithm::Sha256.digest(b"subject");
    let mut pushed = Vec::new();
    for n in 0..6 {
        let referrer = referrer(&subject, json!({"n": n, "annotations": {"large": "x".repeat(3 * MIB / 2)}}));
        publish(&one, &referrer, &[]).await;
        pushed.push(referrer.digest().clone());
    }
    pushed.sort();
    let mut found = Vec::new();
    let mut page = PageRequest::first(100);
    loop {
        let part = one.manifests().referrers(&subject, &NO_FILTER, &page).await.unwrap();
        let bytes: usize =
            part.items.iter().flat_map(|item| item.annotations.values()).map(String::len).sum();
        assert!(bytes <= Manifest::MAX_LEN, "{bytes}");
        assert!(!part.items.is_empty() || !part.more, "it goes on");
        found.extend(part.items.into_iter().map(|item| item.digest));
        if !part.more {
            break;
        }
        page = PageRequest::after(100, found.last().map(ToString::to_string).unwrap());
    }
    assert_eq!(found, pushed, "each once");
}

/// Only those of the type that is asked for (end-12b).
pub async fn referrers_are_filtered_by_type(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let subject = Algorithm::Sha256.digest(b"subject");
    for n in 0..10 {
        let artifact_type = format!("application/vnd.example.{}+json", n % 3);
        publish(&one, &referrer(&subject, json!({"artifactType": artifact_type, "n": n})), &[]).await;
    }
    let filter = |text: &str| ReferrerFilter { artifact_type: Some(text.to_owned()) };
    let count = async |text: &str| {
        let page =
            one.manifests().referrers(&subject, &filter(text), &PageRequest::first(100)).await.unwrap();
        assert!(page.items.iter().all(|item| item.artifact_type.as_deref() == Some(text)));
        page.items.len()
    };
    assert_eq!(count("application/vnd.example.0+json").await, 4);
    assert_eq!(count("application/vnd.example.1+json").await, 3);
    assert_eq!(count("application/vnd.example.config").await, 0);
}

/// Each once, filtered or not.
pub async fn referrers_are_listed_page_by_page(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let subject = Algorithm::Sha256.digest(b"subject");
    let mut all = Vec::new();
    for n in 0..15 {
        let pushed = referrer(&subject, json!({"artifactType": format!("a/{}", n % 2), "n": n}));
        publish(&one, &pushed, &[]).await;
        all.push(pushed.digest().clone());
    }
    all.sort();
    for (filter, expected) in [(NO_FILTER, 15), (ReferrerFilter { artifact_type: Some("a/0".to_owned()) }, 8)]
    {
        for limit in [1, 4, 15, 16] {
            let mut found = Vec::new();
            let mut page = PageRequest::first(limit);
            loop {
                let part = one.manifests().referrers(&subject, &filter, &page).await.unwrap();
                assert!(part.items.len() <= limit);
                found.extend(part.items.into_iter().map(|item| item.digest));
                if !part.more {
                    break;
                }
                page = PageRequest::after(limit, found.last().map(ToString::to_string).unwrap());
            }
            assert_eq!(found.len(), expected, "pages of {limit}");
            assert!(found.iter().all(|digest| all.contains(digest)) && found.is_sorted());
        }
    }
}

/// And is again when it is pushed again.
pub async fn a_deleted_referrer_is_not_listed(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let subject = Algorithm::Sha256.digest(b"subject");
    let pushed = referrer(&subject, json!({}));
    for _ in 0..2 {
        publish(&one, &pushed, &[]).await;
        assert_eq!(list(&one, &subject).await.len(), 1);
        one.manifests().delete(pushed.digest()).await.unwrap();
        assert!(list(&one, &subject).await.is_empty());
    }
}

/// Without an artifact type unless it says one.
pub async fn an_index_can_be_a_referrer(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let subject = Algorithm::Sha256.digest(b"subject");
    let index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": [],
        "subject": {"mediaType": MediaType::OCI_IMAGE, "digest": subject, "size": 1},
    });
    let pushed = manifest(MediaType::OCI_INDEX, index.to_string());
    publish(&one, &pushed, &[]).await;
    assert_eq!(list(&one, &subject).await, [pushed.descriptor()]);
}

/// A subject is one of its repository.
pub async fn referrers_of_one_repository_are_unknown_in_another(namespace: Arc<dyn Namespace>) {
    let subject = Algorithm::Sha256.digest(b"subject");
    publish(&repository(&namespace, "one").await, &referrer(&subject, json!({})), &[]).await;
    assert!(list(&repository(&namespace, "two").await, &subject).await.is_empty());
    assert!(list(&repository(&namespace, "one/two").await, &subject).await.is_empty());
}
