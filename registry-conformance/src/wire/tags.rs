//! end-8a and end-8b.

use http::StatusCode;
use registry_core::MediaType;
use serde_json::json;

use super::client::Client;
use super::content::{pages, push_blob, push_image, put_manifest, sha256};

/// In byte order, which is neither that of numbers nor that of dictionaries.
const TAGS: [&str; 9] = ["0.9", "1.0", "1.10", "1.2", "LATEST", "_x", "a", "a-b", "latest"];

async fn push_tags(client: &Client, name: &str) {
    let bytes = push_image(client, name, TAGS[4], name).await;
    for tag in TAGS.iter().rev() {
        put_manifest(client, name, tag, MediaType::OCI_IMAGE, bytes.clone()).await.expect(201);
    }
}

/// end-8a: all of them, in order, and nothing left to ask for.
pub async fn tags_are_listed_in_byte_order(client: Client) {
    push_tags(&client, "tag/list").await;
    let reply = client.get_and_head("/v2/tag/list/tags/list").await.expect(200).lacks("link");
    assert_eq!(reply.json(), json!({ "name": "tag/list", "tags": TAGS }));
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.body.last(), Some(&b'\n'));
    let reply = reply.has("content-length", reply_len(&client, "/v2/tag/list/tags/list").await);
    // An empty limit is none.
    let same = client.get("/v2/tag/list/tags/list?n=").await.expect(200).lacks("link");
    assert_eq!(same.body, reply.body);
}

async fn reply_len(client: &Client, url: &str) -> usize {
    client.get(url).await.body.len()
}

/// end-8b: whatever the size of the page, all tags come once, and the last page says that it is.
pub async fn pages_of_tags_cover_all_once(client: Client) {
    push_tags(&client, "tag").await;
    for n in 1..=TAGS.len() + 1 {
        let pages = pages(&client, &format!("/v2/tag/tags/list?n={n}"), "tags").await;
        assert_eq!(pages.concat(), TAGS, "n={n}");
        assert_eq!(pages.len(), TAGS.len().div_ceil(n), "n={n}: no page is empty");
        for page in &pages[..pages.len() - 1] {
            assert_eq!(page.len(), n, "a page with another after it is full");
        }
    }
}

/// end-8b: `last` is left out, and need not be a tag that is there.
pub async fn a_page_of_tags_begins_after_last(client: Client) {
    push_tags(&client, "tag").await;
    for (query, expected) in [
        ("last=1.10", &TAGS[3..]),
        ("last=1.1", &TAGS[2..]),
        ("last=", &TAGS[..]),
        ("last=latest", &[]),
        ("last=zzz", &[]),
        ("n=2&last=1.0", &TAGS[2..4]),
        ("last=1.0&n=2", &TAGS[2..4]),
        ("n=2&last=~~~", &[]),
        ("n=3&last=..%2F..", &TAGS[..3]),
    ] {
        let reply = client.get(format!("/v2/tag/tags/list?{query}")).await.expect(200);
        assert_eq!(reply.json(), json!({ "name": "tag", "tags": expected }), "{query}");
    }
}

/// end-8b: the link leads on from what was sent.
pub async fn the_link_names_the_last_tag(client: Client) {
    push_tags(&client, "tag").await;
    let reply = client.get("/v2/tag/tags/list?n=3").await.expect(200);
    let next = reply.next_page().expect("there is more");
    assert!(next.contains("/v2/tag/tags/list?"), "{next}");
    assert!(next.contains("last=1.10") && next.contains("n=3"), "{next}");
    client.get("/v2/tag/tags/list?n=9").await.expect(200).lacks("link");
    client.get("/v2/tag/tags/list?n=3&last=_x").await.expect(200).lacks("link");
}

/// end-8b: zero is a number. There must be no link, since it would lead nowhere.
pub async fn a_page_of_no_tags_is_empty(client: Client) {
    push_tags(&client, "tag").await;
    for query in ["n=0", "n=0&last=1.0"] {
        let reply = client.get(format!("/v2/tag/tags/list?{query}")).await.expect(200).lacks("link");
        assert_eq!(reply.json(), json!({ "name": "tag", "tags": [] }));
    }
}

/// What is no number is refused.
pub async fn a_malformed_number_of_tags_is_refused(client: Client) {
    push_tags(&client, "tag").await;
    for n in ["abc", "-1", "1.5", "0x10", "99999999999999999999999", "%00", "1%20"] {
        let reply = client.get(format!("/v2/tag/tags/list?n={n}")).await;
        let decoded = n.replace("%00", "\0").replace("%20", " ");
        assert_eq!(reply.fails(400, "PAGINATION_NUMBER_INVALID").detail(), json!({ "n": decoded }));
    }
}

/// More than the registry is ready to send is as much as it is ready to send.
pub async fn a_large_number_of_tags_is_cut(client: Client) {
    push_tags(&client, "tag").await;
    for n in ["1001", "4294967296", "18446744073709551615"] {
        let reply = client.get(format!("/v2/tag/tags/list?n={n}")).await.expect(200).lacks("link");
        assert_eq!(reply.json()["tags"], json!(TAGS));
    }
}

/// A repository that no manifest was pushed to is none.
pub async fn tags_of_an_unknown_repository_are_not_found(client: Client) {
    push_blob(&client, "tag/blobs", "a blob makes no repository").await;
    push_image(&client, "tag/deep/er", "x", "deeper").await;
    for name in ["tag/none", "tag/blobs", "tag", "tag/deep"] {
        for query in ["", "?n=0", "?n=5", "?last=x"] {
            let reply = client.get_and_head(format!("/v2/{name}/tags/list{query}")).await;
            if name == "tag/blobs" && reply.status == StatusCode::OK {
                // A bucket cannot tell it from a repository whose last manifest was deleted.
                assert_eq!(reply.json(), json!({ "name": name, "tags": [] }));
                continue;
            }
            assert_eq!(reply.fails(404, "NAME_UNKNOWN").detail(), json!({ "name": name }));
        }
    }
}

/// A repository without tags is one all the same.
pub async fn a_repository_may_have_no_tags(client: Client) {
    let bytes = push_image(&client, "tag", "x", "untagged").await;
    client.delete("/v2/tag/manifests/x").await.expect(202);
    let reply = client.get("/v2/tag/tags/list").await.expect(200);
    assert_eq!(reply.json(), json!({ "name": "tag", "tags": [] }));
    let name = "tag/digest";
    let (config, layer) = super::content::parts("untagged");
    push_blob(&client, name, config).await;
    push_blob(&client, name, layer).await;
    let digest = sha256(&bytes);
    put_manifest(&client, name, digest.as_str(), MediaType::OCI_IMAGE, bytes).await.expect(201);
    let reply = client.get(format!("/v2/{name}/tags/list")).await.expect(200);
    assert_eq!(reply.json(), json!({ "name": name, "tags": [] }));
}

/// A deleted tag leaves the list, and pages close over the gap.
pub async fn deleted_tags_are_not_listed(client: Client) {
    push_tags(&client, "tag").await;
    for tag in ["0.9", "1.2", "latest"] {
        client.delete(format!("/v2/tag/manifests/{tag}")).await.expect(202);
    }
    let left: Vec<&str> = TAGS.into_iter().filter(|tag| !["0.9", "1.2", "latest"].contains(tag)).collect();
    for n in [1, 2, 3, 6, 100] {
        let pages = pages(&client, &format!("/v2/tag/tags/list?n={n}"), "tags").await;
        assert_eq!(pages.concat(), left, "n={n}");
    }
}
