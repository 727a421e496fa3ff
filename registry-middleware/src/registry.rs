//! Middleware for the registry hook.

mod page;
mod read_only;
mod select;
mod visible;

pub use read_only::ReadOnly;
pub use select::Select;
pub use visible::Visible;
