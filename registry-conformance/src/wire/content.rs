//! What the cases push.

use bytes::Bytes;
use registry_core::{Algorithm, Digest, MediaType};
use serde_json::{Value, json};

use super::client::Client;
use super::reply::Reply;

/// The type of a layer.
pub(super) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The type of a configuration.
pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

pub(super) fn sha256(content: &[u8]) -> Digest {
    Algorithm::Sha256.digest(content)
}

pub(super) fn sha512(content: &[u8]) -> Digest {
    Algorithm::Sha512.digest(content)
}

/// A digest of content that nobody has pushed.
pub(super) fn absent() -> Digest {
    sha256(b"nobody has pushed this")
}

/// A URL with one more query parameter.
pub(super) fn with_query(url: &str, pair: &str) -> String {
    format!("{url}{}{pair}", if url.contains('?') { '&' } else { '?' })
}

/// Begins an upload and gives its URL.
pub(super) async fn begin(client: &Client, name: &str) -> String {
    client.post(format!("/v2/{name}/blobs/uploads/")).body("").await.expect(202).location()
}

/// Pushes a blob in the usual way.
pub(super) async fn push_blob(client: &Client, name: &str, content: impl Into<Bytes>) -> Digest {
    let content = content.into();
    let digest = sha256(&content);
    let url = with_query(&begin(client, name).await, &format!("digest={digest}"));
    client.put(url).header("content-type", MediaType::OCTET_STREAM).body(content).await.expect(201);
    digest
}

/// Asserts that a blob can be pulled, byte for byte.
pub(super) async fn assert_blob(client: &Client, name: &str, digest: &Digest, content: &[u8]) {
    let reply = client.get(format!("/v2/{name}/blobs/{digest}")).await.expect(200);
    crate::data::assert_same(&reply.body, content, "the blob");
}

/// Asserts that a blob cannot be pulled.
pub(super) async fn assert_no_blob(client: &Client, name: &str, digest: &Digest) {
    client.get(format!("/v2/{name}/blobs/{digest}")).await.fails(404, "BLOB_UNKNOWN");
    client.head(format!("/v2/{name}/blobs/{digest}")).await.expect(404);
}

/// A descriptor of content.
pub(super) fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": sha256(content), "size": content.len() })
}

/// A manifest as bytes, spaced unlike any serializer would, so that one written anew shows.
pub(super) fn payload(manifest: &Value) -> Bytes {
    format!(" {manifest}\n\n").into()
}

/// An OCI image whose configuration and layer are these contents.
pub(super) fn image(config: &[u8], layer: &[u8]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_IMAGE,
        "config": descriptor(CONFIG, config),
        "layers": [descriptor(LAYER, layer)],
    })
}

/// An OCI index of these manifests, all of them OCI images.
pub(super) fn index(children: &[Bytes]) -> Value {
    let children: Vec<Value> = children.iter().map(|child| descriptor(MediaType::OCI_IMAGE, child)).collect();
    json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": children })
}

/// An artifact that refers to a subject, over the empty configuration.
pub(super) fn artifact(subject: &Digest, artifact_type: &str) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_IMAGE,
        "artifactType": artifact_type,
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [descriptor("application/vnd.oci.empty.v1+json", b"{}")],
        "subject": { "mediaType": MediaType::OCI_IMAGE, "digest": subject, "size": 7 },
    })
}

/// Asks to push a manifest and gives the answer, whatever it is.
pub(super) async fn put_manifest(
    client: &Client,
    name: &str,
    reference: &str,
    media_type: &str,
    payload: impl Into<Bytes>,
) -> Reply {
    let url = format!("/v2/{name}/manifests/{reference}");
    client.put(url).header("content-type", media_type).body(payload).await
}

/// The contents of the image that [`push_image`] makes of a word.
pub(super) fn parts(word: &str) -> (Bytes, Bytes) {
    (format!(r#"{{"config":"{word}"}}"#).into(), format!("layer of {word}").into())
}

/// Pushes an image made of a word, with its blobs, and gives its bytes.
pub(super) async fn push_image(client: &Client, name: &str, tag: &str, word: &str) -> Bytes {
    let (config, layer) = parts(word);
    push_blob(client, name, config.clone()).await;
    push_blob(client, name, layer.clone()).await;
    let payload = payload(&image(&config, &layer));
    put_manifest(client, name, tag, MediaType::OCI_IMAGE, payload.clone()).await.expect(201);
    payload
}

/// Asserts that a manifest can be pulled, byte for byte, and gives the answer.
pub(super) async fn assert_manifest(client: &Client, name: &str, reference: &str, payload: &[u8]) -> Reply {
    let reply = client.get_and_head(format!("/v2/{name}/manifests/{reference}")).await.expect(200);
    crate::data::assert_same(&reply.body, payload, "the manifest");
    reply
}

/// Asserts that there is no manifest under a tag or digest.
pub(super) async fn assert_no_manifest(client: &Client, name: &str, reference: impl ToString) {
    let url = format!("/v2/{name}/manifests/{}", reference.to_string());
    client.get_and_head(url).await.fails(404, "MANIFEST_UNKNOWN");
}

/// Follows `Link` from a URL to the end and gives the pages' items: the strings in a member of the body.
pub(super) async fn pages(client: &Client, url: &str, member: &str) -> Vec<Vec<String>> {
    let mut next = Some(url.to_owned());
    let mut pages = Vec::new();
    while let Some(url) = next {
        assert!(pages.len() < 1000, "the pages of {url} come to an end");
        let reply = client.get(&url).await.expect(200);
        next = reply.next_page();
        let json = reply.json();
        let items = json[member].as_array().unwrap_or_else(|| panic!("no list: {}", reply.summary()));
        let text = |item: &Value| item.as_str().or(item["digest"].as_str()).unwrap_or_default().to_owned();
        pages.push(items.iter().map(text).collect());
    }
    pages
}
