//! Certificates that vouch for the key of a token (RFC 5280).
//!
//! `rustls-webpki` does not fit here: it is for servers, and refuses a certificate that is its own issuer where
//! Distribution takes it (`CaUsedAsEndEntity`), and certificates of version 1. So paths are built here, by the rules
//! that Go's `Certificate.Verify` has for any key usage, over `x509-parser` and the signatures of `aws-lc-rs`.

use aws_lc_rs::signature::{self as aws, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use x509_parser::asn1_rs::{FromDer, Oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_NIST_HASH_SHA256, OID_NIST_HASH_SHA384,
    OID_NIST_HASH_SHA512, OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA,
    OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512,
    OID_SIG_ED25519,
};
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::X509Version;

use crate::jose::{KeyError, Validity, VerifyingKey};

/// The most certificates that a token may bring.
const MOST_IN_TOKEN: usize = 10;

/// The most signatures that are checked to find a path, so that certificates that all claim to be issued by one
/// another cost little.
const MOST_SIGNATURES: usize = 100;

/// A certificate, as far as it matters here.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    der: Vec<u8>,
    /// Names in DER, which are compared byte by byte, as Go does.
    subject: Vec<u8>,
    issuer: Vec<u8>,
    validity: Validity,
    /// What its issuer signed, how, and the signature.
    signed: Vec<u8>,
    signature: Vec<u8>,
    scheme: Option<Scheme>,
    spki: Vec<u8>,
    curve: Option<Curve>,
    /// Whether a critical extension is not known.
    unknown: bool,
    /// Whether it says that it issues certificates; `None` if it says nothing, as those of version 1.
    authority: Option<bool>,
    version_3: bool,
    /// How many certificates may stand between it and that of the key.
    path_length: Option<u32>,
    /// Whether its key may sign certificates, as far as it says.
    may_sign: bool,
}

impl Certificate {
    /// Reads one in DER.
    ///
    /// # Errors
    /// That it is none.
    pub(crate) fn parse(der: &[u8]) -> Result<Self, String> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err("bytes after the certificate".to_owned());
        }
        let extensions = certificate.extensions();
        let basic = certificate.basic_constraints().map_err(|error| error.to_string())?;
        let usage = certificate.key_usage().map_err(|error| error.to_string())?;
        let validity = certificate.validity();
        let spki = certificate.public_key();
        let curve = spki.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
        Ok(Self {
            der: der.to_vec(),
            subject: certificate.subject().as_raw().to_vec(),
            issuer: certificate.issuer().as_raw().to_vec(),
            validity: Validity::between(validity.not_before.timestamp(), validity.not_after.timestamp()),
            signed: certificate.tbs_certificate.as_ref().to_vec(),
            signature: certificate.signature_value.data.to_vec(),
            scheme: Scheme::of(&certificate),
            spki: spki.raw.to_vec(),
            curve: curve.and_then(|curve| Curve::of(&curve)),
            unknown: extensions
                .iter()
                .any(|extension| extension.critical && !is_known(extension.parsed_extension())),
            authority: basic.as_ref().map(|basic| basic.value.ca),
            version_3: certificate.version() == X509Version::V3,
            path_length: basic.and_then(|basic| basic.value.path_len_constraint),
            may_sign: usage.is_none_or(|usage| usage.value.key_cert_sign()),
        })
    }

    /// The certificates of a token's header: base64 with padding, that of the key first.
    ///
    /// # Errors
    /// Which of them is none, or that there are too many.
    pub(crate) fn of_header(x5c: &[String]) -> Result<Vec<Self>, String> {
        if x5c.len() > MOST_IN_TOKEN {
            return Err(format!("{} certificates in x5c, at most {MOST_IN_TOKEN} are taken", x5c.len()));
        }
        let parse = |text: &String| {
            let der = STANDARD.decode(text).map_err(|_| "not base64".to_owned())?;
            Self::parse(&der)
        };
        let numbered = x5c.iter().enumerate();
        numbered.map(|(at, text)| parse(text).map_err(|error| format!("x5c[{at}]: {error}"))).collect()
    }

    /// The key that it is about.
    ///
    /// # Errors
    /// [`KeyError`], if it is of a kind that signs no tokens.
    pub(crate) fn key(&self) -> Result<VerifyingKey, KeyError> {
        VerifyingKey::from_spki(&self.spki)
    }

    /// Whether `parent` has signed it and may issue certificates, with `between` others between `parent` and the
    /// certificate of the key.
    fn is_issued_by(&self, parent: &Self, between: usize, trusted: bool) -> bool {
        let authority = match parent.authority {
            Some(authority) => authority,
            // Certificates of version 1 cannot say it. Being trusted says it for them.
            None => trusted && !parent.version_3,
        };
        let room = parent.path_length.is_none_or(|most| between as u64 <= u64::from(most));
        if !authority || !parent.may_sign || !room || parent.unknown {
            return false;
        }
        let scheme = self.scheme.and_then(|scheme| scheme.verification(parent.curve));
        scheme.is_some_and(|scheme| {
            UnparsedPublicKey::new(scheme, &parent.spki).verify(&self.signed, &self.signature).is_ok()
        })
    }
}

/// Whether the first of `chain` is one of `roots`, or leads to one by way of the others. Returns when all of them can
/// be used; whoever asks compares that with the time.
///
/// Times count while a path is looked for, so that an expired intermediate does not hide its successor. Key usages of
/// the certificate of the key do not count, extended ones nowhere. Constraints of names do not count either: the name
/// in the certificate of a key says nothing about what its tokens may grant.
///
/// # Errors
/// That there is no such path.
pub(crate) fn path(
    chain: &[Certificate],
    roots: &[Certificate],
    usable: impl Fn(Validity) -> bool,
) -> Result<Validity, String> {
    let Some((leaf, intermediates)) = chain.split_first() else { return Err("no certificate".to_owned()) };
    if !usable(leaf.validity) {
        return Err("certificate of the key is not valid now".to_owned());
    }
    if leaf.unknown {
        return Err("certificate of the key has a critical extension that is not known".to_owned());
    }
    if roots.iter().any(|root| root.der == leaf.der) {
        return Ok(leaf.validity);
    }
    let mut search = Search { intermediates, roots, usable: &usable, signatures: 0 };
    let mut path = vec![leaf];
    search.extend(&mut path).ok_or_else(|| "certificate of the key leads to no trusted one".to_owned())
}

struct Search<'a> {
    intermediates: &'a [Certificate],
    roots: &'a [Certificate],
    usable: &'a dyn Fn(Validity) -> bool,
    signatures: usize,
}

impl<'a> Search<'a> {
    /// Leads `path` to a trusted certificate; returns when all of it can be used.
    fn extend(&mut self, path: &mut Vec<&'a Certificate>) -> Option<Validity> {
        let last = *path.last()?;
        let between = path.len() - 1;
        for root in self.roots {
            if self.follows(last, root, between, true) {
                let members = path.iter().map(|certificate| certificate.validity);
                return Some(members.fold(root.validity, Validity::and));
            }
        }
        for next in self.intermediates {
            let seen = path.iter().any(|certificate| certificate.der == next.der);
            if !seen && self.follows(last, next, between, false) {
                path.push(next);
                if let Some(validity) = self.extend(path) {
                    return Some(validity);
                }
                path.pop();
            }
        }
        None
    }

    fn follows(&mut self, last: &Certificate, next: &Certificate, between: usize, trusted: bool) -> bool {
        if next.subject != last.issuer || !(self.usable)(next.validity) || self.signatures >= MOST_SIGNATURES
        {
            return false;
        }
        self.signatures += 1;
        last.is_issued_by(next, between, trusted)
    }
}

/// Whether an extension can be obeyed, or does not matter here.
fn is_known(extension: &ParsedExtension<'_>) -> bool {
    matches!(
        extension,
        ParsedExtension::AuthorityKeyIdentifier(_)
            | ParsedExtension::SubjectKeyIdentifier(_)
            | ParsedExtension::KeyUsage(_)
            | ParsedExtension::CertificatePolicies(_)
            | ParsedExtension::SubjectAlternativeName(_)
            | ParsedExtension::BasicConstraints(_)
            | ParsedExtension::NameConstraints(_)
            | ParsedExtension::ExtendedKeyUsage(_)
            | ParsedExtension::CRLDistributionPoints(_)
            | ParsedExtension::AuthorityInfoAccess(_)
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    fn of(oid: &Oid<'_>) -> Option<Self> {
        [(OID_EC_P256, Self::P256), (OID_NIST_EC_P384, Self::P384), (OID_NIST_EC_P521, Self::P521)]
            .into_iter()
            .find_map(|(known, curve)| (known == *oid).then_some(curve))
    }
}

/// How a certificate is signed. MD5 and SHA-1 are not there: certificates can be forged under them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Rsa(Hash),
    Pss(Hash),
    Ecdsa(Hash),
    Ed25519,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Scheme {
    fn of(certificate: &X509Certificate<'_>) -> Option<Self> {
        let algorithm = &certificate.signature_algorithm;
        // Both say it, and have to say the same (section 4.1.1.2).
        if *algorithm != certificate.tbs_certificate.signature {
            return None;
        }
        let known = [
            (OID_PKCS1_SHA256WITHRSA, Self::Rsa(Hash::Sha256)),
            (OID_PKCS1_SHA384WITHRSA, Self::Rsa(Hash::Sha384)),
            (OID_PKCS1_SHA512WITHRSA, Self::Rsa(Hash::Sha512)),
            (OID_SIG_ECDSA_WITH_SHA256, Self::Ecdsa(Hash::Sha256)),
            (OID_SIG_ECDSA_WITH_SHA384, Self::Ecdsa(Hash::Sha384)),
            (OID_SIG_ECDSA_WITH_SHA512, Self::Ecdsa(Hash::Sha512)),
            (OID_SIG_ED25519, Self::Ed25519),
        ];
        if algorithm.algorithm == OID_PKCS1_RSASSAPSS {
            let params = RsaSsaPssParams::try_from(algorithm.parameters.as_ref()?).ok()?;
            let hash = params.hash_algorithm_oid();
            let hashes = [
                (OID_NIST_HASH_SHA256, Hash::Sha256),
                (OID_NIST_HASH_SHA384, Hash::Sha384),
                (OID_NIST_HASH_SHA512, Hash::Sha512),
            ];
            let hash = hashes.into_iter().find_map(|(oid, known)| (oid == *hash).then_some(known));
            return hash.map(Self::Pss);
        }
        known.into_iter().find_map(|(oid, scheme)| (oid == algorithm.algorithm).then_some(scheme))
    }

    /// How a signature of a key on this curve, if it is on one, is checked.
    fn verification(self, curve: Option<Curve>) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match (self, curve) {
            (Self::Rsa(Hash::Sha256), _) => &aws::RSA_PKCS1_2048_8192_SHA256,
            (Self::Rsa(Hash::Sha384), _) => &aws::RSA_PKCS1_2048_8192_SHA384,
            (Self::Rsa(Hash::Sha512), _) => &aws::RSA_PKCS1_2048_8192_SHA512,
            (Self::Pss(Hash::Sha256), _) => &aws::RSA_PSS_2048_8192_SHA256,
            (Self::Pss(Hash::Sha384), _) => &aws::RSA_PSS_2048_8192_SHA384,
            (Self::Pss(Hash::Sha512), _) => &aws::RSA_PSS_2048_8192_SHA512,
            (Self::Ecdsa(Hash::Sha256), Some(Curve::P256)) => &aws::ECDSA_P256_SHA256_ASN1,
            (Self::Ecdsa(Hash::Sha384), Some(Curve::P256)) => &aws::ECDSA_P256_SHA384_ASN1,
            (Self::Ecdsa(Hash::Sha512), Some(Curve::P256)) => &aws::ECDSA_P256_SHA512_ASN1,
            (Self::Ecdsa(Hash::Sha256), Some(Curve::P384)) => &aws::ECDSA_P384_SHA256_ASN1,
            (Self::Ecdsa(Hash::Sha384), Some(Curve::P384)) => &aws::ECDSA_P384_SHA384_ASN1,
            (Self::Ecdsa(Hash::Sha512), Some(Curve::P384)) => &aws::ECDSA_P384_SHA512_ASN1,
            (Self::Ecdsa(Hash::Sha256), Some(Curve::P521)) => &aws::ECDSA_P521_SHA256_ASN1,
            (Self::Ecdsa(Hash::Sha384), Some(Curve::P521)) => &aws::ECDSA_P521_SHA384_ASN1,
            (Self::Ecdsa(Hash::Sha512), Some(Curve::P521)) => &aws::ECDSA_P521_SHA512_ASN1,
            (Self::Ed25519, _) => &aws::ED25519,
            (Self::Ecdsa(_), None) => return None,
        })
    }
}
