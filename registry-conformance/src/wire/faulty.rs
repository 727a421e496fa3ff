//! end-3, end-7 and end-9 where something is wrong with the manifest or with what it is called.

use bytes::Bytes;
use http::Method;
use registry_core::MediaType;
use serde_json::{Value, json};

use super::client::Client;
use super::content::{
    LAYER, absent, assert_manifest, assert_no_manifest, descriptor, image, index, parts, payload, push_blob,
    push_image, put_manifest, sha256,
};

/// The most bytes that a manifest may have.
const MAX: usize = 4 << 20;

/// A valid manifest of this length.
async fn padded(client: &Client, name: &str, len: usize) -> Bytes {
    let mut bytes = push_image(client, name, "small", "padded").await.to_vec();
    bytes.resize(len, b' ');
    bytes.into()
}

/// Exactly 4 MiB can be pushed and pulled.
pub async fn a_manifest_of_4_mib_is_accepted(client: Client) {
    let bytes = padded(&client, "fty", MAX).await;
    for (tag, streamed) in [("whole", false), ("streamed", true)] {
        let put = client.put(format!("/v2/fty/manifests/{tag}")).header("content-type", MediaType::OCI_IMAGE);
        let put = if streamed { put.streamed(bytes.clone()) } else { put.body(bytes.clone()) };
        put.await.expect(201);
        assert_manifest(&client, "fty", tag, &bytes).await;
    }
}

/// One byte more cannot, whether it is announced or found out.
pub async fn a_larger_manifest_is_refused(client: Client) {
    let bytes = padded(&client, "fty", MAX + 1).await;
    for streamed in [false, true] {
        let put = client.put("/v2/fty/manifests/large").header("content-type", MediaType::OCI_IMAGE);
        let put = if streamed { put.streamed(bytes.clone()) } else { put.body(bytes.clone()) };
        put.await.fails(413, "MANIFEST_INVALID");
    }
    assert_no_manifest(&client, "fty", "large").await;
}

/// What is no manifest, or contradicts itself or its request.
pub async fn what_is_no_manifest_is_refused(client: Client) {
    let (config, layer) = parts("faulty");
    push_blob(&client, "fty", config.clone()).await;
    push_blob(&client, "fty", layer.clone()).await;
    let with = |member: &str, value: Value| {
        let mut manifest = image(&config, &layer);
        manifest[member] = value;
        manifest.to_string()
    };
    let without = |member: &str| {
        let mut manifest = image(&config, &layer);
        manifest.as_object_mut().expect("a manifest is an object").remove(member);
        manifest.to_string()
    };
    let oci = MediaType::OCI_IMAGE;
    let deep = format!(r#"{{"schemaVersion":2,"x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    for (media_type, bytes) in [
        (oci, String::new()),
        (oci, "{".to_owned()),
        (oci, "[]".to_owned()),
        (oci, "null".to_owned()),
        (oci, "\"text\"".to_owned()),
        (oci, "\u{0}".to_owned()),
        (oci, "{}".to_owned()),
        (oci, deep),
        (oci, with("schemaVersion", json!(1))),
        (oci, with("schemaVersion", json!("2"))),
        (oci, without("schemaVersion")),
        (oci, with("mediaType", json!(MediaType::OCI_INDEX))),
        (oci, with("mediaType", json!(7))),
        (oci, with("layers", json!("none"))),
        (oci, with("layers", json!([7]))),
        (oci, with("manifests", json!([]))),
        (oci, without("config")),
        (MediaType::OCI_INDEX, with("mediaType", json!(MediaType::OCI_INDEX))),
        (MediaType::OCI_INDEX, image(&config, &layer).to_string()),
        (MediaType::DOCKER_IMAGE, without("mediaType")),
        (MediaType::DOCKER_LIST, r#"{"schemaVersion":2,"manifests":[]}"#.to_owned()),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", r#"{"schemaVersion":1}"#.to_owned()),
        ("nonsense", image(&config, &layer).to_string()),
        ("", image(&config, &layer).to_string()),
    ] {
        let reply = put_manifest(&client, "fty", "bad", media_type, bytes.clone()).await;
        assert_eq!(reply.status, 400, "{media_type:?} {bytes:.200}: {}", reply.summary());
        reply.fails(400, "MANIFEST_INVALID");
        assert_no_manifest(&client, "fty", "bad").await;
    }
}

/// Without a type in the request, the manifest has to say it.
pub async fn a_manifest_of_no_type_is_refused(client: Client) {
    for bytes in ["{}", "{", "", r#"{"schemaVersion":1}"#] {
        client.put("/v2/fty/manifests/bad").body(bytes).await.fails(400, "MANIFEST_INVALID");
    }
}

/// The digest in the path is that of other bytes.
pub async fn a_manifest_under_another_digest_is_refused(client: Client) {
    let bytes = push_image(&client, "fty", "x", "digest").await;
    let upper = sha256(&bytes).to_string().to_uppercase().replace("SHA256", "sha256");
    for reference in [absent().as_str(), "sha256:abc", "sha256:", "blake3:abc", "sha512:00", &upper] {
        let reply = put_manifest(&client, "fty", reference, MediaType::OCI_IMAGE, bytes.clone()).await;
        reply.fails(400, "DIGEST_INVALID");
    }
    assert_no_manifest(&client, "fty", absent()).await;
    let tagged = format!("{}?tag=set", absent());
    put_manifest(&client, "fty", &tagged, MediaType::OCI_IMAGE, bytes).await.fails(400, "DIGEST_INVALID");
    assert_no_manifest(&client, "fty", "set").await;
}

/// Everything that is missing is told at once, in the order of the manifest.
pub async fn each_missing_blob_is_told(client: Client) {
    let there = b"there".as_slice();
    push_blob(&client, "fty", there).await;
    // That another repository has it is no help.
    push_blob(&client, "fty/other", "elsewhere").await;
    let mut manifest = image(b"config", there);
    let layers = [&b"z"[..], there, b"a", b"z", b"elsewhere", b"m"];
    manifest["layers"] = layers.iter().map(|layer| descriptor(LAYER, layer)).collect();
    let reply =
        put_manifest(&client, "fty", "bad", MediaType::OCI_IMAGE, payload(&manifest)).await.expect(400);
    let missing = [&b"config"[..], b"z", b"a", b"elsewhere", b"m"];
    let expected: Vec<Value> = missing
        .iter()
        .map(|content| {
            let message = "blob unknown to registry";
            json!({ "code": "MANIFEST_BLOB_UNKNOWN", "message": message, "detail": sha256(content) })
        })
        .collect();
    assert_eq!(reply.json(), json!({ "errors": expected }));
    assert_no_manifest(&client, "fty", "bad").await;
    assert_no_manifest(&client, "fty", sha256(&payload(&manifest))).await;
}

/// A digest in a manifest that is none is a mistake of the client.
pub async fn a_malformed_digest_in_a_manifest_is_refused(client: Client) {
    let (config, layer) = parts("malformed");
    push_blob(&client, "fty", config.clone()).await;
    for digest in ["", "sha256:abc", "nonsense", "blake3:abc", "../../etc", "sha256:\u{0}"] {
        let mut manifest = image(&config, &layer);
        manifest["layers"][0]["digest"] = json!(digest);
        let reply =
            put_manifest(&client, "fty", "bad", MediaType::OCI_IMAGE, payload(&manifest)).await.expect(400);
        let codes = reply.codes();
        assert!(codes.contains(&"MANIFEST_BLOB_UNKNOWN".to_owned()), "{digest}: {}", reply.summary());
    }
    assert_no_manifest(&client, "fty", "bad").await;
}

/// The size of a blob that is there is known.
pub async fn a_wrong_size_is_refused(client: Client) {
    let (config, layer) = parts("size");
    push_blob(&client, "fty", config.clone()).await;
    push_blob(&client, "fty", layer.clone()).await;
    let mut manifest = image(&config, &layer);
    manifest["layers"][0]["size"] = json!(layer.len() + 1);
    let reply = put_manifest(&client, "fty", "bad", MediaType::OCI_IMAGE, payload(&manifest)).await;
    reply.fails(400, "MANIFEST_INVALID");
}

/// The children of an index are manifests of the repository.
pub async fn an_index_with_a_missing_child_is_refused(client: Client) {
    let there = push_image(&client, "fty", "x", "child").await;
    let elsewhere = push_image(&client, "fty/other", "x", "elsewhere").await;
    let manifest = index(&[Bytes::from("gone"), there, elsewhere.clone()]);
    let reply =
        put_manifest(&client, "fty", "bad", MediaType::OCI_INDEX, payload(&manifest)).await.expect(400);
    assert_eq!(reply.codes(), ["MANIFEST_BLOB_UNKNOWN"; 2]);
    let details = [0, 1].map(|i| reply.json()["errors"][i]["detail"].take());
    assert_eq!(details, [json!(sha256(b"gone")), json!(sha256(&elsewhere))]);
    // A blob is no child where a manifest is announced.
    let blob = push_blob(&client, "fty", "blob").await;
    let manifest = index(&[Bytes::from("blob")]);
    let reply = put_manifest(&client, "fty", "bad", MediaType::OCI_INDEX, payload(&manifest)).await;
    assert_eq!(reply.fails(400, "MANIFEST_BLOB_UNKNOWN").detail(), json!(blob));
}

/// Layers that a registry may not hand out need not be there.
pub async fn layers_that_are_elsewhere_may_be_missing(client: Client) {
    let (config, _) = parts("elsewhere");
    push_blob(&client, "fty", config.clone()).await;
    for layer in [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
    ] {
        let mut manifest = image(&config, b"");
        manifest["layers"] = json!([descriptor(layer, b"elsewhere")]);
        let reply = put_manifest(&client, "fty", "x", MediaType::OCI_IMAGE, payload(&manifest)).await;
        reply.expect(201);
    }
    // Docker's have to say where they are.
    let mut manifest = image(&config, b"");
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    manifest["layers"] = json!([descriptor(foreign, b"elsewhere")]);
    let reply = put_manifest(&client, "fty", "bad", MediaType::OCI_IMAGE, payload(&manifest)).await;
    reply.fails(400, "MANIFEST_INVALID");
}

/// Nobody is sent to addresses that nobody has allowed, whatever the type of the layer.
pub async fn urls_are_refused_unless_allowed(client: Client) {
    let (config, layer) = parts("urls");
    push_blob(&client, "fty", config.clone()).await;
    push_blob(&client, "fty", layer.clone()).await;
    for media_type in [LAYER, "application/vnd.oci.image.layer.v1.tar+zstd", "application/vnd.example"] {
        let mut manifest = image(&config, &layer);
        manifest["layers"][0]["mediaType"] = json!(media_type);
        manifest["layers"][0]["urls"] = json!(["https://example.org/layer"]);
        let reply = put_manifest(&client, "fty", "bad", MediaType::OCI_IMAGE, payload(&manifest)).await;
        reply.fails(400, "MANIFEST_INVALID");
    }
    for url in ["ftp://example.org/", "https://example.org/#part", "/relative", "", "https://a b/"] {
        let mut manifest = image(&config, &layer);
        let media_type = "application/vnd.oci.image.layer.nondistributable.v1.tar";
        manifest["layers"][0]["mediaType"] = json!(media_type);
        manifest["layers"][0]["urls"] = json!([url]);
        let reply = put_manifest(&client, "fty", "bad", MediaType::OCI_IMAGE, payload(&manifest)).await;
        reply.fails(400, "MANIFEST_INVALID");
    }
    assert_no_manifest(&client, "fty", "bad").await;
}

/// What is no tag cannot be written, and cannot be found.
pub async fn an_invalid_tag_is_refused_or_unknown(client: Client) {
    let bytes = push_image(&client, "fty", "x", "tags").await;
    for tag in [".hidden", "-x", "a%20b", "a+b", "%C3%A9", "..", "@", &"a".repeat(129)] {
        let url = format!("/v2/fty/manifests/{tag}");
        let reply = put_manifest(&client, "fty", tag, MediaType::OCI_IMAGE, bytes.clone()).await;
        reply.fails(400, "TAG_INVALID");
        client.delete(&url).await.fails(400, "TAG_INVALID");
        client.get_and_head(&url).await.fails(404, "MANIFEST_UNKNOWN");
    }
    let longest = "a".repeat(128);
    put_manifest(&client, "fty", &longest, MediaType::OCI_IMAGE, bytes.clone()).await.expect(201);
    assert_manifest(&client, "fty", &longest, &bytes).await;
}

/// The answer says what was asked for.
pub async fn an_unknown_manifest_is_not_found(client: Client) {
    push_image(&client, "fty", "x", "known").await;
    for name in ["fty", "unknown/repository"] {
        for reference in ["none", absent().as_str()] {
            let url = format!("/v2/{name}/manifests/{reference}");
            let reply = client.get_and_head(&url).await.fails(404, "MANIFEST_UNKNOWN");
            let detail = reply.detail();
            assert!(detail.as_str().is_some_and(|text| text.contains(reference)), "{}", reply.summary());
            client.delete(&url).await.fails(404, "MANIFEST_UNKNOWN");
        }
    }
    let reply = client.get("/v2/fty/manifests/none").await;
    assert_eq!(reply.detail(), "unknown tag=none");
    for method in [Method::GET, Method::DELETE] {
        client.request(method, "/v2/fty/manifests/sha256:abc").await.fails(400, "DIGEST_INVALID");
    }
}

/// Nothing is stored of what was refused, also not a repository.
pub async fn a_refused_manifest_leaves_no_repository(client: Client) {
    let bytes = payload(&image(b"nobody", b"has these"));
    put_manifest(&client, "fty/new", "x", MediaType::OCI_IMAGE, bytes).await.expect(400);
    client.get("/v2/fty/new/tags/list").await.fails(404, "NAME_UNKNOWN");
    let reply = client.get("/v2/_catalog").await.expect(200);
    assert_eq!(reply.json(), json!({ "repositories": [] }));
}
