//! The certificate of the server and its key.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::InconsistentKeys;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::TlsError;
use crate::time::Civil;

/// What a certificate says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::listener) struct Facts {
    names: Vec<String>,
    from: SystemTime,
    until: SystemTime,
}

impl Facts {
    /// `None` if it is no certificate.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let time = |seconds: i64| UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let names = certificate.subject_alternative_name().ok().flatten().map(|names| {
            let name = |name: &GeneralName<'_>| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                GeneralName::IPAddress(bytes) => address(bytes),
                _ => None,
            };
            names.value.general_names.iter().filter_map(name).collect()
        });
        let validity = certificate.validity();
        Some(Self {
            names: names.unwrap_or_default(),
            from: time(validity.not_before.timestamp()),
            until: time(validity.not_after.timestamp()),
        })
    }

    pub(super) fn names(&self) -> String {
        if self.names.is_empty() { "no name that clients check".to_owned() } else { self.names.join(", ") }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|other| other.eq_ignore_ascii_case(name))
    }

    pub(super) fn from(&self) -> SystemTime {
        self.from
    }

    pub(super) fn ends(&self) -> SystemTime {
        self.until
    }

    /// When it ends, in words.
    pub(super) fn until(&self) -> String {
        second(self.until)
    }

    /// Why clients are going to refuse it, as far as that is easy to see.
    pub(super) fn problem(&self) -> Option<String> {
        let now = SystemTime::now();
        if now > self.until {
            return Some(format!("expired at {}; clients refuse it", self.until()));
        }
        if now < self.from {
            let from = second(self.from);
            return Some(format!("is valid only from {from} on; clients refuse it until then"));
        }
        self.names.is_empty().then(|| "has no subject alternative name; most clients refuse it".to_owned())
    }
}

/// `2026-11-21T03:03:05Z`
fn second(at: SystemTime) -> String {
    let text = Civil::new(at).rfc3339().to_string();
    text.split_once('.').map_or(text.clone(), |(second, _)| format!("{second}Z"))
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string())).ok()
}

/// Reads both files.
pub(super) fn read(certificate: &Path, key: &Path) -> Result<(CertifiedKey, Facts), TlsError> {
    let chain = chain("http.tls.certificate", certificate)?;
    let refuse = |key: &str, file: &Path, why: &str| TlsError(format!("{key}: {} {why}", file.display()));
    let Some(facts) = chain.first().and_then(|first| Facts::read(first)) else {
        return Err(refuse("http.tls.certificate", certificate, "has a certificate that cannot be read"));
    };
    let wrong_key = |why: &str| refuse("http.tls.key", key, why);
    let bytes = bytes("http.tls.key", key)?;
    let parsed = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        PemError::NoItemsFound if is_encrypted(&bytes) => {
            wrong_key("is encrypted, and there is nobody to ask for the password; write it without one")
        }
        PemError::NoItemsFound => wrong_key("has no private key in it (PEM: BEGIN PRIVATE KEY)"),
        other => wrong_key(&format!("is not PEM: {other}")),
    })?;
    let signer = any_supported_type(&parsed).map_err(|_| {
        wrong_key("has a key of a kind that is not supported; use ECDSA, Ed25519, or RSA from 2048 bits on")
    })?;
    let certified = CertifiedKey::new(chain, signer);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok((certified, facts)),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(wrong_key(&format!("does not belong to the certificate in {}", certificate.display())))
        }
        Err(error) => Err(refuse("http.tls.certificate", certificate, &format!("cannot be used: {error}"))),
    }
}

/// Reads key and chain from one text that we or another registry wrote.
pub(super) fn parse(pem: &[u8]) -> Result<(CertifiedKey, Facts), TlsError> {
    let wrong = |why: String| TlsError(why);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|error| wrong(error.to_string()))?;
    let facts = chain.first().and_then(|first| Facts::read(first));
    let facts = facts.ok_or_else(|| wrong("there is no certificate in it".to_owned()))?;
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| wrong(error.to_string()))?;
    let signer = any_supported_type(&key).map_err(|error| wrong(error.to_string()))?;
    let certified = CertifiedKey::new(chain, signer);
    certified.keys_match().map_err(|error| wrong(error.to_string()))?;
    Ok((certified, facts))
}

fn is_encrypted(bytes: &[u8]) -> bool {
    let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED")
}

/// The certificates in a file, at least one.
pub(super) fn chain(key: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = bytes(key, file)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match read {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => {
            let file = file.display();
            Err(TlsError(format!("{key}: {file} has no certificate in it (PEM: BEGIN CERTIFICATE)")))
        }
        Err(error) => Err(TlsError(format!("{key}: {} is not PEM: {error}", file.display()))),
    }
}

/// No certificate or key comes near this.
const MAX_BYTES: u64 = 4 << 20;

fn bytes(key: &str, file: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |why: String| TlsError(format!("{key}: cannot read {}: {why}", file.display()));
    match std::fs::metadata(file) {
        Ok(found) if !found.is_file() => Err(failed("it is not a file".to_owned())),
        Ok(found) if found.len() > MAX_BYTES => Err(failed("it is larger than 4 MiB".to_owned())),
        Ok(_) => std::fs::read(file).map_err(|error| failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}
