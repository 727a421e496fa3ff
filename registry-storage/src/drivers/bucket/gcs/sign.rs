//! Signed URLs, version 4 (GOOG4-RSA-SHA256).
//!
//! <https://cloud.google.com/storage/docs/access-control/signing-urls-manually>

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use http::Method;
use registry_core::BoxError;

use super::super::text::{percent, percent_path};

/// What is signed, and by whom.
#[derive(Debug)]
pub(super) struct ToSign<'a> {
    pub(super) method: &'a Method,
    /// `https`, where it is not an emulator.
    pub(super) scheme: &'a str,
    pub(super) host: &'a str,
    /// What the service has before the bucket in its paths; mostly nothing.
    pub(super) base: &'a str,
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    /// The service account.
    pub(super) email: &'a str,
    pub(super) now: SystemTime,
    /// At most [`LONGEST`].
    pub(super) expires_in: Duration,
}

/// How long a URL can stay good.
pub(super) const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A URL that only lacks its signature.
#[derive(Debug)]
pub(super) struct Unsigned {
    url: String,
    /// What the service account has to sign.
    pub(super) message: String,
}

impl ToSign<'_> {
    /// What has to be signed.
    pub(super) fn prepare(&self) -> Unsigned {
        let date = basic_date(self.now);
        let scope = format!("{}/auto/storage/goog4_request", &date[..8]);
        let path = format!("{}/{}/{}", self.base, percent(self.bucket), percent_path(self.key));
        let query = [
            ("X-Goog-Algorithm", "GOOG4-RSA-SHA256".to_owned()),
            ("X-Goog-Credential", percent(&format!("{}/{scope}", self.email))),
            ("X-Goog-Date", date.clone()),
            ("X-Goog-Expires", self.expires_in.min(LONGEST).as_secs().to_string()),
            ("X-Goog-SignedHeaders", "host".to_owned()),
        ];
        // In order already, as the canonical form wants them.
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let query = query.join("&");
        let host = self.host;
        let canonical = format!("{}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD", self.method);
        let hash = hex::encode(digest(&SHA256, canonical.as_bytes()).as_ref());
        Unsigned {
            url: format!("{}://{host}{path}?{query}", self.scheme),
            message: format!("GOOG4-RSA-SHA256\n{date}\n{scope}\n{hash}"),
        }
    }
}

impl Unsigned {
    /// The URL with the signature of its message.
    pub(super) fn with(self, signature: &[u8]) -> Result<http::Uri, BoxError> {
        Ok(format!("{}&X-Goog-Signature={}", self.url, hex::encode(signature)).parse()?)
    }
}

/// Such as `20260102T030405Z`.
fn basic_date(time: SystemTime) -> String {
    let date = humantime::format_rfc3339_seconds(time).to_string();
    date.chars().filter(|c| !matches!(c, '-' | ':')).collect()
}
