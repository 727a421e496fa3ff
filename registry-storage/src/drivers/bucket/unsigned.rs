//! URLs that cannot be signed.

use std::sync::Once;

use http::Uri;
use registry_core::BoxError;

/// Says once that no URLs can be signed. Without one clients are served by us, so that is no failure.
#[derive(Debug)]
pub(crate) struct Unsigned(Once);

impl Default for Unsigned {
    fn default() -> Self {
        Self(Once::new())
    }
}

impl Unsigned {
    /// The URL, if there is one. `needs` is what it takes to sign for the service.
    pub(crate) fn or_none(
        &self,
        signed: Result<Option<Uri>, BoxError>,
        service: &str,
        needs: &str,
    ) -> Option<Uri> {
        signed.unwrap_or_else(|error| {
            self.0.call_once(|| {
                tracing::warn!(
                    error = %error,
                    "no URLs can be signed for {service}, so clients are not redirected; this needs {needs}"
                );
            });
            None
        })
    }
}
