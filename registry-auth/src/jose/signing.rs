//! Keys that sign.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self as aws, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use serde::Serialize;

use super::key::{KeyError, VerifyingKey};
use super::{Jwk, SigningAlgorithm, base64url, pem};

const PRIVATE_KEY: &str = "PRIVATE KEY";

/// A private key, and the algorithm that it signs with.
pub(crate) struct SigningKey {
    algorithm: SigningAlgorithm,
    pair: Pair,
    public: VerifyingKey,
    id: String,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// A new key for this algorithm; an RSA key has 3072 bits.
    ///
    /// # Errors
    /// [`SigningError::NoPrivateKey`] for the algorithms that need a shared secret.
    pub(crate) fn generate(algorithm: SigningAlgorithm) -> Result<Self, SigningError> {
        let pair = match (ecdsa(algorithm), algorithm) {
            (Some(ecdsa), _) => Pair::Ec(EcdsaKeyPair::generate(ecdsa).map_err(|_| SigningError::Failed)?),
            (None, SigningAlgorithm::EdDsa) => {
                Pair::Ed25519(Ed25519KeyPair::generate().map_err(|_| SigningError::Failed)?)
            }
            (None, _) => {
                rsa(algorithm).ok_or(SigningError::NoPrivateKey(algorithm))?;
                Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa3072).map_err(|_| SigningError::Failed)?)
            }
        };
        Self::new(algorithm, pair)
    }

    /// Reads the first private key of a PEM file: PKCS #8, or the older forms of EC and RSA keys. An RSA key signs
    /// with RS256 and a curve with the one algorithm that it has.
    ///
    /// # Errors
    /// [`SigningError::Pem`], saying what was found instead.
    pub(crate) fn from_pem(text: &[u8]) -> Result<Self, SigningError> {
        let blocks = pem::decode(text).map_err(SigningError::Pem)?;
        let found = blocks.iter().find(|(label, _)| label.ends_with(PRIVATE_KEY));
        let Some((label, der)) = found else {
            return Err(SigningError::Pem(format!("no block \"{PRIVATE_KEY}\" in it")));
        };
        if label.starts_with("ENCRYPTED") {
            return Err(SigningError::Pem("the key is encrypted: store it without a password".to_owned()));
        }
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Es384, SigningAlgorithm::Es512] {
            let Some(ecdsa) = ecdsa(algorithm) else { continue };
            if let Ok(pair) = EcdsaKeyPair::from_private_key_der(ecdsa, der) {
                return Self::new(algorithm, Pair::Ec(pair));
            }
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Self::new(SigningAlgorithm::EdDsa, Pair::Ed25519(pair));
        }
        let rsa = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der));
        let pair = rsa.map_err(|_| {
            SigningError::Pem(
                "not a key of a kind that signs tokens: RSA, P-256, P-384, P-521, Ed25519".to_owned(),
            )
        })?;
        Self::new(SigningAlgorithm::Rs256, Pair::Rsa(pair))
    }

    fn new(algorithm: SigningAlgorithm, pair: Pair) -> Result<Self, SigningError> {
        let spki: Result<PublicKeyX509Der<'_>, _> = match &pair {
            Pair::Ec(pair) => pair.public_key().as_der(),
            Pair::Ed25519(pair) => pair.public_key().as_der(),
            Pair::Rsa(pair) => pair.public_key().as_der(),
        };
        let public = VerifyingKey::from_spki(spki.map_err(|_| SigningError::Failed)?.as_ref())?;
        let id = public.thumbprint().ok_or(SigningError::Failed)?;
        Ok(Self { algorithm, pair, public, id })
    }

    /// Makes an RSA key sign with another of the algorithms that are for RSA.
    ///
    /// # Errors
    /// [`SigningError::Unfit`] if the algorithm is not for this key.
    pub(crate) fn with_algorithm(self, algorithm: SigningAlgorithm) -> Result<Self, SigningError> {
        let fits =
            algorithm == self.algorithm || matches!(self.pair, Pair::Rsa(_)) && rsa(algorithm).is_some();
        if fits { Ok(Self { algorithm, ..self }) } else { Err(SigningError::Unfit(algorithm)) }
    }

    /// The private key as PEM, PKCS #8.
    ///
    /// # Errors
    /// [`SigningError::Failed`].
    pub(crate) fn to_pem(&self) -> Result<String, SigningError> {
        match &self.pair {
            Pair::Ec(pair) => pair.to_pkcs8v1().map(|der| pem::encode(PRIVATE_KEY, der.as_ref())),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map(|der| pem::encode(PRIVATE_KEY, der.as_ref())),
            Pair::Rsa(pair) => pair.as_der().map(|der| pem::encode(PRIVATE_KEY, der.as_ref())),
        }
        .map_err(|_| SigningError::Failed)
    }

    /// What it signs with.
    pub(crate) fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// The `kid` of its signatures: the thumbprint of the public key (RFC 7638).
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The public key.
    pub(crate) fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// The public key for a JWK set.
    pub(crate) fn public_jwk(&self) -> Jwk {
        Jwk::public(&self.public, &self.id, self.algorithm.as_str())
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        match &self.pair {
            Pair::Ec(pair) => {
                pair.sign(&SystemRandom::new(), message).map(|signature| signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => pair.try_sign(message).map(|signature| signature.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let encoding = rsa(self.algorithm).ok_or(SigningError::Unfit(self.algorithm))?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature).map(|()| signature)
            }
        }
        .map_err(|_| SigningError::Failed)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm).field("id", &self.id).finish()
    }
}

/// A token with these claims in compact form. Its header has `alg`, `kid` and `typ` (`JWT`).
///
/// # Errors
/// [`SigningError`], if the claims cannot be written as JSON or the key does not sign.
pub(crate) fn sign<T: Serialize>(key: &SigningKey, claims: &T) -> Result<String, SigningError> {
    #[derive(Serialize)]
    struct Header<'a> {
        alg: &'a str,
        kid: &'a str,
        typ: &'a str,
    }
    let header = Header { alg: key.algorithm.as_str(), kid: &key.id, typ: "JWT" };
    let part = |json: serde_json::Result<Vec<u8>>| json.map(base64url::encode).map_err(SigningError::Claims);
    let mut token = format!("{}.{}", part(serde_json::to_vec(&header))?, part(serde_json::to_vec(claims))?);
    let signature = key.signature(token.as_bytes())?;
    token.push('.');
    token.push_str(&base64url::encode(signature));
    Ok(token)
}

fn ecdsa(algorithm: SigningAlgorithm) -> Option<&'static EcdsaSigningAlgorithm> {
    match algorithm {
        SigningAlgorithm::Es256 => Some(&aws::ECDSA_P256_SHA256_FIXED_SIGNING),
        SigningAlgorithm::Es384 => Some(&aws::ECDSA_P384_SHA384_FIXED_SIGNING),
        SigningAlgorithm::Es512 => Some(&aws::ECDSA_P521_SHA512_FIXED_SIGNING),
        _ => None,
    }
}

fn rsa(algorithm: SigningAlgorithm) -> Option<&'static dyn RsaEncoding> {
    match algorithm {
        SigningAlgorithm::Rs256 => Some(&aws::RSA_PKCS1_SHA256),
        SigningAlgorithm::Rs384 => Some(&aws::RSA_PKCS1_SHA384),
        SigningAlgorithm::Rs512 => Some(&aws::RSA_PKCS1_SHA512),
        SigningAlgorithm::Ps256 => Some(&aws::RSA_PSS_SHA256),
        SigningAlgorithm::Ps384 => Some(&aws::RSA_PSS_SHA384),
        SigningAlgorithm::Ps512 => Some(&aws::RSA_PSS_SHA512),
        _ => None,
    }
}

/// Why there is no key, or no signature.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SigningError {
    /// An algorithm that has no private keys.
    #[error("{0} has no private key")]
    NoPrivateKey(SigningAlgorithm),
    /// An algorithm for other keys.
    #[error("{0} is not for this kind of key")]
    Unfit(SigningAlgorithm),
    /// A file without a usable private key.
    #[error("no usable private key: {0}")]
    Pem(String),
    /// A key that is not taken.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Claims that are no JSON.
    #[error("claims cannot be written")]
    Claims(#[source] serde_json::Error),
    /// The cryptographic library refused.
    #[error("key cannot be made or used")]
    Failed,
}
