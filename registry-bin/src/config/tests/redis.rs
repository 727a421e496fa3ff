//! `redis`, and the cache that uses it.

use std::time::Duration;

use registry_redis::{Reads, RedisOptions, RedisTls};

use super::*;
use crate::config::model::DescriptorCache;

const CACHE: &str = "version: 0.1\nstorage: {inmemory: , cache: {blobdescriptor: redis}}\n";

fn options(redis: &str, environment: &[(&str, &str)]) -> RedisOptions {
    match clean(&format!("{CACHE}{redis}"), environment).storage.descriptor_cache {
        Some(DescriptorCache::Redis(options)) => *options,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_redis_key_is_read() {
    let found = options(
        "redis:
  addrs: [a.example:6379, '[::1]:6380']
  clientname: the-registry
  protocol: 2
  username: reg
  password: 012
  maxretries: 5
  minretrybackoff: 10ms
  maxretrybackoff: 1s
  dialtimeout: 2s
  readtimeout: 100ms
  writetimeout: 200ms
  contexttimeoutenabled: true
  poolfifo: true
  poolsize: 20
  pooltimeout: 300ms
  minidleconns: 2
  maxidleconns: 8
  maxactiveconns: 16
  connmaxidletime: 10m
  connmaxlifetime: 1h
  maxredirects: 4
  readonly: true
  disableidentity: true
  unstableresp3: true
  identitysuffix: blue
  tls: {certificate: /c, key: /k, rootcas: [/ca], enabled: true}
",
        &[],
    );
    let time = Duration::from_millis;
    let expected = RedisOptions {
        addrs: vec!["a.example:6379".into(), "[::1]:6380".into()],
        master_name: None,
        client_name: Some("the-registry".into()),
        db: 0,
        resp3: false,
        username: Some("reg".into()),
        password: Some("012".into()),
        sentinel_username: None,
        sentinel_password: None,
        max_retries: 5,
        min_retry_backoff: time(10),
        max_retry_backoff: time(1000),
        dial_timeout: time(2000),
        read_timeout: Some(time(100)),
        write_timeout: Some(time(200)),
        pool_fifo: true,
        pool_size: Some(20),
        pool_timeout: Some(time(300)),
        min_idle: 2,
        max_idle: 8,
        max_active: 16,
        max_idle_time: Some(time(600_000)),
        max_lifetime: Some(time(3_600_000)),
        max_redirects: 4,
        reads: Reads::Replica,
        identity: false,
        identity_suffix: Some("blue".into()),
        tls: Some(RedisTls { identity: Some(("/c".into(), "/k".into())), root_cas: vec!["/ca".into()] }),
    };
    // Their Debug form leaves secrets out, and most else.
    assert!(found == expected, "{found:?}");
    let found =
        options("redis: {addrs: [a:1], mastername: m, db: 3, sentinelusername: s, sentinelpassword: t}", &[]);
    assert_eq!((found.master_name.as_deref(), found.db), (Some("m"), 3));
    assert_eq!(
        (found.sentinel_username.as_deref(), found.sentinel_password.as_deref()),
        (Some("s"), Some("t"))
    );
}

#[test]
fn redis_values_that_stand_for_a_default_or_for_none() {
    let zeros = options(
        "redis: {addrs: [a:1], protocol: 0, maxretries: 0, readtimeout: 0, poolsize: 0, connmaxidletime: 0, maxredirects: 0}",
        &[],
    );
    assert!(zeros == RedisOptions::new(["a:1"]), "{zeros:?}");
    let none = options(
        "redis: {addrs: [a:1], maxretries: -1, minretrybackoff: -1, readtimeout: -1, connmaxidletime: -1, connmaxlifetime: -1, maxredirects: -1}",
        &[],
    );
    let mut expected = RedisOptions::new(["a:1"]);
    (expected.max_retries, expected.max_redirects) = (0, 0);
    expected.min_retry_backoff = Duration::ZERO;
    expected.read_timeout = Some(RedisOptions::LONGEST_WAIT);
    expected.max_idle_time = None;
    assert!(none == expected, "{none:?}");
    for (keys, reads) in [
        ("routebylatency: true, routerandomly: true", Reads::Nearest),
        ("readonly: true, routerandomly: true", Reads::Random),
        ("readonly: false", Reads::Master),
    ] {
        assert_eq!(options(&format!("redis: {{addrs: [a:1, b:1], {keys}}}"), &[]).reads, reads, "{keys}");
    }
    for (tls, on) in
        [("{enabled: true}", true), ("{enabled: false}", false), ("{rootcas: [/x]}", true), ("", false)]
    {
        assert_eq!(options(&format!("redis: {{addrs: [a:1], tls: {tls}}}"), &[]).tls.is_some(), on, "{tls}");
    }
}

#[test]
fn variables_reach_redis_with_and_without_the_inner_name() {
    let found = options(
        "",
        &[
            ("REGISTRY_REDIS_ADDRS", "[a:1]"),
            ("REGISTRY_REDIS_OPTIONS_USERNAME", "u"),
            ("REGISTRY_REDIS_PASSWORD", "p #1"),
            ("REGISTRY_REDIS_TLS_ROOTCAS_0", "/ca"),
        ],
    );
    let mut expected = RedisOptions::new(["a:1"]);
    (expected.username, expected.password) = (Some("u".into()), Some("p #1".into()));
    expected.tls = Some(RedisTls { identity: None, root_cas: vec!["/ca".into()] });
    assert!(found == expected, "{found:?}");
}

#[test]
fn redis_mistakes_say_what_to_write() {
    for (redis, expected) in [
        ("", "2:47: storage.cache.blobdescriptor: redis: no Redis is configured; name it in redis.addrs"),
        ("redis: {addrs: [a]}", "3:16: redis.addrs: \"a\" is not an address such as redis.example.com:6379"),
        (
            "redis: {addrs: ['redis://a:6379']}",
            "3:16: redis.addrs: \"redis://a:6379\" is not an address such as redis.example.com:6379",
        ),
        ("redis: {addrs: [a:1], db: -1}", "3:27: redis.db: has to be a non-negative integer"),
        (
            "redis: {addrs: [a:1], protocol: 4}",
            "3:33: redis.protocol: there is no version 4 of the protocol; use 3 or 2",
        ),
        (
            "redis: {addrs: [a:1], clientname: the registry}",
            "3:35: redis.clientname: \"the registry\" has spaces or other characters that Redis refuses",
        ),
        ("redis: {addrs: [a:1], poolsize: -5}", "3:33: redis.poolsize: has to be a non-negative integer"),
        (
            "redis: {addrs: [a:1], maxretries: -2}",
            "3:35: redis.maxretries: has to be a small number, or -1 for none",
        ),
        (
            "redis: {addrs: [a:1], dialtimeout: -1s}",
            "3:36: redis.dialtimeout: has to be a time such as 500ms",
        ),
        (
            "redis: {addrs: [a:1], tls: {certificate: /c}}",
            "3:42: redis.tls.certificate: needs its key; name the file in redis.tls.key",
        ),
        (
            "redis: {addrs: [a:1], tls: {key: /k}}",
            "3:34: redis.tls.key: needs its certificate; name the file in redis.tls.certificate",
        ),
        ("redis: {addrs: [a:1], readonly: 1}", "3:33: redis.readonly: expected true or false, found \"1\""),
        (
            "redis: {addrs: [a:1], unstableresp3: maybe}",
            "3:38: redis.unstableresp3: expected true or false, found \"maybe\"",
        ),
    ] {
        assert_eq!(errors(&format!("{CACHE}{redis}"), &[]), [format!("c.yml:{expected}")], "{redis}");
    }
}

#[test]
fn redis_keys_without_effect_get_a_warning() {
    let base = "version: 0.1\nstorage: {inmemory: }\n";
    for (text, expected) in [
        (
            format!("{base}redis: {{addrs: [a:1]}}"),
            "3:8: redis: nothing uses it; set storage.cache.blobdescriptor to redis, or remove it",
        ),
        (
            format!("{CACHE}redis: {{addrs: [a:1, b:1], db: 2}}"),
            "3:32: redis.db: has no effect: several addresses are a cluster, which has only database 0",
        ),
        (
            format!("{CACHE}redis: {{addrs: [a:1], sentinelpassword: p}}"),
            "3:41: redis.sentinelpassword: has no effect: without redis.mastername no sentinel is asked",
        ),
        (
            format!("{CACHE}redis: {{addrs: [a:1], routerandomly: true}}"),
            "3:38: redis.routerandomly: has no effect: only a cluster (several addresses) has replicas to read from",
        ),
        (
            format!("{CACHE}redis: {{addrs: [a:1], tls: {{clientcas: [/ca]}}}}"),
            "3:40: redis.tls.clientcas: these are the authorities of the server; write redis.tls.rootcas instead",
        ),
        (
            format!("{CACHE}redis: {{addrs: [a:1], tls: {{rootcas: [/ca], enabled: false}}}}"),
            "3:54: redis.tls.enabled: false has no effect beside certificates: they are used",
        ),
        (
            "version: 0.1\nstorage: {inmemory: , cache: {blobdescriptor: redis, blobdescriptorsize: 9}}\nredis: {addrs: [a:1]}"
                .to_owned(),
            "2:74: storage.cache.blobdescriptorsize: has no effect: Redis has bounds of its own (maxmemory)",
        ),
    ] {
        assert_eq!(warnings(&text, &[]), [format!("c.yml:{expected}")], "{text}");
    }
}
