//! The section `redis`.

use super::super::{Key, Kind, Status, duration, flag, key, number, section, text, texts};

const OLD_REDIS: &str = "the old redis keys are ignored; the present ones are addrs, poolsize and so on";

pub(super) const REDIS: &[Key] = &[
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
