//! Between the shapes of `s3s` and those of the bucket.

use s3s::checksum::ChecksumHasher;
use s3s::dto::{CopySource, ETag, ETagCondition, GetObjectOutput, HeadObjectOutput, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::super::BUCKET;
use super::super::bucket::{Condition, Object, Refusal};

impl From<Refusal> for S3Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchKey => s3_error!(NoSuchKey),
            Refusal::NoSuchUpload => s3_error!(NoSuchUpload),
            Refusal::InvalidPart => s3_error!(InvalidPart),
            Refusal::InvalidPartOrder => s3_error!(InvalidPartOrder),
            Refusal::EntityTooSmall => s3_error!(EntityTooSmall),
            Refusal::EntityTooLarge => s3_error!(EntityTooLarge),
            Refusal::CopyTooLarge => s3_error!(
                InvalidRequest,
                "The specified copy source is larger than the maximum allowable size for a copy source"
            ),
            Refusal::PreconditionFailed => s3_error!(PreconditionFailed),
        }
    }
}

/// Refuses every bucket but ours.
pub(super) fn ours(bucket: &str) -> S3Result<()> {
    if bucket == BUCKET { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
}

/// The key that a copy takes from.
pub(super) fn source(source: &CopySource) -> S3Result<&str> {
    match source {
        CopySource::Bucket { bucket, key, .. } => ours(bucket).map(|()| &**key),
        CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => Err(s3_error!(NotImplemented)),
    }
}

pub(super) fn condition(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::None),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        (Some(ETagCondition::Any), None) => Ok(Condition::Present),
        (Some(ETagCondition::ETag(tag)), None) => Ok(Condition::Tag(tag.value().to_owned())),
        // S3 takes no tag in If-None-Match of a write, and not both headers.
        _ => Err(s3_error!(NotImplemented)),
    }
}

/// Refuses a read whose conditions do not hold.
pub(super) fn read_condition(
    object: &Object,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let is = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(tag) => tag.value() == object.tag,
    };
    if if_match.is_some_and(|condition| !is(condition)) {
        return Err(s3_error!(PreconditionFailed));
    }
    if if_none_match.is_some_and(is) {
        let mut error = S3Error::new(S3ErrorCode::Custom("NotModified".into()));
        error.set_status_code(http::StatusCode::NOT_MODIFIED);
        return Err(error);
    }
    Ok(())
}

pub(super) fn tag(tag: &str) -> ETag {
    ETag::Strong(tag.to_owned())
}

macro_rules! described {
    ($object:expr, $output:ident { $($field:ident: $value:expr),* $(,)? }) => {{
        let object: &Object = $object;
        let said = object.attributes.clone();
        $output {
            accept_ranges: Some("bytes".to_owned()),
            last_modified: Some(Timestamp::from(object.modified)),
            e_tag: Some(tag(&object.tag)),
            // What S3 gives to an object that came without a type.
            content_type: Some(said.content_type.unwrap_or_else(|| "binary/octet-stream".to_owned())),
            content_disposition: said.content_disposition,
            content_encoding: said.content_encoding,
            content_language: said.content_language,
            cache_control: said.cache_control,
            // S3 names the class only if it is not the usual one.
            storage_class: said.storage_class.filter(|class| class != "STANDARD").map(Into::into),
            server_side_encryption: said.encryption.map(Into::into),
            ssekms_key_id: said.encryption_key,
            metadata: said.metadata,
            $($field: $value,)*
            ..Default::default()
        }
    }};
}

pub(super) fn get_output(object: &Object) -> GetObjectOutput {
    described!(object, GetObjectOutput {})
}

pub(super) fn head_output(object: &Object) -> HeadObjectOutput {
    described!(object, HeadObjectOutput { content_length: i64::try_from(object.data.length()).ok() })
}

/// What the writer said, of any input that has these fields.
macro_rules! said {
    ($input:expr) => {
        crate::emulator::bucket::Attributes {
            content_type: $input.content_type.clone(),
            content_disposition: $input.content_disposition.clone(),
            content_encoding: $input.content_encoding.clone(),
            content_language: $input.content_language.clone(),
            cache_control: $input.cache_control.clone(),
            storage_class: $input.storage_class.as_ref().map(|class| class.as_str().to_owned()),
            encryption: $input.server_side_encryption.as_ref().map(|kind| kind.as_str().to_owned()),
            encryption_key: $input.ssekms_key_id.clone(),
            metadata: $input.metadata.clone(),
        }
    };
}
pub(super) use said;

/// The checksums that came with a body, which have to be those of its bytes.
#[derive(Default)]
pub(super) struct Claimed {
    pub(super) crc32: Option<String>,
    pub(super) crc32c: Option<String>,
    pub(super) crc64nvme: Option<String>,
    pub(super) sha1: Option<String>,
    pub(super) sha256: Option<String>,
}

macro_rules! claimed {
    ($input:expr) => {
        Claimed {
            crc32: $input.checksum_crc32.clone(),
            crc32c: $input.checksum_crc32c.clone(),
            crc64nvme: $input.checksum_crc64nvme.clone(),
            sha1: $input.checksum_sha1.clone(),
            sha256: $input.checksum_sha256.clone(),
        }
    };
}
pub(super) use claimed;

impl Claimed {
    pub(super) fn hasher(&self) -> ChecksumHasher {
        ChecksumHasher {
            crc32: self.crc32.as_ref().map(|_| Default::default()),
            crc32c: self.crc32c.as_ref().map(|_| Default::default()),
            crc64nvme: self.crc64nvme.as_ref().map(|_| Default::default()),
            sha1: self.sha1.as_ref().map(|_| Default::default()),
            sha256: self.sha256.as_ref().map(|_| Default::default()),
        }
    }

    pub(super) fn check(&self, hasher: ChecksumHasher) -> S3Result<()> {
        let is = hasher.finalize();
        let same = is.checksum_crc32 == self.crc32
            && is.checksum_crc32c == self.crc32c
            && is.checksum_crc64nvme == self.crc64nvme
            && is.checksum_sha1 == self.sha1
            && is.checksum_sha256 == self.sha256;
        if same { Ok(()) } else { Err(s3_error!(BadDigest)) }
    }
}
