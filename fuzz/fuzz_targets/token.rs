//! Tokens: nothing is granted that the trusted key has not signed, whatever else a token says.
//!
//! The first byte of the input says what the rest is:
//!
//! - `h`: what follows `Bearer ` in a request
//! - `s`: the header of a token, a line of `%%`, and its payload, which are signed with the trusted key
//! - `c`: claims, which are signed with the trusted key under a good header
//! - `m`: pairs of a place and what is added to the byte there, over a good token
//! - `k`: a JWK set, `b`: a bundle of certificates: trusted, but not the key of the token
//! - `x`: certificates in DER with lines of `%%` between, which come with a token

#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use registry::auth::{Token, TokenOptions, TrustedKeys};
use registry::core::access::{Access, Action};
use registry::core::{AccessController, AuthError, AuthRequest, Grant, RepositoryName};
use registry_fuzz::parts;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const NOW: i64 = 1_800_000_000;
/// Its private key is gone.
const ROOT: &str = include_str!("token-root.pem");

static TRUSTED: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key"));
static STRANGER: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("a key"));
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().expect("a runtime"));
/// Trusts the key and the root.
static CONTROLLER: LazyLock<Token> = LazyLock::new(|| {
    let x = URL_SAFE_NO_PAD.encode(TRUSTED.public_key());
    let jwks = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "key"}]}).to_string();
    controller(TrustedKeys::read(Some(ROOT.as_bytes()), Some(jwks.as_bytes())).expect("keys"))
});
static GOOD: LazyLock<String> = LazyLock::new(|| signed(&TRUSTED, HEADER, &claims().to_string()));

const HEADER: &str = r#"{"alg":"EdDSA","kid":"key"}"#;

fuzz_target!(|data: &[u8]| {
    let [how, rest @ ..] = data else { return };
    match how {
        b'h' => check(&CONTROLLER, rest),
        b's' => {
            if let [header, payload, ..] = parts(rest).as_slice() {
                let (header, payload) = (String::from_utf8_lossy(header), String::from_utf8_lossy(payload));
                check(&CONTROLLER, signed(&TRUSTED, &header, &payload).as_bytes());
                let by_stranger = signed(&STRANGER, &header, &payload);
                assert!(
                    ask(&CONTROLLER, by_stranger.as_bytes()).is_none_or(|grant| grant.is_err()),
                    "{header}"
                );
            }
        }
        b'c' => {
            let Ok(claims) = serde_json::from_slice::<Value>(rest) else { return };
            let token = signed(&TRUSTED, HEADER, &claims.to_string());
            let granted = ask(&CONTROLLER, token.as_bytes()).expect("a header").is_ok();
            // Larger tokens are refused whatever they say.
            assert_eq!(granted, says(&claims) && token.len() <= 64 << 10, "{claims}");
        }
        b'm' => {
            let mut token = GOOD.clone().into_bytes();
            for pair in rest.chunks_exact(2) {
                let at = usize::from(pair[0]) % token.len();
                token[at] = token[at].wrapping_add(pair[1]);
            }
            let granted = ask(&CONTROLLER, &token).is_some_and(|grant| grant.is_ok());
            assert_eq!(granted, token == GOOD.as_bytes(), "{}", String::from_utf8_lossy(&token));
        }
        b'k' => stranger_to(TrustedKeys::read(None, Some(rest)), rest),
        b'b' => stranger_to(TrustedKeys::read(Some(rest), None), rest),
        b'x' => {
            let x5c: Vec<String> = parts(rest).iter().map(|der| STANDARD.encode(der)).collect();
            let x = URL_SAFE_NO_PAD.encode(STRANGER.public_key());
            let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "key", "x5c": x5c});
            for header in
                [json!({"alg": "EdDSA", "kid": "key", "x5c": x5c}), json!({"alg": "EdDSA", "jwk": jwk})]
            {
                let token = signed(&STRANGER, &header.to_string(), &claims().to_string());
                assert!(ask(&CONTROLLER, token.as_bytes()).expect("a header").is_err(), "{header}");
            }
        }
        _ => {}
    }
});

fn controller(keys: TrustedKeys) -> Token {
    let options = TokenOptions::new("https://auth.example/token", "issuer", "service");
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW as u64);
    Token::new(options, keys).with_clock(move || now)
}

fn claims() -> Value {
    json!({
        "iss": "issuer",
        "aud": ["service"],
        "sub": "bob",
        "exp": NOW + 60,
        "access": [{"type": "repository", "name": "a/b", "actions": ["pull"]}],
    })
}

fn signed(key: &Ed25519KeyPair, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())))
}

/// Asks to pull from `a/b`; `None` if no server would pass the header on.
fn ask(controller: &Token, token: &[u8]) -> Option<Result<Grant, AuthError>> {
    let value = HeaderValue::from_bytes(&[b"Bearer ", token].concat()).ok()?;
    let request = Request::get("/v2/").header(AUTHORIZATION, value).body(()).ok()?;
    let (parts, ()) = request.into_parts();
    let name = RepositoryName::parse("a/b").expect("a name");
    let required = [Access::repository(&name, Action::Pull)];
    let answer = RUNTIME.block_on(controller.authorize(&AuthRequest::new(&parts, &required, &[])));
    if let Err(error) = &answer {
        // A sound token that grants something else names its bearer.
        let refused = match error {
            AuthError::For { error, .. } => error,
            error => error,
        };
        let AuthError::Unauthorized { challenges, .. } = refused else { panic!("{error:?}") };
        assert_eq!(challenges.len(), 1);
    }
    Some(answer)
}

/// What is granted was signed by the trusted key, and says that it grants it.
fn check(controller: &Token, token: &[u8]) {
    let Some(Ok(_)) = ask(controller, token) else { return };
    let token = std::str::from_utf8(token).expect("a token that is granted is text");
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
    let key = UnparsedPublicKey::new(&ED25519, TRUSTED.public_key());
    key.verify(signed.as_bytes(), &signature).expect("the trusted key has signed it");
    let (header, payload) = signed.split_once('.').expect("three parts");
    let value = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
    };
    let header = value(header);
    assert_eq!(header["alg"], "EdDSA", "{header}");
    assert!(header.get("crit").is_none_or(Value::is_null), "{header}");
    assert!(says(&value(payload)), "{}", value(payload));
}

/// Whether claims grant pulling from `a/b`, read a second time.
fn says(claims: &Value) -> bool {
    let text_or_none = |value: &Value| value.is_null() || value.is_string();
    let time = |name: &str| match &claims[name] {
        Value::Null => Some(0),
        value => value.as_i64(),
    };
    let (Some(exp), Some(nbf), Some(_)) = (time("exp"), time("nbf"), time("iat")) else { return false };
    let audience = match &claims["aud"] {
        Value::String(one) => one == "service",
        Value::Array(many) => many.iter().all(Value::is_string) && many.contains(&json!("service")),
        _ => false,
    };
    let in_time = i128::from(NOW) <= i128::from(exp) + 60 && i128::from(NOW) >= i128::from(nbf) - 60;
    if !claims.is_object() || claims["iss"] != "issuer" || !audience || !in_time {
        return false;
    }
    if !text_or_none(&claims["sub"]) || !text_or_none(&claims["jti"]) {
        return false;
    }
    let Some(access) = claims["access"].as_array() else { return false };
    let sound = |entry: &Value| {
        let actions = match &entry["actions"] {
            Value::Null => true,
            Value::Array(actions) => actions.iter().all(Value::is_string),
            _ => false,
        };
        entry.is_object()
            && ["type", "class", "name"].iter().all(|name| text_or_none(&entry[*name]))
            && actions
    };
    let grants = |entry: &Value| {
        let named = entry["type"] == "repository" && entry["name"] == "a/b";
        let actions = entry["actions"].as_array();
        named && actions.is_some_and(|actions| actions.iter().any(|action| action == "pull" || action == "*"))
    };
    access.iter().all(sound) && access.iter().any(grants)
}

/// Whoever has none of these keys is granted nothing, under any of their ids.
fn stranger_to<E>(keys: Result<TrustedKeys, E>, text: &[u8]) {
    let Ok(keys) = keys else { return };
    let x = URL_SAFE_NO_PAD.encode(STRANGER.public_key());
    let mut ids = vec!["key".to_owned()];
    if let Ok(set) = serde_json::from_slice::<Value>(text) {
        let keys = set["keys"].as_array().cloned().unwrap_or_default();
        if keys.iter().any(|key| key["x"] == x.as_str()) {
            return;
        }
        ids.extend(keys.iter().filter_map(|key| key["kid"].as_str()).take(4).map(str::to_owned));
    }
    let controller = controller(keys);
    for id in ids {
        for alg in ["EdDSA", "HS256", "ES256", "RS256"] {
            let token = signed(&STRANGER, &json!({"alg": alg, "kid": id}).to_string(), &claims().to_string());
            assert!(ask(&controller, token.as_bytes()).expect("a header").is_err(), "{id}");
        }
    }
}
