//! Challenges: whatever ends up in one, a client reads the same parameters out of it.
//!
//! The input is texts with lines of `%%` between: realm, service, path of a redirect, `Host`, `X-Forwarded-Proto`
//! and the name of a repository. What is missing is empty.

#![no_main]

use std::sync::LazyLock;

use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use registry::auth::{Token, TokenOptions, TrustedKeys};
use registry::core::access::{Access, Action};
use registry::core::{AccessController, AuthError, AuthRequest, Challenge, RepositoryName};
use registry::http::challenge_header;
use registry_fuzz::parts;
use tokio::runtime::Runtime;

const KEYS: &str =
    r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|data: &[u8]| {
    let texts: Vec<String> =
        parts(data).iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    let text = |at: usize| texts.get(at).cloned().unwrap_or_default();
    let (realm, service, path) = (text(0), text(1), text(2));
    round_trip(&[("realm", &realm), ("service", &service)]);

    let keys = TrustedKeys::read(None, Some(KEYS.as_bytes())).expect("keys");
    let redirect = Some(path.clone()).filter(|path| !path.is_empty());
    let controller =
        Token::new(TokenOptions::new(&realm, "issuer", &service).with_redirect(redirect.clone()), keys);
    let mut request = Request::get("/v2/");
    for (name, value) in [("host", text(3)), ("x-forwarded-proto", text(4))] {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            request = request.header(name, value);
        }
    }
    let (head, ()) = request.body(()).expect("a request").into_parts();
    let name = RepositoryName::parse(&text(5)).ok();
    let required: Vec<Access> = name.iter().map(|name| Access::repository(name, Action::Pull)).collect();
    let answer = RUNTIME.block_on(controller.authorize(&AuthRequest::new(&head, &required, &[])));
    let Err(AuthError::Unauthorized { challenges, .. }) = answer else { panic!("{answer:?}") };
    let [challenge] = challenges.as_slice() else { panic!("{challenges:?}") };
    let read = read(challenge_header(challenge).as_bytes());
    let names: Vec<&str> = read.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        if name.is_some() { &["realm", "service", "scope"][..] } else { &["realm", "service"] }
    );
    if let Some(name) = &name {
        assert_eq!(read[2].1, format!("repository:{name}:pull").as_bytes());
    }
    // The realm is ours, or on the host that was asked.
    if read[0].1 != plain(&realm) {
        let path = redirect.expect("a redirect");
        let slash = if path.starts_with('/') { "" } else { "/" };
        let on_host = |scheme: &str| plain(&format!("{scheme}://{}{slash}{path}", text(3).trim()));
        assert!(read[0].1 == on_host("https") || read[0].1 == on_host("http"), "{:?}", read[0]);
    }
});

/// Control characters are left out: no header can have them.
fn plain(text: &str) -> Vec<u8> {
    text.chars().filter(|c| !c.is_control()).collect::<String>().into_bytes()
}

fn round_trip(params: &[(&'static str, &str)]) {
    let challenge = Challenge {
        scheme: "Bearer".into(),
        params: params.iter().map(|(name, value)| ((*name).into(), (*value).to_owned())).collect(),
    };
    let expected: Vec<(String, Vec<u8>)> =
        params.iter().map(|(name, value)| ((*name).to_owned(), plain(value))).collect();
    assert_eq!(read(challenge_header(&challenge).as_bytes()), expected);
}

/// Reads a challenge of one scheme with quoted parameters (RFC 9110, sections 5.6.4 and 11.2).
fn read(header: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut rest = header.strip_prefix(b"Bearer ").expect("the scheme");
    let mut params = Vec::new();
    loop {
        let equals = rest.iter().position(|byte| *byte == b'=').expect("a parameter");
        let name = String::from_utf8(rest[..equals].to_vec()).expect("a token");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()), "{name:?}");
        rest = rest[equals + 1..].strip_prefix(b"\"").expect("a quoted value");
        let mut value = Vec::new();
        loop {
            let (first, after) = rest.split_first().expect("the end of a value");
            rest = after;
            match first {
                b'"' => break,
                b'\\' => {
                    let (escaped, after) = rest.split_first().expect("an escaped byte");
                    value.push(*escaped);
                    rest = after;
                }
                byte => value.push(*byte),
            }
        }
        params.push((name, value));
        match rest.split_first() {
            None => return params,
            Some((b',', after)) => rest = after,
            Some(other) => panic!("{other:?} after a parameter"),
        }
    }
}
