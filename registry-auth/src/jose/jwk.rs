//! Keys as JSON (RFC 7517).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::key::{Curve, KeyError, VerifyingKey};
use super::{Object, base64url, object};

/// The shortest secret that is taken, in bytes: a hash of HS256, which RFC 7518, section 3.2, asks for.
const SECRET: usize = 32;

/// A key as JSON: the members that are looked at, and any other passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Jwk {
    pub(crate) kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kid: Option<String>,
    /// What the key is for: `sig` or `enc`.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) e: Option<String>,
    /// A secret. Never written.
    #[serde(skip_serializing)]
    pub(crate) k: Option<String>,
    /// The private part: read to know that it is there, never used, never written.
    #[serde(skip_serializing)]
    pub(crate) d: Option<String>,
    /// Certificates of the key, that of the key first, in base64 with padding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) x5c: Option<Vec<String>>,
}

impl Jwk {
    /// A public key under this id, for signatures of this algorithm.
    pub(crate) fn public(key: &VerifyingKey, id: &str, algorithm: &str) -> Self {
        let mut jwk = Self {
            kid: Some(id.to_owned()),
            usage: Some("sig".to_owned()),
            alg: Some(algorithm.to_owned()),
            ..Self::default()
        };
        for (name, value) in key.members() {
            match name {
                "kty" => jwk.kty = value,
                "crv" => jwk.crv = Some(value),
                "e" => jwk.e = Some(value),
                "n" => jwk.n = Some(value),
                "x" => jwk.x = Some(value),
                _ => jwk.y = Some(value),
            }
        }
        jwk
    }

    /// The key itself.
    pub(crate) fn key(&self) -> Result<VerifyingKey, KeyError> {
        let bytes = |name: &'static str, member: &Option<String>| {
            member.as_deref().and_then(base64url::decode).ok_or(KeyError::Member(name))
        };
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => VerifyingKey::rsa(&bytes("n", &self.n)?, &bytes("e", &self.e)?),
            ("EC", Some(curve)) => {
                let curve = Curve::parse(curve).ok_or(KeyError::Unsupported)?;
                VerifyingKey::ec(curve, &bytes("x", &self.x)?, &bytes("y", &self.y)?)
            }
            ("EC" | "OKP", None) => Err(KeyError::Member("crv")),
            ("OKP", Some("Ed25519")) => VerifyingKey::ed25519(&bytes("x", &self.x)?),
            ("oct", _) => match bytes("k", &self.k)? {
                secret if secret.len() < SECRET => Err(KeyError::SecretSize(secret.len())),
                secret => Ok(VerifyingKey::secret(&secret)),
            },
            ("", _) => Err(KeyError::Member("kty")),
            _ => Err(KeyError::Unsupported),
        }
    }

    /// Whether there is nothing in it that would let its reader sign.
    pub(crate) fn is_public(&self) -> bool {
        self.d.is_none() && self.k.is_none() && self.kty != "oct"
    }
}

/// The keys of a JWK set (RFC 7517, section 5) that can check signatures.
#[derive(Debug, Clone, Default)]
pub(crate) struct JwkSet {
    /// The keys with their ids: `kid`, or where there is none the thumbprint.
    pub(crate) keys: Vec<(String, VerifyingKey)>,
    /// What was passed over, for the log: kinds of keys that are not known, keys that are for encryption.
    pub(crate) passed_over: Vec<String>,
}

impl JwkSet {
    /// Reads a set. Keys of unknown kinds are passed over, as section 5 says; a broken key of a known kind is an
    /// error, since somebody meant it to work.
    ///
    /// # Errors
    /// What is wrong, and with which key.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Wire {
            keys: Vec<Value>,
        }
        let Wire { keys } = object(json).map_err(|error| error.to_string())?;
        let mut set = Self::default();
        for (at, jwk) in keys.into_iter().enumerate() {
            let Object(jwk): Object<Jwk> =
                serde_json::from_value(jwk).map_err(|error| format!("keys[{at}]: {error}"))?;
            let named = jwk.kid.as_ref().map_or(String::new(), |kid| format!(" ({kid:?})"));
            if jwk.usage.as_deref() == Some("enc") {
                set.passed_over.push(format!("keys[{at}]{named}: for encryption"));
                continue;
            }
            match jwk.key() {
                Ok(key) => match jwk.kid.or_else(|| key.thumbprint()) {
                    Some(id) => set.keys.push((id, key)),
                    None => return Err(format!("keys[{at}]: a key of kty \"oct\" needs a \"kid\"")),
                },
                Err(error @ KeyError::Unsupported) => {
                    set.passed_over.push(format!("keys[{at}]{named}: {error}"));
                }
                Err(error) => return Err(format!("keys[{at}]{named}: {error}")),
            }
        }
        Ok(set)
    }
}
