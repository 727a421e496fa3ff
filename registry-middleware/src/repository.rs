//! Middleware for the repository hook.

mod compose;
mod immutable_tags;
mod reference_check;

pub(crate) use compose::Composed;

pub use immutable_tags::ImmutableTags;
pub use reference_check::{ManifestValidation, Platform, Platforms, ReferenceCheck};
