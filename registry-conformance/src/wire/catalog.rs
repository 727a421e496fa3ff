//! The list of repositories, as Distribution has it.

use serde_json::json;

use super::client::Client;
use super::content::{pages, push_blob, push_image, sha256};

/// By components: what is below a name comes right after it, whatever sorts before a slash.
const NAMES: [&str; 8] = ["a", "a/b", "a/b/c", "a/b-c", "a-b", "a.c", "b", "b/a/a/a"];

async fn push_all(client: &Client) {
    for name in NAMES.iter().rev() {
        push_image(client, name, "x", "catalog").await;
    }
}

/// Without `n` or its value, and with a number that is large enough.
pub async fn repositories_are_listed_by_components(client: Client) {
    push_all(&client).await;
    for query in ["", "?n=", "?n=100", "?n=1000"] {
        let reply = client.get_and_head(format!("/v2/_catalog{query}")).await.expect(200).lacks("link");
        assert_eq!(reply.json(), json!({ "repositories": NAMES }));
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.header("content-length"), reply.body.len().to_string());
    }
}

/// Before anything was pushed.
pub async fn an_empty_registry_has_an_empty_list(client: Client) {
    let reply = client.get("/v2/_catalog").await.expect(200).lacks("link");
    assert_eq!(reply.body, "{\"repositories\":[]}\n");
}

/// Whatever the size of the page, all come once, and the last page says that it is.
pub async fn pages_of_repositories_cover_all_once(client: Client) {
    push_all(&client).await;
    for n in 1..=NAMES.len() + 1 {
        let pages = pages(&client, &format!("/v2/_catalog?n={n}"), "repositories").await;
        assert_eq!(pages.concat(), NAMES, "n={n}");
        assert_eq!(pages.len(), NAMES.len().div_ceil(n), "n={n}: no page is empty");
    }
}

/// `last` is left out, and need not be there.
pub async fn a_page_of_repositories_begins_after_last(client: Client) {
    push_all(&client).await;
    for (query, expected) in [
        ("last=a", &NAMES[1..]),
        ("last=a%2Fb", &NAMES[2..]),
        ("last=a/b/b", &NAMES[2..]),
        ("last=a%2Fz", &NAMES[4..]),
        ("last=", &NAMES[..]),
        ("last=zzz", &[]),
        ("n=2&last=a-b", &NAMES[5..7]),
        ("n=0", &[]),
    ] {
        let reply = client.get(format!("/v2/_catalog?{query}")).await.expect(200);
        assert_eq!(reply.json(), json!({ "repositories": expected }), "{query}");
    }
    client.get("/v2/_catalog?n=0").await.expect(200).lacks("link");
}

/// The link is escaped as a query has to be.
pub async fn the_link_names_the_last_repository(client: Client) {
    push_all(&client).await;
    let next = client.get("/v2/_catalog?n=2").await.expect(200).next_page().expect("there is more");
    assert!(next.contains("last=a%2Fb") && next.contains("n=2"), "{next}");
}

/// The answer repeats the number, as Distribution does.
pub async fn too_many_repositories_are_refused(client: Client) {
    for n in [1001, u64::MAX] {
        let reply = client.get_and_head(format!("/v2/_catalog?n={n}")).await;
        assert_eq!(reply.fails(400, "PAGINATION_NUMBER_INVALID").detail(), json!({ "n": n }));
    }
    for n in ["abc", "-1", "1.5", "99999999999999999999999"] {
        let reply = client.get(format!("/v2/_catalog?n={n}")).await;
        assert_eq!(reply.fails(400, "PAGINATION_NUMBER_INVALID").detail(), json!({ "n": n }));
    }
}

/// A blob or an upload makes no repository, and names in between are none.
pub async fn only_repositories_with_manifests_are_listed(client: Client) {
    push_blob(&client, "blobs/only", "blob").await;
    client.post("/v2/uploads/only/blobs/uploads/").body("").await.expect(202);
    push_image(&client, "deep/down", "x", "deep").await;
    let reply = client.get("/v2/_catalog").await.expect(200);
    assert_eq!(reply.json(), json!({ "repositories": ["deep/down"] }));
}

/// A repository that lost its tags is still one.
pub async fn a_repository_without_tags_is_listed(client: Client) {
    let digest = sha256(&push_image(&client, "untagged", "x", "untagged").await);
    client.delete("/v2/untagged/manifests/x").await.expect(202);
    client.head(format!("/v2/untagged/manifests/{digest}")).await.expect(200);
    let reply = client.get("/v2/_catalog").await.expect(200);
    assert_eq!(reply.json(), json!({ "repositories": ["untagged"] }));
}
