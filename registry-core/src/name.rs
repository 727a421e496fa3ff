//! Names that clients choose: repositories, tags, references, and the upload ids that we choose.

use std::fmt;
use std::sync::Arc;

use crate::digest::Digest;
use crate::text::{InvalidText, TextKind, text_type};

/// The name of a repository: lower-case path components joined by `/`, at most 255 bytes.
///
/// Grammar of the distribution specification, "Pulling manifests":
/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`.
/// A component never begins with `_`, which is what keeps the store's own directories apart from names.
///
/// ```
/// use registry_core::RepositoryName;
/// assert!(RepositoryName::parse("library/my-app_2.x").is_ok());
/// for refused in ["", "Upper", "a//b", "/a", "a/", "a..b", "a___b", "_a", "../etc"] {
///     assert!(RepositoryName::parse(refused).is_err(), "{refused}");
/// }
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// The longest name in bytes.
    pub const MAX_LEN: usize = 255;

    fn check(text: &str) -> Result<(), InvalidText> {
        let fail = |reason| Err(InvalidText::new(TextKind::RepositoryName, text, reason));
        if text.is_empty() {
            return fail("it is empty");
        }
        if text.len() > Self::MAX_LEN {
            return fail("it is longer than 255 bytes");
        }
        match text.split('/').find_map(component_fault) {
            Some(reason) => fail(reason),
            None => Ok(()),
        }
    }

    /// The path components, from left to right; there is at least one.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

text_type!(RepositoryName);

/// The rule that a path component breaks, if any.
fn component_fault(component: &str) -> Option<&'static str> {
    let bytes = component.as_bytes();
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return Some("a path component is empty");
    };
    if !bytes.iter().all(|&b| alphanumeric(b) || matches!(b, b'.' | b'_' | b'-')) {
        return Some("only a-z, 0-9, '.', '_', '-' and '/' may appear");
    }
    if !alphanumeric(first) || !alphanumeric(last) {
        return Some("a path component begins and ends with a letter or digit");
    }
    let separators = component.split(|c: char| alphanumeric(c as u8)).filter(|s| !s.is_empty());
    for separator in separators {
        let hyphens = separator.bytes().all(|b| b == b'-');
        if !hyphens && !matches!(separator, "." | "_" | "__") {
            return Some("separators are one '.', one or two '_', or any number of '-'");
        }
    }
    None
}

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
///
/// ```
/// use registry_core::Tag;
/// assert!(Tag::parse("v1.0_rc-2").is_ok());
/// assert!(Tag::parse(".hidden").is_err());
/// assert!(Tag::parse(&"x".repeat(129)).is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The longest tag in bytes.
    pub const MAX_LEN: usize = 128;

    fn check(text: &str) -> Result<(), InvalidText> {
        let fail = |reason| Err(InvalidText::new(TextKind::Tag, text, reason));
        let bytes = text.as_bytes();
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        match bytes.first() {
            None => return fail("it is empty"),
            Some(&first) if !word(first) => return fail("it begins with a letter, a digit or '_'"),
            Some(_) => {}
        }
        if bytes.len() > Self::MAX_LEN {
            return fail("it is longer than 128 bytes");
        }
        if !bytes.iter().all(|&b| word(b) || matches!(b, b'.' | b'-')) {
            return fail("only letters, digits, '_', '.' and '-' may appear");
        }
        Ok(())
    }
}

text_type!(Tag);

/// What may follow `/manifests/` in a URL: a tag or a digest.
///
/// Text with a colon can only be a digest, since a tag has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// The name of a manifest, which can move.
    Tag(Tag),
    /// A manifest itself.
    Digest(Digest),
}

impl Reference {
    /// Parses a tag or a digest.
    ///
    /// # Errors
    /// The error of [`Digest::parse`] for text with a colon, of [`Tag::parse`] otherwise.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        if text.contains(':') {
            Digest::parse(text).map(Self::Digest)
        } else {
            Tag::parse(text).map(Self::Tag)
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// The id of an upload session: chosen by the registry, unguessable, safe in a path and in a URL.
///
/// 1 to 128 bytes of `[A-Za-z0-9._-]`, not beginning with a dot. Distribution's ids, which are UUIDs, are
/// ids here too.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(Arc<str>);

impl UploadId {
    fn check(text: &str) -> Result<(), InvalidText> {
        let fail = |reason| Err(InvalidText::new(TextKind::UploadId, text, reason));
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > 128 {
            return fail("it has between 1 and 128 bytes");
        }
        if bytes[0] == b'.' {
            return fail("it does not begin with '.'");
        }
        if !bytes.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
            return fail("only letters, digits, '.', '_' and '-' may appear");
        }
        Ok(())
    }
}

text_type!(UploadId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAME: &str = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$";
    const TAG: &str = r"^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$";

    proptest! {
        #[test]
        fn names_follow_the_grammar_of_the_specification(text in "[a-cA0/._-]{0,12}") {
            let expected = regex::Regex::new(NAME).unwrap().is_match(&text);
            prop_assert_eq!(RepositoryName::parse(&text).is_ok(), expected, "{}", text);
        }

        #[test]
        fn tags_follow_the_grammar_of_the_specification(text in "[a-cA0:/._ -]{0,8}") {
            let expected = regex::Regex::new(TAG).unwrap().is_match(&text);
            prop_assert_eq!(Tag::parse(&text).is_ok(), expected, "{}", text);
        }

        #[test]
        fn parsing_arbitrary_text_never_panics(text in any::<String>()) {
            let _ = RepositoryName::parse(&text);
            let _ = Reference::parse(&text);
            let _ = UploadId::parse(&text);
        }
    }

    #[test]
    fn the_length_limit_of_names_is_255_bytes() {
        assert!(RepositoryName::parse(&"a".repeat(255)).is_ok());
        assert!(RepositoryName::parse(&"a".repeat(256)).is_err());
    }

    #[test]
    fn errors_keep_a_bounded_piece_of_the_input() {
        let error = RepositoryName::parse(&"é".repeat(1000)).unwrap_err();
        assert!(error.input().len() <= 256);
        assert_eq!(error.kind(), TextKind::RepositoryName);
    }

    #[test]
    fn text_with_a_colon_is_a_digest_or_nothing() {
        assert!(Reference::parse("latest").is_ok());
        assert!(Reference::parse("sha256:short").is_err());
        assert_eq!(Reference::parse("sha256:short").unwrap_err().kind(), TextKind::Digest);
    }
}
