//! The grammars of the specifications as regular expressions: a second opinion on the parsers, which are
//! written by hand.

use std::sync::LazyLock;

use regex::Regex;

/// A regular expression for the whole text.
#[derive(Debug)]
pub struct Grammar(LazyLock<Regex>);

impl Grammar {
    /// Whether the whole text follows the grammar.
    pub fn accepts(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

macro_rules! grammar {
    ($(#[$doc:meta])* $name:ident = $text:literal) => {
        $(#[$doc])*
        pub static $name: Grammar =
            Grammar(LazyLock::new(|| Regex::new(concat!(r"\A(?-u:", $text, r")\z")).expect("the grammar")));
    };
}

grammar!(
    /// Distribution specification, "Pulling manifests": `<name>`.
    NAME = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
);
grammar!(
    /// Distribution specification, "Pulling manifests": `<reference>` as a tag.
    TAG = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
);
grammar!(
    /// Image specification, "Digests".
    DIGEST = r"[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+"
);
grammar!(
    /// Image specification, "Registered algorithms".
    REGISTERED = r"sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}"
);
grammar!(
    /// The ids of upload sessions.
    UPLOAD_ID = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}"
);
grammar!(
    /// RFC 6838, section 4.2.
    MEDIA_TYPE = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*"
);
grammar!(
    /// The paths of Distribution's storage drivers.
    STORAGE_PATH = r"/|(/[A-Za-z0-9._-]+)+"
);

/// A repository name: the grammar and 255 bytes.
pub fn is_name(text: &str) -> bool {
    text.len() <= 255 && NAME.accepts(text)
}

/// A digest: the grammar, 512 bytes, and the exact form where the algorithm is registered.
pub fn is_digest(text: &str) -> bool {
    let registered = ["sha256:", "sha384:", "sha512:"].iter().any(|name| text.starts_with(name));
    text.len() <= 512 && DIGEST.accepts(text) && (!registered || REGISTERED.accepts(text))
}

/// A path in a store: the grammar, and no segment that means another directory.
pub fn is_storage_path(text: &str) -> bool {
    STORAGE_PATH.accepts(text) && text.split('/').all(|segment| !matches!(segment, "." | ".."))
}
