//! Keys that check signatures.

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{
    self as aws, ParsedPublicKey, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use aws_lc_rs::{digest, hmac};
use x509_parser::asn1_rs::{FromDer, Oid, oid};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::SigningAlgorithm as Algorithm;
use super::base64url;

/// Sizes of RSA keys that are taken, in bits. Smaller ones can be broken; larger ones cost time that whoever sends
/// a token must not be able to ask for.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

const ED25519: Oid<'static> = oid!(1.3.101.112);
const P256: Oid<'static> = oid!(1.2.840.10045.3.1.7);
const P384: Oid<'static> = oid!(1.3.132.0.34);
const P521: Oid<'static> = oid!(1.3.132.0.35);

/// A curve of ECDSA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The curve of this name (RFC 7518, section 6.2.1.1).
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.as_str() == name)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// The length of a coordinate in bytes.
    fn len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::P256 => &aws::ECDSA_P256_SHA256_FIXED,
            Self::P384 => &aws::ECDSA_P384_SHA384_FIXED,
            Self::P521 => &aws::ECDSA_P521_SHA512_FIXED,
        }
    }
}

/// A key that checks signatures: public, or a shared secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct VerifyingKey(Material);

#[derive(Clone, PartialEq, Eq)]
enum Material {
    /// Modulus and exponent without leading zeros, and both as `SubjectPublicKeyInfo`.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
        der: Vec<u8>,
    },
    /// The point, uncompressed: 4, then both coordinates in full length.
    Ec {
        curve: Curve,
        point: Vec<u8>,
    },
    Ed25519([u8; 32]),
    Secret(Vec<u8>),
}

impl VerifyingKey {
    /// An RSA key.
    pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        let (n, e) = (without_zeros(n), without_zeros(e));
        let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(KeyError::RsaSize(bits));
        }
        let der = RsaPublicKeyComponents { n, e }.as_der().map_err(|_| KeyError::Invalid)?;
        let der = der.as_ref().to_vec();
        ParsedPublicKey::new(&aws::RSA_PKCS1_2048_8192_SHA256, &der).map_err(|_| KeyError::Invalid)?;
        Ok(Self(Material::Rsa { n: n.to_vec(), e: e.to_vec(), der }))
    }

    /// A point of a curve.
    pub(crate) fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        if x.len() != curve.len() || y.len() != curve.len() {
            return Err(KeyError::CoordinateLength(curve.len()));
        }
        Self::ec_point(curve, [&[4], x, y].concat())
    }

    fn ec_point(curve: Curve, point: Vec<u8>) -> Result<Self, KeyError> {
        if point.len() != 1 + 2 * curve.len() || point.first() != Some(&4) {
            return Err(KeyError::Invalid);
        }
        ParsedPublicKey::new(curve.verification(), &point).map_err(|_| KeyError::Invalid)?;
        Ok(Self(Material::Ec { curve, point }))
    }

    /// An Ed25519 key.
    pub(crate) fn ed25519(key: &[u8]) -> Result<Self, KeyError> {
        let key: [u8; 32] = key.try_into().map_err(|_| KeyError::Invalid)?;
        ParsedPublicKey::new(&aws::ED25519, key).map_err(|_| KeyError::Invalid)?;
        Ok(Self(Material::Ed25519(key)))
    }

    /// A secret that is shared with whoever signs.
    pub(crate) fn secret(secret: &[u8]) -> Self {
        Self(Material::Secret(secret.to_vec()))
    }

    /// The key of a certificate: a `SubjectPublicKeyInfo` in DER (RFC 5280, section 4.1.2.7).
    pub(crate) fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let (rest, spki) = SubjectPublicKeyInfo::from_der(der).map_err(|_| KeyError::Invalid)?;
        if !rest.is_empty() {
            return Err(KeyError::Invalid);
        }
        match spki.parsed().map_err(|_| KeyError::Invalid)? {
            PublicKey::RSA(key) => Self::rsa(key.modulus, key.exponent),
            PublicKey::EC(point) => {
                let curve = spki.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
                let curve = match curve {
                    Some(curve) if curve == P256 => Curve::P256,
                    Some(curve) if curve == P384 => Curve::P384,
                    Some(curve) if curve == P521 => Curve::P521,
                    _ => return Err(KeyError::Unsupported),
                };
                Self::ec_point(curve, point.data().to_vec())
            }
            PublicKey::Unknown(key) if spki.algorithm.algorithm == ED25519 => Self::ed25519(key),
            _ => Err(KeyError::Unsupported),
        }
    }

    /// Whether it is a secret, so that whoever has it can sign too.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self.0, Material::Secret(_))
    }

    /// The members of a JWK that say which key it is, in the order of RFC 7638; none for a secret.
    pub(crate) fn members(&self) -> Vec<(&'static str, String)> {
        let text = |name: &'static str, value: &str| (name, value.to_owned());
        let bytes = |name: &'static str, value: &[u8]| (name, base64url::encode(value));
        match &self.0 {
            Material::Rsa { n, e, .. } => vec![bytes("e", e), text("kty", "RSA"), bytes("n", n)],
            Material::Ec { curve, point } => {
                let (x, y) = point[1..].split_at(curve.len());
                vec![text("crv", curve.as_str()), text("kty", "EC"), bytes("x", x), bytes("y", y)]
            }
            Material::Ed25519(key) => {
                vec![text("crv", "Ed25519"), text("kty", "OKP"), bytes("x", key)]
            }
            Material::Secret(_) => Vec::new(),
        }
    }

    /// What identifies the key: its thumbprint with SHA-256 (RFC 7638, section 3) as base64url. Coordinates count in
    /// full length, as RFC 7518 wants. `None` for a secret, of which nothing is shown.
    pub(crate) fn thumbprint(&self) -> Option<String> {
        thumbprint(&self.members())
    }

    /// All the ids by which a token may mean this key: its thumbprint, and that of Distribution, which leaves out the
    /// leading zeros of coordinates. They differ for one of 128 keys on P-256 and for most on P-521.
    pub(crate) fn ids(&self) -> Vec<String> {
        let mut members = self.members();
        let mut ids = Vec::from_iter(thumbprint(&members));
        if let Material::Ec { curve, point } = &self.0 {
            let (x, y) = point[1..].split_at(curve.len());
            for (name, value) in &mut members {
                match *name {
                    "x" => *value = base64url::encode(without_zeros(x)),
                    "y" => *value = base64url::encode(without_zeros(y)),
                    _ => {}
                }
            }
            ids.extend(thumbprint(&members));
            ids.dedup();
        }
        ids
    }

    /// Checks a signature. An algorithm that is not for this kind of key is a bad signature, whatever the bytes.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        let (verification, key): (&'static dyn VerificationAlgorithm, &[u8]) = match (&self.0, algorithm) {
            (Material::Rsa { der, .. }, Algorithm::Rs256) => (&aws::RSA_PKCS1_2048_8192_SHA256, der),
            (Material::Rsa { der, .. }, Algorithm::Rs384) => (&aws::RSA_PKCS1_2048_8192_SHA384, der),
            (Material::Rsa { der, .. }, Algorithm::Rs512) => (&aws::RSA_PKCS1_2048_8192_SHA512, der),
            (Material::Rsa { der, .. }, Algorithm::Ps256) => (&aws::RSA_PSS_2048_8192_SHA256, der),
            (Material::Rsa { der, .. }, Algorithm::Ps384) => (&aws::RSA_PSS_2048_8192_SHA384, der),
            (Material::Rsa { der, .. }, Algorithm::Ps512) => (&aws::RSA_PSS_2048_8192_SHA512, der),
            (Material::Ec { curve: curve @ Curve::P256, point }, Algorithm::Es256)
            | (Material::Ec { curve: curve @ Curve::P384, point }, Algorithm::Es384)
            | (Material::Ec { curve: curve @ Curve::P521, point }, Algorithm::Es512) => {
                (curve.verification(), point)
            }
            (Material::Ed25519(key), Algorithm::EdDsa) => (&aws::ED25519, key),
            (Material::Secret(secret), Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512) => {
                let hash = match algorithm {
                    Algorithm::Hs256 => hmac::HMAC_SHA256,
                    Algorithm::Hs384 => hmac::HMAC_SHA384,
                    _ => hmac::HMAC_SHA512,
                };
                return hmac::verify(&hmac::Key::new(hash, secret), message, signature)
                    .map_err(|_| BadSignature);
            }
            _ => return Err(BadSignature),
        };
        UnparsedPublicKey::new(verification, key).verify(message, signature).map_err(|_| BadSignature)
    }
}

impl fmt::Debug for VerifyingKey {
    /// What identifies the key, which is no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifyingKey").field(&self.thumbprint().as_deref().unwrap_or("secret")).finish()
    }
}

fn thumbprint(members: &[(&'static str, String)]) -> Option<String> {
    if members.is_empty() {
        return None;
    }
    // The values need no escaping: base64url, and names of ours.
    let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
    let json = format!("{{{}}}", members.join(","));
    Some(base64url::encode(digest::digest(&digest::SHA256, json.as_bytes())))
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// That a signature is not one of this key over this message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("signature does not verify")]
pub(crate) struct BadSignature;

/// Why a key is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    /// A kind of key that signs no tokens here.
    #[error("kind of key is not supported: use RSA, EC on P-256, P-384 or P-521, or Ed25519")]
    Unsupported,
    /// A key of a known kind, and broken.
    #[error("key is not valid")]
    Invalid,
    /// An RSA key that is too small or too large.
    #[error("RSA key of {0} bits: 2048 to 8192 are taken")]
    RsaSize(usize),
    /// A secret that can be guessed.
    #[error("secret of {0} bytes: 32 or more are taken")]
    SecretSize(usize),
    /// A coordinate that is too short or too long.
    #[error("coordinates of this curve have {0} bytes")]
    CoordinateLength(usize),
    /// A JWK without a member that its kind has, or with one that is not base64url.
    #[error("\"{0}\" is missing or not base64url")]
    Member(&'static str),
}
