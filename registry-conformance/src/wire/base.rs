//! end-1, and what holds for every endpoint: paths, methods, errors.

use http::Method;
use serde_json::json;

use super::client::Client;
use super::content::{absent, push_image};

/// Clients find out with this that they talk to a registry.
pub async fn the_base_says_that_this_is_a_registry(client: Client) {
    for uri in ["/v2/", "/v2"] {
        let reply = client.get_and_head(uri).await.expect(200);
        assert_eq!(reply.header("docker-distribution-api-version"), "registry/2.0");
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.json(), json!({}));
    }
}

/// Load balancers ask for `/`.
pub async fn the_root_says_that_the_server_is_alive(client: Client) {
    let reply = client.get("/").await.expect(200);
    assert!(reply.body.is_empty());
    client.head("/").await.expect(200);
}

/// Also where nothing was found, clients learn what they talk to.
pub async fn every_answer_names_the_api(client: Client) {
    for uri in ["/v2/", "/v1/", "/nothing", "/v2/a/tags/list", "/v2/A/tags/list", "/v2/a/manifests/x"] {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::OPTIONS, Method::TRACE] {
            let reply = client.request(method, uri).await;
            assert_eq!(reply.header("docker-distribution-api-version"), "registry/2.0");
        }
    }
}

/// A path that is no endpoint's is answered in JSON, as is everything.
pub async fn unknown_paths_are_not_found(client: Client) {
    for uri in ["/v1/", "/v2x", "/v3/", "/v2/a", "/v2/a/b/c", "/v2/a/uploads/x", "/v2/_other", "/favicon.ico"]
    {
        for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE] {
            client.request(method, uri).await.expect(404);
        }
        client.get_and_head(uri).await.expect(404);
    }
}

/// The answer tells the methods that the endpoint has.
pub async fn unknown_methods_are_not_allowed(client: Client) {
    let digest = absent();
    for (uri, allow, refused) in [
        ("/v2/_catalog".to_owned(), "GET, HEAD", Method::POST),
        ("/v2/a/tags/list".to_owned(), "GET, HEAD", Method::DELETE),
        (format!("/v2/a/referrers/{digest}"), "GET, HEAD", Method::PUT),
        ("/v2/a/manifests/x".to_owned(), "DELETE, GET, HEAD, PUT", Method::POST),
        (format!("/v2/a/blobs/{digest}"), "DELETE, GET, HEAD", Method::PUT),
        ("/v2/a/blobs/uploads/".to_owned(), "GET, HEAD, POST", Method::PUT),
        ("/v2/a/blobs/uploads/0d1f".to_owned(), "DELETE, GET, HEAD, PATCH, PUT", Method::POST),
    ] {
        for method in [refused, Method::TRACE, Method::from_bytes(b"BREW").unwrap()] {
            let reply = client.request(method, &uri).body("x").await.expect(405).has("allow", allow);
            assert_eq!(reply.body, "Method not allowed\n");
        }
        let reply = client.request(Method::OPTIONS, &uri).await.expect(200).has("allow", allow);
        assert!(reply.body.is_empty());
    }
}

/// Clients that build URLs by hand add slashes, or leave them out.
pub async fn a_slash_at_the_end_makes_no_difference(client: Client) {
    push_image(&client, "slash", "x", "slash").await;
    for uri in ["/v2/slash/tags/list", "/v2/slash/manifests/x", "/v2/_catalog"] {
        let without = client.get(uri).await.expect(200);
        let with = client.get(format!("{uri}/")).await.expect(200);
        assert_eq!(without.body, with.body, "{uri}");
    }
    for uri in ["/v2/slash/blobs/uploads", "/v2/slash/blobs/uploads/"] {
        client.post(uri).body("").await.expect(202);
    }
}

/// The envelope of the specification ("Error Codes"), byte for byte up to the order of members.
pub async fn errors_have_the_envelope(client: Client) {
    let digest = absent();
    let reply = client.get(format!("/v2/a/blobs/{digest}")).await.expect(404);
    let entry = json!({ "code": "BLOB_UNKNOWN", "message": "blob unknown to registry", "detail": digest });
    assert_eq!(reply.json(), json!({ "errors": [entry] }));
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.body.last(), Some(&b'\n'));

    let reply = client.get("/v2/a/tags/list").await.expect(404);
    let message = "repository name not known to registry";
    let entry = json!({ "code": "NAME_UNKNOWN", "message": message, "detail": { "name": "a" } });
    assert_eq!(reply.json(), json!({ "errors": [entry] }));
}

/// The length that `HEAD` tells of an error is that of the envelope that `GET` has.
pub async fn an_error_for_head_has_no_body(client: Client) {
    for uri in [
        format!("/v2/a/blobs/{}", absent()),
        "/v2/a/blobs/sha256:abc".to_owned(),
        "/v2/a/manifests/x".to_owned(),
        "/v2/a/tags/list".to_owned(),
        "/v2/A/tags/list".to_owned(),
        "/v2/nowhere".to_owned(),
    ] {
        let reply = client.get_and_head(&uri).await;
        assert!(reply.status.is_client_error(), "{}", reply.summary());
        assert_eq!(reply.header("content-length"), reply.body.len().to_string());
    }
}
