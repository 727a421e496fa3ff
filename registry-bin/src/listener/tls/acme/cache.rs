//! The directory where certificates and the key of the account are kept, in the files and the format of
//! Distribution, so that either registry goes on with what the other got.
//!
//! A file for each host, with the private key and the chain as PEM; the key of the account in a file of its own.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

use super::TlsError;

/// The key of the account, as Go's autocert calls it.
const ACCOUNT: &str = "acme_account+key";

#[derive(Debug)]
pub(super) struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// Makes the directory if it is not there.
    pub(super) fn open(directory: &Path) -> Result<Self, TlsError> {
        let failed = |error: io::Error| {
            let text = format!("cannot keep certificates in {}: {error}", directory.display());
            TlsError(format!("http.tls.letsencrypt.cachefile: {text}"))
        };
        if directory.is_file() {
            return Err(failed(io::Error::other("it is a file, and has to be a directory")));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let cache = Self { directory: directory.to_owned() };
        // Whether there is room for a certificate is better known before one is asked for.
        cache.write("probe", b"").map_err(failed)?;
        std::fs::remove_file(directory.join("probe")).map_err(failed)?;
        Ok(cache)
    }

    /// Key and chain for `host`.
    pub(super) fn certificate(&self, host: &str) -> Option<Vec<u8>> {
        std::fs::read(self.directory.join(host)).ok()
    }

    pub(super) fn keep_certificate(&self, host: &str, pem: &[u8]) -> io::Result<()> {
        self.write(host, pem)
    }

    /// The key of the account, if there is one that can be used.
    pub(super) fn account(&self) -> Option<PrivatePkcs8KeyDer<'static>> {
        let pem = std::fs::read(self.directory.join(ACCOUNT)).ok()?;
        match PrivateKeyDer::from_pem_slice(&pem).ok()? {
            PrivateKeyDer::Pkcs8(key) => Some(key),
            PrivateKeyDer::Sec1(key) => Some(wrap(&key)),
            _ => None,
        }
    }

    pub(super) fn keep_account(&self, key: &PrivatePkcs8KeyDer<'_>) -> io::Result<()> {
        let pem = rcgen::KeyPair::try_from(key).map_err(io::Error::other)?.serialize_pem();
        self.write(ACCOUNT, pem.as_bytes())
    }

    /// The file is there as a whole or not at all.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let half = self.directory.join(format!(".{name}.{}", uuid::Uuid::new_v4()));
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&half, self.directory.join(name))
        };
        write().inspect_err(|_| {
            // What is left of it is of no use to anybody.
            let _ = std::fs::remove_file(&half);
        })
    }
}

/// A key on the curve P-256 as Go writes it, in the form that says which curve it is.
fn wrap(key: &PrivateSec1KeyDer<'_>) -> PrivatePkcs8KeyDer<'static> {
    /// Version 0, and the algorithm: an elliptic curve, P-256.
    const HEAD: [u8; 24] = [
        0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
        0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ];
    let inner = tagged(0x04, key.secret_sec1_der());
    PrivatePkcs8KeyDer::from(tagged(0x30, &[HEAD.as_slice(), &inner].concat()))
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len().to_be_bytes();
    let len = &len[len.iter().take_while(|byte| **byte == 0).count()..];
    let mut der = vec![tag];
    if content.len() >= 0x80 {
        der.push(0x80 | u8::try_from(len.len()).unwrap_or_default());
    }
    der.extend_from_slice(len);
    der.extend_from_slice(content);
    der
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by Go: an account of autocert.
    const GO: &str = include_str!("../../../../tests/fixtures/autocert-account.pem");

    #[test]
    fn an_account_of_distribution_can_be_used() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path()).unwrap();
        assert!(cache.account().is_none());
        std::fs::write(directory.path().join(ACCOUNT), GO).unwrap();
        let key = cache.account().unwrap();
        instant_acme::Key::from_pkcs8_der(key.clone_key()).unwrap();
        cache.keep_account(&key).unwrap();
        instant_acme::Key::from_pkcs8_der(cache.account().unwrap()).unwrap();
    }

    #[test]
    fn a_directory_that_is_none_is_one_clear_line() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Cache::open(&file).unwrap_err().to_string();
        let expected = format!(
            "http.tls.letsencrypt.cachefile: cannot keep certificates in {}: it is a file, and has to be a directory",
            file.display()
        );
        assert_eq!(error, expected);
    }
}
