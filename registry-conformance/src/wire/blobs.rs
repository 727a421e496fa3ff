//! end-2 and end-10: blobs that are there, and blobs that are not.

use super::client::Client;
use super::content::{absent, assert_blob, assert_no_blob, push_blob, push_image, sha256, sha512};
use crate::data::random;

/// `GET` and `HEAD` say the same.
pub async fn a_blob_is_pulled_with_all_its_headers(client: Client) {
    let content = random(40, 100_000);
    let digest = push_blob(&client, "blb", content.clone()).await;
    let reply = client.get_and_head(format!("/v2/blb/blobs/{digest}")).await.expect(200);
    crate::data::assert_same(&reply.body, &content, "the blob");
    reply
        .has("docker-content-digest", &digest)
        .has("content-length", content.len())
        .has("content-type", "application/octet-stream")
        .has("etag", format!("\"{digest}\""))
        .has("accept-ranges", "bytes")
        .has("cache-control", "max-age=31536000")
        .lacks("content-range");
}

/// A blob has the digest that it was pushed under.
pub async fn a_blob_of_sha512_is_pulled_under_its_digest(client: Client) {
    let content = random(41, 10_000);
    let digest = sha512(&content);
    client.post(format!("/v2/blb/blobs/uploads/?digest={digest}")).body(content.clone()).await.expect(201);
    let reply = client.get_and_head(format!("/v2/blb/blobs/{digest}")).await.expect(200);
    crate::data::assert_same(&reply.body, &content, "the blob");
    reply.has("docker-content-digest", &digest).has("etag", format!("\"{digest}\""));
}

/// No bytes are a blob.
pub async fn an_empty_blob_is_pulled(client: Client) {
    let digest = push_blob(&client, "blb", "").await;
    let reply = client.get_and_head(format!("/v2/blb/blobs/{digest}")).await.expect(200);
    let reply = reply.has("content-length", 0).has("docker-content-digest", &digest);
    assert!(reply.body.is_empty());
    // There is no byte to begin with.
    for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
        let reply = client.get(format!("/v2/blb/blobs/{digest}")).header("range", range).await;
        reply.fails(416, "RANGE_INVALID").has("content-range", "bytes */0");
    }
}

/// The answer names the blob.
pub async fn an_unknown_blob_is_not_found(client: Client) {
    push_blob(&client, "blb", "something else").await;
    for name in ["blb", "unknown/repository"] {
        let url = format!("/v2/{name}/blobs/{}", absent());
        let reply = client.get_and_head(&url).await.fails(404, "BLOB_UNKNOWN");
        assert_eq!(reply.detail(), absent().as_str());
        client.get(&url).header("range", "bytes=0-4").await.fails(404, "BLOB_UNKNOWN");
        client.get(&url).header("range", "bytes=0-0,2-2").await.fails(404, "BLOB_UNKNOWN");
        client.get(&url).header("range", "bytes=4-0").await.fails(404, "BLOB_UNKNOWN");
        let etag = format!("\"{}\"", absent());
        client.get(&url).header("if-none-match", &etag).await.fails(404, "BLOB_UNKNOWN");
        client.delete(&url).await.fails(404, "BLOB_UNKNOWN");
    }
}

/// What is no digest is the client's mistake.
pub async fn a_malformed_digest_is_refused(client: Client) {
    let upper = absent().to_string().to_uppercase().replace("SHA256", "sha256");
    let long = format!("{}0", absent());
    for digest in
        ["latest", "sha256:abc", "sha256:", ":abc", "sha256", "SHA256:abc", "sha512:00", &upper, &long]
    {
        let url = format!("/v2/blb/blobs/{digest}");
        client.get_and_head(&url).await.fails(400, "DIGEST_INVALID");
        client.delete(&url).await.fails(400, "DIGEST_INVALID");
    }
}

/// Nothing is stored under an algorithm that the registry does not compute.
pub async fn a_digest_of_an_unknown_algorithm_has_no_blob(client: Client) {
    for digest in ["blake3:abc", "md5:d41d8cd98f00b204e9800998ecf8427e", "a+b.c:x_y-z="] {
        let reply = client.get_and_head(format!("/v2/blb/blobs/{digest}")).await;
        assert!(matches!(reply.status.as_u16(), 400 | 404), "{}", reply.summary());
    }
}

/// A digest is no key to other repositories.
pub async fn a_blob_is_not_seen_in_another_repository(client: Client) {
    let digest = push_blob(&client, "blb/one", "secret").await;
    for name in ["blb/two", "blb", "blb/one/more"] {
        assert_no_blob(&client, name, &digest).await;
        let url = format!("/v2/{name}/blobs/{digest}");
        client.get(&url).header("range", "bytes=0-1").await.fails(404, "BLOB_UNKNOWN");
        client.get(&url).header("if-none-match", "*").await.fails(404, "BLOB_UNKNOWN");
        client.delete(&url).await.fails(404, "BLOB_UNKNOWN");
    }
    assert_blob(&client, "blb/one", &digest, b"secret").await;
}

/// end-10: gone at once, and only here.
pub async fn a_deleted_blob_is_gone(client: Client) {
    let digest = push_blob(&client, "blb/one", "gone").await;
    push_blob(&client, "blb/two", "gone").await;
    assert_blob(&client, "blb/one", &digest, b"gone").await;
    let url = format!("/v2/blb/one/blobs/{digest}");
    let reply = client.delete(&url).await.expect(202).has("content-length", 0);
    assert!(reply.body.is_empty());
    assert_no_blob(&client, "blb/one", &digest).await;
    client.delete(&url).await.fails(404, "BLOB_UNKNOWN");
    assert_blob(&client, "blb/two", &digest, b"gone").await;
    push_blob(&client, "blb/one", "gone").await;
    assert_blob(&client, "blb/one", &digest, b"gone").await;
}

/// A manifest is no blob, and a blob no manifest, though they share a store.
pub async fn manifests_are_not_blobs(client: Client) {
    let manifest = push_image(&client, "blb", "x", "kinds").await;
    assert_no_blob(&client, "blb", &sha256(&manifest)).await;
    let digest = push_blob(&client, "blb", "no manifest").await;
    client.get(format!("/v2/blb/manifests/{digest}")).await.fails(404, "MANIFEST_UNKNOWN");
}

/// A client that has the blob is told so (RFC 9110, section 13).
pub async fn a_known_blob_is_not_sent_again(client: Client) {
    let digest = push_blob(&client, "blb", "cached").await;
    let url = format!("/v2/blb/blobs/{digest}");
    for tag in [
        format!("\"{digest}\""),
        format!("W/\"{digest}\""),
        format!("\"other\", \"{digest}\""),
        format!("\"other\",W/\"{digest}\" , \"more\""),
        "*".to_owned(),
    ] {
        for ask in [client.get(&url), client.head(&url), client.get(&url).header("range", "bytes=0-1")] {
            let reply = ask.header("if-none-match", &tag).await.expect(304);
            reply.has("etag", format!("\"{digest}\"")).has("docker-content-digest", &digest);
        }
    }
    let two_lines = client.get(&url).header("if-none-match", "\"x\"");
    two_lines.header("if-none-match", format!("\"{digest}\"")).await.expect(304);
    for tag in ["\"other\"", "\"sha256:abc\"", "W/\"other\"", "nonsense", ""] {
        let reply = client.get(&url).header("if-none-match", tag).await.expect(200);
        assert_eq!(reply.body, "cached");
    }
}

/// A client that wants exactly this blob, and one that wants another.
pub async fn another_blob_than_expected_is_not_sent(client: Client) {
    let digest = push_blob(&client, "blb", "expected").await;
    let url = format!("/v2/blb/blobs/{digest}");
    for tag in [format!("\"{digest}\""), format!("\"other\", \"{digest}\""), "*".to_owned()] {
        let reply = client.get(&url).header("if-match", &tag).await.expect(200);
        assert_eq!(reply.body, "expected");
        client.head(&url).header("if-match", &tag).await.expect(200);
    }
    for ask in [client.get(&url), client.head(&url), client.get(&url).header("range", "bytes=0-1")] {
        let reply = ask.header("if-match", "\"other\"").await.expect(412);
        // A length without a body would leave the client waiting.
        assert!(matches!(reply.find("content-length"), None | Some("0")), "{}", reply.summary());
    }
}

/// `If-Match` compares strongly (RFC 9110, section 13.1.1): a tag that somebody on the way has weakened
/// vouches for nothing.
pub async fn a_weak_tag_is_no_match(client: Client) {
    let digest = push_blob(&client, "blb", "weak").await;
    let url = format!("/v2/blb/blobs/{digest}");
    client.get(&url).header("if-match", format!("W/\"{digest}\"")).await.expect(412);
}
