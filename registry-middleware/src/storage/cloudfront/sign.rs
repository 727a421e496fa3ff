//! Signed URLs with a canned policy (Amazon CloudFront Developer Guide, "Create a signed URL using a canned
//! policy").

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use registry_core::BoxError;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

/// Why a key cannot sign for CloudFront.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no private key in the file.
    #[error("there is no private key in it; a PEM file with PRIVATE KEY or RSA PRIVATE KEY is wanted")]
    NoKey,
    /// The key is of no use to CloudFront.
    #[error(
        "failed to decode the private key: CloudFront takes RSA keys of 2048 bits, and keys of the curve P-256"
    )]
    Unfit,
    /// The id would change the URL.
    #[error("the id of a key pair has letters and digits only")]
    Id,
}

enum Key {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

/// Signs URLs for whoever has the public key under this id.
pub(super) struct Signer {
    key: Key,
    key_pair_id: String,
}

impl Signer {
    /// The first private key of a PEM file: PKCS #1, PKCS #8 or SEC 1.
    pub(super) fn from_pem(key_pair_id: &str, pem: &[u8]) -> Result<Self, KeyError> {
        if key_pair_id.is_empty() || !key_pair_id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(KeyError::Id);
        }
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyError::NoKey)?;
        let key = match &der {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok().map(Key::Rsa),
            PrivateKeyDer::Sec1(der) => ec(der.secret_sec1_der()),
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                RsaKeyPair::from_pkcs8(der).ok().map(Key::Rsa).or_else(|| ec(der))
            }
            _ => None,
        };
        Ok(Self { key: key.ok_or(KeyError::Unfit)?, key_pair_id: key_pair_id.to_owned() })
    }

    /// The URL with what lets it be used until `expires`, in seconds since 1970.
    ///
    /// The hash is SHA-256, which CloudFront has taken since April 2026 and is told by a parameter. What
    /// counts without it is SHA-1.
    pub(super) fn sign(&self, url: &Uri, expires: u64) -> Result<Uri, BoxError> {
        let signature = url_safe(&self.signature(policy(url, expires)?.as_bytes())?);
        let id = &self.key_pair_id;
        let question = if url.query().is_some() { '&' } else { '?' };
        let signed = format!(
            "{url}{question}Expires={expires}&Signature={signature}&Key-Pair-Id={id}&Hash-Algorithm=SHA256"
        );
        Ok(signed.parse()?)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, BoxError> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_| "the key does not sign")?;
                Ok(signature)
            }
            Key::Ec(key) => {
                let signature = key.sign(&random, message).map_err(|_| "the key does not sign")?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key_pair_id", &self.key_pair_id).finish_non_exhaustive()
    }
}

fn ec(der: &[u8]) -> Option<Key> {
    EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, der).ok().map(Key::Ec)
}

/// What is signed, without any white space.
fn policy(url: &Uri, expires: u64) -> Result<String, serde_json::Error> {
    let resource = serde_json::to_string(&url.to_string())?;
    Ok(format!(
        r#"{{"Statement":[{{"Resource":{resource},"Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}}}]}}"#
    ))
}

/// Base64 with CloudFront's stand-ins for what a query cannot have.
fn url_safe(bytes: &[u8]) -> String {
    STANDARD.encode(bytes).replace('+', "-").replace('=', "_").replace('/', "~")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{EC, RSA, pem};
    use super::*;

    const URL: &str = "https://d111111abcdef8.cloudfront.net/images/docker/data";

    #[test]
    fn the_policy_is_the_canned_one_of_the_developer_guide() {
        let expected = concat!(
            r#"{"Statement":[{"Resource":"https://d111111abcdef8.cloudfront.net/images/docker/data","#,
            r#""Condition":{"DateLessThan":{"AWS:EpochTime":1767290400}}}]}"#
        );
        assert_eq!(policy(&URL.parse().unwrap(), 1_767_290_400).unwrap(), expected);
    }

    #[test]
    fn signatures_are_written_with_characters_of_a_query() {
        assert_eq!(url_safe(&[0xfb, 0xff, 0xfe]), "-~~-");
        assert_eq!(url_safe(&[0xff, 0xff]), "~~8_");
    }

    #[test]
    fn keys_of_every_form_sign_what_the_public_key_verifies() {
        for key in [&*RSA, &*EC] {
            for pem in &key.pems {
                let signer = Signer::from_pem("K2JCJMDEHXQW5F", pem.as_bytes()).unwrap();
                let signed = signer.sign(&URL.parse().unwrap(), 1_767_290_400).unwrap().to_string();
                assert!(signed.starts_with(&format!("{URL}?Expires=1767290400&Signature=")), "{signed}");
                assert!(signed.ends_with("&Key-Pair-Id=K2JCJMDEHXQW5F&Hash-Algorithm=SHA256"), "{signed}");
                assert_eq!(key.verify(&signed), Some((URL.to_owned(), 1_767_290_400)));
                assert_eq!(key.verify(&signed.replace("docker/data", "docker/date")), None, "another URL");
                assert_eq!(key.verify(&signed.replace("1767290400", "1767290401")), None, "another time");
            }
        }
    }

    #[test]
    fn what_cannot_sign_for_cloudfront_is_refused() {
        let from = |id: &str, pem: &str| Signer::from_pem(id, pem.as_bytes()).map(|_| ()).unwrap_err();
        assert_eq!(from("K2JC", ""), KeyError::NoKey);
        assert_eq!(from("K2JC", "no PEM at all"), KeyError::NoKey);
        assert_eq!(from("K2JC", &pem("CERTIFICATE", b"x")), KeyError::NoKey);
        for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
            assert_eq!(from("K2JC", &pem(label, b"x")), KeyError::Unfit);
        }
        for id in ["", "a b", "K&x=1", "K/"] {
            assert_eq!(from(id, &RSA.pems[0]), KeyError::Id, "{id:?}");
        }
    }
}
