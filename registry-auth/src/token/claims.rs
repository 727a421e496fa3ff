//! What a token grants: Distribution's `access`.

use serde::Deserialize;
use serde_json::Value;

use crate::jose::{Claims, Object};

/// What may be done to one thing.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    #[serde(default, rename = "type", deserialize_with = "null_as_default")]
    pub(crate) kind: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) class: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) actions: Vec<String>,
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Takes what a token grants out of its claims.
///
/// # Errors
/// What is not as it has to be.
pub(crate) fn access(claims: &mut Claims) -> serde_json::Result<Vec<Entry>> {
    let access = claims.other.0.remove("access").unwrap_or(Value::Null);
    let entries: Option<Vec<Object<Entry>>> = serde_json::from_value(access)?;
    Ok(entries.unwrap_or_default().into_iter().map(|Object(entry)| entry).collect())
}
