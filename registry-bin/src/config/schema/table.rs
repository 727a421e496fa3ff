//! Every key of the configuration reference, in the order of the reference.

mod auth;
mod http;
mod redis;
mod storage;

use self::auth::AUTH;
pub(crate) use self::auth::POLICY_FILE;
use self::http::HTTP;
use self::redis::REDIS;
pub(super) use self::storage::STORAGE;
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
