//! Uploads in parts, which Azure knows as blocks.
//!
//! The service has no uploads: a block belongs to a blob that need not exist, has a name of our choice, and is
//! forgotten a week after the last of them or when the blob is written. So an upload is what the names of its
//! blocks begin with: when it was begun and a random number.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use object_store::client::{HttpError, HttpErrorKind};
use serde::Deserialize;
use uuid::Uuid;

use super::super::store::Part;
use super::super::xml;

/// The most blocks that a blob is made of.
pub(super) const MOST: u32 = 50_000;

/// How many characters the name of an upload has.
const NAME: usize = 16;

/// A new upload.
pub(super) fn begin(now: SystemTime) -> String {
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let random = Uuid::new_v4().as_u128() as u32;
    format!("{:08x}{random:08x}", seconds & u64::from(u32::MAX))
}

/// When an upload was begun.
pub(super) fn begun(upload: &str) -> Option<SystemTime> {
    let seconds = u32::from_str_radix(upload.get(..8)?, 16).ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(seconds)))
}

/// The id of a block, in base64. All of a blob have to be equally long.
pub(super) fn id(upload: &str, number: u32) -> String {
    STANDARD.encode(format!("{upload}{number:08}"))
}

/// The upload and number that the id of a block tells, if it is one of ours.
fn read_id(id: &str) -> Option<(String, u32)> {
    let name = String::from_utf8(STANDARD.decode(id).ok()?).ok()?;
    let (upload, number) = name.split_at_checked(NAME)?;
    let lower_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    let fits = number.len() == 8 && number.chars().all(|c| c.is_ascii_digit());
    (fits && upload.chars().all(lower_hex)).then_some(())?;
    Some((upload.to_owned(), number.parse().ok()?))
}

/// What makes a blob of blocks (Put Block List).
pub(super) fn commit<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let blocks: String = ids.map(|id| format!("<Latest>{id}</Latest>")).collect();
    format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{blocks}</BlockList>")
}

/// The blocks that a blob is not yet made of, as Get Block List tells them.
#[derive(Debug, Default)]
pub(super) struct Waiting(Vec<(String, Part)>);

impl Waiting {
    pub(super) fn parse(body: &[u8]) -> Result<Self, HttpError> {
        let list: List = xml::parse(body).map_err(|error| HttpError::new(HttpErrorKind::Decode, error))?;
        let blocks = list.uncommitted_blocks.blocks.into_iter();
        let mut parts: Vec<_> = blocks
            .filter_map(|block| {
                let (upload, number) = read_id(&block.name)?;
                Some((upload, Part { number, size: block.size, tag: block.name }))
            })
            .collect();
        parts.sort_by_key(|(_, part)| part.number);
        Ok(Self(parts))
    }

    /// Those of one upload, in order.
    pub(super) fn of(self, upload: &str) -> Vec<Part> {
        self.0.into_iter().filter(|(of, _)| of == upload).map(|(_, part)| part).collect()
    }

    /// The uploads that have some.
    pub(super) fn uploads(self) -> Vec<String> {
        let mut names: Vec<String> = self.0.into_iter().map(|(upload, _)| upload).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    #[serde(default)]
    uncommitted_blocks: Blocks,
}

#[derive(Deserialize, Default)]
struct Blocks {
    #[serde(rename = "Block", default)]
    blocks: Vec<Block>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Block {
    name: String,
    size: u64,
}

#[cfg(test)]
mod tests {
    //! Names of blocks and lists of them.

    use super::*;

    #[test]
    fn ids_are_equally_long_and_can_be_read_back() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let upload = begin(now);
        assert_eq!(upload.len(), NAME);
        assert_eq!(begun(&upload), Some(now));
        for number in [1, 9999, MOST] {
            let id = id(&upload, number);
            assert_eq!(id.len(), 32);
            assert!(!id.contains(['=', '+']), "{id}");
            assert_eq!(read_id(&id), Some((upload.clone(), number)));
        }
        assert_ne!(begin(now), upload);
    }

    #[test]
    fn blocks_of_others_are_passed_over() {
        for name in [
            "00000001",
            "0123456789abcdefghijklmn",
            "",
            "0123456789ABCDEF00000001",
            "0123456789abcdef+0000001",
        ] {
            assert_eq!(read_id(&STANDARD.encode(name)), None, "{name}");
        }
        assert_eq!(read_id("%"), None);
    }

    #[test]
    fn a_list_tells_the_blocks_of_each_upload_in_order() {
        let (one, two) = ("6b49d20000000001", "6b49d20000000002");
        let block = |upload: &str, number, size: u64| {
            format!("<Block><Name>{}</Name><Size>{size}</Size></Block>", id(upload, number))
        };
        let blocks = [block(one, 10, 5), block(two, 1, 7), block(one, 2, 6), block(one, 1, 6)].concat();
        let body = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><CommittedBlocks><Block><Name>{}\
             </Name><Size>9</Size></Block></CommittedBlocks><UncommittedBlocks>{blocks}<Block><Name>b2xk\
             </Name><Size>3</Size></Block></UncommittedBlocks></BlockList>",
            id(one, 7)
        );
        let parts = Waiting::parse(body.as_bytes()).unwrap().of(one);
        let short: Vec<_> = parts.iter().map(|part| (part.number, part.size)).collect();
        assert_eq!(short, [(1, 6), (2, 6), (10, 5)]);
        assert_eq!(parts[1].tag, id(one, 2));
        assert_eq!(Waiting::parse(body.as_bytes()).unwrap().uploads(), [one, two]);
        let none = b"<BlockList><UncommittedBlocks /></BlockList>";
        assert!(Waiting::parse(none).unwrap().uploads().is_empty());
        assert!(Waiting::parse(b"<BlockList/>").unwrap().uploads().is_empty());
    }

    #[test]
    fn a_commit_names_the_blocks_in_order() {
        let body = commit(["YQ==", "Yg=="].into_iter());
        assert!(body.ends_with("<BlockList><Latest>YQ==</Latest><Latest>Yg==</Latest></BlockList>"));
    }
}
