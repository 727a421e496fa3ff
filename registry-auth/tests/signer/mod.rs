//! Signs tokens for tests, by other code than that of the crate: each part can be as wrong as a test wants it.

#![allow(dead_code, reason = "each test uses a part of it")]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self as aws, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// A private key or a secret, with the algorithm that its tokens name.
pub(crate) struct Signer {
    pub(crate) alg: &'static str,
    key: Key,
}

enum Key {
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
    Secret(Vec<u8>),
}

/// These bytes as base64url.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    /// A new key for this algorithm.
    pub(crate) fn new(alg: &'static str) -> Self {
        let key = match &alg[..2] {
            "Ed" => Key::Ed25519(Ed25519KeyPair::generate().unwrap()),
            "ES" => Key::Ec(EcdsaKeyPair::generate(ecdsa(alg)).unwrap()),
            "HS" => Key::Secret(b"a secret of thirty-two bytes or more".to_vec()),
            _ => Key::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
        };
        Self { alg, key }
    }

    /// The secret `bytes`, which may be anything: a public key, for example.
    pub(crate) fn secret(alg: &'static str, bytes: &[u8]) -> Self {
        Self { alg, key: Key::Secret(bytes.to_vec()) }
    }

    /// A key that has a certificate: P-256 in PKCS #8.
    pub(crate) fn es256(pkcs8: &[u8]) -> Self {
        Self { alg: "ES256", key: Key::Ec(EcdsaKeyPair::from_pkcs8(ecdsa("ES256"), pkcs8).unwrap()) }
    }

    /// The same key, which says another algorithm of its kind.
    #[must_use]
    pub(crate) fn with_alg(mut self, alg: &'static str) -> Self {
        self.alg = alg;
        self
    }

    /// The public key, or the secret, without an id.
    pub(crate) fn jwk(&self) -> Value {
        match &self.key {
            Key::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key().as_ref())})
            }
            Key::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = match x.len() {
                    32 => "P-256",
                    48 => "P-384",
                    _ => "P-521",
                };
                json!({"kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y)})
            }
            // An RSA key of 2048 bits in DER: 9 bytes, the modulus, 5 bytes that say 65537.
            Key::Rsa(pair) => {
                let der = pair.public_key().as_ref();
                json!({"kty": "RSA", "n": base64url(&der[9..265]), "e": "AQAB"})
            }
            Key::Secret(secret) => json!({"kty": "oct", "k": base64url(secret)}),
        }
    }

    /// [`jwk`](Self::jwk) with an id.
    pub(crate) fn jwk_with_id(&self, id: &str) -> Value {
        let mut jwk = self.jwk();
        jwk["kid"] = json!(id);
        jwk
    }

    /// The public key in DER: the text of which somebody may make a secret.
    pub(crate) fn public_key(&self) -> Vec<u8> {
        match &self.key {
            Key::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
            Key::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Key::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Key::Secret(_) => panic!("a secret is not public"),
        }
    }

    /// The thumbprint of RFC 7638.
    pub(crate) fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        // A map of serde_json is ordered by name, as the RFC wants, and has nothing else in it here.
        let json = serde_json::to_vec(&jwk).unwrap();
        base64url(digest::digest(&digest::SHA256, &json))
    }

    /// A token with these claims, and with these members of the header beside `alg`.
    pub(crate) fn token(&self, header: Value, claims: &Value) -> String {
        let mut members = Map::new();
        members.insert("alg".to_owned(), json!(self.alg));
        members.extend(header.as_object().cloned().unwrap());
        self.raw(&Value::Object(members).to_string(), &claims.to_string())
    }

    /// A token with exactly this header and payload.
    pub(crate) fn raw(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", base64url(header), base64url(payload));
        format!("{signed}.{}", base64url(self.sign(signed.as_bytes())))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Key::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Key::Rsa(pair) => {
                let encoding: &'static dyn aws::RsaEncoding = match self.alg {
                    "RS384" => &aws::RSA_PKCS1_SHA384,
                    "RS512" => &aws::RSA_PKCS1_SHA512,
                    "PS256" => &aws::RSA_PSS_SHA256,
                    "PS384" => &aws::RSA_PSS_SHA384,
                    "PS512" => &aws::RSA_PSS_SHA512,
                    _ => &aws::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Key::Secret(secret) => {
                let hash = match self.alg {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
            }
        }
    }
}

fn ecdsa(alg: &str) -> &'static aws::EcdsaSigningAlgorithm {
    match alg {
        "ES384" => &aws::ECDSA_P384_SHA384_FIXED_SIGNING,
        "ES512" => &aws::ECDSA_P521_SHA512_FIXED_SIGNING,
        _ => &aws::ECDSA_P256_SHA256_FIXED_SIGNING,
    }
}
