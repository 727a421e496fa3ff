//! A registry in which nothing can be deleted.

use super::client::Client;
use super::content::{absent, assert_blob, assert_manifest, begin, parts, push_image, sha256};

/// Tags, manifests and blobs stay, and whoever asks for what is not there learns nothing.
pub async fn nothing_can_be_deleted(client: Client) {
    let bytes = push_image(&client, "del", "x", "kept").await;
    let (_, layer) = parts("kept");
    let (manifest, blob) = (sha256(&bytes), sha256(&layer));
    for uri in [
        "/v2/del/manifests/x".to_owned(),
        format!("/v2/del/manifests/{manifest}"),
        format!("/v2/del/blobs/{blob}"),
        "/v2/del/manifests/none".to_owned(),
        format!("/v2/del/manifests/{}", absent()),
        format!("/v2/del/blobs/{}", absent()),
        "/v2/unknown/manifests/x".to_owned(),
        format!("/v2/unknown/blobs/{}", absent()),
    ] {
        client.delete(&uri).await.fails(405, "UNSUPPORTED");
    }
    assert_manifest(&client, "del", "x", &bytes).await;
    assert_blob(&client, "del", &blob, &layer).await;
}

/// An upload is no content yet.
pub async fn uploads_can_be_cancelled(client: Client) {
    let url = begin(&client, "del").await;
    client.delete(&url).await.expect(204);
    client.get(&url).await.fails(404, "BLOB_UPLOAD_UNKNOWN");
}

/// Mistakes are told before.
pub async fn a_malformed_request_is_told_first(client: Client) {
    client.delete("/v2/del/blobs/sha256:abc").await.fails(400, "DIGEST_INVALID");
    client.delete("/v2/del/manifests/-x").await.fails(400, "TAG_INVALID");
    client.delete(format!("/v2/Upper/blobs/{}", absent())).await.fails(400, "NAME_INVALID");
}
