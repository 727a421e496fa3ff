//! The private key of a service account.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use registry_core::BoxError;

/// An RSA key that signs with PKCS #1 and SHA-256, as tokens (RS256) and signed URLs (GOOG4-RSA-SHA256) need
/// it.
pub(super) struct PrivateKey(RsaKeyPair);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(***)")
    }
}

impl PrivateKey {
    /// Reads a key in PEM: PKCS #8, as Google hands them out, or PKCS #1.
    pub(super) fn from_pem(text: &str) -> Result<Self, BoxError> {
        if let Some(der) = section(text, "PRIVATE KEY")? {
            return Ok(Self(RsaKeyPair::from_pkcs8(&der)?));
        }
        if let Some(der) = section(text, "RSA PRIVATE KEY")? {
            return Ok(Self(RsaKeyPair::from_der(&der)?));
        }
        Err("it is no private key in PEM".into())
    }

    /// The signature of a message.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, BoxError> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
        Ok(signature)
    }

    /// The key that verifies.
    #[cfg(test)]
    pub(super) fn public(&self) -> Vec<u8> {
        use aws_lc_rs::signature::KeyPair;
        self.0.public_key().as_ref().to_vec()
    }
}

/// The content of the first section with this label.
fn section(text: &str, label: &str) -> Result<Option<Vec<u8>>, BoxError> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let Some((_, rest)) = text.split_once(&begin) else { return Ok(None) };
    let (body, _) = rest.split_once(&end).ok_or("its PEM has no end")?;
    let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    Ok(Some(STANDARD.decode(body)?))
}
