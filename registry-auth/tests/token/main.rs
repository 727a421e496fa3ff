//! The token controller: which tokens it believes, what they grant, and what it answers to all others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod certificates;
mod certified;
mod claims;
mod remembered;
mod requests;
mod signatures;
#[path = "../signer/mod.rs"]
mod signer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use self::certified::Certified;
use self::signer::{Signer, base64url};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Request};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use registry_auth::{KeysError, SigningAlgorithm, Token, TokenOptions, TrustedKeys};
use registry_core::access::{Access, Action, Resource};
use registry_core::{AccessController, AuthError, AuthRequest, Grant, GrantedClasses, RepositoryName};
use serde_json::{Value, json};

/// In January 2027.
const NOW: u64 = 1_800_000_000;
const INVALID: Option<&str> = Some("invalid_token");

fn options() -> TokenOptions {
    TokenOptions::new("https://auth.example/token", "issuer", "service")
}

fn jwks(keys: &[Value]) -> TrustedKeys {
    TrustedKeys::read(None, Some(json!({"keys": keys}).to_string().as_bytes())).unwrap()
}

fn bundle(certificates: &[&Certificate]) -> TrustedKeys {
    let pem: String = certificates.iter().map(|certificate| certificate.pem()).collect();
    TrustedKeys::read(Some(pem.as_bytes()), None).unwrap()
}

fn controller(keys: TrustedKeys) -> Token {
    Token::new(options(), keys).with_clock(|| SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
}

/// Claims that grant pulling from `a/b` for ten minutes.
fn claims() -> Value {
    json!({
        "iss": "issuer",
        "sub": "bob",
        "aud": "service",
        "exp": NOW + 600,
        "nbf": NOW,
        "iat": NOW,
        "jti": "1",
        "access": [{"type": "repository", "name": "a/b", "actions": ["pull"]}],
    })
}

/// [`claims`] with some of them replaced; `null` takes one out.
fn claims_with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    claims
}

fn on(name: &str, action: Action) -> Access {
    Access::repository(&RepositoryName::parse(name).unwrap(), action)
}

async fn ask(
    token: &Token,
    headers: &[(&str, &[u8])],
    required: &[Access],
    optional: &[Access],
) -> Result<Grant, AuthError> {
    let mut request = Request::get("/v2/");
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value).unwrap());
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    token.authorize(&AuthRequest::new(&parts, required, optional)).await
}

/// Asks to pull from `a/b` with this token.
async fn pull(controller: &Token, token: &str) -> Result<Grant, AuthError> {
    let header = format!("Bearer {token}");
    ask(controller, &[("authorization", header.as_bytes())], &[on("a/b", Action::Pull)], &[]).await
}

/// The one challenge of a refusal, as it is rendered.
fn challenge(result: Result<Grant, AuthError>) -> String {
    let Err(AuthError::Unauthorized { challenges, .. }) = result.map_err(AuthError::into_inner) else {
        panic!("not refused with a challenge")
    };
    let [challenge] = challenges.as_slice() else { panic!("{challenges:?}") };
    let params = challenge.params.iter().map(|(name, value)| format!("{name}=\"{value}\""));
    format!("{} {}", challenge.scheme, params.collect::<Vec<_>>().join(","))
}

/// Asserts that pulling from `a/b` is refused, with this `error` in the challenge.
async fn refused(controller: &Token, token: &str, error: Option<&str>, what: &str) {
    let error = error.map_or(String::new(), |error| format!(",error=\"{error}\""));
    let expected = format!(
        "Bearer realm=\"https://auth.example/token\",service=\"service\",scope=\"repository:a/b:pull\"{error}"
    );
    assert_eq!(challenge(pull(controller, token).await), expected, "{what}");
}

async fn granted(controller: &Token, token: &str, what: &str) -> Grant {
    pull(controller, token).await.unwrap_or_else(|error| panic!("{what}: {error}"))
}
