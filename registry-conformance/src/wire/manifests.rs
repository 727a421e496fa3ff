//! end-3, end-7 and end-9: manifests and tags.

use registry_core::MediaType;
use serde_json::json;

use super::client::Client;
use super::content::{
    CONFIG, artifact, assert_blob, assert_manifest, assert_no_manifest, descriptor, image, index, parts,
    payload, push_blob, push_image, put_manifest, sha256, sha512,
};

/// end-7a: the manifest is there by tag and by digest, byte for byte.
pub async fn a_manifest_is_pushed_by_tag(client: Client) {
    let (config, layer) = parts("by tag");
    push_blob(&client, "man", config.clone()).await;
    push_blob(&client, "man", layer.clone()).await;
    let payload = payload(&image(&config, &layer));
    let digest = sha256(&payload);
    let reply = put_manifest(&client, "man", "v1.0_x-Y", MediaType::OCI_IMAGE, payload.clone()).await;
    let reply = reply.expect(201).has("docker-content-digest", &digest).has("content-length", 0);
    let reply = reply.lacks("oci-subject").lacks("oci-tag");
    assert_eq!(client.get(reply.location()).await.expect(200).body, payload, "its Location can be pulled");
    for reference in ["v1.0_x-Y", digest.as_str()] {
        assert_manifest(&client, "man", reference, &payload)
            .await
            .has("docker-content-digest", &digest)
            .has("content-type", MediaType::OCI_IMAGE)
            .has("content-length", payload.len())
            .has("etag", format!("\"{digest}\""));
    }
}

/// end-7a: without a tag.
pub async fn a_manifest_is_pushed_by_digest(client: Client) {
    let tagged = push_image(&client, "man", "x", "by digest").await;
    let bytes = bytes::Bytes::from(format!("{}\n", String::from_utf8_lossy(&tagged)));
    let digest = sha256(&bytes);
    let reply = put_manifest(&client, "man", digest.as_str(), MediaType::OCI_IMAGE, bytes.clone()).await;
    reply.expect(201).has("docker-content-digest", &digest).lacks("oci-tag");
    assert_manifest(&client, "man", digest.as_str(), &bytes).await;
    let tags = client.get("/v2/man/tags/list").await.expect(200).json();
    assert_eq!(tags["tags"], json!(["x"]), "no tag was set");
}

/// end-7b: at least ten tags, each of which is confirmed.
pub async fn a_manifest_is_pushed_with_many_tags(client: Client) {
    let bytes = push_image(&client, "man", "x", "many").await;
    let digest = sha256(&bytes);
    let tags: Vec<String> = (0..20).map(|i| format!("v1.{i}")).collect();
    let query: Vec<String> = tags.iter().map(|tag| format!("tag={tag}")).collect();
    let reference = format!("{digest}?{}", query.join("&"));
    let reply =
        put_manifest(&client, "man", &reference, MediaType::OCI_IMAGE, bytes.clone()).await.expect(201);
    let lines = reply.headers.get_all("oci-tag").iter().filter_map(|line| line.to_str().ok());
    let confirmed: Vec<&str> = lines.flat_map(|line| line.split(',').map(str::trim)).collect();
    assert_eq!(confirmed, tags);
    for tag in &tags {
        assert_manifest(&client, "man", tag, &bytes).await.has("docker-content-digest", &digest);
    }
}

/// end-7b: one bad tag, and nothing is set.
pub async fn a_bad_tag_in_the_query_is_refused(client: Client) {
    let bytes = push_image(&client, "man", "x", "bad tags").await;
    let digest = sha256(&bytes);
    for tag in ["-x", "a%20b", "", &"a".repeat(129)] {
        let reference = format!("{digest}?tag=good&tag={tag}");
        let reply = put_manifest(&client, "man", &reference, MediaType::OCI_IMAGE, bytes.clone()).await;
        reply.fails(400, "TAG_INVALID");
        assert_no_manifest(&client, "man", "good").await;
    }
}

/// A manifest under SHA-512 keeps that digest.
pub async fn a_manifest_is_pushed_by_sha512(client: Client) {
    let bytes = push_image(&client, "man/other", "x", "sha512").await;
    let (config, layer) = parts("sha512");
    push_blob(&client, "man", config).await;
    push_blob(&client, "man", layer).await;
    let digest = sha512(&bytes);
    let reference = format!("{digest}?tag=long");
    let reply =
        put_manifest(&client, "man", &reference, MediaType::OCI_IMAGE, bytes.clone()).await.expect(201);
    let reply = reply.has("docker-content-digest", &digest).has("oci-tag", "long");
    assert!(reply.location().ends_with(digest.as_str()));
    for reference in [digest.as_str(), "long"] {
        assert_manifest(&client, "man", reference, &bytes).await.has("docker-content-digest", &digest);
    }
    assert_no_manifest(&client, "man", sha256(&bytes)).await;
    client.delete(format!("/v2/man/manifests/{digest}")).await.expect(202);
    assert_no_manifest(&client, "man", digest).await;
    assert_no_manifest(&client, "man", "long").await;
}

/// The client learns that it need not keep the referrers tag itself, also if the subject is yet to come.
pub async fn a_subject_is_confirmed(client: Client) {
    push_blob(&client, "man", "{}").await;
    let subject = sha256(b"yet to come");
    let image = payload(&artifact(&subject, "application/vnd.example.sbom"));
    let reply = put_manifest(&client, "man", "sbom", MediaType::OCI_IMAGE, image).await;
    reply.expect(201).has("oci-subject", &subject);
    let mut index = index(&[]);
    index["subject"] = json!({ "mediaType": MediaType::OCI_IMAGE, "digest": subject, "size": 3 });
    let reply = put_manifest(&client, "man", "list", MediaType::OCI_INDEX, payload(&index)).await;
    reply.expect(201).has("oci-subject", &subject);
}

/// What is stored is sent, whatever the client says it can read.
pub async fn any_accept_header_will_do(client: Client) {
    let bytes = push_image(&client, "man", "x", "accept").await;
    for reference in ["x", sha256(&bytes).as_str()] {
        let url = format!("/v2/man/manifests/{reference}");
        for accept in
            ["*/*", "application/*", "text/html", MediaType::DOCKER_IMAGE, "nonsense", "", "*/*;q=0"]
        {
            let reply = client.get(&url).header("accept", accept).await.expect(200);
            assert_eq!(reply.body, bytes, "{accept}");
            assert_eq!(reply.header("content-type"), MediaType::OCI_IMAGE, "{accept}");
        }
        assert_eq!(client.get(&url).await.expect(200).body, bytes, "no Accept");
    }
}

/// A client that has the manifest is told so, also if it asks by tag.
pub async fn a_known_manifest_is_not_sent_again(client: Client) {
    let digest = sha256(&push_image(&client, "man", "x", "cached").await);
    for reference in ["x", digest.as_str()] {
        let url = format!("/v2/man/manifests/{reference}");
        let etag = format!("\"{digest}\"");
        for tag in [&etag, &format!("W/{etag}"), &format!("\"other\", {etag}"), "*", digest.as_str()] {
            for ask in [client.get(&url), client.head(&url)] {
                let reply = ask.header("if-none-match", tag).await.expect(304);
                reply.has("etag", &etag).has("docker-content-digest", &digest);
            }
        }
        client.get(&url).header("if-none-match", "\"other\"").await.expect(200);
        client.get(&url).header("if-match", &etag).await.expect(200);
        let reply = client.get(&url).header("if-match", "\"other\"").await.expect(412);
        assert!(matches!(reply.find("content-length"), None | Some("0")), "{}", reply.summary());
    }
    client.get("/v2/man/manifests/none").header("if-none-match", "*").await.fails(404, "MANIFEST_UNKNOWN");
}

/// A type that the registry has never heard of.
pub async fn a_custom_type_is_served_as_pushed(client: Client) {
    let custom = "application/vnd.example.thing.v1+json";
    let with = payload(&json!({ "schemaVersion": 2, "mediaType": custom, "a": 1 }));
    let without = payload(&json!({ "schemaVersion": 2, "a": 2 }));
    for (tag, bytes) in [("with", with), ("without", without)] {
        put_manifest(&client, "man", tag, custom, bytes.clone()).await.expect(201);
        for reference in [tag, sha256(&bytes).as_str()] {
            assert_manifest(&client, "man", reference, &bytes).await.has("content-type", custom);
        }
    }
}

/// The type in `Content-Type` counts for a manifest that says nothing, each time that it is pushed.
pub async fn the_type_of_the_last_push_counts(client: Client) {
    push_blob(&client, "man", "{}").await;
    let empty = descriptor(CONFIG, b"{}");
    let bytes = payload(&json!({ "schemaVersion": 2, "config": empty, "layers": [] }));
    for media_type in ["application/vnd.example.a", MediaType::OCI_IMAGE, "application/vnd.example.b"] {
        put_manifest(&client, "man", "x", media_type, bytes.clone()).await.expect(201);
        assert_manifest(&client, "man", "x", &bytes).await.has("content-type", media_type);
    }
}

/// Parameters of `Content-Type` mean nothing; without one, the manifest says its type.
pub async fn the_type_is_read_leniently(client: Client) {
    let bytes = push_image(&client, "man", "x", "lenient").await;
    for media_type in [
        format!("{}; charset=utf-8", MediaType::OCI_IMAGE),
        format!("{};charset=\"utf-8\"", MediaType::OCI_IMAGE),
    ] {
        put_manifest(&client, "man", "y", &media_type, bytes.clone()).await.expect(201);
        assert_manifest(&client, "man", "y", &bytes).await.has("content-type", MediaType::OCI_IMAGE);
    }
    client.put("/v2/man/manifests/z").body(bytes.clone()).await.expect(201);
    assert_manifest(&client, "man", "z", &bytes).await.has("content-type", MediaType::OCI_IMAGE);
}

/// Nor does the letter case of a type (RFC 9110, section 8.3.1).
pub async fn the_letter_case_of_the_type_means_nothing(client: Client) {
    let bytes = push_image(&client, "man", "x", "case").await;
    for media_type in [MediaType::OCI_IMAGE.to_uppercase(), MediaType::OCI_IMAGE.replace("oci", "OCI")] {
        put_manifest(&client, "man", "y", &media_type, bytes.clone()).await.expect(201);
        assert_manifest(&client, "man", "y", &bytes).await.has("content-type", MediaType::OCI_IMAGE);
    }
}

/// Docker's image and list, and OCI's index.
pub async fn all_kinds_of_manifests_are_served_as_pushed(client: Client) {
    let (config, layer) = parts("kinds");
    push_blob(&client, "man", config.clone()).await;
    push_blob(&client, "man", layer.clone()).await;
    let layer_type = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    let docker = payload(&json!({
        "schemaVersion": 2,
        "mediaType": MediaType::DOCKER_IMAGE,
        "config": descriptor("application/vnd.docker.container.image.v1+json", &config),
        "layers": [descriptor(layer_type, &layer)],
    }));
    let oci = payload(&image(&config, &layer));
    let mut child = descriptor(MediaType::DOCKER_IMAGE, &docker);
    child["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    let list =
        payload(&json!({ "schemaVersion": 2, "mediaType": MediaType::DOCKER_LIST, "manifests": [child] }));
    let untyped =
        payload(&json!({ "schemaVersion": 2, "config": descriptor(CONFIG, &config), "layers": [] }));
    for (tag, media_type, bytes) in [
        ("docker", MediaType::DOCKER_IMAGE, docker),
        ("oci", MediaType::OCI_IMAGE, oci.clone()),
        ("list", MediaType::DOCKER_LIST, list),
        ("index", MediaType::OCI_INDEX, payload(&index(&[oci]))),
        ("empty", MediaType::OCI_INDEX, payload(&index(&[]))),
        ("untyped", MediaType::OCI_IMAGE, untyped),
    ] {
        put_manifest(&client, "man", tag, media_type, bytes.clone()).await.expect(201);
        // Docker's list is not replaced by one of its children, whoever asks.
        for reference in [tag, sha256(&bytes).as_str()] {
            assert_manifest(&client, "man", reference, &bytes).await.has("content-type", media_type);
        }
    }
}

/// A tag moves; what it was on stays.
pub async fn a_tag_moves_to_another_manifest(client: Client) {
    let old = push_image(&client, "man", "latest", "old").await;
    let new = push_image(&client, "man", "latest", "new").await;
    assert_manifest(&client, "man", "latest", &new).await;
    assert_manifest(&client, "man", sha256(&old).as_str(), &old).await;
    put_manifest(&client, "man", "latest", MediaType::OCI_IMAGE, old.clone()).await.expect(201);
    assert_manifest(&client, "man", "latest", &old).await;
}

/// end-9 for a tag: the manifest and its other tags stay.
pub async fn a_deleted_tag_leaves_its_manifest(client: Client) {
    let bytes = push_image(&client, "man", "one", "untagged").await;
    put_manifest(&client, "man", "two", MediaType::OCI_IMAGE, bytes.clone()).await.expect(201);
    let reply = client.delete("/v2/man/manifests/one").await.expect(202).has("content-length", 0);
    assert!(reply.body.is_empty());
    assert_no_manifest(&client, "man", "one").await;
    assert_manifest(&client, "man", "two", &bytes).await;
    assert_manifest(&client, "man", sha256(&bytes).as_str(), &bytes).await;
    client.delete("/v2/man/manifests/one").await.fails(404, "MANIFEST_UNKNOWN");
}

/// end-9 for a manifest: its tags go, others and all blobs stay.
pub async fn a_deleted_manifest_takes_its_tags_with_it(client: Client) {
    let bytes = push_image(&client, "man", "one", "deleted").await;
    let other = push_image(&client, "man", "other", "kept").await;
    put_manifest(&client, "man", "two", MediaType::OCI_IMAGE, bytes.clone()).await.expect(201);
    let digest = sha256(&bytes);
    let url = format!("/v2/man/manifests/{digest}");
    client.delete(&url).await.expect(202).has("content-length", 0);
    for reference in [digest.as_str(), "one", "two"] {
        assert_no_manifest(&client, "man", reference).await;
    }
    client.delete(&url).await.fails(404, "MANIFEST_UNKNOWN");
    assert_manifest(&client, "man", "other", &other).await;
    let tags = client.get("/v2/man/tags/list").await.expect(200).json();
    assert_eq!(tags["tags"], json!(["other"]));
    let (_, layer) = parts("deleted");
    assert_blob(&client, "man", &sha256(&layer), &layer).await;
    put_manifest(&client, "man", "one", MediaType::OCI_IMAGE, bytes.clone()).await.expect(201);
    assert_manifest(&client, "man", "one", &bytes).await;
}

/// A manifest belongs to its repository.
pub async fn a_manifest_is_not_seen_in_another_repository(client: Client) {
    let digest = sha256(&push_image(&client, "man/one", "x", "secret").await);
    push_image(&client, "man/two", "y", "other").await;
    for name in ["man/two", "man", "man/one/more"] {
        assert_no_manifest(&client, name, &digest).await;
        assert_no_manifest(&client, name, "x").await;
        client.delete(format!("/v2/{name}/manifests/{digest}")).await.fails(404, "MANIFEST_UNKNOWN");
    }
}
