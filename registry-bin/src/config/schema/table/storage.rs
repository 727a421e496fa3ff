//! The section `storage`.

use super::super::{
    Key, Kind, Status, duration, flag, key, number, section, size, switch, text, texts, word,
};

pub(in super::super) const STORAGE: &[Key] = &[
    section("filesystem", &[text("rootdirectory").or("/var/lib/registry"), number("maxthreads").or("100")]),
    section("inmemory", &[]),
    section("s3", S3),
    section("s3aws", S3),
    section("azure", AZURE),
    section("gcs", GCS),
    key("swift", Kind::Any, Status::Gone(REMOVED_DRIVER)),
    key("oss", Kind::Any, Status::Gone(REMOVED_DRIVER)),
    key("rados", Kind::Any, Status::Gone(REMOVED_DRIVER)),
    section("maintenance", MAINTENANCE),
    section("delete", &[flag("enabled").or("false")]),
    section("redirect", REDIRECT),
    section("tag", &[number("concurrencylimit").or("0")]),
    section("cache", CACHE),
    // Ours.
    number("replicas").or("1"),
];

const REMOVED_DRIVER: &str =
    "this storage driver was dropped from the original registry too; use another one";

const MAINTENANCE: &[Key] = &[
    section(
        "uploadpurging",
        &[
            flag("enabled").or("true"),
            duration("age").or("168h"),
            duration("interval").or("24h"),
            flag("dryrun").or("false"),
        ],
    ),
    section("readonly", &[flag("enabled").or("false")]),
];

/// All but the first are ours.
const REDIRECT: &[Key] = &[
    flag("disable").or("false"),
    texts("networks"),
    texts("exceptnetworks"),
    key("methods", Kind::List(&Kind::Word(&["GET", "HEAD"])), Status::Supported),
    number("minsize").or("0"),
    duration("expiry").or("20m"),
];

const CACHE: &[Key] = &[
    text("blobdescriptor"),
    key("layerinfo", Kind::Text, Status::Deprecated("write storage.cache.blobdescriptor instead")),
    number("blobdescriptorsize").or("10000"),
    // Ours.
    size("manifestsize").or("16MiB"),
];

const S3: &[Key] = &[
    text("accesskey"),
    text("secretkey").secret(),
    // Ours.
    text("sessiontoken").secret(),
    text("region"),
    text("regionendpoint"),
    text("redirectendpoint"),
    switch("forcepathstyle").or("false"),
    text("bucket"),
    switch("encrypt").or("false"),
    text("keyid"),
    switch("secure").or("true"),
    switch("skipverify").or("false"),
    switch("v4auth").or("true"),
    number("chunksize").or(PART),
    number("multipartcopychunksize").or("33554432"),
    number("multipartcopymaxconcurrency").or("100"),
    number("multipartcopythresholdsize").or("33554432"),
    text("rootdirectory"),
    word("storageclass", STORAGE_CLASSES).or("STANDARD"),
    word("objectacl", ACLS).or("private"),
    text("useragent"),
    switch("usedualstack").or("false"),
    switch("accelerate").or("false"),
    switch("usefipsendpoint").or("false"),
    // `off` may arrive as a boolean.
    text("loglevel").or("off"),
    MEMORY,
    RETRIES,
    RETRY_DEADLINE,
];

/// Distribution's are 10 MiB for S3 and 16 MiB for Google: with these, four fit into `memory`.
const PART: &str = "8388608";

// Ours, for all buckets.
const MEMORY: Key = number("memory");
const RETRIES: Key = number("retries").or("5");
const RETRY_DEADLINE: Key = duration("retrydeadline").or("20s");

const STORAGE_CLASSES: &[&str] = &[
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

const ACLS: &[&str] = &[
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
];

const AZURE: &[Key] = &[
    text("accountname"),
    text("accountkey").secret(),
    text("container"),
    section(
        "credentials",
        &[
            word("type", &["client_secret", "shared_key", "default_credentials"]),
            text("clientid"),
            text("tenantid"),
            text("secret").secret(),
        ],
    ),
    text("realm").or("core.windows.net"),
    text("serviceurl"),
    text("rootdirectory"),
    number("max_retries").or("5"),
    duration("retry_delay").or("100ms"),
    // Names of the documentation, which Distribution 3 does not read.
    key(
        "copy_status_poll_max_retry",
        Kind::Number,
        Status::Deprecated("write storage.azure.max_retries instead"),
    ),
    key(
        "copy_status_poll_delay",
        Kind::Duration,
        Status::Deprecated("write storage.azure.retry_delay instead"),
    ),
    switch("skipverify").or("false"),
    text("connectionstring").secret(),
    MEMORY,
    RETRIES,
    RETRY_DEADLINE,
];

const GCS: &[Key] = &[
    text("bucket"),
    text("keyfile"),
    section("credentials", GCS_CREDENTIALS),
    text("rootdirectory"),
    number("chunksize").or(PART),
    number("maxconcurrency").or("50"),
    text("useragent"),
    // Ours.
    text("endpoint"),
    MEMORY,
    RETRIES,
    RETRY_DEADLINE,
];

const GCS_CREDENTIALS: &[Key] = &[
    text("type"),
    text("project_id"),
    text("private_key_id"),
    text("private_key").secret(),
    text("client_email"),
    text("client_id"),
    text("auth_uri"),
    text("token_uri"),
    text("auth_provider_x509_cert_url"),
    text("client_x509_cert_url"),
    text("universe_domain"),
];
