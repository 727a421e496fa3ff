//! Middleware for the registry hook.

mod read_only;
mod select;

pub use read_only::ReadOnly;
pub use select::Select;
