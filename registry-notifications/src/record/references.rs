//! What a manifest refers to, written as Go writes descriptors.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// A descriptor inside a manifest, with everything that it says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reference {
    #[serde(default, deserialize_with = "or_default")]
    media_type: String,
    #[serde(default, deserialize_with = "or_default")]
    digest: String,
    #[serde(default, deserialize_with = "or_default")]
    size: i64,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    urls: Vec<String>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    data: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    artifact_type: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Platform {
    #[serde(default, deserialize_with = "or_default")]
    architecture: String,
    #[serde(default, deserialize_with = "or_default")]
    os: String,
    #[serde(
        default,
        rename = "os.version",
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    os_version: String,
    #[serde(
        default,
        rename = "os.features",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    os_features: Vec<String>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    variant: String,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    config: Option<Reference>,
    #[serde(default)]
    layers: Option<Vec<Reference>>,
    #[serde(default)]
    manifests: Option<Vec<Reference>>,
}

/// Configuration and layers of an image, or the children of an index; of anything that cannot be read, nothing.
pub(super) fn references(payload: &[u8]) -> Vec<Reference> {
    // Through a map, in which the last of several equal keys wins, as for Go.
    let read = serde_json::from_slice(payload)
        .and_then(|value: serde_json::Value| serde_json::from_value::<Document>(value));
    let Ok(document) = read else { return Vec::new() };
    let lists = [document.layers, document.manifests];
    document.config.into_iter().chain(lists.into_iter().flatten().flatten()).collect()
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
