//! Decodes `http`.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use crate::config::model::{Address, Http, Secret};
use crate::config::node::Node;
use crate::config::reader::Reader;

/// Every interface, the registry's usual port. (The original picks a random port, which nobody can want.)
const DEFAULT_ADDRESS: &str = ":5000";

/// How long requests in flight get when the file does not say: 10 seconds. (The original drops them at once.)
pub(crate) const DEFAULT_DRAIN: Duration = Duration::from_secs(10);

pub(super) fn http(reader: &Reader<'_>) -> Option<Http> {
    let addr = address(reader);
    let http = Http {
        addr: Address::Unix(PathBuf::new()),
        prefix: prefix(reader),
        host: host(reader),
        secret: reader.filled("secret").map(Secret::new),
        relative_urls: reader.flag("relativeurls").unwrap_or(false),
        headers: headers(reader),
        drain_timeout: drain(reader),
    };
    Some(Http { addr: addr?, ..http })
}

fn address(reader: &Reader<'_>) -> Option<Address> {
    let addr = reader.filled("addr");
    match reader.filled("net").as_deref() {
        None | Some("tcp") => match tcp(addr.as_deref().unwrap_or(DEFAULT_ADDRESS)) {
            Ok(address) => Some(address),
            Err(text) => {
                reader.fail("addr", text);
                None
            }
        },
        Some("unix") => {
            if addr.is_none() {
                reader.fail("net", "unix needs the path of a socket in http.addr");
            }
            addr.map(|path| Address::Unix(PathBuf::from(path)))
        }
        Some(other) => {
            reader.fail("net", format!("unknown address type {other:?}; it is tcp or unix"));
            None
        }
    }
}

/// Reads `host:port`, `:port` and `[v6 address]:port`.
fn tcp(text: &str) -> Result<Address, String> {
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
        Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) && is_web(&uri) => Some(text),
        Ok(_) | Err(_) => {
            reader.fail("host", format!("could not parse {text:?} as a URL; {example}"));
            None
        }
    }
}

fn is_web(uri: &Uri) -> bool {
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none()
}

fn headers(reader: &Reader<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let section = reader.section("headers");
    let mut headers = Vec::new();
    for entry in section.map().into_iter().flat_map(|map| &map.entries) {
        let name = HeaderName::from_bytes(entry.key.as_bytes());
        if name.is_err() {
            section.fail(&entry.key, "is not the name of a header");
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

fn drain(reader: &Reader<'_>) -> Duration {
    let nanoseconds = reader.duration("draintimeout").unwrap_or(0);
    if nanoseconds < 0 {
        reader.fail("draintimeout", "cannot be negative");
    }
    match u64::try_from(nanoseconds) {
        Ok(nanoseconds) if nanoseconds > 0 => Duration::from_nanos(nanoseconds),
        _ => DEFAULT_DRAIN,
    }
}
