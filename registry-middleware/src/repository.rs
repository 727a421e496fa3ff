//! Middleware for the repository hook.

mod immutable_tags;
mod manifest_classes;
mod reference_check;

pub use immutable_tags::ImmutableTags;
pub use manifest_classes::ManifestClasses;
pub use reference_check::{ManifestValidation, Platform, Platforms, ReferenceCheck};
