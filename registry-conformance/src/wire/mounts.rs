//! end-11: blobs that come from another repository.

use super::client::Client;
use super::content::{absent, assert_blob, assert_no_blob, push_blob, sha256, sha512, with_query};
use super::reply::Reply;
use crate::data::random;

/// Asserts what the specification wants of a mount that succeeded.
async fn assert_mounted(client: &Client, reply: Reply, digest: &str, content: &[u8]) {
    let reply = reply.expect(201).has("content-length", 0).has("docker-content-digest", digest);
    let pulled = client.get(reply.location()).await.expect(200);
    crate::data::assert_same(&pulled.body, content, "the mounted blob");
}

/// Asserts that an upload has begun instead, and that it can be used.
async fn assert_begun(client: &Client, name: &str, reply: Reply) {
    let reply = reply.expect(202).has("range", "0-0").has("content-length", 0);
    assert!(reply.location().contains(reply.header("docker-upload-uuid")));
    let digest = sha256(b"pushed instead");
    let url = with_query(&reply.location(), &format!("digest={digest}"));
    client.put(url).body("pushed instead").await.expect(201);
    assert_blob(client, name, &digest, b"pushed instead").await;
}

/// The blob is in the target, and stays in the source.
pub async fn a_blob_is_mounted_from_another_repository(client: Client) {
    let content = random(30, 50_000);
    let digest = push_blob(&client, "mnt/source", content.clone()).await;
    assert_no_blob(&client, "mnt/target", &digest).await;
    let url = format!("/v2/mnt/target/blobs/uploads/?mount={digest}&from=mnt%2Fsource");
    assert_mounted(&client, client.post(url).body("").await, digest.as_str(), &content).await;
    for name in ["mnt/source", "mnt/target"] {
        assert_blob(&client, name, &digest, &content).await;
    }
    // A slash needs no escape in a query.
    let url = format!("/v2/mnt/other/blobs/uploads/?mount={digest}&from=mnt/source");
    assert_mounted(&client, client.post(url).body("").await, digest.as_str(), &content).await;
}

/// `from` may be left out.
pub async fn a_blob_is_mounted_from_anywhere(client: Client) {
    let content = random(31, 50_000);
    let digest = push_blob(&client, "mnt/source", content.clone()).await;
    for from in ["", "&from="] {
        let url = format!("/v2/mnt/target{}/blobs/uploads/?mount={digest}{from}", from.len());
        assert_mounted(&client, client.post(url).body("").await, digest.as_str(), &content).await;
    }
}

/// A repository may mount from itself.
pub async fn a_blob_is_mounted_where_it_is(client: Client) {
    let digest = push_blob(&client, "mnt", "itself").await;
    let url = format!("/v2/mnt/blobs/uploads/?mount={digest}&from=mnt");
    assert_mounted(&client, client.post(url).body("").await, digest.as_str(), b"itself").await;
}

/// Under the digest that it was asked for by.
pub async fn a_blob_of_sha512_is_mounted(client: Client) {
    let content = random(32, 1000);
    let digest = sha512(&content);
    let url = format!("/v2/mnt/source/blobs/uploads/?digest={digest}");
    client.post(url).body(content.clone()).await.expect(201);
    for from in ["&from=mnt/source", ""] {
        let url = format!("/v2/mnt/target{}/blobs/uploads/?mount={digest}{from}", from.len());
        assert_mounted(&client, client.post(url).body("").await, digest.as_str(), &content).await;
    }
}

/// Where a mount is impossible, an upload begins.
pub async fn what_cannot_be_mounted_is_uploaded(client: Client) {
    let digest = push_blob(&client, "mnt/source", "here").await;
    for query in [
        format!("mount={}&from=mnt/source", absent()),
        format!("mount={}", absent()),
        format!("mount={digest}&from=mnt/unknown"),
        format!("mount={digest}&from=mnt"),
        "from=mnt/source".to_owned(),
        "mount=&from=mnt/source".to_owned(),
    ] {
        let reply = client.post(format!("/v2/mnt/target/blobs/uploads/?{query}")).body("").await;
        assert_begun(&client, "mnt/target", reply).await;
        assert_no_blob(&client, "mnt/target", &digest).await;
    }
}

/// A mistake is told rather than passed over.
pub async fn a_malformed_mount_is_refused(client: Client) {
    let digest = push_blob(&client, "mnt/source", "here").await;
    for mount in ["x", "sha256:abc", "sha256", ":", "sha256%3A"] {
        let url = format!("/v2/mnt/target/blobs/uploads/?mount={mount}&from=mnt/source");
        client.post(url).body("").await.fails(400, "DIGEST_INVALID");
    }
    for from in ["Upper", "..%2Fx", "a%2F%2Fb", "-a", "%00", &"a".repeat(256)] {
        let url = format!("/v2/mnt/target/blobs/uploads/?mount={digest}&from={from}");
        client.post(url).body("").await.fails(400, "NAME_INVALID");
    }
}

/// A mount is no loan.
pub async fn a_mounted_blob_outlives_its_source(client: Client) {
    let digest = push_blob(&client, "mnt/source", "kept").await;
    let url = format!("/v2/mnt/target/blobs/uploads/?mount={digest}&from=mnt/source");
    client.post(url).body("").await.expect(201);
    client.delete(format!("/v2/mnt/source/blobs/{digest}")).await.expect(202);
    assert_no_blob(&client, "mnt/source", &digest).await;
    assert_blob(&client, "mnt/target", &digest, b"kept").await;
}

/// Nor does a repository give what it has no more.
pub async fn a_deleted_blob_is_not_mounted(client: Client) {
    let digest = push_blob(&client, "mnt/source", "gone").await;
    client.delete(format!("/v2/mnt/source/blobs/{digest}")).await.expect(202);
    let url = format!("/v2/mnt/target/blobs/uploads/?mount={digest}&from=mnt/source");
    client.post(url).body("").await.expect(202);
    assert_no_blob(&client, "mnt/target", &digest).await;
}
