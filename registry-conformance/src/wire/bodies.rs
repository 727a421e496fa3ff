//! Bodies of requests that break off, stall, never end, or say other than they are; and heads that ask for a lot.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::stream;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use registry_core::{BoxError, MediaType};

use super::client::{Body, Client};
use super::content::{
    absent, assert_blob, assert_manifest, assert_no_blob, begin, push_blob, push_image, sha256, with_query,
};
use crate::data::random;

/// Pieces of a body, and then a failure.
fn failing(part: &[u8], error: BoxError) -> Body {
    let pieces = part.chunks(10_000).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))));
    StreamBody::new(stream::iter(pieces.chain([Err(error)]).collect::<Vec<_>>())).boxed()
}

/// What a server says of a client that keeps its connection and sends no more.
fn stalled() -> BoxError {
    // Not the outermost: servers wrap what they say.
    io::Error::other(io::Error::new(io::ErrorKind::TimedOut, "the client sends no more")).into()
}

/// A body without an end, and how many bytes of it were read.
fn endless() -> (Body, Arc<AtomicUsize>) {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    let piece = Bytes::from(vec![b' '; 16 << 10]);
    let pieces = std::iter::repeat_with(move || {
        counter.fetch_add(piece.len(), Ordering::Relaxed);
        Ok(Frame::data(piece.clone()))
    });
    (StreamBody::new(stream::iter(pieces)).boxed(), read)
}

/// Wherever the body of a chunk or last chunk fails, what came before is kept, the session is free at once, and
/// goes on from there.
pub async fn a_body_that_fails_anywhere_leaves_a_session_to_resume(client: Client) {
    let content = random(40, 100_000);
    let digest = sha256(&content);
    for sent in [0, 1, 9_999, 10_000, 10_001, 65_536, content.len() - 2] {
        for put in [false, true] {
            for (error, status) in [(stalled(), 408), ("the connection was reset".into(), 404)] {
                let url = begin(&client, "bdy").await;
                // Two bytes first: `0-0` would say nothing.
                let url = client.patch(&url).body(content.slice(..2)).await.expect(202).location();
                let body = failing(&content[2..2 + sent], error);
                let reply = match put {
                    true => client.put(with_query(&url, &format!("digest={digest}"))).with(body).await,
                    false => client.patch(&url).with(body).await,
                };
                reply.fails(status, "BLOB_UPLOAD_INVALID");
                let at = client.get(&url).await.expect(204).has("range", format!("0-{}", 1 + sent));
                let last = with_query(&at.location(), &format!("digest={digest}"));
                client.put(last).body(content.slice(2 + sent..)).await.expect(201);
                assert_blob(&client, "bdy", &digest, &content).await;
                client.delete(format!("/v2/bdy/blobs/{digest}")).await.expect(202);
            }
        }
    }
}

/// A single POST whose body fails leaves no blob, and nothing that is in the way of the next.
pub async fn a_single_post_that_fails_leaves_nothing(client: Client) {
    let content = random(41, 50_000);
    let digest = sha256(&content);
    let url = format!("/v2/bdy/blobs/uploads/?digest={digest}");
    for (error, status) in [(stalled(), 408), ("the connection was reset".into(), 404)] {
        let reply = client.post(&url).with(failing(&content[..30_000], error)).await;
        reply.fails(status, "BLOB_UPLOAD_INVALID").lacks("location");
        assert_no_blob(&client, "bdy", &digest).await;
    }
    client.post(&url).body(content.clone()).await.expect(201);
    assert_blob(&client, "bdy", &digest, &content).await;
}

/// A manifest that does not arrive as a whole is none.
pub async fn a_manifest_that_fails_is_not_stored(client: Client) {
    let payload = push_image(&client, "bdy/source", "x", "stalled").await;
    for (error, status) in [(stalled(), 408), ("the connection was reset".into(), 400)] {
        let put = client.put("/v2/bdy/new/manifests/x").header("content-type", MediaType::OCI_IMAGE);
        put.with(failing(&payload, error)).await.fails(status, "MANIFEST_INVALID");
        client.get("/v2/bdy/new/tags/list").await.fails(404, "NAME_UNKNOWN");
    }
    client.put("/v2/bdy/source/manifests/y").streamed(payload.clone()).await.expect(201);
    assert_manifest(&client, "bdy/source", "y", &payload).await;
}

/// Of a manifest without a length no more is read than one may have; of one that says it is too long, nothing.
pub async fn a_manifest_without_end_is_not_read_to_it(client: Client) {
    const LIMIT: usize = 4 << 20;
    let (body, read) = endless();
    let put = client.put("/v2/bdy/manifests/x").header("content-type", MediaType::OCI_IMAGE);
    put.with(body).await.fails(413, "MANIFEST_INVALID");
    let read = read.load(Ordering::Relaxed);
    assert!(read > LIMIT && read <= LIMIT + (1 << 20), "{read} bytes were read");

    for announced in [LIMIT + 1, 1 << 30, usize::MAX >> 1] {
        let (body, read) = endless();
        let put = client.put("/v2/bdy/manifests/x").header("content-type", MediaType::OCI_IMAGE);
        let put = put.header("content-length", announced.to_string());
        put.with(body).await.fails(413, "MANIFEST_INVALID");
        assert_eq!(read.load(Ordering::Relaxed), 0, "{announced} bytes announced");
    }
}

/// A body that is said to be a chunk of so many bytes and has no end is refused where it passes them.
pub async fn a_chunk_without_end_is_not_read_to_it(client: Client) {
    let url = begin(&client, "bdy").await;
    let (body, read) = endless();
    client.patch(&url).header("content-range", "0-99999").with(body).await.fails(400, "SIZE_INVALID");
    let read = read.load(Ordering::Relaxed);
    assert!(read > 99_999 && read <= 1 << 20, "{read} bytes were read");
    // Nothing of it can be taken for the beginning of a blob that the client did not mean: what there is, the
    // status tells.
    client.get(&url).await.expect(204);
}

/// Trailers are no bytes of a blob or manifest.
pub async fn trailers_are_read_past(client: Client) {
    let trailers = || {
        let fields = [("content-length", "5"), ("x-checksum", "abc"), ("content-range", "0-1")];
        let fields =
            fields.map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        Frame::trailers(HeaderMap::from_iter(fields))
    };
    let trailed = |bytes: &Bytes| {
        let frames: Vec<Result<_, BoxError>> = vec![Ok(Frame::data(bytes.clone())), Ok(trailers())];
        StreamBody::new(stream::iter(frames)).boxed()
    };
    let content = random(42, 20_000);
    let digest = sha256(&content);
    let url = begin(&client, "bdy").await;
    let reply = client.patch(&url).with(trailed(&content.slice(..12_345))).await.expect(202);
    let last = with_query(&reply.has("range", "0-12344").location(), &format!("digest={digest}"));
    client.put(last).with(trailed(&content.slice(12_345..))).await.expect(201);
    assert_blob(&client, "bdy", &digest, &content).await;
    let payload = push_image(&client, "bdy", "x", "trailers").await;
    let put = client.put("/v2/bdy/manifests/y").header("content-type", MediaType::OCI_IMAGE);
    put.with(trailed(&payload)).await.expect(201);
    assert_manifest(&client, "bdy", "y", &payload).await;
}

/// Thousands of parameters, ranges, entity tags and accepted types get an answer that is no longer than usual.
pub async fn a_long_head_gets_an_ordinary_answer(client: Client) {
    const MANY: usize = 10_000;
    let content = random(43, 30_000);
    let digest = push_blob(&client, "bdy", content.clone()).await;
    let blob = format!("/v2/bdy/blobs/{digest}");
    let manifest = push_image(&client, "bdy", "x", "heads").await;

    let parameters = "a=1&".repeat(MANY);
    let long = format!("/v2/bdy/tags/list?{parameters}n=1");
    assert_eq!(client.get(&long).await.expect(200).body, client.get("/v2/bdy/tags/list").await.body);
    client.get(format!("/v2/bdy/tags/list?{}", "n=1&".repeat(MANY))).await.expect(200);
    client.get(format!("/v2/_catalog?{parameters}")).await.expect(200);
    client.get(format!("/v2/bdy/referrers/{digest}?{parameters}")).await.expect(200);
    let tags = "tag=a&".repeat(MANY);
    let put = client.put(format!("/v2/bdy/manifests/y?{tags}")).header("content-type", MediaType::OCI_IMAGE);
    put.body(manifest.clone()).await.fails(400, "TAG_INVALID");
    client.get("/v2/bdy/manifests/a").await.fails(404, "MANIFEST_UNKNOWN");

    // Not overlapping, so that they cannot be joined; each part would have its own head.
    let ranges = (0..MANY).map(|at| format!("{}-{}", at * 3, at * 3)).collect::<Vec<_>>().join(",");
    let whole = client.get(&blob).header("range", format!("bytes={ranges}")).await.expect(200);
    assert_eq!(whole.body, content);
    let same = vec!["0-"; MANY].join(",");
    let whole = client.get(&blob).header("range", format!("bytes={same}")).await.expect(200);
    assert_eq!(whole.body.len(), content.len());

    let others = vec![format!("\"{}\"", absent()); MANY].join(", ");
    assert_eq!(client.get(&blob).header("if-none-match", &others).await.expect(200).body, content);
    client.get(&blob).header("if-none-match", format!("{others}, \"{digest}\"")).await.expect(304);
    let accepts = vec!["application/vnd.example.of.something+json;q=0.1"; MANY].join(", ");
    let reply = client.get("/v2/bdy/manifests/x").header("accept", accepts).await.expect(200);
    assert_eq!(reply.body, manifest);
}
