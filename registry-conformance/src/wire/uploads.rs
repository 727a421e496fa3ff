//! end-4a to end-6, end-13 and end-14: all ways in which a blob gets in.

use registry_core::Algorithm;

use super::client::Client;
use super::content::{assert_blob, assert_no_blob, begin, push_blob, sha256, sha512, with_query};
use super::reply::Reply;
use crate::data::random;

/// Asserts what the specification wants of the answer that ends an upload, and pulls the blob from where
/// it says.
async fn assert_created(client: &Client, reply: Reply, digest: &str, content: &[u8]) {
    let reply = reply.expect(201).has("content-length", 0).has("docker-content-digest", digest);
    let pulled = client.get(reply.location()).await.expect(200);
    crate::data::assert_same(&pulled.body, content, "the blob at its Location");
}

/// end-4a.
pub async fn a_session_begins_with_its_location(client: Client) {
    let first = client.post("/v2/up/blobs/uploads/").body("").await.expect(202);
    let second = client.post("/v2/up/blobs/uploads/").body("").await.expect(202);
    for reply in [&first, &second] {
        assert_eq!(reply.header("range"), "0-0");
        assert_eq!(reply.header("content-length"), "0");
        let id = reply.header("docker-upload-uuid");
        assert!(reply.location().contains(&format!("/v2/up/blobs/uploads/{id}")), "{}", reply.summary());
    }
    assert_ne!(first.header("docker-upload-uuid"), second.header("docker-upload-uuid"));
}

/// end-4a and end-6.
pub async fn post_then_put_stores_a_blob(client: Client) {
    let content = random(1, 300_000);
    let digest = sha256(&content);
    let url = with_query(&begin(&client, "up/post-put").await, &format!("digest={digest}"));
    let reply =
        client.put(url).header("content-type", "application/octet-stream").body(content.clone()).await;
    assert_created(&client, reply, digest.as_str(), &content).await;
    assert_blob(&client, "up/post-put", &digest, &content).await;
}

/// end-4b.
pub async fn a_single_post_stores_a_blob(client: Client) {
    let content = random(2, 70_000);
    let digest = sha256(&content);
    let url = format!("/v2/up/blobs/uploads/?digest={digest}");
    let reply = client.post(&url).body(content.clone()).await;
    assert_created(&client, reply, digest.as_str(), &content).await;
    let content = random(3, 70_000);
    let digest = sha256(&content);
    let reply = client.post(format!("/v2/up/blobs/uploads/?digest={digest}")).streamed(content.clone()).await;
    assert_created(&client, reply, digest.as_str(), &content).await;
}

/// The content of a single `POST` is checked like any other.
pub async fn a_single_post_of_other_content_is_refused(client: Client) {
    let digest = sha256(b"announced");
    let url = format!("/v2/up/blobs/uploads/?digest={digest}");
    client.post(&url).body("sent").await.fails(400, "DIGEST_INVALID");
    assert_no_blob(&client, "up", &digest).await;
    assert_no_blob(&client, "up", &sha256(b"sent")).await;
}

/// end-5: every answer tells where to go on, and how far the session has come.
pub async fn chunks_add_up(client: Client) {
    let content = random(4, 250_000);
    let mut url = begin(&client, "up").await;
    let mut sent = 0;
    for len in [1, 99_999, 50_000, 100_000] {
        let last = sent + len - 1;
        let chunk = content.slice(sent..=last);
        let reply = client.patch(url).header("content-range", format!("{sent}-{last}")).body(chunk).await;
        let reply = reply.expect(202).has("range", format!("0-{last}")).has("content-length", 0);
        assert!(reply.location().contains(reply.header("docker-upload-uuid")));
        url = reply.location();
        sent += len;
    }
    let digest = sha256(&content);
    let reply = client.put(with_query(&url, &format!("digest={digest}"))).body("").await;
    assert_created(&client, reply, digest.as_str(), &content).await;
}

/// Docker sends the whole blob in one `PATCH` whose length it does not know.
pub async fn a_streamed_chunk_needs_no_range(client: Client) {
    let content = random(5, 3 << 20);
    let url = begin(&client, "up").await;
    let reply = client.patch(url).streamed(content.slice(..2 << 20)).await.expect(202);
    let reply = reply.has("range", format!("0-{}", (2 << 20) - 1));
    let reply = client.patch(reply.location()).streamed(content.slice(2 << 20..)).await.expect(202);
    let digest = sha256(&content);
    let reply = client.put(with_query(&reply.location(), &format!("digest={digest}"))).await;
    assert_created(&client, reply, digest.as_str(), &content).await;
}

/// end-6: the last chunk, with or without its range.
pub async fn the_last_chunk_may_come_with_put(client: Client) {
    for range in [Some("400-999"), None] {
        let content = random(6 + u64::from(range.is_some()), 1000);
        let url = begin(&client, "up").await;
        let chunk = content.slice(..400);
        let reply = client.patch(url).header("content-range", "0-399").body(chunk).await.expect(202);
        let digest = sha256(&content);
        let mut put = client.put(with_query(&reply.location(), &format!("digest={digest}")));
        if let Some(range) = range {
            put = put.header("content-range", range);
        }
        let reply = put.body(content.slice(400..)).await;
        assert_created(&client, reply, digest.as_str(), &content).await;
    }
}

/// end-13: the answer is 204, and its location can be used.
pub async fn the_status_tells_how_far_an_upload_has_come(client: Client) {
    let reply = client.post("/v2/up/blobs/uploads/").body("").await.expect(202);
    let id = reply.header("docker-upload-uuid").to_owned();
    let status = client.get_and_head(reply.location()).await.expect(204).has("range", "0-0");
    let reply = client.patch(status.location()).body("01234").await.expect(202);
    let status = client.get_and_head(reply.location()).await.expect(204).has("range", "0-4");
    let reply = client.patch(status.location()).body("56789").await.expect(202);
    // The id alone is enough to ask.
    let status = client.get(format!("/v2/up/blobs/uploads/{id}")).await.expect(204).has("range", "0-9");
    assert_eq!(status.header("docker-upload-uuid"), id);
    assert!(reply.location().contains(&id));
    let digest = sha256(b"0123456789");
    let reply = client.put(with_query(&status.location(), &format!("digest={digest}"))).await;
    assert_created(&client, reply, digest.as_str(), b"0123456789").await;
}

/// A location of any earlier answer will do to ask.
pub async fn the_status_can_be_asked_of_an_old_location(client: Client) {
    let old = begin(&client, "up").await;
    client.patch(&old).body("01234").await.expect(202);
    client.get(&old).await.expect(204).has("range", "0-4");
}

/// `Range` cannot say that there is nothing; both are `0-0`, as in Distribution.
pub async fn the_range_of_no_byte_is_that_of_one(client: Client) {
    let reply = client.patch(begin(&client, "up").await).body("").await.expect(202).has("range", "0-0");
    client.patch(reply.location()).body("x").await.expect(202).has("range", "0-0");
}

/// end-14.
pub async fn a_cancelled_session_is_gone(client: Client) {
    let reply = client.patch(begin(&client, "up").await).body("01234").await.expect(202);
    let url = reply.location();
    client.delete(&url).await.expect(204).has("docker-upload-uuid", reply.header("docker-upload-uuid"));
    client.get_and_head(&url).await.fails(404, "BLOB_UPLOAD_UNKNOWN");
    client.patch(&url).body("56789").await.fails(404, "BLOB_UPLOAD_UNKNOWN");
    client.delete(&url).await.fails(404, "BLOB_UPLOAD_UNKNOWN");
    let digest = sha256(b"01234");
    let put = with_query(&url, &format!("digest={digest}"));
    client.put(put).await.fails(404, "BLOB_UPLOAD_UNKNOWN");
    assert_no_blob(&client, "up", &digest).await;
}

/// A finished session is gone too.
pub async fn a_finished_session_is_gone(client: Client) {
    let url = begin(&client, "up").await;
    client.put(with_query(&url, &format!("digest={}", sha256(b"x")))).body("x").await.expect(201);
    client.get_and_head(&url).await.fails(404, "BLOB_UPLOAD_UNKNOWN");
    client.patch(&url).body("y").await.fails(404, "BLOB_UPLOAD_UNKNOWN");
}

/// The blob of no bytes is one like any other.
pub async fn an_empty_blob_can_be_pushed(client: Client) {
    for algorithm in Algorithm::ALL {
        let digest = algorithm.digest(b"");
        let url = with_query(&begin(&client, "up/put").await, &format!("digest={digest}"));
        let reply = client.put(url).body("").await;
        assert_created(&client, reply, digest.as_str(), b"").await;
        let reply = client.post(format!("/v2/up/post/blobs/uploads/?digest={digest}")).body("").await;
        assert_created(&client, reply, digest.as_str(), b"").await;
    }
}

/// end-4c: the blob has the digest that the client named, and no other.
pub async fn a_blob_can_be_pushed_under_sha512(client: Client) {
    let content = random(8, 100_000);
    let digest = sha512(&content);
    for query in ["?digest-algorithm=sha512", ""] {
        let name = format!("up/declared{}", query.len());
        let reply = client.post(format!("/v2/{name}/blobs/uploads/{query}")).body("").await.expect(202);
        let reply = client.patch(reply.location()).body(content.slice(..60_000)).await.expect(202);
        let put = client.put(with_query(&reply.location(), &format!("digest={digest}")));
        let reply = put.body(content.slice(60_000..)).await;
        assert_created(&client, reply, digest.as_str(), &content).await;
        assert_blob(&client, &name, &digest, &content).await;
    }
    let reply =
        client.post(format!("/v2/up/post/blobs/uploads/?digest={digest}")).body(content.clone()).await;
    assert_created(&client, reply, digest.as_str(), &content).await;
}

/// What was declared binds nobody.
pub async fn a_declared_algorithm_may_turn_out_another(client: Client) {
    let reply = client.post("/v2/up/blobs/uploads/?digest-algorithm=sha512").body("").await.expect(202);
    let reply = client.patch(reply.location()).body("01234").await.expect(202);
    let digest = sha256(b"0123456789");
    let reply = client.put(with_query(&reply.location(), &format!("digest={digest}"))).body("56789").await;
    assert_created(&client, reply, digest.as_str(), b"0123456789").await;
}

/// Nothing can be stored under a digest that the registry does not compute.
pub async fn an_unknown_algorithm_is_refused(client: Client) {
    for query in ["digest-algorithm=md5", "digest=md5:d41d8cd98f00b204e9800998ecf8427e", "digest=blake3:abc"]
    {
        let url = format!("/v2/up/blobs/uploads/?{query}");
        client.post(url).body("").await.fails(400, "DIGEST_INVALID");
    }
    let url = begin(&client, "up").await;
    client.put(with_query(&url, "digest=blake3:abc")).body("x").await.fails(400, "DIGEST_INVALID");
    client.get(&url).await.expect(204).has("range", "0-0");
}

/// curl says that any body is a form. It is the bytes of a blob all the same.
pub async fn any_content_type_is_the_bytes_of_a_blob(client: Client) {
    let content = "digest=sha256:0&_state=x&mount=y&from=z";
    let digest = sha256(content.as_bytes());
    let form = "application/x-www-form-urlencoded";
    for media_type in [form, "multipart/form-data; boundary=x", "text/plain", "nonsense", ""] {
        let url = with_query(&begin(&client, "up/put").await, &format!("digest={digest}"));
        client.put(url).header("content-type", media_type).body(content).await.expect(201);
        let url = begin(&client, "up/patch").await;
        let reply = client.patch(url).header("content-type", media_type).body(content).await.expect(202);
        client.put(with_query(&reply.location(), &format!("digest={digest}"))).await.expect(201);
        let url = format!("/v2/up/post/blobs/uploads/?digest={digest}");
        client.post(url).header("content-type", media_type).body(content).await.expect(201);
        let url = "/v2/up/post/blobs/uploads/";
        let begun = client.post(url).header("content-type", media_type).body(content).await.expect(202);
        assert_eq!(begun.header("range"), "0-0", "without a digest in the query, the body is not looked at");
    }
    for name in ["up/put", "up/patch", "up/post"] {
        assert_blob(&client, name, &digest, content.as_bytes()).await;
    }
}

/// Clients take URLs apart and put them together again: in another order, and with other escapes.
pub async fn a_location_may_be_put_together_anew(client: Client) {
    let digest = sha256(b"anew");
    let escaped = digest.to_string().replace(':', "%3A");
    for turned in [false, true] {
        let location = begin(&client, "up").await;
        let (path, query) = location.split_once('?').expect("a location has a state");
        let query = query.replace('-', "%2D").replace('_', "%5F");
        let url = match turned {
            true => format!("{path}?digest={escaped}&{query}"),
            false => format!("{path}?{query}&digest={escaped}"),
        };
        client.put(url).body("anew").await.expect(201);
    }
    let reply = client.get(format!("/v2/up/blobs/{escaped}")).await.expect(200);
    assert_eq!(reply.body, "anew");
    let location = begin(&client, "up").await;
    client.patch(format!("https://proxy.example{location}")).body("x").await.expect(202);
}

/// Builds push the same layers again and again.
pub async fn a_blob_can_be_pushed_again(client: Client) {
    let content = random(9, 10_000);
    let digest = push_blob(&client, "up", content.clone()).await;
    push_blob(&client, "up", content.clone()).await;
    let reply = client.post(format!("/v2/up/blobs/uploads/?digest={digest}")).body(content.clone()).await;
    assert_created(&client, reply, digest.as_str(), &content).await;
}

/// Sessions of one repository do not mix.
pub async fn sessions_do_not_mix(client: Client) {
    let (mut one, mut two) = (begin(&client, "up").await, begin(&client, "up").await);
    for _ in 0..3 {
        one = client.patch(one).body("one").await.expect(202).location();
        two = client.patch(two).body("two!").await.expect(202).location();
    }
    for (url, content) in [(one, "oneoneone"), (two, "two!two!two!")] {
        let digest = sha256(content.as_bytes());
        client.put(with_query(&url, &format!("digest={digest}"))).await.expect(201);
        assert_blob(&client, "up", &digest, content.as_bytes()).await;
    }
}
