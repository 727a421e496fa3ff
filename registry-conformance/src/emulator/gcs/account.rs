//! A service account whose key is made anew in every process, and the URLs that it signs.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::HOST;
use http::{HeaderMap, Method, Uri};
use s3s::crypto::{Checksum, Sha256};

use super::super::log::{decode, parameter};

fn key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate(KeySize::Rsa2048).unwrap())
}

/// A key file as Google gives it out, for a server at `endpoint`.
pub(super) fn key_file(endpoint: &str) -> String {
    let der: Pkcs8V1Der<'_> = key().as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    serde_json::json!({
        "type": "service_account",
        "project_id": "emulator",
        "private_key_id": "emulator-key",
        "private_key": pem,
        "client_email": "emulator@emulator.iam.gserviceaccount.com",
        "client_id": "100000000000000000000",
        "token_uri": format!("{endpoint}/token"),
        "gcs_base_url": endpoint,
    })
    .to_string()
}

/// The host that `object_store` 0.14.2 signs for, whatever host its URLs are for.
const GOOGLE: &str = "storage.googleapis.com";

/// Whether a URL has the account's signature, version 4: RSA over SHA-256 of a text in which the request is.
///
/// <https://cloud.google.com/storage/docs/authentication/canonical-requests>
pub(super) fn signed(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or("");
    signed_for(host, method, uri, headers) || signed_for(GOOGLE, method, uri, headers)
}

fn signed_for(host: &str, method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let query = uri.query().unwrap_or("");
    let said = |name| parameter(query, name).unwrap_or_default();
    let mut pairs: Vec<&str> =
        query.split('&').filter(|pair| !pair.starts_with("X-Goog-Signature=")).collect();
    pairs.sort_unstable();
    let names = said("X-Goog-SignedHeaders");
    let lines: String = names
        .split(';')
        .map(|name| {
            let sent = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
            let value = if name == "host" { host } else { sent };
            format!("{name}:{}\n", value.trim())
        })
        .collect();
    let canonical =
        format!("{method}\n{}\n{}\n{lines}\n{names}\nUNSIGNED-PAYLOAD", uri.path(), pairs.join("&"));
    let credential = decode(&said("X-Goog-Credential"));
    let scope = credential.split_once('/').map_or("", |(_, scope)| scope);
    let mut hash = Sha256::new();
    hash.update(canonical.as_bytes());
    let hash = hex(hash.finalize().as_ref());
    let text = format!("GOOG4-RSA-SHA256\n{}\n{scope}\n{hash}", said("X-Goog-Date"));
    let Some(signature) = unhex(&said("X-Goog-Signature")) else { return false };
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key().public_key().as_ref());
    public.verify(text.as_bytes(), &signature).is_ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}
