//! Every key of the configuration reference, in the order of the reference.

use super::{
    Asks, Key, Kind, Status, duration, flag, key, number, part, plain_part, refused, refused_list,
    refused_value, section, text, texts, word,
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
    refused("s3", S3, Asks::Always),
    refused("s3aws", S3, Asks::Always),
    refused("azure", AZURE, Asks::Always),
    refused("gcs", GCS, Asks::Always),
    key("swift", Kind::Any, Status::Gone(REMOVED_DRIVER)),
    key("oss", Kind::Any, Status::Gone(REMOVED_DRIVER)),
    key("rados", Kind::Any, Status::Gone(REMOVED_DRIVER)),
    section("maintenance", MAINTENANCE),
    section("delete", &[flag("enabled").or("false")]),
    section("redirect", &[flag("disable").or("false")]),
    section("tag", &[number("concurrencylimit").or("0")]),
    section("cache", CACHE),
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

const CACHE: &[Key] = &[
    text("blobdescriptor"),
    key("layerinfo", Kind::Text, Status::Deprecated("write storage.cache.blobdescriptor instead")),
    number("blobdescriptorsize").or("10000"),
];

const S3: &[Key] = &[
    part("accesskey"),
    part("secretkey").secret(),
    part("region"),
    part("regionendpoint"),
    part("redirectendpoint"),
    plain_part("forcepathstyle"),
    part("bucket"),
    plain_part("encrypt"),
    part("keyid"),
    plain_part("secure"),
    plain_part("skipverify"),
    plain_part("v4auth"),
    plain_part("chunksize"),
    plain_part("multipartcopychunksize"),
    plain_part("multipartcopymaxconcurrency"),
    plain_part("multipartcopythresholdsize"),
    part("rootdirectory"),
    part("storageclass"),
    part("objectacl"),
    part("useragent"),
    plain_part("usedualstack"),
    plain_part("accelerate"),
    plain_part("usefipsendpoint"),
    part("loglevel"),
];

const AZURE: &[Key] = &[
    part("accountname"),
    part("accountkey").secret(),
    part("container"),
    refused(
        "credentials",
        &[part("type"), part("clientid"), part("tenantid"), part("secret").secret()],
        Asks::Filled,
    ),
    part("realm"),
    part("serviceurl"),
    part("rootdirectory"),
    plain_part("max_retries"),
    part("retry_delay"),
    plain_part("copy_status_poll_max_retry"),
    part("copy_status_poll_delay"),
    plain_part("skipverify"),
    part("connectionstring").secret(),
];

const GCS: &[Key] = &[
    part("bucket"),
    part("keyfile"),
    refused("credentials", GCS_CREDENTIALS, Asks::Filled),
    part("rootdirectory"),
    plain_part("chunksize"),
    plain_part("maxconcurrency"),
    part("useragent"),
];

const GCS_CREDENTIALS: &[Key] = &[
    part("type"),
    part("project_id"),
    part("private_key_id"),
    part("private_key").secret(),
    part("client_email"),
    part("client_id"),
    part("auth_uri"),
    part("token_uri"),
    part("auth_provider_x509_cert_url"),
    part("client_x509_cert_url"),
    part("universe_domain"),
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
    refused_list("storage", &Kind::Section(MIDDLEWARE_ENTRY), Asks::Entries),
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
