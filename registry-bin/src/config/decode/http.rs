//! Decodes `http`.

mod tls;

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use registry::core::Network;

use crate::config::model::{Address, Http, Limits, ProxyProtocol, Secret};
use crate::config::node::Node;
use crate::config::reader::Reader;

/// Every interface, the registry's usual port. (The original picks a random port, which nobody can want.)
const DEFAULT_ADDRESS: &str = ":5000";

/// How long requests in flight get when the file does not say: 10 seconds. (The original drops them at once.)
pub(crate) const DEFAULT_DRAIN: Duration = Duration::from_secs(10);

pub(super) fn http(reader: &Reader<'_>) -> Option<Http> {
    let addrs = addresses(reader);
    let http = Http {
        addrs: Vec::new(),
        prefix: prefix(reader),
        host: host(reader),
        secret: reader.filled("secret").map(Secret::new),
        relative_urls: reader.flag("relativeurls").unwrap_or(false),
        headers: headers(reader),
        drain_timeout: time(reader, "draintimeout", DEFAULT_DRAIN),
        limits: limits(&reader.section("timeouts"), &reader.section("limits")),
        tls: tls::tls(&reader.section("tls")),
        http2: !reader.section("http2").flag("disabled").unwrap_or(false),
        h2c: reader.section("h2c").flag("enabled").unwrap_or(false),
        proxy_protocol: proxy_protocol(&reader.section("proxyprotocol")),
    };
    Some(Http { addrs: addrs?, ..http })
}

/// Begins an address in a list that is the path of a socket.
const UNIX: &str = "unix:";

fn addresses(reader: &Reader<'_>) -> Option<Vec<Address>> {
    let addr = reader.filled("addr");
    match reader.filled("net").as_deref() {
        None | Some("tcp") => several(reader, addr.as_deref().unwrap_or(DEFAULT_ADDRESS)),
        Some("unix") => {
            if addr.is_none() {
                reader.fail("net", "unix needs the path of a socket in http.addr");
            }
            addr.map(|path| vec![Address::Unix(PathBuf::from(path))])
        }
        Some(other) => {
            reader.fail("net", format!("unknown address type {other:?}; it is tcp or unix"));
            None
        }
    }
}

/// Addresses with commas between them.
fn several(reader: &Reader<'_>, text: &str) -> Option<Vec<Address>> {
    let mut addrs: Vec<Address> = Vec::new();
    for text in text.split(',').map(str::trim) {
        let address = match text.strip_prefix(UNIX).filter(|path| path.starts_with('/')) {
            Some(path) => Ok(Address::Unix(PathBuf::from(path))),
            None => tcp(text),
        };
        match address {
            Ok(address) if addrs.contains(&address) => {
                reader.fail("addr", format!("{address} is there twice"));
                return None;
            }
            Ok(address) => addrs.push(address),
            Err(text) => {
                reader.fail("addr", text);
                return None;
            }
        }
    }
    Some(addrs)
}

/// Stands for whoever reaches the unix socket.
const UNIX_PEERS: &str = "unix";

fn proxy_protocol(reader: &Reader<'_>) -> Option<ProxyProtocol> {
    let mut protocol = ProxyProtocol::default();
    for (index, text) in reader.texts("trusted").into_iter().enumerate() {
        match Network::parse(&text) {
            _ if text == UNIX_PEERS => protocol.unix = true,
            Some(network) => protocol.trusted.push(network),
            None => {
                let example = "such as 10.0.0.0/8, 192.0.2.1 or unix";
                reader.fail_at(
                    "trusted",
                    index,
                    format!("{text:?} is not the address of a proxy, {example}"),
                );
            }
        }
    }
    if !reader.flag("enabled").unwrap_or(false) {
        return None;
    }
    if reader.texts("trusted").is_empty() {
        reader.missing(
            "trusted",
            "is missing: name the addresses of the proxies, or every client could say that it is another",
        );
    }
    Some(protocol)
}

/// Reads `host:port`, `:port` and `[v6 address]:port`.
pub(super) fn tcp(text: &str) -> Result<Address, String> {
    let refuse =
        |why: &str| Err(format!("{text:?} is not an address such as :5000 or localhost:5000: {why}"));
    let Some((host, port)) = text.rsplit_once(':') else { return refuse("the port is missing") };
    let host = match host.strip_prefix('[').map(|host| host.strip_suffix(']')) {
        Some(Some(host)) => host,
        Some(None) => return refuse("the closing bracket is missing"),
        None if host.contains(':') => return refuse("put brackets around an IPv6 address, as in [::1]:5000"),
        None => host,
    };
    if host.contains(['/', ' ']) {
        return refuse("it is a host and a port, not a URL");
    }
    match port.parse() {
        Ok(port) if !port_has_sign(text) => Ok(Address::Tcp { host: host.to_owned(), port }),
        _ if port.is_empty() => refuse("the port is missing"),
        _ => refuse("the port is a number from 0 to 65535"),
    }
}

fn port_has_sign(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(_, port)| port.starts_with('+'))
}

fn prefix(reader: &Reader<'_>) -> Option<String> {
    let text = reader.filled("prefix")?;
    if !text.starts_with('/') {
        reader.fail("prefix", format!("{text:?} has to start with a slash; no request would match it"));
        return None;
    }
    if text.contains(['?', '#', ' ']) || text.parse::<Uri>().is_err() {
        reader.fail("prefix", format!("{text:?} is not the path of a URL"));
        return None;
    }
    let inner = text.trim_matches('/');
    if inner.is_empty() { None } else { Some(format!("/{inner}/")) }
}

fn host(reader: &Reader<'_>) -> Option<String> {
    let text = reader.filled("host")?;
    let example = "write it like https://registry.example.com";
    if !text.contains("://") {
        if text.contains(':') {
            reader.fail("host", format!("could not parse {text:?} as a URL; {example}"));
        } else {
            reader.warn("host", format!("{text:?} has no scheme and host and is ignored; {example}"));
        }
        return None;
    }
    match text.parse::<Uri>() {
        Ok(uri)
            if uri.host().is_some_and(|host| !host.is_empty())
                && is_web(&uri)
                && has_a_port_or_none(&uri) =>
        {
            Some(text)
        }
        Ok(_) | Err(_) => {
            reader.fail("host", format!("could not parse {text:?} as a URL; {example}"));
            None
        }
    }
}

fn is_web(uri: &Uri) -> bool {
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none()
}

/// The parser of URLs takes any text for a port.
fn has_a_port_or_none(uri: &Uri) -> bool {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = uri.host().unwrap_or_default();
    uri.port_u16().is_some() || authority.ends_with(host)
}

/// Names and values of the section `headers`.
pub(super) fn headers(reader: &Reader<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let section = reader.section("headers");
    let mut headers = Vec::new();
    for entry in section.map().into_iter().flat_map(|map| &map.entries) {
        let name = HeaderName::from_bytes(entry.key.as_bytes());
        if name.is_err() {
            section.fail(&entry.key, "is not the name of a header; it is made of letters, digits and dashes");
        }
        for node in entry.value.as_list().unwrap_or_default() {
            match node.as_scalar().map(|scalar| HeaderValue::from_str(&scalar.text)) {
                Some(Ok(value)) => headers.extend(name.as_ref().ok().map(|name| (name.clone(), value))),
                Some(Err(_)) => section.fail(&entry.key, "a value has a character that no header may carry"),
                None => section
                    .fail(&entry.key, format!("expected texts in the list, found {}", Node::kind(node))),
            }
        }
    }
    headers
}

/// The shortest and longest head of a request that may be asked for. The parser starts with a buffer of the
/// one, and holds no more than the other.
const HEADER_BYTES: std::ops::RangeInclusive<usize> = 8 << 10..=256 << 10;

fn limits(timeouts: &Reader<'_>, limits: &Reader<'_>) -> Limits {
    let default = Limits::default();
    Limits {
        header: time(timeouts, "header", default.header),
        body: time(timeouts, "body", default.body),
        write: time(timeouts, "write", default.write),
        header_bytes: match count(limits, "headerbytes") {
            None => default.header_bytes,
            Some(bytes) => {
                if !HEADER_BYTES.contains(&bytes) {
                    let (least, most) = (HEADER_BYTES.start(), HEADER_BYTES.end());
                    limits.fail("headerbytes", format!("has to be a number of bytes from {least} to {most}"));
                }
                bytes
            }
        },
        read_ahead: default.read_ahead,
        connections: count(limits, "connections"),
    }
}

/// A time that means its default when it is zero.
fn time(reader: &Reader<'_>, key: &str, default: Duration) -> Duration {
    let nanoseconds = reader.duration(key).unwrap_or(0);
    if nanoseconds < 0 {
        reader.fail(key, "cannot be negative; 0 means the default");
    }
    match u64::try_from(nanoseconds) {
        Ok(nanoseconds) if nanoseconds > 0 => Duration::from_nanos(nanoseconds),
        _ => default,
    }
}

/// A number that means its default when it is zero.
fn count(reader: &Reader<'_>, key: &str) -> Option<usize> {
    let value = reader.number(key, false)?;
    if value < 0 {
        reader.fail(key, "cannot be negative; 0 means the default");
    }
    usize::try_from(value).ok().filter(|value| *value > 0)
}
