//! A registry that nothing can be changed in.

use http::Method;

use super::client::Client;
use super::content::{assert_manifest, parts, push_image, sha256, with_query};

/// What is there can be read.
pub async fn everything_can_be_pulled(writable: Client, read_only: Client) {
    let bytes = push_image(&writable, "rdo", "x", "read").await;
    let (_, layer) = parts("read");
    assert_manifest(&read_only, "rdo", "x", &bytes).await;
    let reply = read_only.get_and_head(format!("/v2/rdo/blobs/{}", sha256(&layer))).await.expect(200);
    assert_eq!(reply.body, layer);
    for uri in ["/v2/", "/v2/_catalog", "/v2/rdo/tags/list", &format!("/v2/rdo/referrers/{}", sha256(&bytes))]
    {
        read_only.get_and_head(uri).await.expect(200);
    }
    read_only.get("/v2/rdo/manifests/none").await.fails(404, "MANIFEST_UNKNOWN");
}

/// The answer is that to a method that an endpoint does not have, as in Distribution.
pub async fn nothing_can_be_pushed_or_deleted(writable: Client, read_only: Client) {
    let bytes = push_image(&writable, "rdo", "x", "write").await;
    let upload = super::content::begin(&writable, "rdo").await;
    let (_, layer) = parts("write");
    let (manifest, blob) = (sha256(&bytes), sha256(&layer));
    let put = with_query(&upload, &format!("digest={blob}"));
    for (method, uri) in [
        (Method::PUT, "/v2/rdo/manifests/x".to_owned()),
        (Method::DELETE, "/v2/rdo/manifests/x".to_owned()),
        (Method::DELETE, format!("/v2/rdo/manifests/{manifest}")),
        (Method::DELETE, "/v2/rdo/manifests/none".to_owned()),
        (Method::DELETE, format!("/v2/rdo/blobs/{blob}")),
        (Method::POST, "/v2/rdo/blobs/uploads/".to_owned()),
        (Method::POST, format!("/v2/rdo/blobs/uploads/?digest={blob}")),
        (Method::POST, format!("/v2/new/blobs/uploads/?mount={blob}&from=rdo")),
        (Method::PATCH, upload.clone()),
        (Method::PUT, put),
        (Method::DELETE, upload.clone()),
    ] {
        let reply = read_only.request(method, &uri).body(layer.clone()).await.expect(405);
        let reply = reply.has("allow", "GET, HEAD");
        assert_eq!(reply.body, "Method not allowed\n");
        assert!(reply.header("content-type").starts_with("text/plain"));
    }
    assert_manifest(&writable, "rdo", "x", &bytes).await;
    writable.get(&upload).await.expect(204).has("range", "0-0");
}

/// What looks like reading an upload begins none, and mounts nothing (a GET was once taken for a POST).
pub async fn reading_uploads_begins_none(writable: Client, read_only: Client) {
    let bytes = push_image(&writable, "rdo", "x", "begin").await;
    let (_, layer) = parts("begin");
    let blob = sha256(&layer);
    for query in ["", &format!("?mount={blob}&from=rdo"), &format!("?digest={blob}")] {
        let uri = format!("/v2/new/blobs/uploads/{query}");
        for client in [&writable, &read_only] {
            client.get(&uri).body(layer.clone()).await.fails(404, "BLOB_UPLOAD_UNKNOWN");
            client.head(&uri).await.expect(404);
        }
    }
    writable.get(format!("/v2/new/blobs/{blob}")).await.fails(404, "BLOB_UNKNOWN");
    assert_manifest(&read_only, "rdo", "x", &bytes).await;
}

/// `OPTIONS` says the same.
pub async fn options_tell_what_is_left(_writable: Client, read_only: Client) {
    for uri in ["/v2/", "/v2/_catalog", "/v2/rdo/manifests/x", "/v2/rdo/blobs/uploads/"] {
        read_only.request(Method::OPTIONS, uri).await.expect(200).has("allow", "GET, HEAD");
    }
}
