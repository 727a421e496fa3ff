//! Decodes `storage.redirect`.

use std::time::Duration;

use http::Method;
use registry::core::Network;

use crate::config::model::Redirects;
use crate::config::reader::Reader;

const EXPIRY: Duration = Duration::from_secs(20 * 60);
/// What is less was most likely written without its unit; S3 and GCS take no more than a week.
const EXPIRIES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(7 * 24 * 60 * 60));

pub(super) fn redirects(reader: &Reader<'_>) -> Redirects {
    Redirects {
        enabled: !reader.flag("disable").unwrap_or(false),
        only: reader.node("networks").map(|_| networks(reader, "networks")),
        except: networks(reader, "exceptnetworks"),
        methods: methods(reader),
        min_size: min_size(reader),
        expiry: expiry(reader),
    }
}

fn networks(reader: &Reader<'_>, key: &str) -> Vec<Network> {
    let texts = reader.texts(key);
    if texts.is_empty() && reader.node(key).is_some_and(|node| node.as_list().is_some()) && key == "networks"
    {
        reader.fail(key, "is empty, so nobody would be redirected; leave it out, or write disable: true");
    }
    let mut networks = Vec::new();
    for (index, text) in texts.into_iter().enumerate() {
        match Network::parse(&text) {
            Some(network) => networks.push(network),
            None => {
                let example = "such as 10.0.0.0/8, fd00::/8 or 192.0.2.1";
                reader.fail_at(key, index, format!("{text:?} is not a network of clients, {example}"));
            }
        }
    }
    networks
}

fn methods(reader: &Reader<'_>) -> Vec<Method> {
    let known = [Method::GET, Method::HEAD];
    let Some(list) = reader.node("methods").and_then(|node| node.as_list()) else {
        return known.to_vec();
    };
    if list.is_empty() {
        reader.fail(
            "methods",
            "is empty, so nothing would be redirected; leave it out, or write disable: true",
        );
    }
    let mut methods = Vec::new();
    for (index, text) in reader.texts("methods").into_iter().enumerate() {
        match known.iter().find(|method| text.eq_ignore_ascii_case(method.as_str())) {
            Some(method) => methods.push(method.clone()),
            None => reader.fail_at(
                "methods",
                index,
                format!("no blob is fetched with {text:?}; there are GET, HEAD"),
            ),
        }
    }
    methods
}

fn min_size(reader: &Reader<'_>) -> u64 {
    let bytes = reader.number("minsize", true).unwrap_or(0);
    u64::try_from(bytes).unwrap_or_else(|_| {
        reader.fail("minsize", "cannot be negative; it is a number of bytes");
        0
    })
}

fn expiry(reader: &Reader<'_>) -> Duration {
    let Some(nanoseconds) = reader.duration("expiry") else { return EXPIRY };
    let expiry = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default());
    if expiry < EXPIRIES.0 || expiry > EXPIRIES.1 {
        reader.fail("expiry", "has to be a time from 1s to 168h, such as 20m");
    }
    expiry
}
