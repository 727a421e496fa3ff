//! Which type a stored manifest has.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::descriptor::MediaType;

/// Just enough of a manifest to tell its type; borrowed, so that nothing is copied.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe<'a> {
    #[serde(default, borrow)]
    media_type: Option<std::borrow::Cow<'a, str>>,
    #[serde(default)]
    manifests: Option<IgnoredAny>,
    #[serde(default)]
    schema_version: Option<u64>,
}

/// What a manifest's bytes say about their type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeInBytes {
    /// `mediaType` says it.
    Stated(MediaType),
    /// Nothing says it, and the form suggests it: an OCI index has a list of `manifests`, an OCI image
    /// has none.
    Suggested(MediaType),
    /// Nothing says it: no JSON object, or Docker's first format, which has no `mediaType`.
    Unknown,
}

impl TypeInBytes {
    /// Reads as much of a manifest as tells its type.
    pub fn of(payload: &[u8]) -> Self {
        // A derived reader takes a list of the fields' values too.
        if payload.trim_ascii_start().first() != Some(&b'{') {
            return Self::Unknown;
        }
        let (media_type, is_index, schema_version) = match serde_json::from_slice::<Probe<'_>>(payload) {
            Ok(probe) => (
                probe.media_type.map(std::borrow::Cow::into_owned).unwrap_or_default(),
                probe.manifests.is_some(),
                probe.schema_version.unwrap_or_default(),
            ),
            // Repeated keys and odd types end here; the lenient reader decides.
            Err(_) => match super::ManifestDocument::parse(payload) {
                Ok(document) => (document.media_type, document.manifests.is_some(), document.schema_version),
                Err(_) => return Self::Unknown,
            },
        };
        if !media_type.is_empty() {
            return MediaType::try_from(media_type).map_or(Self::Unknown, Self::Stated);
        }
        match (schema_version, is_index) {
            (2, true) => Self::Suggested(MediaType::known(MediaType::OCI_INDEX)),
            (2, false) => Self::Suggested(MediaType::known(MediaType::OCI_IMAGE)),
            _ => Self::Unknown,
        }
    }

    /// The type, stated or suggested.
    pub fn media_type(self) -> Option<MediaType> {
        match self {
            Self::Stated(media_type) | Self::Suggested(media_type) => Some(media_type),
            Self::Unknown => None,
        }
    }
}

/// The media type that a manifest's bytes state or suggest, as Distribution detects it, whose stores keep
/// no types.
pub fn detect_media_type(payload: &[u8]) -> Option<MediaType> {
    TypeInBytes::of(payload).media_type()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_found_in_the_bytes() {
        let detect = |payload: &str| detect_media_type(payload.as_bytes()).map(|t| t.to_string());
        assert_eq!(detect(r#"{"schemaVersion":2,"mediaType":"a/b"}"#).as_deref(), Some("a/b"));
        assert_eq!(detect(r#"{"schemaVersion":2,"manifests":[]}"#).as_deref(), Some(MediaType::OCI_INDEX));
        assert_eq!(detect(r#"{"schemaVersion":2}"#).as_deref(), Some(MediaType::OCI_IMAGE));
        assert_eq!(
            detect(r#"{"schemaVersion":2,"mediaType":"a/a","mediaType":"a/b"}"#).as_deref(),
            Some("a/b"),
            "the last of equal keys counts"
        );
        assert_eq!(detect(r#"{"schemaVersion":1}"#), None);
        assert_eq!(detect("no json"), None);
        assert_eq!(detect(r#"["a/b",null,2]"#), None, "the fields as a list are no object");
        assert_eq!(detect(r#"[]"#), None);
    }
}
