//! What an event becomes.

use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use registry_core::{Algorithm, Descriptor, MediaType, Principal, RepositoryName};
use serde_json::{Value, json};

use super::*;

fn source() -> Source {
    Source { addr: "node:5000".into(), instance_id: "instance".into() }
}

fn context() -> RequestContext {
    let mut cx = RequestContext::new("request").with_principal(Some(Principal::new("bob")));
    cx.peer = Some("10.0.0.1:42762".parse().unwrap());
    cx.host = Some("registry.example".into());
    cx.method = Some(http::Method::PUT);
    cx.user_agent = Some("docker/1".into());
    cx.url_base = Some("http://registry.example".into());
    cx
}

fn event(action: Action, target: EventTarget) -> Event {
    let mut event = Event::now(action, RepositoryName::parse("m/x").unwrap(), target);
    event.at = UNIX_EPOCH + Duration::new(1_795_230_373, 914_479_790);
    event
}

/// The events, without their ids, which are different each time.
fn written(cx: &RequestContext, event: &Event) -> Vec<Value> {
    let records = records(cx, event, &source());
    let parse = |record: &Record| {
        assert!(!record.line.contains(&b'\n'));
        let mut value: Value = serde_json::from_slice(&record.line).unwrap();
        let id = value.as_object_mut().unwrap().remove("id").unwrap();
        uuid::Uuid::parse_str(id.as_str().unwrap()).unwrap();
        value
    };
    records.iter().map(parse).collect()
}

fn image() -> Manifest {
    let payload = json!({
        "schemaVersion": 2,
        "config": { "mediaType": "a/config", "digest": "sha256:c", "size": 2 },
        "layers": [
            { "mediaType": "a/layer", "digest": "sha256:l", "size": 37, "urls": ["http://x"], "annotations": null },
        ],
    });
    Manifest::new(MediaType::parse(MediaType::OCI_IMAGE).unwrap(), Algorithm::Sha256, payload.to_string())
}

#[test]
fn a_pushed_manifest_has_every_field_of_the_envelope_in_order() {
    let manifest = image();
    let (digest, size) = (manifest.digest().to_string(), manifest.descriptor().size);
    let target = EventTarget::Manifest {
        descriptor: manifest.descriptor(),
        tags: vec![Tag::parse("v1").unwrap()],
        content: Some(manifest),
    };
    let event = event(Action::Push, target);
    let text = String::from_utf8(records(&context(), &event, &source())[0].line.to_vec()).unwrap();
    let rest = text.split_once(",\"timestamp\"").unwrap().1;
    let expected = format!(
        concat!(
            r#":"2026-11-21T03:06:13.91447979Z","action":"push","target":{{"mediaType":"{media}","digest":"{digest}","#,
            r#""size":{size},"length":{size},"repository":"m/x","url":"http://registry.example/v2/m/x/manifests/{digest}","#,
            r#""tag":"v1","references":[{{"mediaType":"a/config","digest":"sha256:c","size":2}},"#,
            r#"{{"mediaType":"a/layer","digest":"sha256:l","size":37,"urls":["http://x"]}}]}},"#,
            r#""request":{{"id":"request","addr":"10.0.0.1:42762","host":"registry.example","method":"PUT","useragent":"docker/1"}},"#,
            r#""actor":{{"name":"bob"}},"source":{{"addr":"node:5000","instanceID":"instance"}}}}"#,
        ),
        media = MediaType::OCI_IMAGE,
        digest = digest,
        size = size
    );
    assert_eq!(rest, expected);
}

#[test]
fn several_tags_are_several_events_with_ids_of_their_own() {
    let tags = ["v1", "v2"].map(|tag| Tag::parse(tag).unwrap()).to_vec();
    let target = EventTarget::Manifest { descriptor: image().descriptor(), tags, content: None };
    let event = event(Action::Push, target);
    let written = written(&context(), &event);
    let tags: Vec<_> = written.iter().map(|event| &event["target"]["tag"]).collect();
    assert_eq!(tags, ["v1", "v2"]);
    assert!(written[0]["target"].get("references").is_none());
    let [one, two] = &records(&context(), &event, &source())[..] else { panic!("two events") };
    assert_ne!(one.line[..45], two.line[..45], "an id for each");
}

#[test]
fn blobs_are_named_by_digest_and_what_is_deleted_has_no_url() {
    let digest = Algorithm::Sha256.digest(b"x");
    let descriptor = Descriptor::blob(digest.clone(), 1);
    let from = Some(RepositoryName::parse("b").unwrap());
    let mount = event(Action::Mount, EventTarget::Blob { descriptor, from });
    let expected = json!({
        "mediaType": "application/octet-stream", "digest": digest.to_string(), "size": 1, "length": 1,
        "repository": "m/x", "fromRepository": "b",
        "url": format!("http://registry.example/v2/m/x/blobs/{digest}"),
    });
    assert_eq!(written(&context(), &mount)[0]["target"], expected);

    let gone = event(Action::Delete, EventTarget::ManifestDigest(digest.clone()));
    let expected = json!({ "mediaType": "", "digest": digest.to_string(), "size": 0, "repository": "m/x" });
    assert_eq!(written(&context(), &gone)[0]["target"], expected);

    let tag = event(Action::Delete, EventTarget::Tag(Tag::parse("v1").unwrap()));
    let expected = json!({ "mediaType": "", "digest": "", "size": 0, "repository": "m/x", "tag": "v1" });
    assert_eq!(written(&context(), &tag)[0]["target"], expected);
}

#[test]
fn the_address_is_what_proxies_say_or_else_the_peer() {
    let mut cx = context();
    assert_eq!(address(&cx), "10.0.0.1:42762");
    cx.peer = Some("[::ffff:10.0.0.1]:1".parse().unwrap());
    assert_eq!(address(&cx), "10.0.0.1:1");
    cx.claimed_addr = "2001:db8::1".parse::<IpAddr>().ok();
    assert_eq!(address(&cx), "2001:db8::1");
    assert_eq!(address(&RequestContext::new("nobody")), "");
}

#[test]
fn background_work_has_an_event_without_a_request() {
    let event = event(Action::Delete, EventTarget::Tag(Tag::parse("v1").unwrap()));
    let written = &written(&RequestContext::system("gc"), &event)[0];
    assert_eq!(written["request"], json!({ "id": "system:gc", "method": "", "useragent": "" }));
    assert_eq!(written["actor"], json!({}));
}

#[test]
fn times_have_as_many_digits_as_they_need() {
    assert_eq!(timestamp(UNIX_EPOCH), "1970-01-01T00:00:00Z");
    assert_eq!(timestamp(UNIX_EPOCH + Duration::from_millis(100)), "1970-01-01T00:00:00.1Z");
    assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(10)), "1970-01-01T00:00:10Z");
}

#[test]
fn references_are_those_of_an_index_too_and_of_nonsense_none() {
    let index = json!({ "manifests": [{
        "mediaType": "a/m", "digest": "sha256:m", "size": 5, "artifactType": "a/t", "data": "e30=",
        "annotations": { "k": "v" },
        "platform": { "architecture": "arm", "os": "linux", "variant": "v7", "os.version": "1", "os.features": ["f"] },
    }] });
    let written = serde_json::to_value(references(index.to_string().as_bytes())).unwrap();
    assert_eq!(written, index["manifests"]);
    assert!(
        references(b"[]").is_empty()
            && references(b"{").is_empty()
            && references(b"{\"layers\":7}").is_empty()
    );
}
