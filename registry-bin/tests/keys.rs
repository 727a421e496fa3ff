//! Keys of the configuration by what they do, through the program as a whole.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::os::unix::net::UnixStream;
use std::path::Path;

use support::{ANY_PORT, Answer, Server, ask, ask_on, directory_with, get};

const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A server in memory, with more configuration.
fn with(text: &str) -> (Server, String, tempfile::TempDir) {
    let address = if text.contains("http:") { "" } else { ANY_PORT };
    let storage = if text.contains("storage:") { "" } else { "storage: inmemory\n" };
    let directory = directory_with(&format!("version: 0.1\n{storage}{text}\n{address}\n"));
    let (server, address) = Server::serve(directory.path());
    (server, address, directory)
}

fn push_empty(address: &str, repository: &str) -> Answer {
    ask(
        address,
        "POST",
        &format!("/v2/{repository}/blobs/uploads/?digest={EMPTY}"),
        &["content-type: application/octet-stream"],
        "",
    )
}

fn manifest(layers: &str) -> String {
    let config = format!(
        "{{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"{EMPTY}\",\"size\":0}}"
    );
    format!("{{\"schemaVersion\":2,\"mediaType\":\"{MANIFEST}\",\"config\":{config},\"layers\":[{layers}]}}")
}

fn layer(digit: char, urls: &str) -> String {
    let digest = digit.to_string().repeat(64);
    format!(
        "{{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:{digest}\",\"size\":5{urls}}}"
    )
}

fn put(address: &str, repository: &str, tag: &str, media_type: &str, body: &str) -> Answer {
    let path = format!("/v2/{repository}/manifests/{tag}");
    ask(address, "PUT", &path, &[&format!("content-type: {media_type}")], body)
}

#[test]
fn the_store_is_where_the_key_says() {
    let (server, address, directory) = with("storage: {filesystem: {rootdirectory: ./here, maxthreads: 30}}");
    assert_eq!(push_empty(&address, "a").status, 201);
    assert!(directory.path().join("here/docker/registry/v2/repositories/a/_layers").is_dir());
    server.stop();
}

#[test]
fn memory_is_gone_with_the_process() {
    let (server, address, directory) = with("");
    assert_eq!(push_empty(&address, "a").status, 201);
    assert_eq!(get(&address, &format!("/v2/a/blobs/{EMPTY}")).status, 200);
    server.stop();
    let (server, address) = Server::serve(directory.path());
    assert_eq!(get(&address, &format!("/v2/a/blobs/{EMPTY}")).status, 404);
    server.stop();
}

#[test]
fn deletes_are_off_unless_enabled() {
    for (text, status) in [("", 405), ("storage: {inmemory: , delete: {enabled: true}}", 202)] {
        let (server, address, _directory) = with(text);
        push_empty(&address, "a");
        assert_eq!(
            ask(&address, "DELETE", &format!("/v2/a/blobs/{EMPTY}"), &[], "").status,
            status,
            "{text}"
        );
        server.stop();
    }
}

#[test]
fn a_blob_is_served_with_a_descriptor_cache() {
    let text = "storage: {filesystem: {rootdirectory: ./s}, delete: {enabled: true}, cache: {blobdescriptor: inmemory, blobdescriptorsize: 5}}";
    let (server, address, _directory) = with(text);
    let blob = format!("/v2/a/blobs/{EMPTY}");
    for _ in 0..2 {
        push_empty(&address, "a");
        assert_eq!((get(&address, &blob).status, get(&address, &blob).status), (200, 200));
        assert_eq!(ask(&address, "DELETE", &blob, &[], "").status, 202);
        assert_eq!(get(&address, &blob).status, 404, "a delete holds at once");
    }
    server.stop();
}

#[test]
fn read_only_refuses_writes() {
    let (server, address, _directory) =
        with("storage: {inmemory: , maintenance: {readonly: {enabled: true}}}");
    let answer = ask(&address, "POST", "/v2/a/blobs/uploads/", &[], "");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(get(&address, "/v2/").status, 200);
    server.stop();
}

#[test]
fn the_address_is_taken() {
    for (addr, expected) in [
        ("127.0.0.1:0", "127.0.0.1:"),
        ("localhost:0", "127.0.0.1:"),
        ("'[::1]:0'", "[::1]:"),
        // Go, and so Distribution, takes this for every interface, those of IPv6 too.
        ("0.0.0.0:0", "[::]:"),
        ("':0'", "[::]:"),
    ] {
        let (server, address, _directory) = with(&format!("http: {{addr: {addr}}}"));
        assert!(address.starts_with(expected), "{addr}: {address}");
        assert_eq!(get(&address, "/v2/").status, 200);
        server.stop();
    }
}

#[test]
fn a_unix_socket_is_served() {
    let (server, _, directory) = with("http: {net: unix, addr: ./r.sock}");
    let path = directory.path().join("r.sock");
    assert_eq!(ask_on(UnixStream::connect(&path).unwrap(), "GET", "/v2/", &[], "").status, 200);
    server.stop();
    assert!(!Path::new(&path).exists());
}

#[test]
fn a_prefix_goes_before_the_api() {
    let (server, address, _directory) = with("http: {addr: '127.0.0.1:0', prefix: /my/nested/}");
    let statuses = ["/my/nested/v2/", "/v2/"].map(|path| get(&address, path).status);
    assert_eq!(statuses, [200, 404]);
    let location = ask(&address, "POST", "/my/nested/v2/a/blobs/uploads/", &[], "");
    assert!(location.header("location").unwrap().contains("/my/nested/v2/a/blobs/uploads/"));
    server.stop();
}

#[test]
fn locations_follow_host_and_relativeurls() {
    for (http, expected) in [
        ("", "http://registry.test:5000/v2/"),
        (", host: 'https://hub.example.com/sub'", "https://hub.example.com/sub/v2/"),
        (", relativeurls: true", "/v2/"),
        (", relativeurls: true, host: 'https://hub.example.com'", "https://hub.example.com/v2/"),
    ] {
        let (server, address, _directory) = with(&format!("http: {{addr: '127.0.0.1:0'{http}}}"));
        let answer = ask(&address, "POST", "/v2/a/blobs/uploads/", &[], "");
        let location = answer.header("location").unwrap();
        assert!(location.starts_with(expected), "{http}: {location}");
        server.stop();
    }
}

#[test]
fn a_secret_signs_the_state_of_uploads() {
    let directory = tempfile::tempdir().unwrap();
    let serve = |secret: &str| {
        let http = format!("http: {{addr: '127.0.0.1:0', relativeurls: true, secret: {secret}}}");
        let text = format!("version: 0.1\nstorage: {{filesystem: {{rootdirectory: ./store}}}}\n{http}\n");
        std::fs::write(directory.path().join("c.yml"), text).unwrap();
        Server::serve(directory.path())
    };
    let (server, address) = serve("one");
    let location = location_of(&address);
    server.stop();
    for (secret, status) in [("two", 404), ("one", 202)] {
        let (server, address) = serve(secret);
        let answer = ask(&address, "PATCH", &location, &["content-type: application/octet-stream"], "x");
        assert_eq!(answer.status, status, "{secret}: {answer:?}");
        server.stop();
    }
}

#[test]
fn configured_headers_are_sent() {
    let (server, address, _directory) =
        with("http: {addr: '127.0.0.1:0', headers: {X-Content-Type-Options: [nosniff], X-Two: [a, b]}}");
    let answer = get(&address, "/v2/");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert!(answer.head.contains("x-two: a\r\n") && answer.head.contains("x-two: b\r\n"), "{}", answer.head);
    server.stop();
}

#[test]
fn requests_get_the_drain_timeout_and_no_more() {
    use std::io::Write as _;
    let (server, address, _directory) = with("http: {addr: '127.0.0.1:0', draintimeout: 700ms}");
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    let upload =
        format!("PATCH {} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab", location_of(&address));
    stream.write_all(upload.as_bytes()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let started = std::time::Instant::now();
    server.signal("TERM");
    let (code, _, errors) = server.finish();
    let took = started.elapsed().as_millis();
    assert!(code == 1 && (600..5000).contains(&took), "{code} after {took} ms: {errors}");
    assert!(
        errors.contains("stopped after 700ms with 1 requests unfinished (http.draintimeout)"),
        "{errors}"
    );
}

fn location_of(address: &str) -> String {
    let begun = ask(address, "POST", "/v2/a/blobs/uploads/", &[], "");
    let location = begun.header("location").unwrap();
    format!("/v2/{}", location.split_once("/v2/").unwrap().1)
}

#[test]
fn pages_are_as_large_as_configured() {
    let (server, address, _directory) = with("catalog: {maxentries: 2}\ntags: {maxtags: 3}");
    for name in ["a", "b", "c"] {
        push_empty(&address, name);
        assert_eq!(put(&address, name, "t", MANIFEST, &manifest("")).status, 201);
    }
    let catalog = |n: u32| get(&address, &format!("/v2/_catalog?n={n}"));
    assert!(catalog(2).body.contains("[\"a\",\"b\"]"));
    assert_eq!(catalog(3).status, 400);
    for tag in ["u", "v", "w"] {
        assert_eq!(put(&address, "a", tag, MANIFEST, &manifest("")).status, 201);
    }
    let tags = get(&address, "/v2/a/tags/list?n=100");
    assert!(tags.body.contains("[\"t\",\"u\",\"v\"]") && tags.header("link").is_some(), "{tags:?}");
    server.stop();
}

#[test]
fn validation_checks_urls_and_indexes_and_can_be_off() {
    let foreign = |url: &str| {
        let layer = layer('a', &format!(",\"urls\":[\"{url}\"]"));
        manifest(&layer).replace("layer.v1.tar\"", "layer.nondistributable.v1.tar\"")
    };
    let child = |os: &str| {
        let platform = format!(",\"platform\":{{\"os\":\"{os}\",\"architecture\":\"amd64\"}}");
        let child = layer('b', &platform).replace("application/vnd.oci.image.layer.v1.tar", MANIFEST);
        format!("{{\"schemaVersion\":2,\"mediaType\":\"{INDEX}\",\"manifests\":[{child}]}}")
    };
    let lists = "validation: {manifests: {urls: {allow: ['^https://good/'], deny: ['/bad']}}}";
    for (text, url, status) in [
        (lists, "https://good/x", 201),
        (lists, "https://good/bad", 400),
        (lists, "https://other/x", 400),
        (
            "validation: {disabled: true, manifests: {urls: {allow: ['^https://good/']}}}",
            "https://other/x",
            201,
        ),
    ] {
        let (server, address, _directory) = with(text);
        push_empty(&address, "a");
        assert_eq!(put(&address, "a", "t", MANIFEST, &foreign(url)).status, status, "{text} {url}");
        server.stop();
    }
    let list = "validation: {manifests: {indexes: {platforms: list, platformlist: [{os: linux, architecture: amd64}]}}}";
    for (text, os, status) in [
        ("", "linux", 400),
        ("validation: {disabled: true}", "linux", 201),
        ("validation: {manifests: {indexes: {platforms: none}}}", "linux", 201),
        (list, "linux", 400),
        (list, "windows", 201),
    ] {
        let (server, address, _directory) = with(text);
        push_empty(&address, "a");
        assert_eq!(put(&address, "a", "t", INDEX, &child(os)).status, status, "{text} {os}");
        server.stop();
    }
}

#[test]
fn layers_may_be_elsewhere() {
    for (text, status) in [("", 400), ("validation: {manifests: {images: {layers: none}}}", 201)] {
        let (server, address, _directory) = with(text);
        push_empty(&address, "a");
        assert_eq!(put(&address, "a", "t", MANIFEST, &manifest(&layer('c', ""))).status, status, "{text}");
        server.stop();
    }
}

#[test]
fn rules_in_the_configuration_take_effect_when_it_is_read_again() {
    let text =
        |rules: &str| format!("version: 0.1\nstorage: inmemory\nauth: {{policy: {rules}}}\n{ANY_PORT}\n");
    let pulls =
        |from: &str| text(&format!("{{rules: [{{allow: [pull], repositories: [{from}], who: [anyone]}}]}}"));
    let directory = directory_with(&pulls("a"));
    let file = directory.path().join("c.yml");
    let (mut server, address) = Server::serve(directory.path());
    let status = |name: &str| get(&address, &format!("/v2/{name}/tags/list")).status;
    assert_eq!((status("a"), status("b")), (404, 403), "there is no repository a");
    std::fs::write(&file, pulls("b")).unwrap();
    server.signal("HUP");
    server.says("auth.policy has 1 rules");
    assert_eq!((status("a"), status("b")), (403, 404));
    std::fs::write(&file, text("{rules: [{allow: [frob], repositories: [a], who: [anyone]}]}")).unwrap();
    server.signal("HUP");
    server.says("\\\"frob\\\" is no action");
    assert_eq!((status("a"), status("b")), (403, 404), "what is wrong changes nothing");
    let (_, log) = server.stop();
    assert!(!log.contains("waits for a restart"), "{log}");
}
