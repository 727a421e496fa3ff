//! The section `http`.

use super::super::{Key, Kind, Status, duration, flag, key, number, section, text, texts, word};

pub(super) const HTTP: &[Key] = &[
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
