//! `registry.redis` of `/debug/vars`.

use std::path::Path;
use std::time::Duration;

use registry_redis::{Reads, RedisOptions};
use serde_json::{Value as Json, json};

use super::vars::{HIDDEN, nanoseconds};

/// How many connections are at work, and the configuration of Redis, with the names and units of Distribution.
/// There `Config` is the whole configuration, with every secret; here it is what is about Redis, and says no
/// more of a secret than that there is one.
pub(super) fn redis(active: usize, options: &RedisOptions) -> Json {
    let tls = options.tls.as_ref();
    let identity = tls.and_then(|tls| tls.identity.as_ref());
    json!({
        "Active": active,
        "Config": {
            "Redis": {
                "Options": self::options(options),
                "TLS": {
                    "Certificate": identity.map_or_else(String::new, |(certificate, _)| path(certificate)),
                    "Key": identity.map_or_else(String::new, |(_, key)| path(key)),
                    "RootCAs": tls.map(|tls| tls.root_cas.iter().map(|file| path(file)).collect::<Vec<_>>()),
                },
            },
        },
    })
}

fn options(options: &RedisOptions) -> Json {
    json!({
        "Addrs": options.addrs,
        "ClientName": options.client_name.as_deref().unwrap_or_default(),
        "DB": options.db,
        "Protocol": if options.resp3 { 3 } else { 2 },
        "Username": options.username.as_deref().unwrap_or_default(),
        "Password": hidden(options.password.as_ref()),
        "SentinelUsername": options.sentinel_username.as_deref().unwrap_or_default(),
        "SentinelPassword": hidden(options.sentinel_password.as_ref()),
        "MaxRetries": options.max_retries,
        "MinRetryBackoff": nanoseconds(options.min_retry_backoff),
        "MaxRetryBackoff": nanoseconds(options.max_retry_backoff),
        "DialTimeout": nanoseconds(options.dial_timeout),
        "ReadTimeout": time(options.read_timeout),
        "WriteTimeout": time(options.write_timeout),
        "PoolFIFO": options.pool_fifo,
        "PoolSize": options.pool_size.unwrap_or_default(),
        "PoolTimeout": time(options.pool_timeout),
        "MinIdleConns": options.min_idle,
        "MaxIdleConns": options.max_idle,
        "MaxActiveConns": options.max_active,
        "ConnMaxIdleTime": time(options.max_idle_time),
        "ConnMaxLifetime": time(options.max_lifetime),
        "MaxRedirects": options.max_redirects,
        "ReadOnly": options.reads == Reads::Replica,
        "RouteByLatency": options.reads == Reads::Nearest,
        "RouteRandomly": options.reads == Reads::Random,
        "MasterName": options.master_name.as_deref().unwrap_or_default(),
        "DisableIdentity": !options.identity,
        "IdentitySuffix": options.identity_suffix.as_deref().unwrap_or_default(),
    })
}

fn hidden(secret: Option<&String>) -> &'static str {
    secret.map_or("", |_| HIDDEN)
}

/// As there: nothing is 0.
fn time(time: Option<Duration>) -> u64 {
    time.map_or(0, nanoseconds)
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use registry_redis::RedisTls;

    use super::*;

    #[test]
    fn what_is_configured_of_redis_is_shown_without_its_secrets() {
        let options = RedisOptions {
            password: Some("geheim".to_owned()),
            username: Some("registry".to_owned()),
            db: 2,
            tls: Some(RedisTls { identity: None, root_cas: vec!["/ca.pem".into()] }),
            ..RedisOptions::new(["one:1", "two:2"])
        };
        let shown = redis(7, &options);
        assert_eq!(shown["Active"], 7);
        let config = &shown["Config"]["Redis"];
        assert_eq!(config["Options"]["Addrs"], json!(["one:1", "two:2"]));
        assert_eq!(
            (&config["Options"]["DB"], &config["Options"]["Username"]),
            (&json!(2), &json!("registry"))
        );
        assert_eq!(config["Options"]["Password"], HIDDEN);
        assert_eq!(config["Options"]["SentinelPassword"], "");
        assert_eq!(config["Options"]["MaxRetryBackoff"], 512_000_000);
        assert_eq!(config["TLS"], json!({ "Certificate": "", "Key": "", "RootCAs": ["/ca.pem"] }));
        assert!(!shown.to_string().contains("geheim"));
    }
}
