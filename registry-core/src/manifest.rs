//! Reading what a manifest says, without ever writing one.
//!
//! The reader is lenient where Go's is, since Distribution's stores hold what Go accepted: unknown
//! fields are skipped, `null` means absent, and of a repeated key the last one counts.

mod media;
mod unambiguous;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::descriptor::{Descriptor, MediaType};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::manifests::Manifest;

pub use media::{TypeInBytes, detect_media_type};

/// The parts of a manifest that a registry looks at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ManifestDocument {
    /// Always 2 in what we accept; 1 in Docker's first format.
    #[serde(default, deserialize_with = "null_is_default")]
    pub schema_version: u64,
    /// What the manifest says it is.
    #[serde(default, deserialize_with = "null_is_default")]
    pub media_type: String,
    /// The kind of artifact.
    #[serde(default, deserialize_with = "null_is_default")]
    pub artifact_type: String,
    /// The configuration of an image.
    #[serde(default, deserialize_with = "object")]
    pub config: Option<ManifestReference>,
    /// The layers of an image.
    #[serde(default, deserialize_with = "objects")]
    pub layers: Option<Vec<ManifestReference>>,
    /// The children of an index.
    #[serde(default, deserialize_with = "objects")]
    pub manifests: Option<Vec<ManifestReference>>,
    /// The content of an OCI artifact manifest of a release candidate of the image specification.
    #[serde(default, deserialize_with = "objects")]
    pub blobs: Option<Vec<ManifestReference>>,
    /// The manifest that this one refers to.
    #[serde(default, deserialize_with = "object")]
    pub subject: Option<ManifestReference>,
    /// Annotations of the manifest.
    #[serde(default, deserialize_with = "null_is_default")]
    pub annotations: BTreeMap<String, String>,
}

/// A descriptor inside a manifest. The digest is text: it may be anything until it is checked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ManifestReference {
    /// The type of the content.
    #[serde(default, deserialize_with = "null_is_default")]
    pub media_type: String,
    /// The digest, as it is spelled.
    #[serde(default, deserialize_with = "null_is_default")]
    pub digest: String,
    /// The length in bytes.
    #[serde(default, deserialize_with = "null_is_default")]
    pub size: i64,
    /// Where else the content can be had.
    #[serde(default, deserialize_with = "null_is_default")]
    pub urls: Vec<String>,
    /// For which platform it is, for a child of an index.
    #[serde(default, deserialize_with = "object")]
    pub platform: Option<Platform>,
}

/// For which platform a child of an index is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Platform {
    /// The processor, in Go's spelling.
    #[serde(default, deserialize_with = "null_is_default")]
    pub architecture: String,
    /// The operating system, in Go's spelling.
    #[serde(default, deserialize_with = "null_is_default")]
    pub os: String,
}

impl ManifestDocument {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`] for what is no JSON object or has a field of the wrong type.
    pub fn parse(payload: &[u8]) -> Result<Self> {
        Self::from_fields(fields(payload)?)
    }

    fn from_fields(fields: Map<String, Value>) -> Result<Self> {
        serde_json::from_value(Value::Object(fields)).map_err(invalid_json)
    }

    /// Reads a manifest and checks that it can be stored as what it was pushed as: `schemaVersion` is 2,
    /// its `mediaType` is that of the request, it is not an index where it says image or the other way
    /// round, and Go's readers, which Distribution and its garbage collector are, read the same in it.
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`] with the rule that it breaks.
    pub fn parse_checked(manifest: &Manifest) -> Result<Self> {
        let fields = fields(manifest.payload())?;
        unambiguous::check(&fields)?;
        let document = Self::from_fields(fields)?;
        let pushed_as = manifest.media_type().as_str();
        if document.schema_version != 2 {
            return Err(Error::manifest_invalid(format!(
                "unrecognized manifest schema version {}, it should be 2",
                document.schema_version
            )));
        }
        let docker = matches!(pushed_as, MediaType::DOCKER_IMAGE | MediaType::DOCKER_LIST);
        if document.media_type != pushed_as && (docker || !document.media_type.is_empty()) {
            return Err(Error::manifest_invalid(format!(
                "mediaType in manifest should be '{pushed_as}' not '{}'",
                document.media_type
            )));
        }
        if let Some(subject) = &document.subject
            && let Err(fault) = Digest::parse(&subject.digest)
        {
            return Err(Error::manifest_invalid(format!("subject: {fault}")));
        }
        match pushed_as {
            MediaType::OCI_IMAGE | MediaType::DOCKER_IMAGE if document.manifests.is_some() => {
                Err(Error::manifest_invalid("expected an image manifest but found an index ('manifests')"))
            }
            MediaType::OCI_INDEX | MediaType::DOCKER_LIST
                if document.config.is_some() || document.layers.is_some() =>
            {
                Err(Error::manifest_invalid(
                    "expected an index but found an image manifest ('config' or 'layers')",
                ))
            }
            _ => Ok(document),
        }
    }

    /// Descriptors of the blobs that the manifest is made of: configuration, layers, artifact content.
    pub fn blob_references(&self) -> impl Iterator<Item = &ManifestReference> {
        let lists = [&self.layers, &self.blobs];
        self.config.iter().chain(lists.into_iter().flatten().flatten())
    }

    /// Descriptors of the manifests that an index lists.
    pub fn manifest_references(&self) -> impl Iterator<Item = &ManifestReference> {
        self.manifests.iter().flatten()
    }

    /// The digest of the subject, if there is one that is well-formed.
    pub fn subject_digest(&self) -> Option<Digest> {
        self.subject.as_ref().and_then(|subject| Digest::parse(&subject.digest).ok())
    }

    /// How a referrers request describes this manifest: with its annotations and with its artifact
    /// type, for which an image falls back on the type of its configuration (end-12a).
    pub fn referrer_descriptor(&self, descriptor: Descriptor) -> Descriptor {
        let artifact_type: Cow<'_, str> = match &self.config {
            Some(config) if self.artifact_type.is_empty() => config.media_type.as_str().into(),
            _ => self.artifact_type.as_str().into(),
        };
        let artifact_type = (!artifact_type.is_empty()).then(|| artifact_type.into_owned());
        descriptor.with_artifact_type(artifact_type).with_annotations(self.annotations.clone())
    }
}

fn invalid_json(error: serde_json::Error) -> Error {
    Error::manifest_invalid(error.to_string())
}

/// The fields of a manifest. They go through a map, where the last of several equal keys wins; a struct would
/// refuse them.
fn fields(payload: &[u8]) -> Result<Map<String, Value>> {
    match serde_json::from_slice(payload).map_err(invalid_json)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(Error::manifest_invalid("a manifest is a JSON object")),
    }
}

/// An object or nothing. A derived reader alone takes a list of the fields' values too, which no other reader
/// of manifests does.
fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Option::deserialize(deserializer)?.map(from_object).transpose()
}

/// A list of objects or nothing.
fn objects<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let list: Option<Vec<Map<String, Value>>> = Option::deserialize(deserializer)?;
    list.map(|list| list.into_iter().map(from_object).collect()).transpose()
}

fn from_object<T: DeserializeOwned, E: serde::de::Error>(fields: Map<String, Value>) -> Result<T, E> {
    T::deserialize(Value::Object(fields)).map_err(E::custom)
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;

    fn check(media_type: &str, payload: &str) -> Result<ManifestDocument> {
        let media_type = MediaType::parse(media_type).unwrap();
        ManifestDocument::parse_checked(&Manifest::new(media_type, Algorithm::Sha256, payload.to_owned()))
    }

    #[test]
    fn what_go_accepts_is_accepted() {
        let document = check(
            MediaType::OCI_IMAGE,
            r#"{"schemaVersion":2,"layers":null,"annotations":null,"x":1,"artifactType":"a","artifactType":"b"}"#,
        )
        .unwrap();
        assert_eq!(document.artifact_type, "b", "the last of equal keys counts");
        assert_eq!(document.blob_references().count(), 0);
    }

    #[test]
    fn contradictions_are_named() {
        let cases = [
            (MediaType::OCI_IMAGE, "[]", "JSON object"),
            (MediaType::OCI_IMAGE, "{", "EOF"),
            (MediaType::OCI_IMAGE, "{}", "schema version 0"),
            (MediaType::OCI_IMAGE, r#"{"schemaVersion":1}"#, "schema version 1"),
            (MediaType::OCI_IMAGE, r#"{"schemaVersion":2,"manifests":[]}"#, "found an index"),
            (MediaType::OCI_INDEX, r#"{"schemaVersion":2,"layers":[]}"#, "found an image"),
            (MediaType::DOCKER_IMAGE, r#"{"schemaVersion":2}"#, "should be"),
            (MediaType::OCI_IMAGE, r#"{"schemaVersion":2,"mediaType":"a/b"}"#, "not 'a/b'"),
            (MediaType::OCI_IMAGE, r#"{"schemaVersion":2,"layers":7}"#, "invalid type"),
            (
                MediaType::OCI_IMAGE,
                r#"{"schemaVersion":2,"subject":{"digest":"x"}}"#,
                "subject: invalid digest",
            ),
        ];
        for (media_type, payload, expected) in cases {
            let error = check(media_type, payload).unwrap_err();
            assert!(matches!(error, Error::ManifestInvalid { .. }));
            assert!(error.to_string().contains(expected), "{payload}: {error}");
        }
    }

    #[test]
    fn a_list_of_values_is_no_descriptor() {
        let image = |fields: &str| check(MediaType::OCI_IMAGE, &format!(r#"{{"schemaVersion":2,{fields}}}"#));
        let list = format!(r#"["a/b","{}",0]"#, Algorithm::Sha256.digest(b""));
        for fields in [
            format!(r#""config":{list}"#),
            format!(r#""layers":[{list}]"#),
            format!(r#""blobs":[{list}]"#),
            format!(r#""subject":{list}"#),
            r#""config":[]"#.to_owned(),
            r#""config":{"platform":["amd64","linux"]}"#.to_owned(),
        ] {
            assert!(image(&fields).is_err(), "{fields}");
        }
    }

    #[test]
    fn any_type_with_schema_version_2_is_a_manifest() {
        assert!(check("application/vnd.example+json", r#"{"schemaVersion":2}"#).is_ok());
    }

    #[test]
    fn deep_nesting_is_refused_rather_than_followed() {
        let payload = format!(r#"{{"schemaVersion":2,"x":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(check(MediaType::OCI_IMAGE, &payload).is_err());
    }

    #[test]
    fn the_artifact_type_of_an_image_falls_back_on_its_configuration() {
        let descriptor = || Descriptor::blob(Algorithm::Sha256.digest(b""), 0);
        let image = ManifestDocument::parse(br#"{"config":{"mediaType":"a/config"}}"#).unwrap();
        assert_eq!(image.referrer_descriptor(descriptor()).artifact_type.as_deref(), Some("a/config"));
        let index = ManifestDocument::parse(br#"{"manifests":[]}"#).unwrap();
        assert_eq!(index.referrer_descriptor(descriptor()).artifact_type, None);
    }
}
