//! Decodes `middleware`.

use std::path::PathBuf;
use std::time::Duration;

use registry::middleware::storage::cloudfront::{AwsRanges, CloudFront as Middleware};
use registry::middleware::storage::{BaseUrl, BaseUrlError, Rewrite};

use crate::config::model::{CloudFront, Driver, Storage, StorageMiddleware};
use crate::config::reader::Reader;

const CLOUDFRONT: &str = "cloudfront";
const REDIRECT: &str = "redirect";
const REWRITE: &str = "rewrite";

/// What there is, with the options of each.
const KNOWN: [(&str, &[&str]); 3] = [
    (
        CLOUDFRONT,
        &[
            "baseurl",
            "privatekey",
            "keypairid",
            "duration",
            "ipfilteredby",
            "awsregion",
            "updatefrequency",
            "updatefrenquency",
            "iprangesurl",
        ],
    ),
    (REDIRECT, &["baseurl"]),
    (REWRITE, &["scheme", "host", "trimpathprefix"]),
];

const DURATION: Duration = Duration::from_secs(20 * 60);

pub(super) fn storage(reader: &Reader<'_>, storage: Option<&Storage>) -> Vec<StorageMiddleware> {
    // Without a usable driver nothing is said about what goes with it.
    let mut has_objects = storage.is_none_or(|storage| matches!(storage.driver, Driver::Bucket(_)));
    let mut has_urls = has_objects;
    let off = storage.is_some_and(|storage| !storage.redirects.enabled);
    let mut all = Vec::new();
    for entry in reader.sections("storage") {
        let disabled = entry.flag("disabled") == Some(true);
        if disabled || entry.map().is_none_or(|map| map.entries.is_empty()) {
            continue;
        }
        if off {
            entry.warn("name", "has no effect with storage.redirect.disable: true");
        }
        let Some(middleware) = one(&entry) else {
            // What it would have given is not known.
            (has_objects, has_urls) = (true, true);
            continue;
        };
        match &middleware {
            StorageMiddleware::CloudFront(_) if !has_objects => {
                let text = "cloudfront needs a bucket, as with storage.s3: other drivers have no objects";
                entry.fail("name", text);
            }
            StorageMiddleware::Rewrite(_) if !has_urls => {
                entry
                    .warn("name", "has no effect: there are no URLs to rewrite without a bucket or redirect");
            }
            _ => {}
        }
        has_urls |= !matches!(middleware, StorageMiddleware::Rewrite(_));
        all.push(middleware);
    }
    all
}

fn one(entry: &Reader<'_>) -> Option<StorageMiddleware> {
    let known: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
    let Some(name) = entry.filled("name") else {
        entry.missing("name", format!("is missing; it is one of {}", known.join(", ")));
        return None;
    };
    let Some((name, keys)) = KNOWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)) else {
        let text = format!(
            "no storage middleware registered with name: {name:?}; it is one of {}",
            known.join(", ")
        );
        entry.fail("name", text);
        return None;
    };
    let options = entry.section("options");
    for other in options.map().into_iter().flat_map(|map| &map.entries) {
        let is_option = KNOWN.iter().any(|(_, keys)| keys.contains(&other.key.as_str()));
        if is_option && !keys.contains(&other.key.as_str()) {
            options.fail(&other.key, format!("{name} has no such option; it has {}", keys.join(", ")));
        }
    }
    match *name {
        REDIRECT => base_url(&options, BaseUrl::parse).map(StorageMiddleware::Redirect),
        REWRITE => rewrite(&options).map(StorageMiddleware::Rewrite),
        _ => cloudfront(&options).map(|options| StorageMiddleware::CloudFront(Box::new(options))),
    }
}

fn base_url(options: &Reader<'_>, parse: impl Fn(&str) -> Result<BaseUrl, BaseUrlError>) -> Option<BaseUrl> {
    let example = "write it like https://cdn.example.com/path";
    let Some(text) = options.filled("baseurl") else {
        options.missing("baseurl", format!("no baseurl provided; {example}"));
        return None;
    };
    // Not the text itself: there may be a password in it.
    parse(&text).map_err(|error| options.fail("baseurl", format!("{error}; {example}"))).ok()
}

fn rewrite(options: &Reader<'_>) -> Option<Rewrite> {
    let (scheme, host) = (options.filled("scheme"), options.filled("host"));
    let trimmed = options.filled("trimpathprefix").unwrap_or_default();
    if scheme.is_none() && host.is_none() && trimmed.is_empty() {
        options.missing_warning("host", "rewrites nothing without scheme, host or trimpathprefix");
    }
    let mut rewrite = Rewrite::new().with_trimmed_prefix(trimmed);
    if let Some(scheme) = scheme {
        let with_scheme =
            rewrite.with_scheme(&scheme).map_err(|error| options.fail("scheme", error.to_string()));
        rewrite = with_scheme.ok()?;
    }
    if let Some(host) = host {
        let failed = |error| options.fail("host", format!("{error}; write it like cdn.example.com:8443"));
        rewrite = rewrite.with_host(&host).map_err(failed).ok()?;
    }
    Some(rewrite)
}

fn cloudfront(options: &Reader<'_>) -> Option<CloudFront> {
    let base = base_url(options, BaseUrl::parse_or_https);
    let private_key = private_key(options);
    let key_pair_id = key_pair_id(options);
    let duration = time(options, "duration").unwrap_or(DURATION);
    let direct = direct(options);
    Some(CloudFront {
        base: base?,
        private_key: private_key?,
        private_key_at: options.path("privatekey"),
        key_pair_id: key_pair_id?,
        duration,
        direct,
    })
}

fn private_key(options: &Reader<'_>) -> Option<PathBuf> {
    let Some(path) = options.filled("privatekey") else {
        options.missing("privatekey", "no privatekey provided; name the PEM file with the private key");
        return None;
    };
    if path.contains("-----BEGIN") {
        options.fail("privatekey", "is a key; name the file that the key is in");
        return None;
    }
    Some(PathBuf::from(path))
}

fn key_pair_id(options: &Reader<'_>) -> Option<String> {
    let example = "CloudFront shows it beside the public key, such as K2JCJMDEHXQW5F";
    let Some(id) = options.filled("keypairid") else {
        options.missing("keypairid", format!("no keypairid provided; {example}"));
        return None;
    };
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        options.fail("keypairid", format!("has letters and digits only; {example}"));
    }
    Some(id)
}

fn time(options: &Reader<'_>, key: &str) -> Option<Duration> {
    let nanoseconds = options.duration(key)?;
    let time = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default());
    if time < Middleware::LEAST_TIME {
        options.fail(key, "has to be a time of at least 1s, such as 20m");
    }
    Some(time)
}

/// Whom the filter keeps away from CloudFront.
fn direct(options: &Reader<'_>) -> Option<AwsRanges> {
    let mut ranges = AwsRanges::everywhere();
    let old = time(options, "updatefrenquency");
    if let Some(frequency) = time(options, "updatefrequency").or(old) {
        ranges = ranges.with_update_frequency(frequency);
    }
    if let Some(url) = options.filled("iprangesurl") {
        match ranges.clone().with_url(&url) {
            Ok(there) => ranges = there,
            Err(error) => options.fail("iprangesurl", error),
        }
    }
    let filter = options.filled("ipfilteredby").map(|word| word.trim().to_ascii_lowercase());
    let regions = AwsRanges::regions(&options.text("awsregion").unwrap_or_default());
    if filter.as_deref() != Some("awsregion") && !regions.is_empty() {
        options.warn("awsregion", "has no effect without ipfilteredby: awsregion");
    }
    match filter.as_deref() {
        None | Some("" | "none") => {
            for key in ["updatefrequency", "updatefrenquency", "iprangesurl"] {
                if options.node(key).is_some() {
                    options.warn(key, "has no effect without ipfilteredby");
                }
            }
            None
        }
        Some("aws") => Some(ranges),
        Some("awsregion") => {
            if regions.is_empty() {
                let text = "awsRegion is not defined; name regions with commas between them, such as eu-north-1,us-east-1";
                options.missing("awsregion", text);
            }
            Some(ranges.with_regions(regions))
        }
        Some(other) => {
            let known = "none, aws, awsregion";
            options.fail(
                "ipfilteredby",
                format!("ipfilteredby only allows the following values, not {other:?}: {known}"),
            );
            None
        }
    }
}
