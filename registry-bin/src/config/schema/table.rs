//! Every key of the configuration reference, in the order of the reference.

use super::{
    Asks, Key, Kind, Status, duration, flag, key, number, part, plain_part, refused, refused_list,
    refused_value, section, switch, text, texts, word,
};

/// The top level of the file.
pub(crate) const ROOT: &[Key] = &[
    word("version", &["0.1"]),
    section("log", LOG),
    key("loglevel", Kind::Word(LEVELS), Status::Deprecated("write log.level instead")),
    key("storage", Kind::Drivers(STORAGE), Status::Supported),
    key("auth", Kind::Drivers(AUTH), Status::Supported),
    section("middleware", MIDDLEWARE),
    section("http", HTTP),
    section("notifications", NOTIFICATIONS),
    section("redis", REDIS),
    section("health", HEALTH),
    section("catalog", &[number("maxentries").or("1000")]),
    section("tags", &[number("maxtags").or("1000")]),
    refused("proxy", PROXY, Asks::Through(&["remoteurl"])),
    section("validation", VALIDATION),
    section("policy", POLICY),
    key("compatibility", Kind::Any, Status::Obsolete("schema 1 manifests are gone; it is ignored")),
    key("reporting", Kind::Any, Status::Obsolete("bugsnag and newrelic reporting are gone; it is ignored")),
];

const LOG: &[Key] = &[
    word("level", LEVELS).or("info"),
    word("formatter", &["text", "json", "logstash"]).or("text"),
    key("fields", Kind::Map(&Kind::Any), Status::Supported),
    flag("reportcaller").or("false"),
    section("accesslog", &[flag("disabled").or("false")]),
    key("hooks", Kind::List(&Kind::Section(HOOK)), Status::Supported),
];

const LEVELS: &[&str] = &["error", "warn", "info", "debug"];

const HOOK: &[Key] = &[
    word("type", &["mail"]),
    flag("disabled").or("false"),
    key("levels", Kind::List(&Kind::Word(HOOK_LEVELS)), Status::Supported),
    section("options", MAIL).or_variable("MAILOPTIONS"),
];

const HOOK_LEVELS: &[&str] = &["panic", "fatal", "error", "warning", "warn", "info", "debug"];

const MAIL: &[Key] = &[
    section(
        "smtp",
        &[text("addr"), text("username"), text("password").secret(), flag("insecure").or("false")],
    ),
    text("from"),
    texts("to"),
];

/// `storage`
pub(super) const STORAGE: &[Key] = &[
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

const AUTH: &[Key] = &[
    key("none", Kind::Any, Status::NoEffect),
    section("silly", &[text("realm"), text("service")]),
    section("htpasswd", &[text("realm"), text("path")]),
    section("token", TOKEN),
    // Ours.
    section("issuer", ISSUER),
    section(
        "certificate",
        &[
            word("name", &["subject-cn", "uri", "dns", "email"]).or("subject-cn"),
            word("groups", &["none", "ou", "o"]).or("none"),
        ],
    ),
    section("policy", AUTH_POLICY),
    section("audit", &[text("path"), flag("reads").or("true")]),
];

const TOKEN: &[Key] = &[
    text("realm"),
    text("service"),
    text("issuer"),
    text("rootcertbundle"),
    text("jwks"),
    flag("autoredirect").or("false"),
    text("autoredirectpath").or("/auth/token"),
    texts("signingalgorithms"),
];

const ISSUER: &[Key] = &[
    text("service").or("registry"),
    text("issuer"),
    text("realm"),
    text("path").or("/auth/token"),
    text("keys"),
    text("algorithm").or("ES256"),
    duration("rotation").or("720h"),
    duration("expiration").or("5m"),
    duration("refreshexpiration").or("720h"),
    section(
        "users",
        &[text("htpasswd"), text("file"), key("oidc", Kind::List(&Kind::Section(OIDC)), Status::Supported)],
    ),
];

const OIDC: &[Key] = &[
    text("name"),
    text("issuer"),
    text("audience"),
    text("jwks"),
    text("principal"),
    text("groups"),
    key("claims", Kind::Map(&Kind::List(&Kind::Text)), Status::Supported),
    text("ca"),
    text("tokenfile"),
    duration("session").or("1h"),
];

const MIDDLEWARE: &[Key] = &[
    refused_list("registry", &Kind::Section(MIDDLEWARE_ENTRY), Asks::Entries),
    refused_list("repository", &Kind::Section(MIDDLEWARE_ENTRY), Asks::Entries),
    key("storage", Kind::List(&Kind::Section(STORAGE_MIDDLEWARE)), Status::Supported),
];

const STORAGE_MIDDLEWARE: &[Key] = &[
    word("name", &["cloudfront", "redirect", "rewrite"]),
    flag("disabled").or("false"),
    section("options", STORAGE_MIDDLEWARE_OPTIONS),
];

/// Those of all of them, without defaults, since each is for one; which is in `decode/middleware.rs`.
const STORAGE_MIDDLEWARE_OPTIONS: &[Key] = &[
    text("baseurl"),
    text("scheme"),
    text("host"),
    text("trimpathprefix"),
    text("privatekey"),
    text("keypairid"),
    duration("duration"),
    word("ipfilteredby", &["none", "aws", "awsregion"]),
    text("awsregion"),
    duration("updatefrequency"),
    key("updatefrenquency", Kind::Duration, Status::Deprecated("write updatefrequency instead")),
    text("iprangesurl"),
];

const MIDDLEWARE_ENTRY: &[Key] =
    &[part("name"), plain_part("disabled"), refused_value("options", Kind::Any, Asks::Filled)];

const HTTP: &[Key] = &[
    text("addr").or(":5000"),
    word("net", &["tcp", "unix"]).or("tcp"),
    text("prefix"),
    text("host"),
    text("secret").secret(),
    flag("relativeurls").or("false"),
    duration("draintimeout").or("10s"),
    // Ours, both: Distribution waits for ever and takes what comes.
    section(
        "timeouts",
        &[duration("header").or("60s"), duration("body").or("60s"), duration("write").or("60s")],
    ),
    section("limits", &[number("headerbytes").or("65536"), number("connections")]),
    key("headers", Kind::Map(&Kind::List(&Kind::Text)), Status::Supported),
    section("tls", TLS),
    section("debug", DEBUG),
    section("http2", &[flag("disabled").or("false")]),
    section("h2c", &[flag("enabled").or("false")]),
    // Ours.
    section("proxyprotocol", &[flag("enabled").or("false"), texts("trusted")]),
];

const TLS: &[Key] = &[
    text("certificate"),
    text("key"),
    texts("clientcas"),
    text("clientauth"),
    text("minimumtls").or("tls1.2"),
    texts("ciphersuites"),
    section("letsencrypt", &[text("cachefile"), text("email"), texts("hosts"), text("directoryurl")]),
];

const DEBUG: &[Key] =
    &[text("addr"), section("prometheus", &[flag("enabled").or("false"), text("path").or("/metrics")])];

const NOTIFICATIONS: &[Key] = &[
    section("events", &[flag("includereferences").or("false")]).or_variable("EVENTCONFIG"),
    key("endpoints", Kind::List(&Kind::Section(ENDPOINT)), Status::Supported),
    // Ours: Distribution keeps events in memory, without a bound.
    section("queue", &[text("directory"), number("maxbytes").or("67108864")]),
];

const HEADERS: Kind = Kind::Map(&Kind::List(&Kind::Text));

const ENDPOINT: &[Key] = &[
    text("name"),
    flag("disabled").or("false"),
    text("url"),
    key("headers", HEADERS, Status::Supported).secret(),
    duration("timeout").or("1s"),
    number("threshold").or("10"),
    duration("backoff").or("1s"),
    texts("ignoredmediatypes"),
    section("ignore", &[texts("mediatypes"), texts("actions")]),
    // Ours, both.
    word("format", &["distribution", "cloudevents", "cloudevents-binary"]).or("distribution"),
    number("batch").or("1"),
];

const OLD_REDIS: &str = "the old redis keys are ignored; the present ones are addrs, poolsize and so on";

const REDIS: &[Key] = &[
    texts("addrs"),
    text("clientname"),
    number("db").or("0"),
    number("protocol").or("3"),
    text("username"),
    text("password").secret(),
    text("sentinelusername"),
    text("sentinelpassword").secret(),
    number("maxretries").or("3"),
    duration("minretrybackoff").or("8ms"),
    duration("maxretrybackoff").or("512ms"),
    duration("dialtimeout").or("5s"),
    duration("readtimeout").or("250ms"),
    duration("writetimeout"),
    // Go's: whether a deadline of the caller counts. Here every operation has one.
    key("contexttimeoutenabled", Kind::Flag, Status::NoEffect),
    flag("poolfifo").or("false"),
    number("poolsize"),
    duration("pooltimeout"),
    number("minidleconns").or("0"),
    number("maxidleconns").or("0"),
    number("maxactiveconns").or("0"),
    duration("connmaxidletime").or("30m"),
    duration("connmaxlifetime"),
    number("maxredirects").or("3"),
    flag("readonly").or("false"),
    flag("routebylatency").or("false"),
    flag("routerandomly").or("false"),
    text("mastername"),
    flag("disableidentity").or("false"),
    // About commands of search modules, of which none is used.
    key("unstableresp3", Kind::Flag, Status::NoEffect),
    text("identitysuffix"),
    section("tls", REDIS_TLS),
    key("addr", Kind::Text, Status::Obsolete(OLD_REDIS)),
    key("pool", Kind::Any, Status::Obsolete(OLD_REDIS)),
    key("options", Kind::Inline, Status::NoEffect),
];

const REDIS_TLS: &[Key] =
    &[text("certificate"), text("key"), texts("rootcas"), texts("clientcas"), flag("enabled")];

const HEALTH: &[Key] = &[
    section(
        "storagedriver",
        &[flag("enabled").or("false"), duration("interval").or("10s"), number("threshold").or("1")],
    ),
    key("file", Kind::List(&Kind::Section(FILE_CHECK)), Status::Supported).or_variable("FILECHECKERS"),
    key("http", Kind::List(&Kind::Section(HTTP_CHECK)), Status::Supported).or_variable("HTTPCHECKERS"),
    key("tcp", Kind::List(&Kind::Section(TCP_CHECK)), Status::Supported).or_variable("TCPCHECKERS"),
];

const FILE_CHECK: &[Key] = &[text("file"), duration("interval").or("10s"), number("threshold").or("1")];

const HTTP_CHECK: &[Key] = &[
    text("uri"),
    key("headers", HEADERS, Status::Supported).secret(),
    number("statuscode").or("200"),
    duration("timeout").or("5s"),
    duration("interval").or("10s"),
    number("threshold").or("1"),
];

const TCP_CHECK: &[Key] = &[
    text("addr"),
    duration("timeout").or("5s"),
    duration("interval").or("10s"),
    number("threshold").or("1"),
];

const PROXY: &[Key] = &[
    part("remoteurl"),
    part("username"),
    part("password").secret(),
    refused("exec", &[part("command"), plain_part("lifetime")], Asks::Filled),
    plain_part("ttl"),
    plain_part("cachewritetimeout"),
];

const VALIDATION: &[Key] = &[
    key("enabled", Kind::Flag, Status::Deprecated("write validation.disabled instead")),
    flag("disabled").or("false"),
    section(
        "manifests",
        &[
            section("urls", &[texts("allow"), texts("deny")]),
            section(
                "indexes",
                &[
                    word("platforms", &["all", "none", "list"]).or("all"),
                    key("platformlist", Kind::List(&Kind::Section(PLATFORM)), Status::Supported),
                ],
            ),
            // Ours: Distribution always wants the layers of an image.
            section("images", &[word("layers", &["all", "none"]).or("all")]),
        ],
    ),
];

const PLATFORM: &[Key] = &[text("architecture"), text("os")];

const POLICY: &[Key] = &[section("repository", &[texts("classes")])];

const AUTH_POLICY: &[Key] = &[
    text("file"),
    key("private", Kind::Any, Status::Supported).or("false"),
    key("groups", Kind::Map(&Kind::List(&Kind::Text)), Status::Supported),
    key("rules", Kind::List(&Kind::Section(POLICY_RULE)), Status::Supported),
];

/// What `auth.policy.file` leads to.
pub(crate) const POLICY_FILE: &[Key] = &[
    key("private", Kind::Any, Status::Supported),
    key("groups", Kind::Map(&Kind::List(&Kind::Text)), Status::Supported),
    key("rules", Kind::List(&Kind::Section(POLICY_RULE)), Status::Supported),
];

const POLICY_RULE: &[Key] = &[
    text("name"),
    texts("allow"),
    texts("deny"),
    texts("repositories"),
    key("who", Kind::List(&Kind::Any), Status::Supported),
    texts("from"),
];
