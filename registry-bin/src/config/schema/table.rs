//! Every key of the configuration reference, in the order of the reference.

use super::{
    Asks, Key, Kind, Status, key, part, plain, plain_part, refused, refused_list, refused_value, section,
    text, texts,
};

/// The top level of the file.
pub(crate) const ROOT: &[Key] = &[
    text("version"),
    section("log", LOG),
    key("loglevel", Kind::Text, Status::Deprecated("write log.level instead")),
    key("storage", Kind::Drivers(STORAGE), Status::Supported),
    key("auth", Kind::Drivers(AUTH), Status::Supported),
    section("middleware", MIDDLEWARE),
    section("http", HTTP),
    refused("notifications", NOTIFICATIONS, Asks::Through(&["endpoints"])),
    refused("redis", REDIS, Asks::Through(&["addrs"])),
    refused("health", HEALTH, Asks::Through(&["storagedriver", "file", "http", "tcp"])),
    section("catalog", &[plain("maxentries")]),
    section("tags", &[plain("maxtags")]),
    refused("proxy", PROXY, Asks::Through(&["remoteurl"])),
    section("validation", VALIDATION),
    refused("policy", POLICY, Asks::Filled),
    key("compatibility", Kind::Any, Status::Obsolete("schema 1 manifests are gone; it is ignored")),
    key("reporting", Kind::Any, Status::Obsolete("bugsnag and newrelic reporting are gone; it is ignored")),
];

const LOG: &[Key] = &[
    text("level"),
    key("formatter", Kind::Text, Status::SupportedExcept(&["logstash"])),
    key("fields", Kind::Map(&Kind::Any), Status::Supported),
    plain("reportcaller"),
    section("accesslog", &[plain("disabled")]),
    refused_list("hooks", &Kind::Section(HOOK), Asks::Entries),
];

const HOOK: &[Key] = &[
    part("type"),
    plain_part("disabled"),
    refused_list("levels", &Kind::Text, Asks::Filled),
    refused("options", MAIL, Asks::Filled).or_variable("MAILOPTIONS"),
];

const MAIL: &[Key] = &[
    refused(
        "smtp",
        &[part("addr"), part("username"), part("password"), plain_part("insecure")],
        Asks::Filled,
    ),
    part("from"),
    refused_list("to", &Kind::Text, Asks::Filled),
];

/// `storage`
pub(super) const STORAGE: &[Key] = &[
    section("filesystem", &[text("rootdirectory"), plain("maxthreads")]),
    section("inmemory", &[]),
    refused("s3", S3, Asks::Always),
    refused("s3aws", S3, Asks::Always),
    refused("azure", AZURE, Asks::Always),
    refused("gcs", GCS, Asks::Always),
    key("swift", Kind::Any, Status::Gone(REMOVED_DRIVER)),
    key("oss", Kind::Any, Status::Gone(REMOVED_DRIVER)),
    key("rados", Kind::Any, Status::Gone(REMOVED_DRIVER)),
    section("maintenance", MAINTENANCE),
    section("delete", &[plain("enabled")]),
    section("redirect", &[plain("disable")]),
    section("tag", &[plain("concurrencylimit")]),
    section("cache", CACHE),
];

const REMOVED_DRIVER: &str =
    "this storage driver was dropped from the original registry too; use another one";

const MAINTENANCE: &[Key] = &[
    refused(
        "uploadpurging",
        &[plain_part("enabled"), part("age"), part("interval"), plain_part("dryrun")],
        Asks::UnlessOff,
    ),
    section("readonly", &[plain("enabled")]),
];

const CACHE: &[Key] = &[
    key("blobdescriptor", Kind::Text, Status::SupportedExcept(&["redis"])),
    key("layerinfo", Kind::Text, Status::Deprecated("write storage.cache.blobdescriptor instead")),
    plain("blobdescriptorsize"),
];

const S3: &[Key] = &[
    part("accesskey"),
    part("secretkey"),
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
    part("accountkey"),
    part("container"),
    refused("credentials", &[part("type"), part("clientid"), part("tenantid"), part("secret")], Asks::Filled),
    part("realm"),
    part("serviceurl"),
    part("rootdirectory"),
    plain_part("max_retries"),
    part("retry_delay"),
    plain_part("copy_status_poll_max_retry"),
    part("copy_status_poll_delay"),
    plain_part("skipverify"),
    part("connectionstring"),
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
    part("private_key"),
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
    refused("silly", &[part("realm"), part("service")], Asks::Always),
    refused("htpasswd", &[part("realm"), part("path")], Asks::Always),
    refused("token", TOKEN, Asks::Always),
];

const TOKEN: &[Key] = &[
    part("realm"),
    part("service"),
    part("issuer"),
    part("rootcertbundle"),
    part("jwks"),
    plain_part("autoredirect"),
    part("autoredirectpath"),
    refused_list("signingalgorithms", &Kind::Text, Asks::Filled),
];

const MIDDLEWARE: &[Key] = &[
    refused_list("registry", &Kind::Section(MIDDLEWARE_ENTRY), Asks::Entries),
    refused_list("repository", &Kind::Section(MIDDLEWARE_ENTRY), Asks::Entries),
    refused_list("storage", &Kind::Section(MIDDLEWARE_ENTRY), Asks::Entries),
];

const MIDDLEWARE_ENTRY: &[Key] =
    &[part("name"), plain_part("disabled"), refused_value("options", Kind::Any, Asks::Filled)];

const HTTP: &[Key] = &[
    text("addr"),
    text("net"),
    text("prefix"),
    text("host"),
    text("secret"),
    plain("relativeurls"),
    plain("draintimeout"),
    key("headers", Kind::Map(&Kind::List(&Kind::Text)), Status::Supported),
    refused("tls", TLS, Asks::Through(&["certificate", "key", "clientcas", "letsencrypt"])),
    refused("debug", DEBUG, Asks::Through(&["addr", "prometheus"])),
    section("http2", &[key("disabled", Kind::Plain, Status::NoEffect)]),
    section("h2c", &[refused_value("enabled", Kind::Plain, Asks::True)]),
];

const TLS: &[Key] = &[
    part("certificate"),
    part("key"),
    refused_list("clientcas", &Kind::Text, Asks::Filled),
    part("clientauth"),
    part("minimumtls"),
    refused_list("ciphersuites", &Kind::Text, Asks::Filled),
    refused(
        "letsencrypt",
        &[
            part("cachefile"),
            part("email"),
            refused_list("hosts", &Kind::Text, Asks::Filled),
            part("directoryurl"),
        ],
        Asks::Filled,
    ),
];

const DEBUG: &[Key] = &[
    part("addr"),
    refused(
        "prometheus",
        &[refused_value("enabled", Kind::Plain, Asks::True), part("path")],
        Asks::Through(&["enabled"]),
    ),
];

const NOTIFICATIONS: &[Key] = &[
    refused("events", &[plain_part("includereferences")], Asks::Filled).or_variable("EVENTCONFIG"),
    refused_list("endpoints", &Kind::Section(ENDPOINT), Asks::Entries),
];

const HEADERS: Kind = Kind::Map(&Kind::List(&Kind::Text));

const ENDPOINT: &[Key] = &[
    part("name"),
    plain_part("disabled"),
    part("url"),
    refused_value("headers", HEADERS, Asks::Filled),
    plain_part("timeout"),
    plain_part("threshold"),
    plain_part("backoff"),
    refused_list("ignoredmediatypes", &Kind::Text, Asks::Filled),
    refused(
        "ignore",
        &[
            refused_list("mediatypes", &Kind::Text, Asks::Filled),
            refused_list("actions", &Kind::Text, Asks::Filled),
        ],
        Asks::Filled,
    ),
];

const OLD_REDIS: &str = "the old redis keys are ignored; the present ones are addrs, poolsize and so on";

const REDIS: &[Key] = &[
    refused_list("addrs", &Kind::Text, Asks::Filled),
    part("clientname"),
    plain_part("db"),
    plain_part("protocol"),
    part("username"),
    part("password"),
    part("sentinelusername"),
    part("sentinelpassword"),
    plain_part("maxretries"),
    plain_part("minretrybackoff"),
    plain_part("maxretrybackoff"),
    plain_part("dialtimeout"),
    plain_part("readtimeout"),
    plain_part("writetimeout"),
    plain_part("contexttimeoutenabled"),
    plain_part("poolfifo"),
    plain_part("poolsize"),
    plain_part("pooltimeout"),
    plain_part("minidleconns"),
    plain_part("maxidleconns"),
    plain_part("maxactiveconns"),
    plain_part("connmaxidletime"),
    plain_part("connmaxlifetime"),
    plain_part("maxredirects"),
    plain_part("readonly"),
    plain_part("routebylatency"),
    plain_part("routerandomly"),
    part("mastername"),
    plain_part("disableidentity"),
    plain_part("unstableresp3"),
    part("identitysuffix"),
    refused("tls", REDIS_TLS, Asks::Filled),
    key("addr", Kind::Text, Status::Obsolete(OLD_REDIS)),
    key("pool", Kind::Any, Status::Obsolete(OLD_REDIS)),
    key("options", Kind::Inline, Status::NoEffect),
];

const REDIS_TLS: &[Key] = &[
    part("certificate"),
    part("key"),
    refused_list("rootcas", &Kind::Text, Asks::Filled),
    refused_list("clientcas", &Kind::Text, Asks::Filled),
    plain_part("enabled"),
];

const HEALTH: &[Key] = &[
    refused(
        "storagedriver",
        &[refused_value("enabled", Kind::Plain, Asks::True), plain_part("interval"), plain_part("threshold")],
        Asks::Through(&["enabled"]),
    ),
    refused_list(
        "file",
        &Kind::Section(&[part("file"), plain_part("interval"), plain_part("threshold")]),
        Asks::Filled,
    )
    .or_variable("FILECHECKERS"),
    refused_list("http", &Kind::Section(HTTP_CHECK), Asks::Filled).or_variable("HTTPCHECKERS"),
    refused_list("tcp", &Kind::Section(TCP_CHECK), Asks::Filled).or_variable("TCPCHECKERS"),
];

const HTTP_CHECK: &[Key] = &[
    part("uri"),
    refused_value("headers", HEADERS, Asks::Filled),
    plain_part("statuscode"),
    plain_part("timeout"),
    plain_part("interval"),
    plain_part("threshold"),
];

const TCP_CHECK: &[Key] =
    &[part("addr"), plain_part("timeout"), plain_part("interval"), plain_part("threshold")];

const PROXY: &[Key] = &[
    part("remoteurl"),
    part("username"),
    part("password"),
    refused("exec", &[part("command"), plain_part("lifetime")], Asks::Filled),
    plain_part("ttl"),
    plain_part("cachewritetimeout"),
];

const VALIDATION: &[Key] = &[
    key("enabled", Kind::Plain, Status::Deprecated("write validation.disabled instead")),
    plain("disabled"),
    section(
        "manifests",
        &[
            section("urls", &[texts("allow"), texts("deny")]),
            section(
                "indexes",
                &[
                    text("platforms"),
                    key("platformlist", Kind::List(&Kind::Section(PLATFORM)), Status::Supported),
                ],
            ),
            // Ours: Distribution always wants the layers of an image.
            section("images", &[text("layers")]),
        ],
    ),
];

const PLATFORM: &[Key] = &[text("architecture"), text("os")];

const POLICY: &[Key] =
    &[refused("repository", &[refused_list("classes", &Kind::Text, Asks::Filled)], Asks::Filled)];
