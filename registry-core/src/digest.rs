//! Content digests and how they are computed.

mod digester;

use std::fmt;
use std::sync::Arc;

use crate::text::{InvalidText, TextKind, text_type};

pub use digester::{Digester, verify_stream};

/// A digest algorithm that we can compute, so that content under it can be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Algorithm {
    /// SHA-256, the canonical algorithm.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, in the order in which they are preferred.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The name before the colon of a digest, and of the directory in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The algorithm called `name`, if we can compute it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// How many hexadecimal digits a digest has.
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    /// The digest of `content`.
    pub fn digest(self, content: &[u8]) -> Digest {
        let mut digester = Digester::new(self);
        digester.update(content);
        digester.finish()
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A content digest, `algorithm ':' encoded`.
///
/// Grammar of the image specification:
///
/// ```text
/// digest    = algorithm ":" encoded
/// algorithm = component *( [+._-] component )      component = [a-z0-9]+
/// encoded   = [a-zA-Z0-9=_-]+
/// ```
///
/// For an algorithm whose length is known (`sha256`, `sha384`, `sha512`) the encoded part is lower-case
/// hexadecimal of exactly that length. A well-formed digest of any other algorithm is representable,
/// because a manifest may mention it; [`Digest::algorithm`] is `None` then and nothing stores it.
///
/// ```
/// use registry_core::{Algorithm, Digest};
/// let digest = Algorithm::Sha256.digest(b"");
/// assert_eq!(digest.as_str(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
/// assert!(Digest::parse("sha256:e3b0").is_err());
/// assert_eq!(Digest::parse("blake3:AbC").unwrap().algorithm(), None);
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<str>);

impl Digest {
    /// The longest digest in bytes; longer text is refused before it is looked at.
    pub const MAX_LEN: usize = 512;

    fn check(text: &str) -> Result<(), InvalidText> {
        let fail = |reason| Err(InvalidText::new(TextKind::Digest, text, reason));
        if text.len() > Self::MAX_LEN {
            return fail("it is longer than 512 bytes");
        }
        let Some((algorithm, encoded)) = text.split_once(':') else {
            return fail("it has the form algorithm:encoded");
        };
        let word = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        if !algorithm.split(['+', '.', '_', '-']).all(word) {
            return fail("the algorithm consists of a-z and 0-9, joined by one of '+', '.', '_', '-'");
        }
        if encoded.is_empty()
            || !encoded.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'))
        {
            return fail("the encoded part consists of letters, digits, '=', '_' and '-'");
        }
        let len = match algorithm {
            "sha256" => 64,
            "sha384" => 96,
            "sha512" => 128,
            _ => return Ok(()),
        };
        if encoded.len() != len {
            return fail("the encoded part has the wrong length for its algorithm");
        }
        if !encoded.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return fail("the encoded part is lower-case hexadecimal");
        }
        Ok(())
    }

    fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Self {
        Self(format!("{algorithm}:{}", hex::encode(hash)).into())
    }

    /// The algorithm, if it is one that we can compute and store.
    pub fn algorithm(&self) -> Option<Algorithm> {
        Algorithm::from_name(self.algorithm_name())
    }

    /// The text before the colon.
    pub fn algorithm_name(&self) -> &str {
        self.split().0
    }

    /// The text after the colon: hexadecimal digits where the algorithm is known.
    pub fn encoded(&self) -> &str {
        self.split().1
    }

    fn split(&self) -> (&str, &str) {
        // The colon is part of the invariant; text without one would be all algorithm.
        self.0.split_once(':').unwrap_or((&self.0, ""))
    }

    /// The tag under which clients keep referrers where a registry has no referrers API
    /// (distribution specification, "Referrers Tag Schema").
    pub fn referrers_tag(&self) -> String {
        let cut = |text: &str, max: usize| text.chars().take(max).collect::<String>();
        let tag = format!("{}-{}", cut(self.algorithm_name(), 32), cut(self.encoded(), 64));
        tag.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect()
    }
}

text_type!(Digest);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GRAMMAR: &str = r"^[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$";

    proptest! {
        #[test]
        fn unknown_algorithms_follow_the_grammar(text in "[a-bA+._:=-]{0,8}") {
            let expected = regex::Regex::new(GRAMMAR).unwrap().is_match(&text);
            prop_assert_eq!(Digest::parse(&text).is_ok(), expected, "{}", text);
        }
    }

    #[test]
    fn known_algorithms_are_lower_case_and_of_exact_length() {
        let hex = "a".repeat(64);
        assert!(Digest::parse(&format!("sha256:{hex}")).is_ok());
        assert!(Digest::parse(&format!("sha256:{hex}a")).is_err());
        assert!(Digest::parse(&format!("sha256:{}", hex.to_uppercase())).is_err());
        assert!(Digest::parse(&format!("sha256:{}", "g".repeat(64))).is_err());
        assert!(Digest::parse(&format!("sha512:{hex}")).is_err());
        assert!(Digest::parse(&format!("sha512:{hex}{hex}")).is_ok());
        let known_but_not_computed = Digest::parse(&format!("sha384:{}", "a".repeat(96))).unwrap();
        assert_eq!(known_but_not_computed.algorithm(), None);
    }

    #[test]
    fn referrers_tags_are_those_of_the_specification() {
        let a64 = "a".repeat(64);
        let sha256 = Digest::parse(&format!("sha256:{a64}")).unwrap();
        assert_eq!(sha256.referrers_tag(), format!("sha256-{a64}"));
        let sha512 = Digest::parse(&format!("sha512:{a64}{a64}")).unwrap();
        assert_eq!(sha512.referrers_tag(), format!("sha512-{a64}"));
        let long = Digest::parse(
            "test+algorithm+using+algorithm+separators+and+lots+of+characters+to+excercise+overall+truncation:\
             alsoSome=InTheEncodedSectionToShowHyphenReplacementAndLotsAndLotsOfCharactersToExcerciseEncodedTruncation",
        )
        .unwrap();
        assert_eq!(
            long.referrers_tag(),
            "test-algorithm-using-algorithm-s-alsoSome-InTheEncodedSectionToShowHyphenReplacementAndLotsAndLot"
        );
    }
}
