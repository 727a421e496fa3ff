//! Manifests: what is read in one, held against the JSON itself, and that one that was pushed comes back.
//!
//! The first line of the input is the `Content-Type`, the rest the manifest.

#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::{Empty, Full};
use libfuzzer_sys::fuzz_target;
use registry::core::manifest::{ManifestReference, TypeInBytes, detect_media_type};
use registry::core::{Algorithm, Error, Manifest, ManifestDocument, MediaType};
use registry::http::HttpOptions;
use registry::storage::MemoryDriver;
use registry_fuzz::line;
use registry_fuzz::wire::Wire;
use serde_json::{Map, Value};

/// The one blob that is there for manifests to refer to: `{}`, which artifacts have as configuration.
const BLOB: &[u8] = b"{}";

fuzz_target!(|data: &[u8]| {
    let (content_type, payload) = line(data);
    let value = serde_json::from_slice::<Value>(payload).ok();
    read(payload, value.as_ref());
    typed(payload, value.as_ref());
    if let Ok(text) = std::str::from_utf8(content_type) {
        pushed(text, payload);
    }
});

/// A field that may be missing or null, or `None` if it is something else than wanted.
fn field<T: Default>(map: &Map<String, Value>, key: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
    match map.get(key) {
        None | Some(Value::Null) => Some(T::default()),
        Some(value) => read(value),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// What a descriptor says, in the order: type, digest, size, URLs, architecture, system.
type Facts = (String, String, i64, Vec<String>, Option<(String, String)>);

fn descriptor(value: &Value) -> Option<Facts> {
    let map = value.as_object()?;
    let platform = |value: &Value| {
        let map = value.as_object()?;
        Some(Some((field(map, "architecture", text)?, field(map, "os", text)?)))
    };
    let urls = |value: &Value| value.as_array()?.iter().map(text).collect();
    Some((
        field(map, "mediaType", text)?,
        field(map, "digest", text)?,
        field(map, "size", Value::as_i64)?,
        field(map, "urls", urls)?,
        field(map, "platform", platform)?,
    ))
}

fn facts(reference: &ManifestReference) -> Facts {
    let platform = reference.platform.as_ref();
    (
        reference.media_type.clone(),
        reference.digest.clone(),
        reference.size,
        reference.urls.clone(),
        platform.map(|platform| (platform.architecture.clone(), platform.os.clone())),
    )
}

/// What a manifest says.
#[derive(Debug, Default, PartialEq)]
struct Said {
    schema_version: u64,
    media_type: String,
    artifact_type: String,
    config: Option<Facts>,
    layers: Option<Vec<Facts>>,
    manifests: Option<Vec<Facts>>,
    blobs: Option<Vec<Facts>>,
    subject: Option<Facts>,
    annotations: BTreeMap<String, String>,
}

fn expected(value: &Value) -> Option<Said> {
    let map = value.as_object()?;
    let one = |value: &Value| descriptor(value).map(Some);
    let list = |value: &Value| {
        let items: Option<Vec<Facts>> = value.as_array()?.iter().map(descriptor).collect();
        items.map(Some)
    };
    let annotations = |value: &Value| {
        value.as_object()?.iter().map(|(key, value)| Some((key.clone(), text(value)?))).collect()
    };
    Some(Said {
        schema_version: field(map, "schemaVersion", Value::as_u64)?,
        media_type: field(map, "mediaType", text)?,
        artifact_type: field(map, "artifactType", text)?,
        config: field(map, "config", one)?,
        layers: field(map, "layers", list)?,
        manifests: field(map, "manifests", list)?,
        blobs: field(map, "blobs", list)?,
        subject: field(map, "subject", one)?,
        annotations: field(map, "annotations", annotations)?,
    })
}

/// The reader finds in a manifest what is in it, and takes nothing else for one.
fn read(payload: &[u8], value: Option<&Value>) {
    let list =
        |list: &Option<Vec<ManifestReference>>| list.as_ref().map(|list| list.iter().map(facts).collect());
    let document = ManifestDocument::parse(payload);
    let said = document.as_ref().ok().map(|document| Said {
        schema_version: document.schema_version,
        media_type: document.media_type.clone(),
        artifact_type: document.artifact_type.clone(),
        config: document.config.as_ref().map(facts),
        layers: list(&document.layers),
        manifests: list(&document.manifests),
        blobs: list(&document.blobs),
        subject: document.subject.as_ref().map(facts),
        annotations: document.annotations.clone(),
    });
    assert_eq!(said, value.and_then(expected), "{:?}", document.as_ref().err());
    let Ok(document) = document else { return };
    let blobs = document.blob_references().count();
    let count = |list: &Option<Vec<ManifestReference>>| list.as_ref().map_or(0, Vec::len);
    assert_eq!(
        blobs,
        count(&document.layers) + count(&document.blobs) + usize::from(document.config.is_some())
    );
    assert_eq!(document.manifest_references().count(), count(&document.manifests));
}

/// The type that is found in the bytes is the one that is there.
fn typed(payload: &[u8], value: Option<&Value>) {
    let found = TypeInBytes::of(payload);
    assert_eq!(detect_media_type(payload), found.clone().media_type());
    // Beyond what is read into a `Value` (its depth, say) there is nothing to compare with.
    let Some(value) = value else { return };
    let index = !value["manifests"].is_null();
    match found {
        TypeInBytes::Stated(found) => assert_eq!(value["mediaType"].as_str(), Some(found.as_str())),
        TypeInBytes::Suggested(found) => {
            assert_eq!(value["schemaVersion"], 2);
            assert!(value["mediaType"].is_null() || value["mediaType"] == "");
            assert_eq!(found.as_str(), if index { MediaType::OCI_INDEX } else { MediaType::OCI_IMAGE });
        }
        TypeInBytes::Unknown => {
            let stated = value["mediaType"].as_str().is_some_and(|text| MediaType::parse(text).is_ok());
            assert!(!stated || expected(value).is_none(), "the type was overlooked");
        }
    }
}

/// What is accepted comes back byte for byte, under its digest and type, and is a referrer of its subject.
fn pushed(content_type: &str, payload: &[u8]) {
    let Ok(header) = HeaderValue::from_str(content_type) else { return };
    let wire = Wire::new(Arc::new(MemoryDriver::new()), HttpOptions::default());
    let blob = Request::post(format!("/v2/a/blobs/uploads/?digest={}", Algorithm::Sha256.digest(BLOB)));
    wire.send(blob.body(Full::from(BLOB)).expect("a request"));
    let put = Request::put("/v2/a/manifests/t").header("content-type", header);
    let reply = wire.send(put.body(Full::new(Bytes::copy_from_slice(payload))).expect("a request"));
    let digest = Algorithm::Sha256.digest(payload);
    let get = |path: String| wire.send(Request::get(path).body(Empty::<Bytes>::new()).expect("a request"));
    let checked = checked(content_type, payload);
    if reply.status != 201 {
        // One that is in order is refused only for what is missing, and a refused one leaves nothing.
        let missing = ["MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "DIGEST_INVALID"];
        assert!(checked.is_none() || missing.contains(&reply.code().as_str()), "{reply:?}");
        assert_eq!(get("/v2/a/manifests/t".to_owned()).status, 404);
        assert_eq!(get(format!("/v2/a/manifests/{digest}")).status, 404);
        return;
    }
    let (document, media_type) = checked.expect("only what is in order is accepted");
    assert_eq!(reply.header("docker-content-digest"), digest.as_str());
    for reference in ["t", digest.as_str()] {
        let reply = get(format!("/v2/a/manifests/{reference}"));
        assert_eq!((reply.status.as_u16(), &reply.body[..]), (200, payload));
        assert_eq!(reply.header("docker-content-digest"), digest.as_str());
        assert_eq!(reply.header("content-type"), media_type.as_str());
    }
    let subject = document.subject_digest().filter(|subject| subject.algorithm().is_some());
    assert_eq!(
        reply.header("oci-subject"),
        document.subject_digest().map(|s| s.to_string()).unwrap_or_default()
    );
    if let Some(subject) = subject {
        let index: Value =
            serde_json::from_slice(&get(format!("/v2/a/referrers/{subject}")).body).expect("JSON");
        let referrer = &index["manifests"][0];
        assert_eq!(referrer["digest"], digest.as_str());
        assert_eq!(referrer["size"], payload.len());
        assert_eq!(referrer["mediaType"], media_type.as_str());
    }
}

/// The manifest and its type, if it may be stored as what the header says.
fn checked(content_type: &str, payload: &[u8]) -> Option<(ManifestDocument, MediaType)> {
    let pushed_as = MediaType::from_header(content_type).ok()?;
    let stated = detect_media_type(payload);
    let spelled = stated.filter(|stated| stated.as_str().eq_ignore_ascii_case(pushed_as.as_str()));
    let media_type = spelled.unwrap_or(pushed_as);
    let manifest = Manifest::new(media_type.clone(), Algorithm::Sha256, payload.to_vec());
    match ManifestDocument::parse_checked(&manifest) {
        Ok(document) => {
            assert_eq!(document.schema_version, 2);
            assert!(document.media_type.is_empty() || document.media_type == media_type.as_str());
            assert_eq!(document.subject.is_some(), document.subject_digest().is_some());
            Some((document, media_type))
        }
        Err(error) => {
            assert!(matches!(error, Error::ManifestInvalid { .. }), "{error}");
            None
        }
    }
}
