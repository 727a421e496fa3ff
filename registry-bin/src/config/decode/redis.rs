//! Decodes `redis`.

use std::path::PathBuf;
use std::time::Duration;

use registry_redis::{Reads, RedisOptions, RedisTls, is_address};

use crate::config::reader::Reader;

/// The options, if an address is given. Mistakes are reported either way.
pub(super) fn redis(reader: &Reader<'_>) -> Option<RedisOptions> {
    let defaults = RedisOptions::default();
    let options = RedisOptions {
        addrs: addrs(reader),
        master_name: reader.filled("mastername"),
        client_name: client_name(reader),
        db: at_least_zero(reader, "db").unwrap_or(0),
        resp3: resp3(reader),
        username: reader.filled("username"),
        password: reader.filled("password"),
        sentinel_username: reader.filled("sentinelusername"),
        sentinel_password: reader.filled("sentinelpassword"),
        max_retries: tries(reader, "maxretries", defaults.max_retries),
        min_retry_backoff: pause(reader, "minretrybackoff", defaults.min_retry_backoff),
        max_retry_backoff: pause(reader, "maxretrybackoff", defaults.max_retry_backoff),
        dial_timeout: time(reader, "dialtimeout").unwrap_or(defaults.dial_timeout),
        read_timeout: timeout(reader, "readtimeout"),
        write_timeout: timeout(reader, "writetimeout"),
        pool_fifo: reader.flag("poolfifo").unwrap_or(false),
        pool_size: count(reader, "poolsize"),
        pool_timeout: time(reader, "pooltimeout"),
        min_idle: count(reader, "minidleconns").unwrap_or(0),
        max_idle: count(reader, "maxidleconns").unwrap_or(0),
        max_active: count(reader, "maxactiveconns").unwrap_or(0),
        max_idle_time: if is_off(reader, "connmaxidletime") {
            None
        } else {
            time(reader, "connmaxidletime").or(defaults.max_idle_time)
        },
        max_lifetime: if is_off(reader, "connmaxlifetime") { None } else { time(reader, "connmaxlifetime") },
        max_redirects: tries(reader, "maxredirects", defaults.max_redirects),
        reads: reads(reader),
        identity: !reader.flag("disableidentity").unwrap_or(false),
        identity_suffix: reader.filled("identitysuffix"),
        tls: tls(&reader.section("tls")),
    };
    // They say nothing to us, and still have to be what they are meant to be.
    for key in ["contexttimeoutenabled", "unstableresp3"] {
        reader.flag(key);
    }
    if options.addrs.is_empty() {
        return None;
    }
    pointless(reader, &options);
    Some(options)
}

/// Warns of what has a meaning, though not together with the rest.
fn pointless(reader: &Reader<'_>, options: &RedisOptions) {
    let sentinel = options.master_name.is_some();
    let cluster = !sentinel && options.addrs.len() > 1;
    if cluster && options.db != 0 {
        reader.warn("db", "has no effect: several addresses are a cluster, which has only database 0");
    }
    for key in ["sentinelusername", "sentinelpassword"] {
        if !sentinel && reader.filled(key).is_some() {
            reader.warn(key, "has no effect: without redis.mastername no sentinel is asked");
        }
    }
    for key in ["readonly", "routebylatency", "routerandomly"] {
        if !cluster && reader.flag(key) == Some(true) {
            reader.warn(key, "has no effect: only a cluster (several addresses) has replicas to read from");
        }
    }
}

fn addrs(reader: &Reader<'_>) -> Vec<String> {
    let addrs: Vec<String> = reader.texts("addrs").into_iter().filter(|addr| !addr.is_empty()).collect();
    for addr in addrs.iter().filter(|addr| !is_address(addr)) {
        let message = match addr.contains('@') {
            // A part of it may be a password.
            true => "is not an address such as redis.example.com:6379; who logs in is in redis.username and \
                     redis.password"
                .to_owned(),
            false => format!("{addr:?} is not an address such as redis.example.com:6379"),
        };
        reader.fail("addrs", message);
    }
    addrs
}

fn client_name(reader: &Reader<'_>) -> Option<String> {
    let name = reader.filled("clientname")?;
    if !name.bytes().all(|b| b.is_ascii_graphic()) {
        reader.fail("clientname", format!("{name:?} has spaces or other characters that Redis refuses"));
    }
    Some(name)
}

fn resp3(reader: &Reader<'_>) -> bool {
    match reader.number("protocol", false) {
        None | Some(0 | 3) => true,
        Some(2) => false,
        Some(other) => {
            reader.fail("protocol", format!("there is no version {other} of the protocol; use 3 or 2"));
            true
        }
    }
}

fn reads(reader: &Reader<'_>) -> Reads {
    let on = |key| reader.flag(key).unwrap_or(false);
    // In the order in which the original looks at them.
    match (on("readonly"), on("routebylatency"), on("routerandomly")) {
        (_, true, _) => Reads::Nearest,
        (_, false, true) => Reads::Random,
        (true, false, false) => Reads::Replica,
        (false, false, false) => Reads::Master,
    }
}

fn tls(reader: &Reader<'_>) -> Option<RedisTls> {
    let path = |key| reader.filled(key).map(PathBuf::from);
    let identity = match (path("certificate"), path("key")) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            reader.fail("certificate", "needs its key; name the file in redis.tls.key");
            None
        }
        (None, Some(_)) => {
            reader.fail("key", "needs its certificate; name the file in redis.tls.certificate");
            None
        }
    };
    // Version 3.0 and the published sample call the same list by the other name.
    let mut root_cas = reader.texts("rootcas");
    let other = reader.texts("clientcas");
    if !other.is_empty() {
        reader.warn("clientcas", "these are the authorities of the server; write redis.tls.rootcas instead");
        root_cas.extend(other);
    }
    let root_cas: Vec<PathBuf> = root_cas.into_iter().filter(|ca| !ca.is_empty()).map(Into::into).collect();
    let files = identity.is_some() || !root_cas.is_empty();
    match reader.flag("enabled") {
        Some(false) if files => {
            reader.warn("enabled", "false has no effect beside certificates: they are used");
        }
        Some(false) => return None,
        Some(true) => {}
        None if !files => return None,
        None => {}
    }
    Some(RedisTls { identity, root_cas })
}

/// Whether a value is -1, which for many keys means without.
fn is_off(reader: &Reader<'_>, key: &str) -> bool {
    reader.text(key).as_deref() == Some("-1")
}

/// A time; `None` for zero, which stands for the default.
fn time(reader: &Reader<'_>, key: &str) -> Option<Duration> {
    let nanoseconds = reader.duration(key)?;
    match u64::try_from(nanoseconds) {
        Ok(nanoseconds) => Some(Duration::from_nanos(nanoseconds)).filter(|time| !time.is_zero()),
        Err(_) => {
            reader.fail(key, "has to be a time such as 500ms");
            None
        }
    }
}

/// A time, or -1 or -2 for no end, which is as long as a request waits at all.
fn timeout(reader: &Reader<'_>, key: &str) -> Option<Duration> {
    match reader.text(key).as_deref() {
        Some("-1" | "-2") => Some(RedisOptions::LONGEST_WAIT),
        _ => time(reader, key),
    }
}

/// A time, or -1 for none.
fn pause(reader: &Reader<'_>, key: &str, default: Duration) -> Duration {
    if is_off(reader, key) { Duration::ZERO } else { time(reader, key).unwrap_or(default) }
}

/// A number, -1 for none, zero for the default.
fn tries(reader: &Reader<'_>, key: &str, default: u32) -> u32 {
    match reader.number(key, false) {
        None | Some(0) => default,
        Some(-1) => 0,
        Some(number) => u32::try_from(number).unwrap_or_else(|_| {
            reader.fail(key, "has to be a small number, or -1 for none");
            default
        }),
    }
}

fn at_least_zero(reader: &Reader<'_>, key: &str) -> Option<i64> {
    let number = reader.number(key, false)?;
    if number < 0 {
        reader.fail(key, "has to be a non-negative integer");
        return None;
    }
    Some(number)
}

/// A number; `None` for zero.
fn count(reader: &Reader<'_>, key: &str) -> Option<usize> {
    usize::try_from(at_least_zero(reader, key)?).ok().filter(|count| *count > 0)
}
