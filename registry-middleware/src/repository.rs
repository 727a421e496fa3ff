//! Middleware for the repository hook.

mod immutable_tags;
mod reference_check;

pub use immutable_tags::ImmutableTags;
pub use reference_check::{ManifestValidation, Platform, Platforms, ReferenceCheck};
