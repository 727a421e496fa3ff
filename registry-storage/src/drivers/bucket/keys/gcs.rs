//! `storage.gcs`

use serde_json::{Map, Value};

use super::super::options::{GcsCredentials, GcsOptions, Secret};
use super::{BucketKeys, LARGEST_PART, LEAST_PART, Sizes, bucket, filled, url, user_agent};

/// What a key file of Google's has in it.
const CREDENTIALS: [&str; 11] = [
    "type",
    "project_id",
    "private_key_id",
    "private_key",
    "client_email",
    "client_id",
    "auth_uri",
    "token_uri",
    "auth_provider_x509_cert_url",
    "client_x509_cert_url",
    "universe_domain",
];

/// What Distribution's uploads come in multiples of.
const UNIT: u64 = 256 << 10;
const LEAST_CONCURRENCY: i64 = 25;

impl GcsOptions {
    /// Reads Distribution's keys for Google Cloud Storage, and `endpoint`, `memory`, `retries` and
    /// `retrydeadline`.
    ///
    /// `None` if something essential is missing, which has been told; other mistakes have been told as well.
    pub fn read(keys: &dyn BucketKeys) -> Option<Self> {
        let sizes = Sizes { least: UNIT, most: LARGEST_PART };
        let common = bucket(keys, "bucket", "no bucket parameter provided; name the bucket", Some(&sizes));
        let endpoint = url(keys, "endpoint", false).map(|_| filled(keys, "endpoint").unwrap_or_default());
        let credentials = credentials(keys, endpoint.as_deref());
        let user_agent = user_agent(keys);
        let mut options = Self::new(String::new());
        if let Some(limit) = keys.number("maxconcurrency") {
            options.max_concurrency = usize::try_from(limit.max(LEAST_CONCURRENCY)).unwrap_or(usize::MAX);
        }
        options.bucket = common?;
        chunk_size(keys, &mut options.bucket.part_size);
        options.bucket.user_agent = user_agent;
        options.endpoint = endpoint;
        options.credentials = credentials?;
        Some(options)
    }
}

fn chunk_size(keys: &dyn BucketKeys, part: &mut u64) {
    if !part.is_multiple_of(UNIT) {
        keys.fail("chunksize", format!("{part} should be a multiple of {UNIT}"));
    }
    if *part < LEAST_PART {
        keys.warn("chunksize", format!("{part} counts as {LEAST_PART}, the least that a part can have"));
        *part = LEAST_PART;
    }
}

fn credentials(keys: &dyn BucketKeys, endpoint: Option<&str>) -> Option<GcsCredentials> {
    let section = keys.section("credentials");
    let fields: Map<String, Value> = CREDENTIALS
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), Value::String(filled(&*section, name)?))))
        .collect();
    if let Some(file) = filled(keys, "keyfile") {
        if !fields.is_empty() {
            keys.warn("credentials", "are not used: keyfile comes first".to_owned());
        }
        return Some(GcsCredentials::File(file.into()));
    }
    if !fields.is_empty() {
        return inline(&*section, fields).map(|json| GcsCredentials::Json(Secret::new(json)));
    }
    // Google's own tokens are not for whoever listens at an address without TLS.
    let in_the_clear = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    Some(if in_the_clear { GcsCredentials::Bearer(Secret::new("none")) } else { GcsCredentials::Default })
}

/// The section as the JSON that it was copied from.
fn inline(section: &dyn BucketKeys, mut fields: Map<String, Value>) -> Option<String> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    if let Some(other) = text("type").filter(|kind| *kind != "service_account") {
        let reason = format!("{other:?} cannot be written here, only service_account");
        section.fail("type", format!("{reason}; name a file of any type in keyfile"));
        return None;
    }
    for name in ["client_email", "private_key"] {
        if text(name).is_none() {
            let text = "is missing; copy every field of the key file, or name the file in keyfile";
            section.fail(name, text.to_owned());
            return None;
        }
    }
    // In variables and single quotes, line ends stay as they were written in the JSON.
    let key = text("private_key").unwrap_or_default().replace("\\n", "\n");
    if !key.trim_start().starts_with("-----BEGIN ") {
        section.fail("private_key", "is no private key in PEM, which begins with -----BEGIN".to_owned());
        return None;
    }
    fields.insert("private_key".to_owned(), key.into());
    fields.insert("type".to_owned(), "service_account".into());
    Some(Value::Object(fields).to_string())
}
