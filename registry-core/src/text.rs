//! What every validated text type shares: how it is parsed, shown, compared and serialized.

use std::fmt;

use crate::error::ErrorCode;

/// What kind of text was refused. It decides the error code on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextKind {
    /// A repository name.
    RepositoryName,
    /// A tag.
    Tag,
    /// A digest.
    Digest,
    /// A media type.
    MediaType,
    /// An upload id.
    UploadId,
    /// A path in a storage driver.
    StoragePath,
    /// A byte range, as in `Content-Range` of an upload.
    Range,
    /// A page limit, the query parameter `n`.
    PageLimit,
}

impl TextKind {
    const fn noun(self) -> &'static str {
        match self {
            Self::RepositoryName => "repository name",
            Self::Tag => "tag",
            Self::Digest => "digest",
            Self::MediaType => "media type",
            Self::UploadId => "upload id",
            Self::StoragePath => "storage path",
            Self::Range => "range",
            Self::PageLimit => "page limit",
        }
    }

    pub(crate) const fn code(self) -> ErrorCode {
        match self {
            Self::RepositoryName => ErrorCode::NAME_INVALID,
            Self::Tag => ErrorCode::TAG_INVALID,
            Self::Digest => ErrorCode::DIGEST_INVALID,
            Self::MediaType => ErrorCode::MANIFEST_INVALID,
            Self::UploadId => ErrorCode::BLOB_UPLOAD_UNKNOWN,
            Self::StoragePath => ErrorCode::UNKNOWN,
            Self::Range => ErrorCode::RANGE_INVALID,
            Self::PageLimit => ErrorCode::PAGINATION_NUMBER_INVALID,
        }
    }
}

/// Text that does not follow its grammar: what it should have been, the text, and why it is refused.
///
/// The text is kept only up to 256 bytes, so that a hostile client cannot fill logs and answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidText {
    kind: TextKind,
    input: Box<str>,
    reason: &'static str,
}

impl InvalidText {
    const KEPT: usize = 256;

    /// An error about `input`, which should have been a `kind`.
    pub fn new(kind: TextKind, input: &str, reason: &'static str) -> Self {
        let mut end = input.len().min(Self::KEPT);
        while !input.is_char_boundary(end) {
            end -= 1;
        }
        Self { kind, input: input[..end].into(), reason }
    }

    /// What the text should have been.
    pub fn kind(&self) -> TextKind {
        self.kind
    }

    /// The refused text, cut after 256 bytes.
    pub fn input(&self) -> &str {
        &self.input
    }

    /// Which rule it breaks.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for InvalidText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid {} {:?}: {}", self.kind.noun(), &*self.input, self.reason)
    }
}

impl std::error::Error for InvalidText {}

/// Implements parsing, display, order and serde for a newtype over `Arc<str>`.
///
/// The type provides `fn check(text: &str) -> Result<(), InvalidText>`; nothing else makes a value.
macro_rules! text_type {
    ($type:ident) => {
        impl $type {
            /// Parses `text`, or says which rule of the grammar it breaks.
            ///
            /// # Errors
            /// [`InvalidText`](crate::InvalidText) with the text and the rule.
            pub fn parse(text: &str) -> Result<Self, crate::InvalidText> {
                Self::check(text)?;
                Ok(Self(text.into()))
            }

            /// The text as it appears on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = crate::InvalidText;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = crate::InvalidText;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::check(&text)?;
                Ok(Self(text.into()))
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($type), "({:?})"), &*self.0)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::try_from(text).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use text_type;
