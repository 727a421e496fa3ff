//! What of an error goes over the wire.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{Error, ErrorCode};
use crate::text::TextKind;

/// One entry of the error envelope (distribution specification, "Error Codes").
#[derive(Debug, Clone, PartialEq)]
pub struct WireError {
    /// The code and its status.
    pub code: ErrorCode,
    /// The message for people.
    pub message: Cow<'static, str>,
    /// The data for programs, in the forms that Distribution uses.
    pub detail: Option<Value>,
}

impl Error {
    /// The entries of the error envelope, at least one. The status is that of the first.
    ///
    /// Statuses of 500 and above carry the code's fixed message and nothing else: paths, driver names
    /// and backend messages stay inside.
    pub fn wire(&self) -> Vec<WireError> {
        match self {
            Self::Many(errors) if !errors.is_empty() => errors.iter().flat_map(Self::wire).collect(),
            Self::Coded(coded) => vec![WireError {
                code: coded.code,
                message: coded.message.clone(),
                detail: coded.detail.clone(),
            }],
            _ => {
                let code = self.code();
                let detail = if code.status().is_server_error() { None } else { self.detail() };
                vec![WireError { code, message: code.message().into(), detail }]
            }
        }
    }

    fn detail(&self) -> Option<Value> {
        Some(match self {
            Self::NameUnknown { repository } => json!({ "name": repository }),
            Self::BlobUnknown { digest, .. } => json!(digest),
            Self::ManifestUnknown { repository, reference } => match reference {
                crate::Reference::Tag(tag) => json!(format!("unknown tag={tag}")),
                crate::Reference::Digest(digest) => {
                    json!(format!("unknown manifest name={repository} revision={digest}"))
                }
            },
            Self::ManifestBlobUnknown { digest } => json!(digest),
            Self::DigestMismatch { expected, .. } => {
                json!(format!("invalid digest {expected}: content does not match digest"))
            }
            Self::ManifestInvalid { reason } | Self::UploadInvalid { reason } | Self::Denied { reason } => {
                json!(reason)
            }
            // As Distribution answers.
            Self::Invalid(invalid) if invalid.kind() == TextKind::PageLimit => {
                json!({ "n": invalid.input() })
            }
            Self::Invalid(_)
            | Self::ManifestTooLarge { .. }
            | Self::DigestUnsupported { .. }
            | Self::SizeMismatch { .. }
            | Self::UploadUnknown { .. }
            | Self::UploadOffset { .. }
            | Self::UploadBusy { .. }
            | Self::RangeNotSatisfiable { .. }
            | Self::TagExists { .. }
            | Self::Unsupported { .. } => json!(self.to_string()),
            Self::Coded(_) | Self::Many(_) | Self::Storage(_) | Self::Internal { .. } => return None,
        })
    }
}

/// The texts of several errors, the first few of them.
pub(super) fn join(errors: &[Error]) -> String {
    const SHOWN: usize = 8;
    let mut text = errors.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if errors.len() > SHOWN {
        text.push_str(&format!("; and {} more", errors.len() - SHOWN));
    }
    text
}
