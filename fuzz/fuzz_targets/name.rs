//! Names of every kind: each parser accepts what its grammar accepts and nothing else, and keeps the text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::core::{Digest, InvalidText, MediaType, Reference, RepositoryName, StoragePath, Tag, UploadId};
use registry_fuzz::grammar;

/// Parses the text in every way that there is, which all have to agree, and gives back what was kept.
macro_rules! check {
    ($type:ident, $text:expr, $accepted:expr) => {{
        let text: &str = $text;
        let parsed = $type::parse(text);
        assert_eq!(parsed.is_ok(), $accepted, "{} {text:?}: {parsed:?}", stringify!($type));
        assert_eq!(text.parse::<$type>(), parsed);
        assert_eq!($type::try_from(text.to_owned()), parsed);
        let json = serde_json::to_string(text).expect("JSON");
        assert_eq!(serde_json::from_str::<$type>(&json).ok(), parsed.clone().ok());
        match &parsed {
            Ok(value) => {
                assert_eq!(value.as_str(), text);
                assert_eq!(value.to_string(), text);
                assert_eq!(serde_json::to_string(value).expect("JSON"), json);
            }
            Err(error) => refusal(error, text),
        }
        parsed.ok()
    }};
}

/// A refusal shows a piece of what came, never all of it, and is one line.
fn refusal(error: &InvalidText, text: &str) {
    assert!(error.input().len() <= 256 && text.starts_with(error.input()));
    assert!(!error.reason().is_empty());
    assert!(!error.to_string().contains('\n'), "{error}");
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(name) = check!(RepositoryName, text, grammar::is_name(text)) {
        assert_eq!(name.components().collect::<Vec<_>>().join("/"), text);
        // A name of the store's own cannot be spelled, and none leads anywhere else.
        assert!(name.components().all(|part| !part.starts_with(['_', '.', '-'])));
        assert!(StoragePath::root().join(text).is_ok());
    }
    let tag = check!(Tag, text, grammar::TAG.accepts(text));
    if let Some(tag) = &tag {
        assert!(StoragePath::root().join(tag.as_str()).is_ok());
    }
    if let Some(id) = check!(UploadId, text, grammar::UPLOAD_ID.accepts(text)) {
        assert!(StoragePath::root().join(id.as_str()).is_ok());
    }
    check!(MediaType, text, text.len() <= 255 && grammar::MEDIA_TYPE.accepts(text));
    if let Ok(media_type) = MediaType::from_header(text) {
        assert!(MediaType::parse(media_type.as_str()).is_ok() && text.contains(media_type.as_str()));
    }
    if let Some(path) = check!(StoragePath, text, grammar::is_storage_path(text)) {
        storage_path(&path);
    }
    match Reference::parse(text) {
        Ok(Reference::Tag(parsed)) => assert_eq!(Some(parsed), tag),
        Ok(Reference::Digest(parsed)) => assert_eq!(Ok(parsed), Digest::parse(text)),
        Err(_) => assert!(tag.is_none() && Digest::parse(text).is_err()),
    }
});

fn storage_path(path: &StoragePath) {
    assert!(path.is_within(path) && path.is_within(&StoragePath::root()));
    assert_eq!(format!("/{}", path.relative()), path.as_str());
    match path.parent() {
        None => assert_eq!(*path, StoragePath::root()),
        Some(parent) => {
            assert!(path.is_within(&parent) && !parent.is_within(path));
            assert_eq!(parent.join(path.file_name()), Ok(path.clone()));
        }
    }
}
