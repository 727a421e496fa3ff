//! end-2: parts of blobs (RFC 9110, section 14).

use bytes::Bytes;
use registry_core::Digest;

use super::client::Client;
use super::content::push_blob;
use super::reply::Reply;
use crate::data::{assert_same, random};

const CONTENT: &str = "0123456789";

async fn ask(client: &Client, digest: &Digest, range: &str) -> Reply {
    client.get(format!("/v2/rng/blobs/{digest}")).header("range", range).await
}

/// One range: first bytes, last bytes, from somewhere on, and what reaches beyond the end.
pub async fn one_range_is_one_part(client: Client) {
    let digest = push_blob(&client, "rng", CONTENT).await;
    for (range, part, content_range) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=0-9", CONTENT, "bytes 0-9/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=0-", CONTENT, "bytes 0-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-30", CONTENT, "bytes 0-9/10"),
        ("bytes=8-100", "89", "bytes 8-9/10"),
        ("bytes=9-99999999999999999999999", "9", "bytes 9-9/10"),
        ("Bytes= 2-4 ", "234", "bytes 2-4/10"),
        ("bytes=2-4,", "234", "bytes 2-4/10"),
    ] {
        let reply = ask(&client, &digest, range).await.expect(206);
        assert_eq!(reply.body, part, "{range}");
        reply
            .has("content-range", content_range)
            .has("content-length", part.len())
            .has("content-type", "application/octet-stream")
            .has("accept-ranges", "bytes")
            .has("docker-content-digest", &digest)
            .has("etag", format!("\"{digest}\""));
    }
}

/// Nothing of the range is there; the answer tells how long the blob is.
pub async fn a_range_past_the_end_is_refused_with_the_length(client: Client) {
    let digest = push_blob(&client, "rng", CONTENT).await;
    let past = ["bytes=10-", "bytes=10-20", "bytes=99999999999999999999-", "bytes=10-11,20-", "bytes=-0"];
    let inverted = ["bytes=4-2", "bytes=9-0", "bytes=4-2,8-7"];
    for range in past.into_iter().chain(inverted) {
        let reply = ask(&client, &digest, range).await.fails(416, "RANGE_INVALID");
        reply.has("content-range", "bytes */10");
    }
}

/// What cannot be understood is as if it were not there.
pub async fn what_is_no_range_is_ignored(client: Client) {
    let digest = push_blob(&client, "rng", CONTENT).await;
    for range in
        ["items=0-4", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1-2-3", "0-4", "bytes=0x1-2", ""]
    {
        let reply = ask(&client, &digest, range).await.expect(200);
        assert_eq!(reply.body, CONTENT, "{range}");
        reply.has("content-length", 10).lacks("content-range");
    }
}

/// A range means something for `GET` alone (RFC 9110, section 14.2).
pub async fn head_has_no_ranges(client: Client) {
    let digest = push_blob(&client, "rng", CONTENT).await;
    for range in ["bytes=0-4", "bytes=20-", "bytes=0-0,2-2"] {
        let reply = client.head(format!("/v2/rng/blobs/{digest}")).header("range", range).await.expect(200);
        reply.has("content-length", 10).lacks("content-range");
    }
}

/// A client that goes on with a download says of which content.
pub async fn a_range_counts_for_the_same_content_alone(client: Client) {
    let digest = push_blob(&client, "rng", CONTENT).await;
    let url = format!("/v2/rng/blobs/{digest}");
    let same = client.get(&url).header("range", "bytes=2-4").header("if-range", format!("\"{digest}\""));
    assert_eq!(same.await.expect(206).body, "234");
    for other in ["\"other\"", &format!("W/\"{digest}\""), "Sat, 21 Nov 2026 00:00:00 GMT"] {
        for range in ["bytes=2-4", "bytes=20-", "bytes=0-0,2-2"] {
            let reply = client.get(&url).header("range", range).header("if-range", other).await.expect(200);
            assert_eq!(reply.body, CONTENT, "{other}");
        }
    }
}

/// The parts of a `multipart/byteranges` body: `Content-Range` and bytes of each.
fn parts(reply: &Reply) -> Vec<(String, Bytes)> {
    let boundary = reply
        .header("content-type")
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap_or_else(|| panic!("{}", reply.summary()))
        .trim_matches('"');
    assert!((1..=70).contains(&boundary.len()), "RFC 2046 has boundaries of up to 70 characters");
    let delimiter = format!("--{boundary}");
    let mut rest = reply.body.clone();
    let mut parts = Vec::new();
    // An empty line may come before the first part.
    if rest.starts_with(b"\r\n") {
        rest = rest.slice(2..);
    }
    loop {
        assert!(rest.starts_with(delimiter.as_bytes()), "each part begins with the boundary");
        rest = rest.slice(delimiter.len()..);
        if rest.starts_with(b"--") {
            assert_eq!(rest.slice(2..), "\r\n", "nothing follows the last boundary");
            return parts;
        }
        let head_end = find(&rest, b"\r\n\r\n").expect("the head of a part ends");
        let head = String::from_utf8(rest[..head_end].to_vec()).expect("the head of a part is text");
        let field = |name: &str| {
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        assert_eq!(field("content-type").as_deref(), Some("application/octet-stream"));
        let content_range = field("content-range").expect("each part says where it belongs");
        let (first, last) = bounds(&content_range);
        let body = head_end + 4;
        let len = last - first + 1;
        parts.push((content_range, rest.slice(body..body + len)));
        assert_eq!(&rest[body + len..body + len + 2], b"\r\n", "a line ends before each boundary");
        rest = rest.slice(body + len + 2..);
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// First and last byte of `bytes 2-4/10`.
fn bounds(content_range: &str) -> (usize, usize) {
    let range = content_range.strip_prefix("bytes ").and_then(|rest| rest.split('/').next());
    let (first, last) = range.and_then(|range| range.split_once('-')).expect("a range of bytes");
    (first.parse().expect("a number"), last.parse().expect("a number"))
}

/// Several ranges are several parts, and the length of all is told before.
pub async fn several_ranges_are_several_parts(client: Client) {
    let content = random(50, 500_000);
    let digest = push_blob(&client, "rng", content.clone()).await;
    for (range, expected) in [
        ("bytes=0-0,2-2", vec![(0, 0), (2, 2)]),
        ("bytes=400000-,0-99", vec![(400_000, 499_999), (0, 99)]),
        ("bytes=-1, 100-199 ,300-399", vec![(499_999, 499_999), (100, 199), (300, 399)]),
        ("bytes=0-0,600000-,10-10", vec![(0, 0), (10, 10)]),
        ("bytes=0-199999,200002-499999", vec![(0, 199_999), (200_002, 499_999)]),
    ] {
        let reply = ask(&client, &digest, range).await.expect(206).lacks("content-range");
        let reply = reply.has("docker-content-digest", &digest).has("etag", format!("\"{digest}\""));
        assert_eq!(reply.header("content-length"), reply.body.len().to_string(), "{range}");
        let parts = parts(&reply);
        assert_eq!(parts.len(), expected.len(), "{range}");
        for ((content_range, body), (first, last)) in parts.iter().zip(expected) {
            assert_eq!(*content_range, format!("bytes {first}-{last}/500000"), "{range}");
            assert_same(body, &content[first..=last], range);
        }
    }
}

/// No byte is sent twice.
pub async fn ranges_that_overlap_are_joined(client: Client) {
    let digest = push_blob(&client, "rng", CONTENT).await;
    let reply = ask(&client, &digest, "bytes=5-7,0-2,1-3").await.expect(206);
    let parts = parts(&reply);
    let parts: Vec<_> = parts.iter().map(|(range, body)| (range.as_str(), &body[..])).collect();
    assert_eq!(parts, [("bytes 0-3/10", &b"0123"[..]), ("bytes 5-7/10", &b"567"[..])]);
    // What is joined to one range is no multipart.
    for range in ["bytes=0-2,3-4", "bytes=0-4,2-3", "bytes=0-4,0-4,0-4", "bytes=0-4,20-30"] {
        let reply = ask(&client, &digest, range).await.expect(206).has("content-range", "bytes 0-4/10");
        assert_eq!(reply.body, "01234", "{range}");
    }
}

/// More ranges than anybody needs are an attack, or not worth sending apart.
pub async fn too_many_ranges_are_the_whole(client: Client) {
    let content = random(51, 2000);
    let digest = push_blob(&client, "rng", content.clone()).await;
    let many = |count: usize| {
        let ranges: Vec<String> = (0..count).map(|i| format!("{}-{}", 3 * i, 3 * i)).collect();
        format!("bytes={}", ranges.join(","))
    };
    let reply = ask(&client, &digest, &many(300)).await.expect(200).has("content-length", 2000);
    assert_same(&reply.body, &content, "the whole blob");
    let overlapping = format!("bytes={}", vec!["0-"; 1000].join(","));
    let reply = ask(&client, &digest, &overlapping).await.expect(200);
    assert_same(&reply.body, &content, "the whole blob");
    let reply = ask(&client, &digest, &many(100)).await.expect(206);
    assert_eq!(parts(&reply).len(), 100);
}

/// A download in pieces, from a blob larger than any buffer.
pub async fn pieces_make_up_the_blob(client: Client) {
    let content = random(52, 5 << 20);
    let digest = push_blob(&client, "rng", content.clone()).await;
    let mut pulled = Vec::new();
    while pulled.len() < content.len() {
        let range = format!("bytes={}-{}", pulled.len(), pulled.len() + 777_776);
        pulled.extend_from_slice(&ask(&client, &digest, &range).await.expect(206).body);
    }
    assert_same(&pulled, &content, "all pieces");
}
