//! Refusing what another reader would read as something else.
//!
//! Go's reader of JSON, which Distribution, its garbage collector and most clients use, takes `Layers` for
//! `layers`, the last one for all. We tell the two apart. A manifest with both would have one content for us
//! and another for them: their collector would remove layers that are in use here. Where fields that we do not
//! read have a type that Go's reader refuses, its collector ends with an error, for the whole store. So neither
//! is taken in.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The fields of a manifest, of whatever kind.
const MANIFEST: &[&str] = &[
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "blobs",
    "subject",
    "annotations",
];
const DESCRIPTOR: &[&str] =
    &["mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"];
const PLATFORM: &[&str] = &["architecture", "os", "os.version", "os.features", "variant", "features"];

/// Checks the fields of a manifest.
///
/// # Errors
/// [`Error::ManifestInvalid`] with the first field that is at fault.
pub(super) fn check(manifest: &Map<String, Value>) -> Result<()> {
    spelled(manifest, MANIFEST)?;
    // Go's reader passes over a `null`, so an earlier `mediaType` would count for it.
    if manifest.get("mediaType").is_some_and(Value::is_null) {
        return Err(Error::manifest_invalid("'mediaType' should be a text"));
    }
    for field in ["config", "subject"] {
        descriptor(manifest.get(field))?;
    }
    for field in ["layers", "manifests", "blobs"] {
        for entry in manifest.get(field).and_then(Value::as_array).into_iter().flatten() {
            descriptor(Some(entry))?;
        }
    }
    Ok(())
}

fn descriptor(value: Option<&Value>) -> Result<()> {
    let Some(object) = value.and_then(Value::as_object) else { return Ok(()) };
    spelled(object, DESCRIPTOR)?;
    text(object, "artifactType")?;
    match object.get("annotations") {
        None | Some(Value::Null) => {}
        Some(Value::Object(annotations)) => {
            for key in annotations.keys() {
                text(annotations, key)?;
            }
        }
        Some(_) => return Err(wrong("annotations", "an object")),
    }
    match object.get("data") {
        None | Some(Value::Null) => {}
        Some(Value::String(data)) if is_base64(data) => {}
        Some(_) => return Err(wrong("data", "a text in base64")),
    }
    let Some(platform) = object.get("platform").and_then(Value::as_object) else { return Ok(()) };
    spelled(platform, PLATFORM)?;
    for field in ["os.version", "variant"] {
        text(platform, field)?;
    }
    for field in ["os.features", "features"] {
        match platform.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::Array(all)) if all.iter().all(is_text) => {}
            Some(_) => return Err(wrong(field, "a list of texts")),
        }
    }
    Ok(())
}

fn wrong(field: &str, expected: &str) -> Error {
    Error::manifest_invalid(format!("'{field}' in a descriptor: it should be {expected}"))
}

/// Go's reader leaves a text as it is at a `null`.
fn is_text(value: &Value) -> bool {
    value.is_string() || value.is_null()
}

fn text(object: &Map<String, Value>, field: &str) -> Result<()> {
    if object.get(field).is_none_or(is_text) { Ok(()) } else { Err(wrong(field, "a text")) }
}

/// That no field is one of these but for its case.
fn spelled(object: &Map<String, Value>, fields: &[&str]) -> Result<()> {
    for key in object.keys() {
        if let Some(field) = fields.iter().find(|field| **field != key && same_to_go(field, key)) {
            return Err(Error::manifest_invalid(format!("the field '{key}' has to be spelled '{field}'")));
        }
    }
    Ok(())
}

/// Whether Go's reader takes the key for the field. Besides the case of letters it overlooks that of two
/// characters beyond ASCII whose capitals or small letters are in ASCII.
fn same_to_go(field: &str, key: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => c.to_ascii_lowercase(),
    };
    field.chars().map(fold).eq(key.chars().map(fold))
}

/// Whether Go's reader decodes it: whole groups of four, padded; line ends are passed over.
fn is_base64(text: &str) -> bool {
    let symbols: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let padding = symbols.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = &symbols[..symbols.len() - padding];
    symbols.len().is_multiple_of(4)
        && padding <= 2
        && digits.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<()> {
        check(serde_json::from_str::<Value>(text).unwrap().as_object().unwrap())
    }

    #[test]
    fn what_is_spelled_otherwise_is_refused_at_each_level() {
        for text in [
            r#"{"layers":[],"Layers":[]}"#,
            r#"{"SCHEMAVERSION":2}"#,
            r#"{"layer\u017f":[]}"#,
            r#"{"config":{"Digest":"x"}}"#,
            r#"{"layers":[{},{"Size":1}]}"#,
            r#"{"subject":{"mediatype":"a/b"}}"#,
            r#"{"manifests":[{"platform":{"OS":"linux"}}]}"#,
        ] {
            let error = checked(text).unwrap_err().to_string();
            assert!(error.contains("has to be spelled"), "{text}: {error}");
        }
    }

    #[test]
    fn fields_that_we_do_not_read_have_the_types_that_go_wants() {
        for (field, value) in [
            ("annotations", r#"{"a":1}"#),
            ("annotations", "[]"),
            ("artifactType", "{}"),
            ("data", r#""***""#),
            ("data", r#""YQ""#),
            ("data", r#""=""#),
            ("data", "1"),
            ("platform", r#"{"variant":8}"#),
            ("platform", r#"{"os.features":"x"}"#),
            ("platform", r#"{"features":[1]}"#),
        ] {
            let text = format!(r#"{{"layers":[{{"{field}":{value}}}]}}"#);
            assert!(checked(&text).unwrap_err().to_string().contains("in a descriptor"), "{text}");
        }
    }

    #[test]
    fn a_type_that_is_taken_back_is_refused() {
        let error = checked(r#"{"mediaType":"a/b","mediaType":null}"#).unwrap_err();
        assert!(error.to_string().contains("'mediaType' should be a text"), "{error}");
    }

    #[test]
    fn what_is_free_stays_free() {
        for text in [
            r#"{"annotations":{"Layers":"x","layers":"y"},"Extra":1,"x":{"Digest":1}}"#,
            r#"{"config":{"data":"e30=","annotations":{"Size":"x"},"artifactType":"a/b","Extra":1}}"#,
            r#"{"config":{"data":"","annotations":null,"platform":null}}"#,
            r#"{"manifests":[{"platform":{"os.features":["a"],"variant":"v8","os.version":null}}]}"#,
        ] {
            checked(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }
}
