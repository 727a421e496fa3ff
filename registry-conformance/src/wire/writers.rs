//! Uploads with two writers, and with clients that go away.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::client::{Client, held};
use super::content::{assert_blob, begin, sha256, with_query};
use super::reply::Reply;
use crate::data::random;

/// How many bytes have arrived, by the status of a session. What `0-0` stands for is not known.
fn arrived(status: &Reply) -> usize {
    let (_, last) = status.header("range").split_once('-').expect("Range has two ends");
    last.parse::<usize>().expect("Range ends with a number") + 1
}

/// Goes on with a session as the registry says until its blob is there. A connection that was just lost
/// may hold the session for a moment.
async fn resume(client: &Client, url: &str, content: &Bytes) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let digest = sha256(content);
    let mut status = client.get(url).await.expect(204);
    loop {
        assert!(Instant::now() < deadline, "the session is still held: {}", status.summary());
        let size = arrived(&status);
        assert!(size <= content.len(), "no more is there than was sent");
        let rest = content.slice(size..);
        let mut put = client.put(with_query(&status.location(), &format!("digest={digest}")));
        if !rest.is_empty() {
            put = put.header("content-range", format!("{size}-{}", content.len() - 1));
        }
        let reply = put.body(rest).await;
        match reply.status.as_u16() {
            201 => break,
            // Held, or more has arrived since the status was asked.
            409 | 416 => {}
            _ => panic!("the session cannot be continued: {}", reply.summary()),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        status = client.get(url).await.expect(204);
    }
}

/// While one request writes, another is refused; nothing of either is lost.
pub async fn a_second_writer_is_refused(client: Client) {
    let content = random(20, 200_000);
    let url = begin(&client, "two").await;
    let (body, mut first) = held(content.slice(..150_000));
    let writing = tokio::spawn(client.patch(&url).with(body).send());
    first.reached().await;

    let busy = "BLOB_UPLOAD_INVALID";
    client.patch(&url).body("second").await.fails(409, busy);
    client.put(with_query(&url, &format!("digest={}", sha256(b"x")))).body("x").await.fails(409, busy);
    client.delete(&url).await.fails(409, busy);
    client.get(&url).await.expect(204);

    first.finish();
    let reply = writing.await.expect("the request ends").expect(202).has("range", "0-149999");
    let digest = sha256(&content);
    let put = with_query(&reply.location(), &format!("digest={digest}"));
    client.put(put).body(content.slice(150_000..)).await.expect(201);
    assert_blob(&client, "two", &digest, &content).await;
}

/// A request that ends a session holds it as well.
pub async fn a_last_chunk_holds_the_session(client: Client) {
    let content = random(21, 100_000);
    let digest = sha256(&content);
    let url = begin(&client, "two").await;
    let put = with_query(&url, &format!("digest={digest}"));
    let (body, mut first) = held(content.clone());
    let writing = tokio::spawn(client.put(&put).with(body).send());
    first.reached().await;
    client.patch(&url).body("second").await.fails(409, "BLOB_UPLOAD_INVALID");
    client.get(format!("/v2/two/blobs/{digest}")).await.fails(404, "BLOB_UNKNOWN");
    first.finish();
    writing.await.expect("the request ends").expect(201);
    assert_blob(&client, "two", &digest, &content).await;
}

/// Of many that send the same chunk at once, one gets through.
pub async fn one_of_many_writers_wins(client: Client) {
    let content = random(22, 50_000);
    let url = begin(&client, "two").await;
    let sent = (0..8).map(|_| tokio::spawn(client.patch(&url).body(content.clone()).send()));
    let mut won = Vec::new();
    for request in sent.collect::<Vec<_>>() {
        let reply = request.await.expect("the request ends");
        match reply.status.as_u16() {
            202 => won.push(reply.has("range", "0-49999").location()),
            409 => drop(reply.fails(409, "BLOB_UPLOAD_INVALID")),
            _ => drop(reply.fails(416, "RANGE_INVALID")),
        }
    }
    let [location] = won.as_slice() else { panic!("{} writers have won", won.len()) };
    let digest = sha256(&content);
    client.put(with_query(location, &format!("digest={digest}"))).await.expect(201);
    assert_blob(&client, "two", &digest, &content).await;
}

/// The same request sent twice at once, by a client that lost patience: the blob is there in the end.
pub async fn two_that_end_a_session_leave_the_blob(client: Client) {
    let content = random(23, 50_000);
    let digest = sha256(&content);
    for _ in 0..10 {
        let session = client.patch(begin(&client, "two").await).body(content.clone()).await.expect(202);
        let put = with_query(&session.location(), &format!("digest={digest}"));
        let sent = [0, 1].map(|_| tokio::spawn(client.put(&put).send()));
        let mut created = 0;
        for request in sent {
            let reply = request.await.expect("the request ends");
            match reply.status.as_u16() {
                201 => created += 1,
                _ => drop(reply.fails(409, "BLOB_UPLOAD_INVALID")),
            }
        }
        assert!(created > 0, "one of the two succeeds");
        assert_blob(&client, "two", &digest, &content).await;
    }
}

/// The connection is lost in the middle of a chunk: what arrived is kept.
pub async fn a_lost_connection_leaves_what_arrived(client: Client) {
    let content = random(24, 300_000);
    let url = begin(&client, "two").await;
    let (body, mut first) = held(content.slice(..200_000));
    let writing = tokio::spawn(client.patch(&url).with(body).send());
    first.reached().await;
    first.break_off();
    let reply = writing.await.expect("the request ends");
    assert!(reply.status.is_client_error(), "{}", reply.summary());
    client.get(&url).await.expect(204).has("range", "0-199999");
    resume(&client, &url, &content).await;
    assert_blob(&client, "two", &sha256(&content), &content).await;
}

/// The server drops the request in the middle of a chunk, as it does when a connection is closed: the
/// session goes on from what is left of it.
pub async fn a_dropped_request_leaves_a_session_to_resume(client: Client) {
    let content = random(25, 300_000);
    for sent in [0, 1, 200_000, 300_000] {
        let url = begin(&client, "two").await;
        // A byte that is acknowledged, so that `0-0` cannot mean that there is none.
        let reply = client.patch(&url).body(content.slice(..2)).await.expect(202);
        let part = content.slice(2..content.len().min(2 + sent));
        let (body, mut first) = held(part);
        let writing = tokio::spawn(client.patch(reply.location()).with(body).send());
        first.reached().await;
        writing.abort();
        assert!(writing.await.is_err_and(|error| error.is_cancelled()));
        resume(&client, &url, &content).await;
        assert_blob(&client, "two", &sha256(&content), &content).await;
    }
}

/// A broken connection in a single `POST` leaves no blob.
pub async fn a_lost_connection_never_leaves_half_a_blob(client: Client) {
    let content = random(26, 100_000);
    let (whole, half) = (sha256(&content), sha256(&content[..60_000]));
    for digest in [&whole, &half] {
        let url = format!("/v2/two/blobs/uploads/?digest={digest}");
        let (body, mut first) = held(content.slice(..60_000));
        let writing = tokio::spawn(client.post(url).with(body).send());
        first.reached().await;
        first.break_off();
        let reply = writing.await.expect("the request ends");
        assert!(reply.status.is_client_error(), "{}", reply.summary());
        client.get(format!("/v2/two/blobs/{digest}")).await.fails(404, "BLOB_UNKNOWN");
    }
}
