//! Descriptors: what content is, how large, and under which digest.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::text::{InvalidText, TextKind, text_type};

/// A media type `type/subtype` without parameters (RFC 6838, section 4.2), at most 255 bytes.
///
/// Upper and lower case are kept as they came and compare as different, as descriptors are compared
/// byte by byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaType(Arc<str>);

impl MediaType {
    /// The OCI image manifest.
    pub const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
    /// The OCI image index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// The Docker image manifest, version 2 schema 2.
    pub const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// The Docker manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Bytes of which nothing else is known: every blob.
    pub const OCTET_STREAM: &str = "application/octet-stream";

    fn check(text: &str) -> Result<(), InvalidText> {
        let fail = |reason| Err(InvalidText::new(TextKind::MediaType, text, reason));
        if text.len() > 255 {
            return fail("it is longer than 255 bytes");
        }
        let token = |part: &str| {
            let name = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
            part.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric()) && part.bytes().all(name)
        };
        match text.split_once('/') {
            Some((kind, subtype)) if token(kind) && token(subtype) => Ok(()),
            Some(_) | None => fail("it has the form type/subtype"),
        }
    }

    /// The type of content of which nothing is known.
    pub fn octet_stream() -> Self {
        Self(Self::OCTET_STREAM.into())
    }

    /// One of the constants of this type; other text becomes [`MediaType::OCTET_STREAM`].
    pub(crate) fn known(text: &'static str) -> Self {
        Self::parse(text).unwrap_or_else(|_| Self::octet_stream())
    }

    /// Parses the value of a `Content-Type` header and drops its parameters.
    ///
    /// # Errors
    /// [`InvalidText`] if what precedes the first `;` is not a media type.
    pub fn from_header(value: &str) -> Result<Self, InvalidText> {
        Self::parse(value.split(';').next().unwrap_or_default().trim())
    }
}

text_type!(MediaType);

/// What content is, how many bytes it has, and its digest
/// (image specification, "OCI Content Descriptors").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Descriptor {
    /// The type of the content. Blobs are always `application/octet-stream`: the store keeps no types.
    pub media_type: MediaType,
    /// The digest of the content.
    pub digest: Digest,
    /// The length of the content in bytes.
    pub size: u64,
    /// The kind of artifact, in the answer to a referrers request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Annotations, in the answer to a referrers request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// A descriptor of `size` bytes of the given type.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self { media_type, digest, size, artifact_type: None, annotations: BTreeMap::new() }
    }

    /// The descriptor of a blob, of whose content nothing is known.
    pub fn blob(digest: Digest, size: u64) -> Self {
        Self::new(MediaType::octet_stream(), digest, size)
    }

    /// Sets the kind of artifact.
    #[must_use]
    pub fn with_artifact_type(mut self, artifact_type: Option<String>) -> Self {
        self.artifact_type = artifact_type;
        self
    }

    /// Sets the annotations.
    #[must_use]
    pub fn with_annotations(mut self, annotations: BTreeMap<String, String>) -> Self {
        self.annotations = annotations;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_have_two_tokens_and_no_parameters() {
        assert!(MediaType::parse(MediaType::OCI_IMAGE).is_ok());
        for refused in ["", "text", "/json", "a/", "a/b; q=1", "a b/c", "a/b\n"] {
            assert!(MediaType::parse(refused).is_err(), "{refused:?}");
        }
        let with_parameters = MediaType::from_header("application/vnd.x+json; charset=utf-8").unwrap();
        assert_eq!(with_parameters.as_str(), "application/vnd.x+json");
    }

    #[test]
    fn empty_fields_are_left_out_of_the_json() {
        let descriptor = Descriptor::blob(crate::Algorithm::Sha256.digest(b"x"), 1);
        let json = serde_json::to_value(&descriptor).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 3);
        assert_eq!(serde_json::from_value::<Descriptor>(json).unwrap(), descriptor);
    }
}
