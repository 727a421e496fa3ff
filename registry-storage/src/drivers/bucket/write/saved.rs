//! What is in the bucket of a file that is being written, and how that is written down.

use registry_core::StoragePath;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::names::{Beside, Names};
use super::parts::{Parts, Written};

/// What is in the bucket of a file that is being written: its beginning, in one of three forms, and the few
/// bytes after that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Tells this beginning of the file from others that other processes may have made at the same time.
    /// Later ones are greater.
    pub(crate) lineage: u64,
    /// The parts of an upload.
    pub(crate) upload: Option<Upload>,
    /// A finished object.
    pub(crate) base: Option<Piece>,
    /// Bytes that are too few for a part.
    pub(crate) tail: Option<Piece>,
    /// Objects that are no longer needed.
    pub(crate) old: Vec<String>,
    /// Uploads of others, which come to nothing.
    pub(crate) doomed: Vec<(String, String)>,
    /// The last of what was written down in the bucket; zero if nothing was.
    pub(crate) sequence: u64,
}

/// An upload in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    /// What it becomes.
    pub(crate) key: String,
    /// Where that is a file, its path.
    pub(crate) destined: Option<StoragePath>,
    /// `None` as long as it is not begun.
    pub(crate) id: Option<String>,
    pub(crate) parts: Parts,
}

/// An object that has a piece of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) key: String,
    pub(crate) len: u64,
}

/// Numbers that nobody has had.
pub(crate) fn random() -> u64 {
    Uuid::new_v4().as_u64_pair().0
}

impl Stored {
    /// Nothing.
    pub(crate) fn nothing() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX));
        Self::of((micros << 12) | (random() & 0xfff))
    }

    pub(crate) fn of(lineage: u64) -> Self {
        Self {
            lineage,
            upload: None,
            base: None,
            tail: None,
            old: Vec::new(),
            doomed: Vec::new(),
            sequence: 0,
        }
    }

    /// The length in bytes.
    pub(crate) fn size(&self) -> u64 {
        let piece = |piece: &Option<Piece>| piece.as_ref().map_or(0, |piece| piece.len);
        self.upload.as_ref().map_or(0, |upload| upload.parts.bytes()) + piece(&self.base) + piece(&self.tail)
    }

    /// As text, for a file with this key. With `short`, for a service that can list parts.
    pub(crate) fn write(&self, key: &str, short: bool) -> String {
        let beside = Names::beside_all(key);
        let name = |key: &String| key.strip_prefix(&beside).map_or(String::new(), str::to_owned);
        let piece = |piece: &Piece| (name(&piece.key), piece.len);
        let saved = Saved {
            lineage: self.lineage,
            sequence: self.sequence,
            upload: self.upload.as_ref().and_then(|upload| {
                Some(SavedUpload {
                    id: upload.id.clone()?,
                    key: upload.destined.is_none().then(|| name(&upload.key)),
                    destined: upload.destined.as_ref().map(|path| path.as_str().to_owned()),
                    parts: if short { upload.parts.write_short() } else { upload.parts.write() },
                })
            }),
            base: self.base.as_ref().map(piece),
            tail: self.tail.as_ref().map(piece),
            old: self.old.iter().filter(|old| old.as_str() != key).map(name).collect(),
            doomed: if short { Vec::new() } else { self.doomed.clone() },
        };
        serde_json::to_string(&saved).unwrap_or_default()
    }

    /// The inverse of [`write`](Self::write).
    pub(crate) fn read(names: &Names, key: &str, text: &[u8]) -> Option<Self> {
        let saved: Saved = serde_json::from_slice(text).ok()?;
        let beside = Names::beside_all(key);
        let full = |name: String| if name.is_empty() { key.to_owned() } else { format!("{beside}{name}") };
        let piece = |(name, len)| Piece { key: full(name), len };
        let upload = match saved.upload {
            None => None,
            Some(SavedUpload { id, key: own, destined, parts }) => {
                let destined = destined.map(StoragePath::try_from).transpose().ok()?;
                let key = destined.as_ref().map(|path| names.file(path)).or_else(|| own.map(full))?;
                Some(Upload { key, destined, id: Some(id), parts: Parts::read(parts) })
            }
        };
        Some(Self {
            lineage: saved.lineage,
            upload,
            base: saved.base.map(piece),
            tail: saved.tail.map(piece),
            old: saved.old.into_iter().map(full).collect(),
            doomed: saved.doomed,
            sequence: saved.sequence,
        })
    }

    /// The key of the object that the parts of this become, when they are not written to another file.
    pub(crate) fn upload_key(&self, key: &str) -> String {
        Names::beside(key, &Beside::Upload { lineage: self.lineage })
    }

    /// The key of a new object with what comes after `offset` bytes, for a writer that has opened the file
    /// when it had `since` bytes; one that nobody has without.
    pub(crate) fn tail_key(&self, key: &str, offset: u64, since: Option<u64>) -> String {
        let since = since.unwrap_or_else(|| random() >> 24);
        Names::beside(key, &Beside::Tail { offset, lineage: self.lineage, since })
    }
}

/// The text of it: short, for it may be part of a URL. Names are those beside the file, none being its own.
#[derive(Serialize, Deserialize)]
struct Saved {
    #[serde(rename = "l")]
    lineage: u64,
    #[serde(rename = "s", default, skip_serializing_if = "is_zero")]
    sequence: u64,
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    upload: Option<SavedUpload>,
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    base: Option<(String, u64)>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    tail: Option<(String, u64)>,
    #[serde(rename = "o", default, skip_serializing_if = "Vec::is_empty")]
    old: Vec<String>,
    #[serde(rename = "d", default, skip_serializing_if = "Vec::is_empty")]
    doomed: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct SavedUpload {
    #[serde(rename = "i")]
    id: String,
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    destined: Option<String>,
    #[serde(flatten)]
    parts: Written,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    //! What is written down is read back, and a ticket fits.

    use registry_core::Detached;

    use super::super::super::store::Part;
    use super::*;

    #[test]
    fn what_is_written_down_is_read_back() {
        let names = Names::new("root");
        let key = "root/a/data";
        let mut stored = Stored::nothing();
        let read = |stored: &Stored, short| Stored::read(&names, key, stored.write(key, short).as_bytes());
        assert_eq!(read(&stored, true).as_ref(), Some(&stored));
        stored.base = Some(Piece { key: key.to_owned(), len: 7 });
        assert_eq!(read(&stored, true).as_ref(), Some(&stored));
        stored.base = None;
        stored.tail = Some(Piece { key: stored.tail_key(key, 3, Some(3)), len: 9 });
        stored.old = vec![stored.tail_key(key, 1, None)];
        stored.sequence = 4;
        let destined = StoragePath::parse("/blobs/data").unwrap();
        for destined in [None, Some(destined)] {
            let mut parts = Parts::default();
            (1..=3).for_each(|number| parts.push(Part { number, size: 1, tag: "\"e\"".to_owned() }));
            let key = destined.as_ref().map_or_else(|| stored.upload_key(key), |path| names.file(path));
            stored.upload = Some(Upload { key, destined, id: Some("id".to_owned()), parts });
            assert_eq!(read(&stored, false).as_ref(), Some(&stored));
        }
        assert_eq!(Stored::read(&names, key, b"{}"), None);
    }

    #[test]
    fn a_ticket_fits_however_many_parts_there_are() {
        let mut stored = Stored::nothing();
        let mut parts = Parts::default();
        let tag = format!("\"{}\"", "0".repeat(32));
        (1..=10_000).for_each(|number| parts.push(Part { number, size: 5 << 30, tag: tag.clone() }));
        let key = "docker/registry/v2/a/data";
        stored.tail = Some(Piece { key: stored.tail_key(key, 5 << 40, Some(5 << 40)), len: 5 << 20 });
        stored.old = (0..9).map(|_| stored.tail_key(key, 5 << 40, Some(5 << 40))).collect();
        let (key, id) = (stored.upload_key(key), "i".repeat(300));
        stored.upload = Some(Upload { key, destined: None, id: Some(id), parts });
        let ticket = stored.write("docker/registry/v2/a/data", true);
        assert!(ticket.len() <= Detached::TICKET_LIMIT, "{} bytes: {ticket}", ticket.len());
    }
}
