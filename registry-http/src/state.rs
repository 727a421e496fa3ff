//! The state of an upload that goes with its URL.
//!
//! The form is Distribution's, so that during a migration either registry can go on with a session of
//! the other: `_state` is URL-safe base64 of an HMAC-SHA256 and the JSON that it covers.
//!
//! The truth about a session is in the store. The state only tells a URL that is out of date from one
//! that is not, and with `http.secret` set also one that we did not hand out. Without a secret the key
//! is a fixed one: sessions then go on after a restart and on any other process with no configuration,
//! and what keeps strangers out is that the id cannot be guessed.

use std::fmt;
use std::time::SystemTime;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use registry_core::{Error, RepositoryName, UploadId};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Writes padding, as Distribution does, and reads with or without it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The key where no secret is configured.
const NO_SECRET: &[u8] = b"registry: no http.secret is configured";

/// The length of an HMAC-SHA256.
const MAC_LEN: usize = 32;

#[derive(Debug, Serialize, Deserialize)]
struct State {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "UUID")]
    uuid: String,
    #[serde(rename = "Offset")]
    offset: u64,
    #[serde(rename = "StartedAt")]
    started_at: String,
}

/// Signs the states of uploads and checks them.
#[derive(Clone)]
pub(crate) struct Signer {
    mac: Hmac<Sha256>,
}

impl Signer {
    /// A signer with the configured secret, if there is one.
    pub(crate) fn new(secret: Option<&str>) -> Self {
        let key = secret.map_or(NO_SECRET, str::as_bytes);
        // An HMAC takes a key of any length.
        let mac = Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
        Self { mac }
    }

    /// The state of an upload that has `offset` bytes.
    pub(crate) fn sign(
        &self,
        name: &RepositoryName,
        id: &UploadId,
        offset: u64,
        started_at: SystemTime,
    ) -> String {
        let state = State {
            name: name.to_string(),
            uuid: id.to_string(),
            offset,
            started_at: humantime::format_rfc3339_seconds(started_at).to_string(),
        };
        let json = serde_json::to_vec(&state).unwrap_or_default();
        let mut mac = self.mac.clone();
        mac.update(&json);
        let mut token = mac.finalize().into_bytes().to_vec();
        token.extend_from_slice(&json);
        BASE64.encode(token)
    }

    /// The offset that a state vouches for.
    ///
    /// # Errors
    /// [`Error::UploadInvalid`] for one that is missing, malformed, changed, or of another upload.
    pub(crate) fn verify(
        &self,
        state: Option<&str>,
        name: &RepositoryName,
        id: &UploadId,
    ) -> Result<u64, Error> {
        let invalid = |reason: &'static str| Error::UploadInvalid { reason: reason.into() };
        let state =
            state.ok_or_else(|| invalid("the URL has no _state; use the Location as it was given"))?;
        let token = BASE64.decode(state).map_err(|_| invalid("_state is not URL-safe base64"))?;
        let (mac, json) = token.split_at_checked(MAC_LEN).ok_or_else(|| invalid("_state is too short"))?;
        let mut expected = self.mac.clone();
        expected.update(json);
        expected
            .verify_slice(mac)
            .map_err(|_| invalid("_state was signed with another secret or changed"))?;
        let state: State = serde_json::from_slice(json).map_err(|_| invalid("_state is not one of ours"))?;
        if state.name != name.as_str() || state.uuid != id.as_str() {
            return Err(invalid("_state belongs to another upload"));
        }
        Ok(state.offset)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload() -> (RepositoryName, UploadId) {
        (RepositoryName::parse("a/b").unwrap(), UploadId::parse("0d1f").unwrap())
    }

    #[test]
    fn a_state_is_good_for_its_upload_and_secret_alone() {
        let (name, id) = upload();
        let signer = Signer::new(Some("secret"));
        let state = signer.sign(&name, &id, 42, SystemTime::UNIX_EPOCH);
        assert_eq!(signer.verify(Some(&state), &name, &id).unwrap(), 42);
        assert_eq!(signer.verify(Some(state.trim_end_matches('=')), &name, &id).unwrap(), 42);
        let other = RepositoryName::parse("a/c").unwrap();
        assert!(signer.verify(Some(&state), &other, &id).is_err());
        assert!(Signer::new(None).verify(Some(&state), &name, &id).is_err());
        for damaged in [None, Some(""), Some("!"), Some("AAAA"), Some(&state[4..])] {
            let error = signer.verify(damaged, &name, &id).unwrap_err();
            assert_eq!(error.code().id(), "BLOB_UPLOAD_INVALID", "{damaged:?}");
            assert_eq!(error.code().status(), 404);
        }
    }

    #[test]
    fn the_signed_json_is_that_of_distribution() {
        let (name, id) = upload();
        let state = Signer::new(Some("secret")).sign(&name, &id, 0, SystemTime::UNIX_EPOCH);
        let token = BASE64.decode(state).unwrap();
        assert_eq!(
            std::str::from_utf8(&token[MAC_LEN..]).unwrap(),
            r#"{"Name":"a/b","UUID":"0d1f","Offset":0,"StartedAt":"1970-01-01T00:00:00Z"}"#
        );
    }
}
