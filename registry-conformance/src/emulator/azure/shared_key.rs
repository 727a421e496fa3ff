//! The signature of a request with the key of the account.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use s3s::Body;

use super::super::log::{decode, parameter};
use super::{ACCOUNT, ACCOUNT_KEY};

/// Headers whose values are signed, in this order, empty where they are absent.
const SIGNED: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// Whether a request is signed by the account, or has a token or a signature in its URL, at which nobody looks.
pub(super) fn authorized(request: &http::Request<Body>) -> bool {
    let query = request.uri().query().unwrap_or("");
    match request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        Some(value) if value.starts_with("Bearer ") => value.len() > 7,
        Some(value) => value
            .strip_prefix(&format!("SharedKey {ACCOUNT}:"))
            .and_then(|signature| STANDARD.decode(signature).ok())
            .is_some_and(|signature| is_signature(request, &signature)),
        None => parameter(query, "sig").is_some(),
    }
}

fn is_signature(request: &http::Request<Body>, signature: &[u8]) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let mut text = format!("{}\n", request.method());
    for name in SIGNED {
        let value = header(name);
        // Where there is `x-ms-date` it counts in place of `Date`.
        let absent = name == "content-length" && value == "0"
            || name == "date" && request.headers().contains_key("x-ms-date");
        text += if absent { "" } else { value };
        text += "\n";
    }
    let mut names: Vec<&str> = request.headers().keys().map(|name| name.as_str()).collect();
    names.retain(|name| name.starts_with("x-ms-"));
    names.sort_unstable();
    for name in names {
        text += &format!("{name}:{}\n", header(name).trim());
    }
    text += &format!("/{ACCOUNT}{}", request.uri().path());
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in request.uri().query().unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let values = parameters.entry(decode(name).to_lowercase()).or_default();
        values.push(decode(&value.replace('+', " ")));
    }
    for (name, mut values) in parameters {
        values.sort_unstable();
        text += &format!("\n{name}:{}", values.join(","));
    }
    let Ok(key) = STANDARD.decode(ACCOUNT_KEY) else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    hmac::verify(&key, text.as_bytes(), signature).is_ok()
}
