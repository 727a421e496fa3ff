//! The state of an upload that goes with its URL.
//!
//! The form is Distribution's, so that during a migration either registry can go on with a session of
//! the other: `_state` is URL-safe base64 of an HMAC-SHA256 and the JSON that it covers.
//!
//! The truth about a session is in the store. The state only tells a URL that is out of date from one
//! that is not, and with `http.secret` set also one that we did not hand out. Without a secret the key
//! is a fixed one: sessions then go on after a restart and on any other process with no configuration,
//! and what keeps strangers out is that the id cannot be guessed.
//!
//! Where finding a session again is dear, as in a bucket, the storage hands out a *ticket* with what it
//! would have to look for, and takes it at its word. So a ticket has a signature of its own, and without a
//! secret its key is a random one: nobody but this process makes tickets that this process takes. One
//! that is not taken is as good as none; the store is asked then.

use std::fmt;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use registry_core::{Error, RepositoryName, UploadId, UploadStatus};
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
    /// Unknown to Distribution, which passes over it.
    #[serde(rename = "Ticket", default, skip_serializing_if = "Option::is_none")]
    ticket: Option<Ticket>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Ticket {
    #[serde(rename = "MAC")]
    mac: String,
    #[serde(rename = "Text")]
    text: String,
}

/// What a state says that was found to be good.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// How far the client believes the upload to be.
    pub(crate) offset: u64,
    /// What the storage said, if that can be vouched for.
    pub(crate) ticket: Option<String>,
}

/// Signs the states of uploads and checks them.
#[derive(Clone)]
pub(crate) struct Signer {
    mac: Hmac<Sha256>,
    tickets: Option<Hmac<Sha256>>,
}

/// An HMAC takes a key of any length.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()))
}

impl Signer {
    /// A signer with the configured secret, if there is one.
    pub(crate) fn new(secret: Option<&str>) -> Self {
        let tickets = match secret {
            Some(secret) => Some(keyed(secret.as_bytes())),
            None => {
                let mut key = [0; MAC_LEN];
                getrandom::fill(&mut key).is_ok().then(|| keyed(&key))
            }
        };
        Self { mac: keyed(secret.map_or(NO_SECRET, str::as_bytes)), tickets }
    }

    /// Vouches for a ticket of one upload. The label keeps its signatures apart from those of states.
    fn seal(&self, name: &RepositoryName, id: &UploadId, ticket: &str) -> Option<Hmac<Sha256>> {
        let mut mac = self.tickets.clone()?;
        mac.update(format!("ticket {name} {id} ").as_bytes());
        mac.update(ticket.as_bytes());
        Some(mac)
    }

    /// The state of an upload.
    pub(crate) fn sign(&self, name: &RepositoryName, status: &UploadStatus) -> String {
        let ticket = status.ticket.as_ref().and_then(|text| {
            let mac = self.seal(name, &status.id, text)?.finalize().into_bytes();
            Some(Ticket { mac: BASE64.encode(mac), text: text.clone() })
        });
        let state = State {
            name: name.to_string(),
            uuid: status.id.to_string(),
            offset: status.size,
            started_at: humantime::format_rfc3339_seconds(status.started_at).to_string(),
            ticket,
        };
        let json = serde_json::to_vec(&state).unwrap_or_default();
        let mut mac = self.mac.clone();
        mac.update(&json);
        let mut token = mac.finalize().into_bytes().to_vec();
        token.extend_from_slice(&json);
        BASE64.encode(token)
    }

    /// What a state vouches for.
    ///
    /// # Errors
    /// [`Error::UploadInvalid`] for one that is missing, malformed, changed, or of another upload.
    pub(crate) fn verify(
        &self,
        state: Option<&str>,
        name: &RepositoryName,
        id: &UploadId,
    ) -> Result<Verified, Error> {
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
        let ticket = state.ticket.filter(|ticket| {
            let mac = BASE64.decode(&ticket.mac).unwrap_or_default();
            self.seal(name, id, &ticket.text).is_some_and(|seal| seal.verify_slice(&mac).is_ok())
        });
        Ok(Verified { offset: state.offset, ticket: ticket.map(|ticket| ticket.text) })
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn status(id: &UploadId, size: u64, ticket: Option<&str>) -> UploadStatus {
        let ticket = ticket.map(str::to_owned);
        UploadStatus { id: id.clone(), size, started_at: SystemTime::UNIX_EPOCH, ticket }
    }

    fn upload() -> (RepositoryName, UploadId) {
        (RepositoryName::parse("a/b").unwrap(), UploadId::parse("0d1f").unwrap())
    }

    #[test]
    fn a_state_is_good_for_its_upload_and_secret_alone() {
        let (name, id) = upload();
        let signer = Signer::new(Some("secret"));
        let state = signer.sign(&name, &status(&id, 42, None));
        let good = Verified { offset: 42, ticket: None };
        assert_eq!(signer.verify(Some(&state), &name, &id).unwrap(), good);
        assert_eq!(signer.verify(Some(state.trim_end_matches('=')), &name, &id).unwrap(), good);
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
        let state = Signer::new(Some("secret")).sign(&name, &status(&id, 0, None));
        let token = BASE64.decode(state).unwrap();
        assert_eq!(
            std::str::from_utf8(&token[MAC_LEN..]).unwrap(),
            r#"{"Name":"a/b","UUID":"0d1f","Offset":0,"StartedAt":"1970-01-01T00:00:00Z"}"#
        );
    }

    #[test]
    fn a_ticket_is_taken_from_whoever_has_the_secret() {
        let (name, id) = upload();
        let ticket = |signer: &Signer, state: &str| signer.verify(Some(state), &name, &id).unwrap().ticket;
        let state = Signer::new(Some("secret")).sign(&name, &status(&id, 7, Some("here")));
        assert_eq!(ticket(&Signer::new(Some("secret")), &state).as_deref(), Some("here"));
        // Everybody knows the key of states where no secret is configured.
        let alone = Signer::new(None);
        let state = alone.sign(&name, &status(&id, 7, Some("here")));
        assert_eq!(ticket(&alone, &state).as_deref(), Some("here"));
        assert_eq!(ticket(&Signer::new(None), &state), None);
    }

    #[test]
    fn a_ticket_is_of_one_upload_and_cannot_be_changed() {
        let (name, id) = upload();
        let signer = Signer::new(None);
        let resign = |change: &dyn Fn(&mut State)| {
            let token = BASE64.decode(signer.sign(&name, &status(&id, 7, Some("here")))).unwrap();
            let mut state: State = serde_json::from_slice(&token[MAC_LEN..]).unwrap();
            change(&mut state);
            let json = serde_json::to_vec(&state).unwrap();
            // As anybody can.
            let mut mac = keyed(NO_SECRET);
            mac.update(&json);
            BASE64.encode([mac.finalize().into_bytes().to_vec(), json].concat())
        };
        let of = |state: &str, id: &UploadId| signer.verify(Some(state), &name, id).unwrap().ticket;
        assert_eq!(of(&resign(&|_| {}), &id).as_deref(), Some("here"));
        let changed = resign(&|state| state.ticket.as_mut().unwrap().text = "there".to_owned());
        assert_eq!(of(&changed, &id), None);
        let moved = resign(&|state| state.uuid = "0d2f".to_owned());
        assert_eq!(of(&moved, &UploadId::parse("0d2f").unwrap()), None);
    }
}
