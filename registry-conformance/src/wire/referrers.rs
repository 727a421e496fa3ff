//! end-12a and end-12b.

use std::collections::BTreeSet;

use bytes::Bytes;
use registry_core::{Digest, MediaType};
use serde_json::{Value, json};

use super::client::Client;
use super::content::{
    absent, artifact, descriptor, index, pages, payload, push_blob, push_image, put_manifest, sha256, sha512,
};

const SBOM: &str = "application/vnd.example.sbom.v1+json";
const SIGNATURE: &str = "application/vnd.example.signature";

/// Pushes a manifest by its digest and gives that.
async fn push(client: &Client, media_type: &str, manifest: &Value) -> Digest {
    let bytes = payload(manifest);
    let digest = sha256(&bytes);
    put_manifest(client, "ref", digest.as_str(), media_type, bytes).await.expect(201);
    digest
}

/// An image, an artifact of each type, and an index, all of which refer to the first.
async fn push_family(client: &Client) -> (Digest, [Digest; 3]) {
    push_blob(client, "ref", "{}").await;
    let subject = sha256(&push_image(client, "ref", "x", "subject").await);
    let sbom = push(client, MediaType::OCI_IMAGE, &artifact(&subject, SBOM)).await;
    let signature = push(client, MediaType::OCI_IMAGE, &artifact(&subject, SIGNATURE)).await;
    let mut list = index(&[]);
    list["subject"] = json!({ "mediaType": MediaType::OCI_IMAGE, "digest": subject, "size": 7 });
    let list = push(client, MediaType::OCI_INDEX, &list).await;
    (subject, [sbom, signature, list])
}

/// The descriptors in an answer, which has to be an image index.
async fn referrers(client: &Client, subject: &Digest, query: &str) -> Vec<Value> {
    let reply = client.get_and_head(format!("/v2/ref/referrers/{subject}{query}")).await.expect(200);
    let reply = reply.has("content-type", MediaType::OCI_INDEX);
    let json = reply.json();
    assert_eq!(json["schemaVersion"], 2);
    assert_eq!(json["mediaType"], MediaType::OCI_INDEX);
    json["manifests"].as_array().unwrap_or_else(|| panic!("no list: {}", reply.summary())).clone()
}

fn digests(descriptors: &[Value]) -> BTreeSet<String> {
    let digests = descriptors.iter().map(|found| found["digest"].as_str().unwrap_or_default().to_owned());
    digests.collect()
}

fn set(digests: &[Digest]) -> BTreeSet<String> {
    digests.iter().map(ToString::to_string).collect()
}

/// There is a list for every digest; it may be empty, but it is never missing.
pub async fn what_nothing_refers_to_has_an_empty_list(client: Client) {
    let subject = sha256(&push_image(&client, "ref", "x", "alone").await);
    for (name, digest) in [("ref", subject), ("ref", absent()), ("unknown/repository", absent())] {
        for query in ["", "?artifactType=a/b", "?n=5"] {
            let url = format!("/v2/{name}/referrers/{digest}{query}");
            let reply = client.get_and_head(&url).await.expect(200).has("content-type", MediaType::OCI_INDEX);
            let expected = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [] });
            assert_eq!(reply.lacks("link").json(), expected, "{url}");
        }
    }
}

/// All of them, each with its type, digest and size.
pub async fn everything_that_refers_is_listed(client: Client) {
    let (subject, family) = push_family(&client).await;
    let found = referrers(&client, &subject, "").await;
    assert_eq!(digests(&found), set(&family));
    for descriptor in &found {
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        let pulled = client.get(format!("/v2/ref/manifests/{digest}")).await.expect(200);
        assert_eq!(descriptor["size"], pulled.body.len());
        assert_eq!(descriptor["mediaType"], pulled.header("content-type"));
    }
}

/// The type of an artifact: its own, or for an image that of its configuration; an index has none.
pub async fn artifact_types_follow_the_specification(client: Client) {
    push_blob(&client, "ref", "{}").await;
    let subject = absent();
    let mut without = artifact(&subject, "");
    without.as_object_mut().expect("an object").remove("artifactType");
    without["config"] = descriptor("application/vnd.example.config", b"{}");
    let mut empty = without.clone();
    empty["artifactType"] = json!("");
    let mut typed = index(&[]);
    typed["subject"] = without["subject"].clone();
    let untyped = typed.clone();
    typed["artifactType"] = json!(SIGNATURE);
    for (media_type, manifest, expected) in [
        (MediaType::OCI_IMAGE, artifact(&subject, SBOM), Some(SBOM)),
        (MediaType::OCI_IMAGE, without, Some("application/vnd.example.config")),
        (MediaType::OCI_IMAGE, empty, Some("application/vnd.example.config")),
        (MediaType::OCI_INDEX, typed, Some(SIGNATURE)),
        (MediaType::OCI_INDEX, untyped, None),
    ] {
        let digest = push(&client, media_type, &manifest).await;
        let found = referrers(&client, &subject, "").await;
        let found = found.iter().find(|found| found["digest"] == digest.as_str()).expect("it is listed");
        assert_eq!(found.get("artifactType"), expected.map(Value::from).as_ref(), "{manifest}");
        assert_eq!(found["mediaType"], media_type);
    }
}

/// A referrer of a type of its own is listed under it, also if only `Content-Type` said it, and each time
/// that the list is asked for.
pub async fn a_referrer_of_a_custom_type_is_listed_under_it(client: Client) {
    push_blob(&client, "ref", "{}").await;
    let custom = "application/vnd.example.thing.v1+json";
    let mut manifest = artifact(&absent(), SBOM);
    manifest.as_object_mut().expect("an object").remove("mediaType");
    let digest = push(&client, custom, &manifest).await;
    for _ in 0..2 {
        let found = referrers(&client, &absent(), "").await;
        assert_eq!(digests(&found), set(std::slice::from_ref(&digest)));
        assert_eq!(found[0]["mediaType"], custom, "as it is pulled");
    }
    client.get(format!("/v2/ref/manifests/{digest}")).await.expect(200).has("content-type", custom);
}

/// What a client wants to know without pulling each referrer.
pub async fn annotations_are_those_of_the_manifest(client: Client) {
    push_blob(&client, "ref", "{}").await;
    let annotations = json!({ "org.example.b": "2", "org.example.a": "é \"quoted\"", "": "" });
    let mut manifest = artifact(&absent(), SBOM);
    manifest["annotations"] = annotations.clone();
    push(&client, MediaType::OCI_IMAGE, &manifest).await;
    let found = referrers(&client, &absent(), "").await;
    assert_eq!(found[0]["annotations"], annotations);
}

/// end-12b: a `+` in the type may be escaped or not, and the answer says that there was a filter.
pub async fn referrers_are_filtered_by_type(client: Client) {
    let (subject, [sbom, signature, _]) = push_family(&client).await;
    let raw = "application/vnd.example.sbom.v1+json";
    let escaped = "application%2Fvnd.example.sbom.v1%2Bjson";
    for (filter, expected) in
        [(raw, Some(sbom.clone())), (escaped, Some(sbom)), (SIGNATURE, Some(signature)), ("a/none", None)]
    {
        let url = format!("/v2/ref/referrers/{subject}?artifactType={filter}");
        let reply = client.get_and_head(&url).await.expect(200).has("oci-filters-applied", "artifactType");
        let found = reply.json()["manifests"].take();
        assert_eq!(digests(found.as_array().expect("a list")), set(expected.as_slice()), "{filter}");
    }
    let url = format!("/v2/ref/referrers/{subject}");
    client.get(&url).await.expect(200).lacks("oci-filters-applied");
    client.get(format!("{url}?artifactType=")).await.expect(200).lacks("oci-filters-applied");
}

/// Pages cover all once, with a filter and without; the last one says that it is.
pub async fn pages_of_referrers_cover_all_once(client: Client) {
    push_blob(&client, "ref", "{}").await;
    let subject = absent();
    let mut all = Vec::new();
    for i in 0..7 {
        let mut manifest = artifact(&subject, if i < 4 { SBOM } else { SIGNATURE });
        manifest["annotations"] = json!({ "number": i.to_string() });
        all.push(push(&client, MediaType::OCI_IMAGE, &manifest).await);
    }
    for (filter, expected) in [(String::new(), &all[..]), (format!("&artifactType={SBOM}"), &all[..4])] {
        for n in [1, 2, 3, 4, 7, 8, 5000] {
            let url = format!("/v2/ref/referrers/{subject}?n={n}{filter}");
            let pages = pages(&client, &url, "manifests").await;
            let found = pages.concat();
            assert_eq!(found.len(), expected.len(), "{url}");
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), set(expected), "{url}");
            assert_eq!(pages.len(), expected.len().div_ceil(n), "{url}: no page is empty");
        }
    }
}

/// A digest that is none, or a number that is none.
pub async fn a_malformed_request_is_refused(client: Client) {
    for digest in ["latest", "sha256:abc", "sha256", ":"] {
        client.get_and_head(format!("/v2/ref/referrers/{digest}")).await.fails(400, "DIGEST_INVALID");
    }
    let url = format!("/v2/ref/referrers/{}?n=x", absent());
    client.get(url).await.fails(400, "PAGINATION_NUMBER_INVALID");
}

/// A deleted manifest refers to nothing, and one that was pushed again does.
pub async fn a_deleted_referrer_is_not_listed(client: Client) {
    let (subject, [sbom, signature, list]) = push_family(&client).await;
    client.delete(format!("/v2/ref/manifests/{sbom}")).await.expect(202);
    assert_eq!(digests(&referrers(&client, &subject, "").await), set(&[signature, list]));
    assert!(referrers(&client, &subject, &format!("?artifactType={SBOM}")).await.is_empty());
    assert_eq!(push(&client, MediaType::OCI_IMAGE, &artifact(&subject, SBOM)).await, sbom);
    assert_eq!(referrers(&client, &subject, "").await.len(), 3);
    // What is referred to may go; what refers to it stays.
    client.delete(format!("/v2/ref/manifests/{subject}")).await.expect(202);
    assert_eq!(referrers(&client, &subject, "").await.len(), 3);
}

/// Referrers belong to their repository.
pub async fn referrers_of_another_repository_are_not_listed(client: Client) {
    let (subject, _) = push_family(&client).await;
    let reply = client.get(format!("/v2/other/referrers/{subject}")).await.expect(200);
    assert_eq!(reply.json()["manifests"], json!([]));
}

/// A subject may have any algorithm.
pub async fn a_subject_of_sha512_has_referrers(client: Client) {
    push_blob(&client, "ref", "{}").await;
    let subject = sha512(b"subject");
    let bytes: Bytes = payload(&artifact(&subject, SBOM));
    let reply = put_manifest(&client, "ref", "x", MediaType::OCI_IMAGE, bytes.clone()).await;
    reply.expect(201).has("oci-subject", &subject);
    assert_eq!(digests(&referrers(&client, &subject, "").await), set(&[sha256(&bytes)]));
}
