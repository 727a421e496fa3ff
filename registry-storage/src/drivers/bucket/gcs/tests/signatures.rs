//! Signed URLs, rebuilt as the service does it.

use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;

use super::super::key::PrivateKey;
use super::super::sign::{LONGEST, ToSign};

/// A new key as Google writes it in a file.
pub(super) fn pem() -> String {
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = STANDARD.encode(key.as_der().unwrap().as_ref());
    let lines: Vec<_> = der.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

fn to_sign() -> ToSign<'static> {
    ToSign {
        method: &Method::GET,
        scheme: "https",
        host: "storage.googleapis.com",
        base: "",
        bucket: "example-bucket",
        key: "cat pics/tabby+1.jpeg",
        email: "example@example-project.iam.gserviceaccount.com",
        // 2018-10-26 18:13:09, the moment of the example in Google's documentation.
        now: UNIX_EPOCH + Duration::from_secs(1_540_577_589),
        expires_in: Duration::from_secs(900),
    }
}

#[test]
fn the_message_is_that_of_the_documentation() {
    let message = to_sign().prepare().message;
    let lines: Vec<_> = message.lines().collect();
    let head = ["GOOG4-RSA-SHA256", "20181026T181309Z", "20181026/auto/storage/goog4_request"];
    assert_eq!(lines[..3], head);
    // The canonical request, written out.
    let canonical = "GET\n\
        /example-bucket/cat%20pics/tabby%2B1.jpeg\n\
        X-Goog-Algorithm=GOOG4-RSA-SHA256&\
        X-Goog-Credential=example%40example-project.iam.gserviceaccount.com%2F20181026%2Fauto%2Fstorage%2F\
        goog4_request&X-Goog-Date=20181026T181309Z&X-Goog-Expires=900&X-Goog-SignedHeaders=host\n\
        host:storage.googleapis.com\n\
        \n\
        host\n\
        UNSIGNED-PAYLOAD";
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
    assert_eq!(lines[3], hex::encode(hash.as_ref()));
}

#[test]
fn the_signature_verifies_with_the_public_key() {
    let key = PrivateKey::from_pem(&pem()).unwrap();
    let unsigned = to_sign().prepare();
    let message = unsigned.message.clone();
    let url = unsigned.with(&key.sign(message.as_bytes()).unwrap()).unwrap().to_string();
    let (rest, signature) = url.split_once("&X-Goog-Signature=").unwrap();
    assert!(rest.starts_with(
        "https://storage.googleapis.com/example-bucket/cat%20pics/tabby%2B1.jpeg?X-Goog-Algorithm="
    ));
    let signature = hex::decode(signature).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public());
    public.verify(message.as_bytes(), &signature).unwrap();
    assert!(public.verify(message.replace("auto", "other").as_bytes(), &signature).is_err());
}

#[test]
fn no_url_is_good_for_longer_than_the_service_takes() {
    let url = ToSign { expires_in: LONGEST * 2, ..to_sign() }.prepare().with(b"x").unwrap().to_string();
    assert!(url.contains("X-Goog-Expires=604800&"), "{url}");
}

#[test]
fn keys_are_read_in_either_form_and_told_when_they_are_none() {
    for (text, expected) in [
        ("", "no private key in PEM"),
        ("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----", "no private key in PEM"),
        ("-----BEGIN PRIVATE KEY-----\nAA==", "no end"),
        ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----", "Invalid"),
        ("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----", ""),
    ] {
        let error = PrivateKey::from_pem(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
