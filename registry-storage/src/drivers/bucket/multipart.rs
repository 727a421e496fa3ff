//! Lists of uploads and of their parts, which S3 and the XML interface of Google write alike.

use serde::Deserialize;

use super::store::{BucketError, Part, Pending};
use super::xml;

/// An answer to `GET /?uploads`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Uploads {
    #[serde(default)]
    is_truncated: bool,
    #[serde(default, rename = "Upload")]
    uploads: Vec<Upload>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    upload_id: String,
    initiated: String,
}

/// An answer to `GET /<key>?uploadId=`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Parts {
    #[serde(default)]
    is_truncated: bool,
    next_part_number_marker: Option<String>,
    #[serde(default, rename = "Part")]
    parts: Vec<PartEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PartEntry {
    part_number: u32,
    size: u64,
    #[serde(rename = "ETag")]
    tag: String,
}

impl Uploads {
    /// Reads an answer: the uploads, and whether there may be more after the last of them.
    pub(crate) fn parse(body: &[u8]) -> Result<(Vec<Pending>, bool), BucketError> {
        let answer: Self = xml::parse(body)?;
        let pending = answer.uploads.into_iter().map(|upload| {
            let initiated = humantime::parse_rfc3339_weak(&upload.initiated)
                .map_err(|error| BucketError::Other(Box::new(error)))?;
            Ok(Pending { key: upload.key, upload: upload.upload_id, initiated })
        });
        Ok((pending.collect::<Result<_, BucketError>>()?, answer.is_truncated))
    }
}

impl Parts {
    /// Reads an answer: the parts, and after which number to go on.
    pub(crate) fn parse(body: &[u8]) -> Result<(Vec<Part>, Option<String>), BucketError> {
        let answer: Self = xml::parse(body)?;
        let parts = answer.parts.into_iter();
        let parts = parts.map(|part| Part { number: part.part_number, size: part.size, tag: part.tag });
        let next = answer.next_part_number_marker.filter(|next| answer.is_truncated && !next.is_empty());
        Ok((parts.collect(), next))
    }
}

#[cfg(test)]
mod tests {
    //! Answers as the services write them.

    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn uploads_have_a_key_an_id_and_a_time() {
        let body = b"<?xml version='1.0' encoding='UTF-8'?>\
            <ListMultipartUploadsResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>\
            <Bucket>b</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker>\
            <NextKeyMarker>k2</NextKeyMarker><NextUploadIdMarker>u2</NextUploadIdMarker>\
            <MaxUploads>2</MaxUploads><IsTruncated>true</IsTruncated>\
            <Upload><Key>k1</Key><UploadId>u1</UploadId><StorageClass>STANDARD</StorageClass>\
            <Initiated>2021-11-24T01:08:26.000Z</Initiated></Upload>\
            <Upload><Key>k2</Key><UploadId>u2</UploadId><Initiated>2021-11-24T01:08:27Z</Initiated></Upload>\
            </ListMultipartUploadsResult>";
        let (uploads, more) = Uploads::parse(body).unwrap();
        assert!(more);
        assert_eq!((uploads[0].key.as_str(), uploads[0].upload.as_str()), ("k1", "u1"));
        let second = SystemTime::UNIX_EPOCH + Duration::from_secs(1_637_716_107);
        assert_eq!(uploads[1].initiated, second);
        let none = Uploads::parse(b"<ListMultipartUploadsResult/>").unwrap();
        assert_eq!(none, (Vec::new(), false));
    }

    #[test]
    fn parts_go_on_only_where_the_list_was_cut() {
        let body = |cut: bool| {
            format!(
                "<ListPartsResult><NextPartNumberMarker>2</NextPartNumberMarker><IsTruncated>{cut}\
                 </IsTruncated><Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag><Size>5</Size></Part><Part>\
                 <PartNumber>2</PartNumber><ETag>&quot;b&quot;</ETag><Size>6</Size></Part></ListPartsResult>"
            )
        };
        let (parts, next) = Parts::parse(body(true).as_bytes()).unwrap();
        assert_eq!(next.as_deref(), Some("2"));
        assert_eq!(parts[1], Part { number: 2, size: 6, tag: "\"b\"".to_owned() });
        assert_eq!(Parts::parse(body(false).as_bytes()).unwrap().1, None);
    }
}
