//! end-1.

use http::Response;

use super::content;
use crate::body::Body;

/// This is a registry, and the caller may use it.
pub(super) fn get() -> Response<Body> {
    content("application/json", "{}")
}
