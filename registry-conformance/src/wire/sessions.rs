//! end-5, end-6 and end-14 where the client has it wrong: what it is told, and that it can go on.

use super::client::Client;
use super::content::{assert_blob, assert_no_blob, begin, sha256, with_query};
use super::reply::Reply;

/// A session with the bytes `01234`.
async fn half_way(client: &Client) -> Reply {
    client.patch(begin(client, "ses").await).body("01234").await.expect(202)
}

/// Ends a session with the bytes `56789`, from where the registry said to go on.
async fn assert_goes_on(client: &Client, location: &str) {
    let digest = sha256(b"0123456789");
    let put = client.put(with_query(location, &format!("digest={digest}")));
    put.header("content-range", "5-9").body("56789").await.expect(201);
    assert_blob(client, "ses", &digest, b"0123456789").await;
}

/// Asserts that an answer says where a session with five bytes goes on.
fn assert_tells_where(reply: Reply, session: &Reply) -> String {
    let reply = reply.fails(416, "RANGE_INVALID").has("range", "0-4");
    assert_eq!(reply.header("docker-upload-uuid"), session.header("docker-upload-uuid"));
    reply.location()
}

/// Out of order is 416, and a client learns how to recover from it.
pub async fn a_chunk_out_of_order_is_refused_with_where_to_go_on(client: Client) {
    for range in ["6-10", "4-8", "0-4"] {
        let session = half_way(&client).await;
        let reply = client.patch(session.location()).header("content-range", range).body("56789").await;
        let location = assert_tells_where(reply, &session);
        assert_goes_on(&client, &location).await;
    }
}

/// The same for the chunk in the closing request.
pub async fn a_last_chunk_out_of_order_is_refused_with_where_to_go_on(client: Client) {
    for range in ["6-10", "4-8", "0-4"] {
        let session = half_way(&client).await;
        let url = with_query(&session.location(), &format!("digest={}", sha256(b"0123456789")));
        let reply = client.put(url).header("content-range", range).body("56789").await;
        let location = assert_tells_where(reply, &session);
        assert_goes_on(&client, &location).await;
    }
}

/// The first chunk begins with 0.
pub async fn a_first_chunk_does_not_begin_later(client: Client) {
    let url = begin(&client, "ses").await;
    client.patch(&url).header("content-range", "1-5").body("01234").await.fails(416, "RANGE_INVALID");
    client.get(&url).await.expect(204).has("range", "0-0");
    client.patch(&url).header("content-range", "0-4").body("01234").await.expect(202);
}

/// A location that was overtaken does not write over what came since.
pub async fn an_old_location_is_refused_with_where_to_go_on(client: Client) {
    let url = begin(&client, "ses").await;
    let session = client.patch(&url).body("01234").await.expect(202);
    let again = client.patch(&url).body("01234").await;
    assert_tells_where(again, &session);
    let put = with_query(&url, &format!("digest={}", sha256(b"01234")));
    let location = assert_tells_where(client.put(put).body("01234").await, &session);
    assert_goes_on(&client, &location).await;
}

/// The announced range has another length than what came.
pub async fn a_chunk_of_another_length_is_refused(client: Client) {
    for (range, content) in [("0-5", "01234"), ("0-3", "01234"), ("0-4", "")] {
        let url = begin(&client, "ses").await;
        client.patch(&url).header("content-range", range).body(content).await.fails(400, "SIZE_INVALID");
        client.patch(&url).header("content-range", "0-4").body("01234").await.expect(202);
        let url = begin(&client, "ses").await;
        let patch = client.patch(&url).header("content-range", range).streamed(content);
        patch.await.fails(400, "SIZE_INVALID");
        client.get(&url).await.expect(204);
        let digest = sha256(content.as_bytes());
        let put = with_query(&begin(&client, "ses").await, &format!("digest={digest}"));
        client.put(put).header("content-range", range).body(content).await.fails(400, "SIZE_INVALID");
    }
}

/// Of a chunk that was refused some may be kept; the status says how much.
pub async fn a_refused_chunk_leaves_a_session_to_resume(client: Client) {
    for (range, content) in [("5-7", "56789"), ("5-9", "567"), ("5-5", "")] {
        let session = half_way(&client).await;
        let patch = client.patch(session.location()).header("content-range", range).streamed(content);
        patch.await.fails(400, "SIZE_INVALID");
        let status = client.get(session.location()).await.expect(204);
        let last: usize = status.header("range")[2..].parse().expect("Range ends with a number");
        assert!((4..=9).contains(&last), "no more is kept than was sent: {}", status.summary());
        let rest = &"0123456789"[last + 1..];
        let reply = client.patch(status.location()).body(rest).await.expect(202).has("range", "0-9");
        let digest = sha256(b"0123456789");
        client.put(with_query(&reply.location(), &format!("digest={digest}"))).await.expect(201);
    }
}

/// Less came than `Content-Length` said; a body that broke off is not taken for a whole one.
pub async fn a_body_shorter_than_announced_is_refused(client: Client) {
    let url = begin(&client, "ses").await;
    let patch = client.patch(&url).header("content-length", "10").streamed("01234");
    patch.await.fails(400, "SIZE_INVALID");
    client.get(&url).await.expect(204);
    let digest = sha256(b"01234");
    let put = with_query(&begin(&client, "ses").await, &format!("digest={digest}"));
    let put = client.put(put).header("content-length", "10").streamed("01234");
    put.await.fails(400, "SIZE_INVALID");
    assert_no_blob(&client, "ses", &digest).await;
}

/// What is no range is the client's mistake, and costs it nothing.
pub async fn a_malformed_range_is_refused(client: Client) {
    let session = half_way(&client).await;
    for range in ["", "5", "5-", "-5", "9-5", "five-nine", "5-99999999999999999999999", "items 5-9"] {
        let reply = client.patch(session.location()).header("content-range", range).body("56789").await;
        reply.fails(416, "RANGE_INVALID");
    }
    assert_goes_on(&client, &session.location()).await;
}

/// The form that HTTP itself has for the header is understood.
pub async fn a_range_may_have_the_form_of_http(client: Client) {
    for range in ["bytes 5-9/10", "bytes=5-9", "bytes 5-9/*"] {
        let session = half_way(&client).await;
        let reply = client.patch(session.location()).header("content-range", range).body("56789").await;
        reply.expect(202).has("range", "0-9");
    }
}

/// A location was not used as it was given.
pub async fn a_request_without_state_is_refused(client: Client) {
    let session = half_way(&client).await;
    let bare = session.location().split('?').next().unwrap_or_default().to_owned();
    for url in [bare.clone(), with_query(&bare, "_state=")] {
        client.patch(&url).body("56789").await.fails(404, "BLOB_UPLOAD_INVALID");
        client.delete(&url).await.fails(404, "BLOB_UPLOAD_INVALID");
        let put = with_query(&url, &format!("digest={}", sha256(b"01234")));
        client.put(put).await.fails(404, "BLOB_UPLOAD_INVALID");
    }
    assert_goes_on(&client, &session.location()).await;
}

/// Nor with another state than the one that was given.
pub async fn a_changed_state_is_refused(client: Client) {
    let session = half_way(&client).await;
    let location = session.location();
    let (bare, state) = location.split_once("_state=").expect("a location has a state");
    let other = if state.starts_with('A') { 'B' } else { 'A' };
    for state in [
        format!("{other}{}", &state[1..]),
        state[4..].to_owned(),
        state[..state.len() / 2].to_owned(),
        format!("{state}AAAA"),
        "%21%21".to_owned(),
        "%00%FF".to_owned(),
    ] {
        let url = format!("{bare}_state={state}");
        client.patch(&url).body("56789").await.fails(404, "BLOB_UPLOAD_INVALID");
        client.delete(&url).await.fails(404, "BLOB_UPLOAD_INVALID");
    }
    assert_goes_on(&client, &location).await;
}

/// Nor with that of another session or repository.
pub async fn a_state_is_good_for_its_session_alone(client: Client) {
    let (session, other) = (half_way(&client).await, half_way(&client).await);
    let id = |reply: &Reply| reply.header("docker-upload-uuid").to_owned();
    let elsewhere = session.location().replacen("/v2/ses/", "/v2/ses/else/", 1);
    for url in [session.location().replace(&id(&session), &id(&other)), elsewhere] {
        client.patch(&url).body("56789").await.fails(404, "BLOB_UPLOAD_INVALID");
        client.delete(&url).await.fails(404, "BLOB_UPLOAD_INVALID");
        let put = with_query(&url, &format!("digest={}", sha256(b"01234")));
        client.put(put).await.fails(404, "BLOB_UPLOAD_INVALID");
    }
    assert_goes_on(&client, &session.location()).await;
    assert_goes_on(&client, &other.location()).await;
}

/// An id that nobody was given.
pub async fn an_unknown_session_is_unknown(client: Client) {
    half_way(&client).await;
    for id in ["00000000-0000-4000-8000-000000000000", "x", "a.b", "%2e%2e", "a%20b", &"a".repeat(300)] {
        client.get_and_head(format!("/v2/ses/blobs/uploads/{id}")).await.fails(404, "BLOB_UPLOAD_UNKNOWN");
    }
}

/// A session is one of its repository.
pub async fn a_session_is_unknown_in_another_repository(client: Client) {
    let session = half_way(&client).await;
    let id = session.header("docker-upload-uuid");
    client.get(format!("/v2/other/blobs/uploads/{id}")).await.fails(404, "BLOB_UPLOAD_UNKNOWN");
}

/// Clients have been seen to forget it; they can send the request again.
pub async fn put_without_a_digest_leaves_the_session(client: Client) {
    let session = half_way(&client).await;
    for query in ["", "digest=", "digest=x", "digest=sha256:abc", "digest=sha256"] {
        let url = with_query(&session.location(), query);
        client.put(url).body("56789").await.fails(400, "DIGEST_INVALID");
        client.get(session.location()).await.expect(204).has("range", "0-4");
    }
    assert_goes_on(&client, &session.location()).await;
}

/// What came is not what was announced: nothing of it is kept.
pub async fn put_of_other_content_ends_the_session(client: Client) {
    let session = half_way(&client).await;
    let digest = sha256(b"something else");
    let url = with_query(&session.location(), &format!("digest={digest}"));
    let reply = client.put(url).body("56789").await.fails(400, "DIGEST_INVALID");
    assert!(reply.detail().as_str().is_some_and(|detail| detail.contains(digest.as_str())));
    client.get(session.location()).await.fails(404, "BLOB_UPLOAD_UNKNOWN");
    assert_no_blob(&client, "ses", &digest).await;
    assert_no_blob(&client, "ses", &sha256(b"0123456789")).await;
}

/// The answer was lost, and the client asks again.
pub async fn put_again_succeeds_again(client: Client) {
    let session = half_way(&client).await;
    let digest = sha256(b"0123456789");
    let url = with_query(&session.location(), &format!("digest={digest}"));
    for _ in 0..3 {
        let reply = client.put(&url).body("56789").await.expect(201);
        client.get(reply.location()).await.expect(200).has("docker-content-digest", &digest);
    }
}
