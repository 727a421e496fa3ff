//! A store that anything has happened to: files with any content at the places that are read. Requests
//! over it are answered: what is damaged counts as missing, and never as a failure of the registry.
//!
//! The input is files, with lines of `%%` between them: a line that names one, and its content. In the
//! content `@M` stands for the digest of the manifest that the store has, `@B` for that of its blob.

#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use registry::core::{Algorithm, Digest, StorageDriver, StorageDriverExt, StoragePath};
use registry::http::HttpOptions;
use registry::storage::MemoryDriver;
use registry_fuzz::wire::{Wire, block_on};
use registry_fuzz::{line, parts};

const BLOB: &[u8] = b"{}";
const UPLOAD: &str = "0d1f";

static MANIFEST: LazyLock<String> = LazyLock::new(|| {
    let blob = Algorithm::Sha256.digest(BLOB);
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"a/b","digest":"{blob}","size":2}},"layers":[],
            "subject":{{"mediaType":"a/b","digest":"{blob}","size":2}}}}"#
    )
});

fuzz_target!(|data: &[u8]| {
    let (blob, manifest) = (Algorithm::Sha256.digest(BLOB), Algorithm::Sha256.digest(MANIFEST.as_bytes()));
    let driver: Arc<dyn StorageDriver> = Arc::new(MemoryDriver::new());
    let wire = Wire::new(Arc::clone(&driver), HttpOptions::default()).tampered_with();
    let send = |method: Method, url: String, body: &[u8]| {
        let request = Request::builder().method(method).uri(url);
        wire.send(request.body(Full::new(Bytes::copy_from_slice(body))).expect("a request"))
    };
    assert_eq!(send(Method::POST, format!("/v2/a/blobs/uploads/?digest={blob}"), BLOB).status, 201);
    assert_eq!(send(Method::PUT, "/v2/a/manifests/t".to_owned(), MANIFEST.as_bytes()).status, 201);
    for file in parts(data) {
        let (name, content) = line(file);
        let Some(path) = std::str::from_utf8(name).ok().and_then(|name| place(name, &blob, &manifest)) else {
            continue;
        };
        let content = replace(replace(content.to_vec(), b"@M", &manifest), b"@B", &blob);
        // What the driver refuses, such as a file below a file, is not there.
        let _ = block_on(driver.put(&path, content.into()));
    }
    let gets = [
        "/v2/_catalog".to_owned(),
        "/v2/a/tags/list".to_owned(),
        "/v2/a/tags/list?n=1&last=s".to_owned(),
        "/v2/a/manifests/t".to_owned(),
        format!("/v2/a/manifests/{manifest}"),
        format!("/v2/a/referrers/{blob}"),
        format!("/v2/a/referrers/{blob}?artifactType=a/b&n=1"),
    ];
    for url in gets {
        let reply = send(Method::GET, url.clone(), b"");
        assert!(matches!(reply.status.as_u16(), 200 | 404), "{url}: {reply:?}");
    }
    let reply = send(Method::GET, format!("/v2/a/blobs/{blob}"), b"");
    assert!(matches!(reply.status.as_u16(), 200 | 404), "{reply:?}");
    upload(&send);
    send(Method::PUT, "/v2/a/manifests/u".to_owned(), MANIFEST.as_bytes());
    send(Method::DELETE, "/v2/a/manifests/t".to_owned(), b"");
    let gone = send(Method::DELETE, format!("/v2/a/manifests/{manifest}"), b"");
    assert!(matches!(gone.status.as_u16(), 202 | 404), "{gone:?}");
    assert_eq!(send(Method::GET, format!("/v2/a/manifests/{manifest}"), b"").status, 404);
});

/// Goes on with the session that may be there, to its end.
fn upload(send: &impl Fn(Method, String, &[u8]) -> registry_fuzz::wire::Reply) {
    let status = send(Method::GET, format!("/v2/a/blobs/uploads/{UPLOAD}"), b"");
    if status.status != 204 {
        return;
    }
    let more = send(Method::PATCH, status.header("location").to_owned(), b"more");
    assert_eq!(more.status, 202, "{more:?}");
    let url = format!("{}&digest={}", more.header("location"), Algorithm::Sha512.digest(b"more"));
    let end = send(Method::PUT, url, b"");
    assert!(matches!(end.status.as_u16(), 201 | 400), "{end:?}");
}

/// The path that a word stands for, or that the text is below the root of the store.
fn place(name: &str, blob: &Digest, manifest: &Digest) -> Option<StoragePath> {
    let (m, b) = (manifest.encoded(), blob.encoded());
    let below = match name {
        "tag" => "_manifests/tags/t/current/link".to_owned(),
        "tag2" => "_manifests/tags/s/current/link".to_owned(),
        "revision" => format!("_manifests/revisions/sha256/{m}/link"),
        "type" => format!("_manifests/revisions/sha256/{m}/mediatype"),
        "layer" => format!("_layers/sha256/{b}/link"),
        "referrer" => format!("_referrers/sha256/{b}/sha256-{m}"),
        "scanned" => "_referrers/scanned".to_owned(),
        "started" => format!("_uploads/{UPLOAD}/startedat"),
        "data" => format!("_uploads/{UPLOAD}/data"),
        "hash" => format!("_uploads/{UPLOAD}/hashstates/sha256/4"),
        "hash0" => format!("_uploads/{UPLOAD}/hashstates/sha512/0"),
        _ => String::new(),
    };
    let path = match name {
        "manifest" => format!("blobs/sha256/{}/{m}/data", &m[..2]),
        "" => return None,
        _ if below.is_empty() => name.to_owned(),
        _ => format!("repositories/a/{below}"),
    };
    StoragePath::root().join(&format!("docker/registry/v2/{path}")).ok()
}

fn replace(content: Vec<u8>, mark: &[u8], digest: &Digest) -> Vec<u8> {
    let (mut replaced, mut rest) = (Vec::new(), &content[..]);
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(digest.as_str().as_bytes());
        rest = &rest[at + mark.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}
