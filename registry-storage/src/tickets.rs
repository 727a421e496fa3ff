//! What an upload session needs to go on, carried by the client and kept in memory.
//!
//! Where the store is far away, the state of a session would cost a call to write and another to read
//! with every request. The driver's [ticket](registry_core::Detached), the state of the digest and when
//! the session began go into the URL that the client is given for its next request instead, which may
//! reach any process. This process also remembers the last ticket of its newest sessions, so that a client
//! that comes back with an old one is told where the session is by now.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use bytes::Bytes;
use quick_cache::sync::Cache;
use registry_core::{Algorithm, Digester, UploadId};
use serde::{Deserialize, Serialize};

/// How many sessions are remembered.
const SESSIONS: usize = 4096;

/// Of how many sessions a ticket that was of no use is remembered.
const DISTRUSTED: usize = 256;

/// What is known of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    started: u64,
    /// How many bytes it has.
    pub(crate) size: u64,
    digest: Option<(Algorithm, Vec<u8>)>,
    /// The driver's own.
    pub(crate) file: Bytes,
    /// What of it is in the store.
    pub(crate) files: Files,
}

/// What of a session is in the store, beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Files {
    /// The record of when it began and nothing else.
    #[serde(rename = "r")]
    Record,
    /// More than that, perhaps.
    #[serde(rename = "u")]
    Unknown,
}

/// The text of a ticket: short, for it is part of a URL.
#[derive(Serialize, Deserialize)]
struct Text {
    t: u64,
    n: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    d: Option<(String, String)>,
    f: String,
    k: Files,
}

impl Ticket {
    pub(crate) fn new(
        started_at: SystemTime,
        size: u64,
        digester: Option<&Digester>,
        file: Bytes,
        files: Files,
    ) -> Self {
        let started = started_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let digest = digester.map(|digester| (digester.algorithm(), digester.save().to_vec()));
        Self { started, size, digest, file, files }
    }

    pub(crate) fn started_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.started)
    }

    /// The digest of all bytes so far.
    pub(crate) fn digester(&self) -> Option<Digester> {
        let (algorithm, state) = self.digest.as_ref()?;
        Digester::restore(*algorithm, state).filter(|digester| digester.bytes_hashed() == self.size)
    }

    pub(crate) fn encode(&self) -> String {
        let digest = self.digest.as_ref();
        let text = Text {
            t: self.started,
            n: self.size,
            d: digest.map(|(algorithm, state)| (algorithm.to_string(), BASE64.encode(state))),
            f: BASE64.encode(&self.file),
            k: self.files,
        };
        serde_json::to_string(&text).unwrap_or_default()
    }

    fn decode(text: &str) -> Option<Self> {
        let Text { t, n, d, f, k } = serde_json::from_str(text).ok()?;
        let digest = match d {
            Some((algorithm, state)) => Some((Algorithm::from_name(&algorithm)?, BASE64.decode(state).ok()?)),
            None => None,
        };
        Some(Self { started: t, size: n, digest, file: BASE64.decode(f).ok()?.into(), files: k })
    }
}

/// The last tickets of the newest sessions.
pub(crate) struct Tickets {
    sessions: Cache<UploadId, Ticket>,
    /// Tickets of what is in the store no more. Who comes with one, however often, goes by what is there.
    distrusted: Cache<UploadId, Bytes>,
}

impl Default for Tickets {
    fn default() -> Self {
        Self { sessions: Cache::new(SESSIONS), distrusted: Cache::new(DISTRUSTED) }
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("len", &self.sessions.len()).finish()
    }
}

impl Tickets {
    /// The ticket that has come further: the one that the client has, or the one that is remembered.
    pub(crate) fn newest(&self, id: &UploadId, presented: Option<&str>) -> Option<Ticket> {
        let distrusted = self.distrusted.get(id);
        let trusted = |ticket: &Ticket| distrusted.as_ref() != Some(&ticket.file);
        let presented = presented.and_then(Ticket::decode).filter(trusted);
        let remembered = self.sessions.get(id);
        match (presented, remembered) {
            (Some(presented), Some(remembered)) if presented.size > remembered.size => Some(presented),
            (presented, remembered) => remembered.or(presented),
        }
    }

    /// Whether the session was seen here, and has not ended here.
    pub(crate) fn knows(&self, id: &UploadId) -> bool {
        self.sessions.get(id).is_some()
    }

    pub(crate) fn remember(&self, id: &UploadId, ticket: Ticket) {
        self.sessions.insert(id.clone(), ticket);
    }

    pub(crate) fn forget(&self, id: &UploadId) {
        self.sessions.remove(id);
    }

    /// Forgets a session, and that this ticket of the driver was of any use.
    pub(crate) fn distrust(&self, id: &UploadId, file: Bytes) {
        self.forget(id);
        self.distrusted.insert(id.clone(), file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(size: u64) -> Ticket {
        let mut digester = Digester::new(Algorithm::Sha512);
        digester.update(&vec![0; size as usize]);
        let started_at = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        Ticket::new(started_at, size, Some(&digester), Bytes::from_static(b"\0part"), Files::Record)
    }

    #[test]
    fn a_ticket_is_read_back() {
        let written = ticket(5);
        let read = Ticket::decode(&written.encode()).unwrap();
        assert_eq!(read, written);
        let mut digester = read.digester().unwrap();
        digester.update(b"x");
        assert_eq!(digester.finish(), Algorithm::Sha512.digest(b"\0\0\0\0\0x"));
        assert_eq!(Ticket::decode("{}"), None);
        assert!(
            Ticket { size: 6, ..read }.digester().is_none(),
            "a state of other bytes vouches for nothing"
        );
    }

    #[test]
    fn the_ticket_that_has_come_further_counts() {
        let tickets = Tickets::default();
        let id = UploadId::parse("1").unwrap();
        let newest = |presented: Option<u64>| {
            let presented = presented.map(|size| ticket(size).encode());
            tickets.newest(&id, presented.as_deref()).map(|ticket| ticket.size)
        };
        assert_eq!(newest(None), None);
        assert_eq!(newest(Some(3)), Some(3));
        tickets.remember(&id, ticket(5));
        assert_eq!(newest(Some(3)), Some(5));
        assert_eq!(newest(Some(7)), Some(7));
        tickets.forget(&id);
        assert!(!tickets.knows(&id));
        assert_eq!(newest(Some(3)), Some(3));
        tickets.distrust(&UploadId::parse("2").unwrap(), ticket(3).file);
        assert_eq!(newest(Some(3)), Some(3), "another session's");
        tickets.distrust(&id, ticket(3).file);
        assert_eq!(newest(Some(3)), None);
    }
}
