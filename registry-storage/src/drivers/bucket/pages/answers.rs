//! The answers as XML.

use std::time::SystemTime;

use serde::Deserialize;

use crate::drivers::bucket::store::{Part, Pending};

/// An answer to `GET /?list-type=2`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ListBucketResult {
    pub(super) is_truncated: bool,
    pub(super) next_continuation_token: Option<String>,
    pub(super) contents: Vec<Contents>,
    pub(super) common_prefixes: Vec<CommonPrefix>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Contents {
    pub(super) key: String,
    pub(super) size: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CommonPrefix {
    pub(super) prefix: String,
}

/// An answer to `GET /<key>?uploadId=`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ListPartsResult {
    is_truncated: bool,
    next_part_number_marker: Option<String>,
    part: Vec<ListedPart>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedPart {
    part_number: u32,
    #[serde(rename = "ETag")]
    tag: String,
    size: u64,
}

/// An answer to `GET /?uploads`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ListMultipartUploadsResult {
    upload: Vec<ListedUpload>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedUpload {
    key: String,
    upload_id: String,
    initiated: String,
}

impl ListPartsResult {
    /// The parts, and whether there are more.
    pub(super) fn read(self) -> (impl Iterator<Item = Part>, bool) {
        let more = self.is_truncated && self.next_part_number_marker.is_some_and(|next| !next.is_empty());
        let parts = self.part.into_iter();
        (parts.map(|part| Part { number: part.part_number, size: part.size, tag: part.tag }), more)
    }
}

impl ListMultipartUploadsResult {
    pub(super) fn read(self) -> impl Iterator<Item = Pending> {
        self.upload.into_iter().map(|upload| Pending {
            // One whose age cannot be read counts as new: it is not for the purge.
            initiated: humantime::parse_rfc3339_weak(&upload.initiated).unwrap_or_else(|_| SystemTime::now()),
            key: upload.key,
            upload: upload.upload_id,
        })
    }
}
