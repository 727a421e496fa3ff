//! Signed tokens in compact form (RFC 7515, section 7.1).

use serde::Deserialize;
use serde_json::Value;

use super::jwk::Jwk;
use super::key::{BadSignature, VerifyingKey};
use super::{Object, SigningAlgorithm, base64url, object};

/// The longest token that is looked at, in bytes.
pub(crate) const MAX_TOKEN: usize = 64 << 10;

/// What the signer says about the signature. Members that are not known are passed over, as RFC 7515 wants, unless
/// `crit` names them.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Header {
    #[serde(deserialize_with = "algorithm")]
    pub(crate) alg: SigningAlgorithm,
    #[serde(default)]
    pub(crate) kid: Option<String>,
    /// Certificates of the key, that of the key first, in base64 with padding.
    #[serde(default)]
    pub(crate) x5c: Option<Vec<String>>,
    /// The key, as the signer says. Anybody can put any key here.
    #[serde(default)]
    pub(crate) jwk: Option<Object<Jwk>>,
    /// Extensions that the reader has to know. None is known here.
    #[serde(default)]
    crit: Option<Value>,
    /// Whether the payload is encoded; a token's is (RFC 7797, section 7).
    #[serde(default)]
    b64: Option<Value>,
}

fn algorithm<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SigningAlgorithm, D::Error> {
    let name = String::deserialize(deserializer)?;
    SigningAlgorithm::parse(&name).ok_or_else(|| serde::de::Error::custom("algorithm is not known"))
}

/// A token whose parts have been told apart. Nothing of it can be believed yet.
#[derive(Debug, Clone)]
pub(crate) struct Jws<'a> {
    /// Says which key to look for. Not to be believed before [`verify`](Self::verify).
    pub(crate) header: Header,
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`Malformed`], saying which part.
    pub(crate) fn parse(token: &'a str) -> Result<Self, Malformed> {
        if token.len() > MAX_TOKEN {
            return Err(Malformed("longer than 64 KiB"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Malformed("not three parts"))?;
        let (header, payload) = signed.split_once('.').ok_or(Malformed("not three parts"))?;
        let header = base64url::decode(header).ok_or(Malformed("header is not base64url"))?;
        // More than two dots are not base64url.
        let payload = base64url::decode(payload).ok_or(Malformed("payload is not base64url"))?;
        let signature = base64url::decode(signature).ok_or(Malformed("signature is not base64url"))?;
        let header: Header = object(&header).map_err(|_| Malformed("header cannot be read"))?;
        // RFC 7515, section 4.1.3: a private key has no place here, and a secret less so.
        if header.jwk.as_ref().is_some_and(|Object(jwk)| !jwk.is_public() || jwk.key().is_err()) {
            return Err(Malformed("embedded key is not a public key"));
        }
        Ok(Self { header, signed, payload, signature })
    }

    /// What was signed, once it is certain that this key signed it.
    ///
    /// # Errors
    /// [`BadSignature`], also if the algorithm does not fit the key, if there is any extension that has to be known
    /// (`crit`, RFC 7515, section 4.1.11), and if the payload is said not to be encoded.
    pub(crate) fn verify(&self, key: &VerifyingKey) -> Result<&[u8], BadSignature> {
        let encoded = self.header.b64.as_ref().is_none_or(|value| *value == Value::Bool(true));
        if self.header.crit.is_some() || !encoded {
            return Err(BadSignature);
        }
        key.verify(self.header.alg, self.signed.as_bytes(), &self.signature)?;
        Ok(&self.payload)
    }

    /// What was signed, by whomever. For finding out whose keys to check it with, and for nothing else.
    pub(crate) fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }
}

/// That a text is not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed token: {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);
