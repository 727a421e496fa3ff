//! How buckets are described in configuration: the keys of each service, with Distribution's names, defaults
//! and ranges.
//!
//! Whoever has keys, in a file or in a value of JSON, makes [`BucketKeys`] of them; what they mean is decided
//! here alone.

#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "gcs")]
mod gcs;
mod json;
#[cfg(feature = "s3")]
mod s3;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::options::BucketOptions;

pub(crate) use json::parse;

/// A section of configuration, and where mistakes in it are told.
///
/// A key that is not there and one that is empty are the same. A value of the wrong kind is told by the
/// method that was asked for it, which then answers `None`.
pub trait BucketKeys {
    /// A text.
    fn text(&self, key: &str) -> Option<String>;
    /// True or false, also as text.
    fn flag(&self, key: &str) -> Option<bool>;
    /// A whole number, also as text.
    fn number(&self, key: &str) -> Option<i64>;
    /// A time.
    fn time(&self, key: &str) -> Option<Duration>;
    /// A section below this one; empty if it is not there.
    fn section(&self, key: &str) -> Box<dyn BucketKeys + '_>;
    /// Tells of a key that is wrong, or missing: the options are of no use.
    fn fail(&self, key: &str, text: String);
    /// Tells of a key that may not be what was meant.
    fn warn(&self, key: &str, text: String);
}

/// The least that S3 takes as a part that is not the last; Google's parts are alike.
#[cfg(any(feature = "s3", feature = "gcs"))]
const LEAST_PART: u64 = 5 << 20;
/// The most that is taken as a part, and copied at once.
#[cfg(any(feature = "s3", feature = "gcs"))]
const LARGEST_PART: u64 = 5 << 30;
/// More tries than this only wait.
const MOST_RETRIES: u64 = 100;
const LEAST_DEADLINE: Duration = Duration::from_secs(1);

/// The numbers that a key can have.
struct Sizes {
    least: u64,
    most: u64,
}

impl Sizes {
    /// Parts of an upload, and of a copy.
    #[cfg(feature = "s3")]
    const PARTS: Self = Self { least: LEAST_PART, most: LARGEST_PART };
}

/// What all services have in common. `name` is the key of the bucket's name, `parts` the sizes that
/// `chunksize` can have where there is such a key.
fn bucket(keys: &dyn BucketKeys, name: &str, missing: &str, parts: Option<&Sizes>) -> Option<BucketOptions> {
    let bucket = filled(keys, name);
    if bucket.is_none() {
        keys.fail(name, missing.to_owned());
    }
    let mut options = BucketOptions::new(bucket.clone().unwrap_or_default());
    if let Some(sizes) = parts {
        options.part_size = size(keys, "chunksize", options.part_size, sizes);
    }
    options.root = keys.text("rootdirectory").unwrap_or_default();
    options.memory = memory(keys, &options);
    options.skip_verify = keys.flag("skipverify").unwrap_or(false);
    let retries = size(keys, "retries", options.retries as u64, &Sizes { least: 0, most: MOST_RETRIES });
    options.retries = usize::try_from(retries).unwrap_or(options.retries);
    if let Some(deadline) = keys.time("retrydeadline") {
        if deadline < LEAST_DEADLINE {
            keys.fail("retrydeadline", "has to be a time of at least 1s, such as 20s".to_owned());
        }
        options.retry_deadline = deadline;
    }
    bucket.map(|_| options)
}

/// A part is in memory until it is uploaded, so that at least one has to fit.
fn memory(keys: &dyn BucketKeys, options: &BucketOptions) -> u64 {
    let Some(memory) = keys.number("memory") else {
        // Whoever asks for larger parts than usual has the memory for two.
        return options.memory.max(options.part_size.saturating_mul(2));
    };
    let memory = u64::try_from(memory).unwrap_or(0);
    if memory < options.part_size {
        let part = options.part_size;
        let text =
            format!("{memory} is less than one part of an upload ({part} bytes); raise it, or leave it out");
        keys.fail("memory", text);
    }
    memory
}

/// What is added to the name of the program in requests.
#[cfg(any(feature = "s3", feature = "gcs"))]
fn user_agent(keys: &dyn BucketKeys) -> Option<String> {
    let agent = filled(keys, "useragent")?;
    if agent.bytes().any(|byte| !(b' '..=b'~').contains(&byte)) {
        keys.fail("useragent", format!("{agent:?} has characters that a header of HTTP cannot have"));
    }
    Some(agent)
}

/// A number within bounds; one outside of them is told.
fn size(keys: &dyn BucketKeys, key: &str, default: u64, sizes: &Sizes) -> u64 {
    let Some(number) = keys.number(key) else { return default };
    match u64::try_from(number) {
        Ok(number) if (sizes.least..=sizes.most).contains(&number) => number,
        _ => {
            let Sizes { least, most } = sizes;
            let bounds = match *most {
                u64::MAX => format!("at least {least}"),
                most => format!("a number between {least} and {most} (inclusive)"),
            };
            keys.fail(key, format!("{number} has to be {bounds}"));
            default
        }
    }
}

/// A text that says something.
fn filled(keys: &dyn BucketKeys, key: &str) -> Option<String> {
    keys.text(key).filter(|text| !text.is_empty())
}

/// The URL of a service, with what is wrong about it told. A host alone will do where the scheme is known
/// otherwise.
#[cfg(any(feature = "gcs", feature = "azure"))]
fn url(keys: &dyn BucketKeys, key: &str, host_alone: bool) -> Option<http::Uri> {
    let text = filled(keys, key)?;
    let whole = match text.contains("://") {
        false if host_alone => format!("https://{text}"),
        _ => text.clone(),
    };
    let uri = whole.parse::<http::Uri>().ok().filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    match uri {
        None => {
            let text = format!("{text:?} is no URL of http or https; write it like https://host.example.com");
            keys.fail(key, text);
            None
        }
        Some(uri) if uri.query().is_some() => {
            keys.fail(key, format!("{text:?} has a query; leave out what begins with the question mark"));
            None
        }
        Some(uri) if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) => {
            keys.fail(key, "has a user before its host; credentials have keys of their own".to_owned());
            None
        }
        Some(uri) => Some(uri),
    }
}
