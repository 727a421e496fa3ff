//! `storage.s3`

use registry_core::BuildError;

use super::super::options::{S3Credentials, S3Encryption, S3Log, S3Options, Secret};
use super::super::s3::S3;
use super::{BucketKeys, LARGEST_PART, Sizes, bucket, filled, size, user_agent};

const STORAGE_CLASSES: [&str; 9] = [
    "NONE",
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "OUTPOSTS",
    "GLACIER_IR",
    "EXPRESS_ONEZONE",
];

const ACLS: [&str; 7] = [
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
];

/// What services other than Amazon's are signed for, if nothing else is said: most do not look.
const ANY_REGION: &str = "us-east-1";

impl S3Options {
    /// Reads Distribution's keys for S3, and `sessiontoken`, `memory`, `retries` and `retrydeadline`.
    ///
    /// `None` if something essential is missing, which has been told; other mistakes have been told as well.
    pub fn read(keys: &dyn BucketKeys) -> Option<Self> {
        let parts = Some(&Sizes::PARTS);
        let common = bucket(keys, "bucket", "no bucket parameter provided; name the bucket", parts);
        let region = region(keys);
        let mut options = Self::new(String::new(), String::new());
        let flag = |key| keys.flag(key).unwrap_or(false);
        options.credentials = credentials(keys);
        options.endpoint = filled(keys, "regionendpoint");
        options.secure = keys.flag("secure").unwrap_or(options.secure);
        options.redirect_endpoint = filled(keys, "redirectendpoint");
        options.path_style = flag("forcepathstyle");
        options.accelerate = flag("accelerate");
        options.dual_stack = flag("usedualstack");
        options.fips = flag("usefipsendpoint");
        options.encryption = encryption(keys);
        options.storage_class = storage_class(keys);
        options.acl = acl(keys);
        options.v4_auth = v4_auth(keys, options.endpoint.as_deref());
        options.copy_part = size(keys, "multipartcopychunksize", options.copy_part, &Sizes::PARTS);
        let threshold = Sizes { least: 0, most: LARGEST_PART };
        options.copy_threshold = size(keys, "multipartcopythresholdsize", options.copy_threshold, &threshold);
        options.copy_concurrency = copy_concurrency(keys, options.copy_concurrency);
        options.log = log(keys);
        let user_agent = user_agent(keys);
        options.bucket = common?;
        options.bucket.user_agent = user_agent;
        options.region = region?;
        no_effect(keys, &options);
        for wrong in S3::check(&options) {
            match wrong {
                BuildError::Invalid { what, reason } => keys.fail(what, reason),
                other => keys.fail("bucket", other.to_string()),
            }
        }
        Some(options)
    }
}

/// What has a meaning, though not together with the rest.
fn no_effect(keys: &dyn BucketKeys, options: &S3Options) {
    for (key, on) in [("usedualstack", options.dual_stack), ("usefipsendpoint", options.fips)] {
        if on && options.endpoint.is_some() {
            let text = "has no effect beside regionendpoint, which says where the service is";
            keys.warn(key, text.to_owned());
        }
    }
}

fn credentials(keys: &dyn BucketKeys) -> Option<S3Credentials> {
    let (access, secret) = (filled(keys, "accesskey"), filled(keys, "secretkey"));
    let token = filled(keys, "sessiontoken");
    let chain = "without both, credentials come from the environment";
    match (access, secret) {
        (Some(access_key), Some(secret)) => Some(S3Credentials {
            access_key,
            secret_key: Secret::new(secret),
            session_token: token.map(Secret::new),
        }),
        (Some(_), None) => {
            keys.fail("secretkey", format!("is missing beside accesskey; {chain}"));
            None
        }
        (None, Some(_)) => {
            keys.fail("accesskey", format!("is missing beside secretkey; {chain}"));
            None
        }
        (None, None) => {
            if token.is_some() {
                keys.fail("sessiontoken", "belongs to accesskey and secretkey; set them too".to_owned());
            }
            None
        }
    }
}

/// Regions are made faster than lists of them: what looks like one is looked for at the start.
fn region(keys: &dyn BucketKeys) -> Option<String> {
    let elsewhere = filled(keys, "regionendpoint").is_some();
    match filled(keys, "region") {
        None if elsewhere => Some(ANY_REGION.to_owned()),
        None => {
            keys.fail("region", "no region parameter provided; name one, such as eu-central-1".to_owned());
            None
        }
        Some(region) if elsewhere || is_region(&region) => Some(region),
        Some(region) => {
            keys.fail("region", format!("invalid region provided: {region}; write it like eu-central-1"));
            None
        }
    }
}

/// `us-gov-west-1`
fn is_region(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once('-') else { return false };
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    words.contains('-')
        && words.split('-').all(word)
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn encryption(keys: &dyn BucketKeys) -> S3Encryption {
    let on = keys.flag("encrypt").unwrap_or(false);
    match filled(keys, "keyid") {
        Some(key) if on => S3Encryption::Kms(key),
        Some(_) => {
            let text = "encrypts nothing without encrypt: true; set it, or leave keyid out";
            keys.fail("keyid", text.to_owned());
            S3Encryption::None
        }
        None if on => S3Encryption::Service,
        None => S3Encryption::None,
    }
}

fn storage_class(keys: &dyn BucketKeys) -> Option<String> {
    let class = filled(keys, "storageclass")
        .map_or_else(|| "STANDARD".to_owned(), |class| class.to_ascii_uppercase());
    if !STORAGE_CLASSES.contains(&class.as_str()) {
        let text = format!(
            "the storageclass parameter must be one of [{}], {class} invalid",
            STORAGE_CLASSES.join(" ")
        );
        keys.fail("storageclass", text);
    }
    Some(class).filter(|class| class != "NONE")
}

/// `private` is what new objects are without a word. Buckets that have no lists any more, as all new ones of
/// Amazon, refuse the word.
fn acl(keys: &dyn BucketKeys) -> Option<String> {
    let acl = filled(keys, "objectacl")?.to_ascii_lowercase();
    if !ACLS.contains(&acl.as_str()) {
        let text = format!("invalid value for objectacl parameter: {acl}; it is one of {}", ACLS.join(", "));
        keys.fail("objectacl", text);
    }
    Some(acl).filter(|acl| acl != "private")
}

fn v4_auth(keys: &dyn BucketKeys, endpoint: Option<&str>) -> bool {
    let on = keys.flag("v4auth").unwrap_or(true);
    if !on && endpoint.is_none_or(|endpoint| endpoint.contains("amazonaws.com")) {
        let text = "on Amazon S3 this storage driver can only be used with v4 authentication; leave it out";
        keys.fail("v4auth", text.to_owned());
    }
    on
}

fn copy_concurrency(keys: &dyn BucketKeys, default: usize) -> usize {
    let any = Sizes { least: 1, most: u64::MAX };
    let at_once = size(keys, "multipartcopymaxconcurrency", u64::try_from(default).unwrap_or(1), &any);
    usize::try_from(at_once).unwrap_or(default)
}

fn log(keys: &dyn BucketKeys) -> S3Log {
    let Some(level) = filled(keys, "loglevel") else { return S3Log::Off };
    match level.to_ascii_lowercase().as_str() {
        "off" | "false" | "no" | "n" => S3Log::Off,
        // There are no streams of events in what a registry asks for.
        "debug" | "debugwitheventstreambody" => S3Log::Requests,
        "debugwithsigning" => S3Log::Signing,
        "debugwithhttpbody" => {
            let text = "requests are logged, their bodies are not: they are the content of images";
            keys.warn("loglevel", text.to_owned());
            S3Log::Requests
        }
        "debugwithrequestretries" => S3Log::Retries,
        "debugwithrequesterrors" => S3Log::Errors,
        _ => {
            let known = "off, debug, debugwithsigning, debugwithrequestretries, debugwithrequesterrors";
            keys.warn("loglevel", format!("unknown level {level:?}, counts as off; there are {known}"));
            S3Log::Off
        }
    }
}
