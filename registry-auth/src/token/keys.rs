//! The keys whose tokens are believed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::time::SystemTime;

use super::certificate::{Certificate, path};
use crate::jose::{Header, JwkSet, Object, Validity, VerifyingKey, pem};

/// The keys whose tokens are believed: certificates, and public keys by their ids.
#[derive(Clone, Default)]
pub struct TrustedKeys {
    certificates: Vec<Certificate>,
    keys: HashMap<String, VerifyingKey>,
    passed_over: Vec<String>,
}

/// Why there are no keys to trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The bundle of certificates cannot be read.
    #[error("unable to parse token auth root certificate: {0}")]
    Bundle(String),
    /// The JWK set cannot be read.
    #[error("failed to parse jwks: {0}")]
    Jwks(String),
    /// Neither has a key that tokens can be checked with.
    #[error("token auth requires at least one token signing key{}", found(.0))]
    Nothing(Vec<String>),
}

fn found(passed_over: &[String]) -> String {
    if passed_over.is_empty() { String::new() } else { format!(", found only {}", passed_over.join("; ")) }
}

impl TrustedKeys {
    /// The keys of a bundle of certificates (PEM), of a JWK set (RFC 7517), or of both.
    ///
    /// Each certificate vouches for those that it issued and for its own key, which tokens can name by its
    /// thumbprint (RFC 7638, SHA-256), also in the form that Distribution knows. A key of the set has the id that it says there, or else its thumbprint. Shared
    /// secrets (`oct`) count only if nothing else is there: whoever mixes them with public keys invites a token that
    /// is signed with a public key as if it were a secret.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn read(bundle: Option<&[u8]>, jwks: Option<&[u8]>) -> Result<Self, KeysError> {
        let mut trusted = Self::default();
        for (at, der) in bundle.map_or(Ok(Vec::new()), certificates)?.iter().enumerate() {
            let certificate = Certificate::parse(der)
                .map_err(|error| KeysError::Bundle(format!("certificate {}: {error}", at + 1)))?;
            match certificate.key() {
                Ok(key) => trusted.keys.extend(key.ids().into_iter().map(|id| (id, key.clone()))),
                Err(error) => trusted.passed_over.push(format!("certificate {}: {error}", at + 1)),
            }
            trusted.certificates.push(certificate);
        }
        let set = jwks.map_or(Ok(JwkSet::default()), JwkSet::parse).map_err(KeysError::Jwks)?;
        trusted.passed_over.extend(set.passed_over);
        let public = !trusted.certificates.is_empty() || set.keys.iter().any(|(_, key)| !key.is_secret());
        for (id, key) in set.keys {
            if public && key.is_secret() {
                trusted.passed_over.push(format!("{id:?}: a shared secret beside public keys"));
            } else {
                trusted.keys.insert(id, key);
            }
        }
        if trusted.certificates.is_empty() && trusted.keys.is_empty() {
            return Err(KeysError::Nothing(trusted.passed_over));
        }
        Ok(trusted)
    }

    /// These keys, by their ids.
    #[cfg(feature = "issuer")]
    pub(crate) fn of(keys: impl IntoIterator<Item = (String, VerifyingKey)>) -> Self {
        Self { keys: keys.into_iter().collect(), ..Self::default() }
    }

    /// What was read and is not used, each with the reason, for the log.
    pub fn passed_over(&self) -> &[String] {
        &self.passed_over
    }

    /// The key that has signed a token with this header, if it is trusted, and when it can be used if certificates
    /// say so.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) fn find(
        &self,
        header: &Header,
        now: SystemTime,
    ) -> Result<(Cow<'_, VerifyingKey>, Option<Validity>), String> {
        if let Some(x5c) = header.x5c.as_deref().filter(|x5c| !x5c.is_empty()) {
            let (key, validity) = self.certified(x5c, now)?;
            return Ok((Cow::Owned(key), Some(validity)));
        }
        let Some(Object(jwk)) = &header.jwk else {
            return self.named(header.kid.as_deref());
        };
        let Some(x5c) = jwk.x5c.as_deref().filter(|x5c| !x5c.is_empty()) else {
            // Only the id is taken from it. The key that comes with a token vouches for nothing.
            return self.named(jwk.kid.as_deref());
        };
        let (key, validity) = self.certified(x5c, now)?;
        // RFC 7517, section 4.7.
        if jwk.key().as_ref() != Ok(&key) {
            return Err("embedded key is not that of its certificate".to_owned());
        }
        Ok((Cow::Owned(key), Some(validity)))
    }

    fn named(&self, id: Option<&str>) -> Result<(Cow<'_, VerifyingKey>, Option<Validity>), String> {
        let id = id.filter(|id| !id.is_empty()).ok_or("token names no key")?;
        let key = self.keys.get(id).ok_or_else(|| format!("token signed by untrusted key with ID {id:?}"))?;
        Ok((Cow::Borrowed(key), None))
    }

    fn certified(&self, x5c: &[String], now: SystemTime) -> Result<(VerifyingKey, Validity), String> {
        let chain = Certificate::of_header(x5c)?;
        let validity = path(&chain, &self.certificates, |validity| validity.at(now).is_ok())?;
        let key = chain.first().map(Certificate::key).ok_or("no certificate")?;
        Ok((key.map_err(|error| error.to_string())?, validity))
    }
}

/// The certificates of a PEM file. Other blocks are passed over, as in Distribution.
fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, KeysError> {
    let blocks = pem::decode(pem).map_err(KeysError::Bundle)?;
    Ok(blocks.into_iter().filter(|(label, _)| label == "CERTIFICATE").map(|(_, der)| der).collect())
}

impl fmt::Debug for TrustedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { certificates, keys, .. } = self;
        f.debug_struct("TrustedKeys")
            .field("certificates", &certificates.len())
            .field("keys", &keys.keys())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for TrustedKeys {
    /// How many there are, for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificates, {} keys", self.certificates.len(), self.keys.len())
    }
}
