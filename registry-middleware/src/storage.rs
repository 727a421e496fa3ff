//! Middleware for the storage hook: where clients are sent for the bytes of blobs.

mod base_url;
#[cfg(feature = "cloudfront")]
pub mod cloudfront;
mod elsewhere;
mod redirect;
mod rewrite;
#[cfg(test)]
mod testing;

pub use base_url::{BaseUrl, BaseUrlError};
pub use redirect::Redirect;
pub use rewrite::Rewrite;
