//! The table of the reference check.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use registry_core::{
    Blob, BlobWriter, ErrorCode, GetBlob, StartUpload, StorageError, UploadId, UploadStart, UploadStatus,
};
use serde_json::{Value, json};

use super::*;
use crate::testing::{Fake, digest, manifest};

const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
const NONDISTRIBUTABLE: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";

/// Codes, and a part of the detail that each has.
type Faults<'a> = Vec<(&'a str, &'a str)>;

fn descriptor(media_type: &str, content: &str) -> Value {
    json!({ "mediaType": media_type, "digest": digest(content.as_bytes()), "size": content.len() })
}

fn with(mut descriptor: Value, key: &str, value: Value) -> Value {
    descriptor[key] = value;
    descriptor
}

fn image(layers: &[Value]) -> Manifest {
    let payload = json!({ "schemaVersion": 2, "config": descriptor("a/config", "config"), "layers": layers });
    manifest(MediaType::OCI_IMAGE, &payload)
}

fn index(children: &[Value]) -> Manifest {
    manifest(MediaType::OCI_INDEX, &json!({ "schemaVersion": 2, "manifests": children }))
}

/// A repository with the blobs `config` and `layer` and one manifest, whose descriptor is returned too.
fn stocked() -> (Arc<Fake>, Value) {
    let fake = Fake::new();
    fake.add_blob("a", b"config");
    fake.add_blob("a", b"layer");
    let child = fake.add_manifest("a", &image(&[]), &[]);
    let child = json!({ "mediaType": MediaType::OCI_IMAGE, "digest": child.digest, "size": child.size });
    (fake, child)
}

async fn put(fake: &Fake, validation: &ManifestValidation, manifest: &Manifest) -> Result<Descriptor> {
    let checked = ReferenceCheck::new(validation.clone()).around(fake.open("a").await);
    checked.manifests().put(manifest, PutManifest::default()).await
}

/// What is reported, each as its code and the detail on the wire.
async fn faults(fake: &Fake, validation: &ManifestValidation, manifest: &Manifest) -> Vec<(String, String)> {
    match put(fake, validation, manifest).await {
        Ok(_) => Vec::new(),
        Err(error) => {
            let wire = error.wire();
            assert!(wire.iter().all(|entry| entry.code.status().is_client_error()), "{error}");
            assert!(!fake.has_manifest("a", manifest.digest()), "a refused manifest is not stored");
            let text = |entry: &registry_core::WireError| {
                entry.detail.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            wire.iter().map(|entry| (entry.code.id().to_owned(), text(entry))).collect()
        }
    }
}

async fn assert_faults(
    what: &str,
    validation: &ManifestValidation,
    manifest: &Manifest,
    expected: &[(&str, &str)],
) {
    let (fake, _) = stocked();
    let found = faults(&fake, validation, manifest).await;
    assert_eq!(found.len(), expected.len(), "{what}: {found:?}");
    for ((code, detail), (expected_code, expected_detail)) in found.iter().zip(expected) {
        assert_eq!(code, expected_code, "{what}");
        assert!(detail.contains(expected_detail), "{what}: {detail}");
    }
}

#[tokio::test]
async fn blobs_follow_the_table() {
    let layer = || descriptor("application/vnd.oci.image.layer.v1.tar", "layer");
    let missing = |content: &str| digest(content.as_bytes()).to_string();
    let (one, two) = (missing("one"), missing("two"));
    let sha384 = format!("sha384:{}", "a".repeat(96));
    let absent = |text: &str| with(descriptor("a/b", ""), "digest", json!(text));
    let cases: Vec<(&str, Manifest, Faults<'_>)> = vec![
        ("complete", image(&[layer()]), vec![]),
        ("no layers", image(&[]), vec![]),
        ("one missing", image(&[descriptor("a/b", "one"), layer()]), vec![("MANIFEST_BLOB_UNKNOWN", &one)]),
        (
            "each missing digest once, in order",
            image(&[descriptor("a/b", "two"), descriptor("a/b", "one"), descriptor("a/c", "two")]),
            vec![("MANIFEST_BLOB_UNKNOWN", &two), ("MANIFEST_BLOB_UNKNOWN", &one)],
        ),
        (
            "an algorithm that we do not compute",
            image(&[absent("blake3:abc"), absent(&sha384)]),
            vec![("MANIFEST_BLOB_UNKNOWN", "blake3:abc"), ("MANIFEST_BLOB_UNKNOWN", &sha384)],
        ),
        (
            "digests that are none",
            image(&[absent("sha256:short"), absent("")]),
            vec![
                ("DIGEST_INVALID", "sha256:short"),
                ("MANIFEST_BLOB_UNKNOWN", "sha256:short"),
                ("DIGEST_INVALID", ""),
                ("MANIFEST_BLOB_UNKNOWN", ""),
            ],
        ),
        (
            "a wrong size",
            image(&[with(layer(), "size", json!(4))]),
            vec![("MANIFEST_INVALID", "has 5 bytes, the manifest says 4")],
        ),
        ("no size", image(&[with(layer(), "size", json!(0))]), vec![]),
        (
            "embedded data is to be there too",
            image(&[with(descriptor("a/b", "one"), "data", json!("b25l"))]),
            vec![("MANIFEST_BLOB_UNKNOWN", &one)],
        ),
        ("non-distributable", image(&[descriptor(NONDISTRIBUTABLE, "one")]), vec![]),
        (
            "non-distributable with a digest that is none",
            image(&[with(descriptor(NONDISTRIBUTABLE, ""), "digest", json!("x"))]),
            vec![("DIGEST_INVALID", "\"x\"")],
        ),
        (
            "foreign without a URL",
            image(&[descriptor(FOREIGN, "one")]),
            vec![("MANIFEST_INVALID", "missing URL")],
        ),
        (
            "URLs of any layer",
            image(&[with(layer(), "urls", json!(["https://x/"]))]),
            vec![("MANIFEST_INVALID", "https://x/")],
        ),
        (
            "no config",
            manifest(
                MediaType::OCI_IMAGE,
                &json!({ "schemaVersion": 2, "layers": [descriptor("a/b", "one")] }),
            ),
            vec![("MANIFEST_INVALID", "'config'"), ("MANIFEST_BLOB_UNKNOWN", &one)],
        ),
        (
            "artifact",
            manifest(
                "application/vnd.oci.artifact.manifest.v1+json",
                &json!({ "schemaVersion": 2, "blobs": [descriptor("a/b", "one"), layer()] }),
            ),
            vec![("MANIFEST_BLOB_UNKNOWN", &one)],
        ),
        (
            "a type that nobody knows",
            manifest(
                "application/vnd.example+json",
                &json!({ "schemaVersion": 2, "config": descriptor("a/b", "one") }),
            ),
            vec![("MANIFEST_BLOB_UNKNOWN", &one)],
        ),
        (
            "a subject that is not there",
            manifest(
                MediaType::OCI_IMAGE,
                &json!({
                    "schemaVersion": 2,
                    "config": descriptor("a/config", "config"),
                    "subject": descriptor(MediaType::OCI_IMAGE, "one"),
                }),
            ),
            vec![],
        ),
        (
            "no manifest at all",
            manifest(MediaType::OCI_IMAGE, &json!([])),
            vec![("MANIFEST_INVALID", "object")],
        ),
    ];
    for (what, manifest, expected) in cases {
        assert_faults(what, &ManifestValidation::default(), &manifest, &expected).await;
    }
}

#[tokio::test]
async fn urls_are_checked_wherever_they_are() {
    let rules = ManifestValidation::default().with_allowed_urls(["^https://ok/"]).unwrap();
    let urls = |media_type: &str, urls: &[&str]| with(descriptor(media_type, "one"), "urls", json!(urls));
    let off = rules.clone().with_disabled(true);
    let none = ManifestValidation::default();
    let sparse = ManifestValidation::default().with_layers_required(false);
    let cases: Vec<(&str, &ManifestValidation, Manifest, Faults<'_>)> = vec![
        ("foreign, allowed", &rules, image(&[urls(FOREIGN, &["https://ok/x"])]), vec![]),
        (
            "foreign, two refused",
            &rules,
            image(&[urls(FOREIGN, &["https://no/x", "https://ok/x", "ftp://ok/"])]),
            vec![("MANIFEST_INVALID", "https://no/x"), ("MANIFEST_INVALID", "ftp://ok/")],
        ),
        ("non-distributable, allowed", &rules, image(&[urls(NONDISTRIBUTABLE, &["https://ok/x"])]), vec![]),
        (
            "non-distributable, refused",
            &rules,
            image(&[urls(NONDISTRIBUTABLE, &["https://no/x"])]),
            vec![("MANIFEST_INVALID", "validation.manifests.urls.allow")],
        ),
        (
            "non-distributable, no rules",
            &none,
            image(&[urls(NONDISTRIBUTABLE, &["https://any/x"]), urls(NONDISTRIBUTABLE, &["ftp://any/x"])]),
            vec![("MANIFEST_INVALID", "ftp://any/x")],
        ),
        ("layers need not be there", &sparse, image(&[descriptor("a/b", "one")]), vec![]),
        ("switched off", &off, image(&[urls(FOREIGN, &["https://no/x"])]), vec![]),
        (
            "switched off, but a fragment",
            &off,
            image(&[urls(FOREIGN, &["https://no/x#y"])]),
            vec![("MANIFEST_INVALID", "fragment")],
        ),
        (
            "switched off, blobs still count",
            &off,
            image(&[descriptor("a/b", "one")]),
            vec![("MANIFEST_BLOB_UNKNOWN", "sha256:")],
        ),
    ];
    for (what, rules, manifest, expected) in cases {
        assert_faults(what, rules, &manifest, &expected).await;
    }
}

#[tokio::test]
async fn children_follow_the_choice_of_platforms() {
    let missing = descriptor(MediaType::OCI_IMAGE, "gone");
    let on = |os: &str, architecture: &str| {
        with(missing.clone(), "platform", json!({ "os": os, "architecture": architecture }))
    };
    let list = Platforms::List(vec![Platform { os: "linux".into(), architecture: "amd64".into() }]);
    let all = ManifestValidation::default();
    let listed = all.clone().with_platforms(list);
    let none = all.clone().with_platforms(Platforms::None);
    let off = all.clone().with_disabled(true);
    let (fake, present) = stocked();
    let unknown = [("MANIFEST_BLOB_UNKNOWN", "sha256:")];

    for validation in [&all, &listed, &none, &off] {
        assert_eq!(faults(&fake, validation, &index(std::slice::from_ref(&present))).await, []);
        assert_eq!(faults(&fake, validation, &index(&[])).await, []);
    }
    assert_faults("all", &all, &index(&[on("linux", "s390x")]), &unknown).await;
    assert_faults("listed", &listed, &index(&[on("linux", "amd64"), on("linux", "s390x")]), &unknown).await;
    assert_faults("not listed", &listed, &index(&[on("windows", "amd64")]), &[]).await;
    assert_faults("no platform", &listed, &index(std::slice::from_ref(&missing)), &unknown).await;
    assert_faults("none", &none, &index(&[on("linux", "amd64")]), &[]).await;
    assert_faults("switched off", &off, &index(&[on("linux", "amd64")]), &[]).await;
}

#[tokio::test]
async fn a_blob_is_a_child_only_where_the_index_does_not_call_it_a_manifest() {
    let all = ManifestValidation::default();
    let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
    assert_faults("a layer of a build cache", &all, &index(&[descriptor(layer, "layer")]), &[]).await;
    let called = index(&[descriptor(MediaType::OCI_IMAGE, "layer")]);
    assert_faults("a blob called image", &all, &called, &[("MANIFEST_BLOB_UNKNOWN", "sha256:")]).await;
}

#[tokio::test]
async fn a_single_fault_is_not_wrapped() {
    let (fake, _) = stocked();
    let error = put(&fake, &ManifestValidation::default(), &image(&[descriptor("a/b", "one")])).await;
    assert!(matches!(error, Err(Error::ManifestBlobUnknown { .. })));
}

/// Blobs that are all there with 3 bytes, but answer late; or not at all.
#[derive(Debug, Default)]
struct Slow {
    asked: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    broken: bool,
}

#[async_trait]
impl BlobStore for Slow {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        if self.broken {
            let source = "unplugged".into();
            return Err(StorageError::Unavailable { driver: "fake", source }.into());
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        Ok(Descriptor::blob(digest.clone(), 3))
    }
    async fn get(&self, _digest: &Digest, _options: GetBlob) -> Result<Blob> {
        Err(Error::unsupported("get"))
    }
    async fn start(&self, _options: StartUpload) -> Result<UploadStart> {
        Err(Error::unsupported("start"))
    }
    async fn resume(&self, _id: &UploadId, _ticket: Option<&str>) -> Result<Box<dyn BlobWriter>> {
        Err(Error::unsupported("resume"))
    }
    async fn status(&self, _id: &UploadId, _ticket: Option<&str>) -> Result<UploadStatus> {
        Err(Error::unsupported("status"))
    }
    async fn delete(&self, _digest: &Digest) -> Result<()> {
        Err(Error::unsupported("delete"))
    }
}

async fn put_over(slow: Arc<Slow>, manifest: &Manifest) -> Result<Descriptor> {
    let fake = Fake::new();
    let manifests = Manifests {
        inner: fake.open("a").await.manifests(),
        blobs: slow,
        validation: Arc::new(ManifestValidation::default()),
    };
    manifests.put(manifest, PutManifest::default()).await
}

fn wide() -> Manifest {
    let layers: Vec<Value> = (0..200)
        .map(|number| with(descriptor("a/b", &format!("{}", number % 100)), "size", json!(3)))
        .collect();
    let payload = json!({ "schemaVersion": 2, "layers": layers, "config": descriptor("a/b", "abc") });
    manifest(MediaType::OCI_IMAGE, &payload)
}

#[tokio::test]
async fn many_are_asked_for_at_once_but_not_too_many_and_each_once() {
    let slow = Arc::new(Slow::default());
    put_over(Arc::clone(&slow), &wide()).await.unwrap();
    assert_eq!(slow.asked.load(Ordering::SeqCst), 101);
    assert_eq!(slow.most_at_once.load(Ordering::SeqCst), 16);
}

#[tokio::test]
async fn a_store_that_fails_is_not_taken_for_missing_content() {
    let broken = Arc::new(Slow { broken: true, ..Slow::default() });
    let error = put_over(broken, &wide()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::UNAVAILABLE);
}

#[test]
fn the_future_can_move_between_threads() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    drop(is_send(put_over(Arc::default(), &wide())).now_or_never());
}
