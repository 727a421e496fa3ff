//! What refresh tokens are made of: claims that nobody but the issuer can read or change.
//!
//! A token is, in base64url, a byte for the version, the id of the key (8 bytes), a nonce (12 bytes), and the claims
//! as JSON under AES-256-GCM with all that comes before as additional data. It has no dots, so that nothing takes it
//! for a signed token, nor is a signed token one of these.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, rand};

use crate::jose::{SigningError, base64url, pem};

const VERSION: u8 = 1;
const KEY_LEN: usize = 32;
const ID_LEN: usize = 8;
const HEAD_LEN: usize = 1 + ID_LEN;

/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 32 << 10;

const LABEL: &str = "REFRESH TOKEN KEY";

/// A key that seals refresh tokens.
pub(super) struct SealingKey {
    id: String,
    head: [u8; HEAD_LEN],
    secret: [u8; KEY_LEN],
    key: RandomizedNonceKey,
}

impl SealingKey {
    pub(super) fn generate() -> Result<Self, SigningError> {
        let mut secret = [0; KEY_LEN];
        rand::fill(&mut secret).map_err(|_| SigningError::Failed)?;
        Self::new(secret).ok_or(SigningError::Failed)
    }

    fn new(secret: [u8; KEY_LEN]) -> Option<Self> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &secret).ok()?;
        let hash = digest::digest(&digest::SHA256, &[b"id of a refresh token key", &secret[..]].concat());
        let mut head = [VERSION; HEAD_LEN];
        head[1..].copy_from_slice(&hash.as_ref()[..ID_LEN]);
        Some(Self { id: base64url::encode(&head[1..]), head, secret, key })
    }

    pub(super) fn from_pem(text: &[u8]) -> Result<Self, String> {
        let blocks = pem::decode(text)?;
        let found = blocks.iter().find(|(label, _)| label == LABEL);
        let (_, secret) = found.ok_or_else(|| format!("no block \"{LABEL}\" in it"))?;
        let secret = <[u8; KEY_LEN]>::try_from(secret.as_slice()).ok().and_then(Self::new);
        secret.ok_or_else(|| "no usable key".to_owned())
    }

    pub(super) fn to_pem(&self) -> String {
        pem::encode(LABEL, &self.secret)
    }

    /// What identifies the key; says nothing about it.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn seal(&self, claims: &[u8]) -> Result<String, SigningError> {
        let mut sealed = claims.to_vec();
        let aad = Aad::from(self.head);
        let nonce = self.key.seal_in_place_append_tag(aad, &mut sealed).map_err(|_| SigningError::Failed)?;
        Ok(base64url::encode([&self.head[..], nonce.as_ref(), &sealed].concat()))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SealingKey").field(&self.id).finish()
    }
}

/// A text that may be a refresh token.
pub(super) struct Sealed {
    bytes: Vec<u8>,
}

impl Sealed {
    /// `None` if it cannot be one.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let bytes = (token.len() <= MAX_TOKEN).then(|| base64url::decode(token)).flatten()?;
        (bytes.len() > HEAD_LEN + NONCE_LEN && bytes[0] == VERSION).then_some(Self { bytes })
    }

    /// The id of the key that it says it was sealed with.
    pub(super) fn key_id(&self) -> String {
        base64url::encode(&self.bytes[1..HEAD_LEN])
    }

    /// The claims, if this key sealed them.
    pub(super) fn open(&self, key: &SealingKey) -> Option<Vec<u8>> {
        let (head, rest) = self.bytes.split_at(HEAD_LEN);
        let (nonce, sealed) = rest.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let claims = key.key.open_in_place(nonce, Aad::from(head), &mut sealed).ok()?;
        Some(claims.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened_by_its_key_and_no_other() {
        let key = SealingKey::generate().unwrap();
        let token = key.seal(b"claims").unwrap();
        let sealed = Sealed::parse(&token).unwrap();
        assert_eq!(sealed.key_id(), key.id());
        assert_eq!(sealed.open(&key).as_deref(), Some(&b"claims"[..]));
        assert_eq!(sealed.open(&SealingKey::generate().unwrap()), None);
        assert_ne!(token, key.seal(b"claims").unwrap(), "a nonce of its own for each");
        assert!(!token.contains('.'));
    }

    #[test]
    fn a_changed_token_is_not_opened() {
        let key = SealingKey::generate().unwrap();
        let bytes = base64url::decode(key.seal(b"claims").unwrap()).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let opened = Sealed::parse(&base64url::encode(&changed)).and_then(|sealed| sealed.open(&key));
            assert_eq!(opened, None, "byte {at}");
        }
        for len in 0..bytes.len() {
            let opened =
                Sealed::parse(&base64url::encode(&bytes[..len])).and_then(|sealed| sealed.open(&key));
            assert_eq!(opened, None, "{len} bytes");
        }
        assert!(Sealed::parse("not base64!").is_none());
        assert!(Sealed::parse(&"A".repeat(MAX_TOKEN + 1)).is_none());
    }

    #[test]
    fn a_key_is_kept_as_pem() {
        let key = SealingKey::generate().unwrap();
        let again = SealingKey::from_pem(key.to_pem().as_bytes()).unwrap();
        assert_eq!(again.id(), key.id());
        let sealed = Sealed::parse(&key.seal(b"x").unwrap()).unwrap();
        assert_eq!(sealed.open(&again).as_deref(), Some(&b"x"[..]));
        for text in ["", "-----BEGIN REFRESH TOKEN KEY-----\nAAAA\n-----END REFRESH TOKEN KEY-----\n"] {
            assert!(SealingKey::from_pem(text.as_bytes()).is_err());
        }
        assert!(!format!("{key:?}").contains(&base64url::encode(key.secret)));
    }
}
