//! URLs that are handed out in `Location`.

use http::header::{FORWARDED, HOST};
use http::{HeaderMap, Uri, request::Parts};

/// What the URLs in `Location` begin with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Locations {
    /// With a path: clients resolve it against the URL they asked. Right behind any proxy, and what
    /// embedders get. `http.relativeurls` in configuration.
    #[default]
    Relative,
    /// With scheme and host of the request, as Distribution has it.
    FromRequest {
        /// Whether `Forwarded` (RFC 7239) and `X-Forwarded-Proto` and `-Host` are believed.
        trust_forwarded: bool,
    },
    /// With this URL: scheme, host, and a path if there is one. `http.host` in configuration.
    External(Uri),
}

impl Locations {
    /// What comes before the path of an API URL for this request. `prefix` is the path that the API is
    /// mounted under, empty or `/like/this`.
    pub(crate) fn base(&self, parts: &Parts, prefix: &str) -> String {
        match self {
            Self::Relative => prefix.to_owned(),
            Self::External(uri) => {
                let path = uri.path().trim_end_matches('/');
                // Whoever has put the prefix into the URL already does not mean it twice.
                let prefix = if path.ends_with(prefix) { "" } else { prefix };
                let scheme = uri.scheme_str().unwrap_or("http");
                let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
                format!("{scheme}://{authority}{path}{prefix}")
            }
            Self::FromRequest { trust_forwarded } => {
                let own_host = parts
                    .uri
                    .authority()
                    .map(ToString::to_string)
                    .or_else(|| header(&parts.headers, HOST.as_str()).map(str::to_owned));
                let forwarded =
                    if *trust_forwarded { Forwarded::read(&parts.headers) } else { Forwarded::default() };
                let scheme = forwarded.proto.filter(|proto| matches!(proto.as_str(), "http" | "https"));
                let scheme = scheme.as_deref().or(parts.uri.scheme_str()).unwrap_or("http");
                match forwarded.host.or(own_host).filter(|host| is_authority(host)) {
                    Some(host) => [scheme, "://", &host, prefix].concat(),
                    // HTTP/1.0 without a host, or one that is none.
                    None => prefix.to_owned(),
                }
            }
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn is_authority(text: &str) -> bool {
    !text.contains('@') && text.parse::<http::uri::Authority>().is_ok()
}

/// What a proxy says about the request that it was sent.
#[derive(Debug, Default, PartialEq, Eq)]
struct Forwarded {
    proto: Option<String>,
    host: Option<String>,
}

impl Forwarded {
    /// `Forwarded` if it is there, even if it cannot be read; otherwise the `X-Forwarded-` headers. Of
    /// several proxies the first, which the client talked to.
    fn read(headers: &HeaderMap) -> Self {
        if let Some(line) = headers.get(FORWARDED) {
            return line.to_str().ok().and_then(Self::parse).unwrap_or_default();
        }
        let first = |name: &str| {
            let text = header(headers, name)?.split(',').next()?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        Self {
            proto: first("x-forwarded-proto").map(|proto| proto.to_ascii_lowercase()),
            host: first("x-forwarded-host"),
        }
    }

    /// The first element of RFC 7239, section 4: `name=value` pairs joined by `;`, where a value is a
    /// token or a quoted string. `None` if it is malformed.
    fn parse(line: &str) -> Option<Self> {
        let mut forwarded = Self::default();
        let mut rest = line.trim_start();
        loop {
            let (name, after) = rest.split_once('=')?;
            let (value, after) = parameter_value(after)?;
            match name.trim().to_ascii_lowercase().as_str() {
                "proto" if forwarded.proto.is_none() => forwarded.proto = Some(value.to_ascii_lowercase()),
                "host" if forwarded.host.is_none() => forwarded.host = Some(value),
                "proto" | "host" => return None,
                _ => {}
            }
            match after.trim_start().strip_prefix(';') {
                Some(more) if !more.trim().is_empty() => rest = more.trim_start(),
                Some(_) => return Some(forwarded),
                None => {
                    let after = after.trim_start();
                    return (after.is_empty() || after.starts_with(',')).then_some(forwarded);
                }
            }
        }
    }
}

/// A token or quoted string at the beginning of `text`, and what comes after it.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',', ' ', '\t']).unwrap_or(text.len());
        let (token, rest) = text.split_at(end);
        return (!token.is_empty() && !token.contains('"')).then(|| (token.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[index + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn base(locations: &Locations, prefix: &str, headers: &[(&str, &str)]) -> String {
        let mut request = Request::builder().uri("/v2/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        locations.base(&request.body(()).unwrap().into_parts().0, prefix)
    }

    #[test]
    fn forwarded_headers_count_where_they_are_trusted() {
        let trusting = Locations::FromRequest { trust_forwarded: true };
        let host = ("host", "inside:5000");
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[host], "http://inside:5000"),
            (&[host, ("x-forwarded-proto", "https,http")], "https://inside:5000"),
            (&[host, ("x-forwarded-proto", "gopher")], "http://inside:5000"),
            (&[host, ("x-forwarded-host", "a.example, b")], "http://a.example"),
            (
                &[host, ("forwarded", "for=1.2.3.4;proto=HTTPS;host=\"a.example:8443\", host=b")],
                "https://a.example:8443",
            ),
            (&[host, ("forwarded", "host=\"a\\.example\"")], "http://a.example"),
            (&[host, ("forwarded", "broken"), ("x-forwarded-proto", "https")], "http://inside:5000"),
            (&[host, ("forwarded", "proto=http;proto=https")], "http://inside:5000"),
            (&[host, ("forwarded", "host=\"open")], "http://inside:5000"),
            (&[host, ("x-forwarded-host", "user@evil/../x")], ""),
            (&[], ""),
        ];
        for (headers, expected) in cases {
            assert_eq!(base(&trusting, "", headers), *expected, "{headers:?}");
        }
        let wary = Locations::FromRequest { trust_forwarded: false };
        assert_eq!(base(&wary, "/p", &[host, ("x-forwarded-proto", "https")]), "http://inside:5000/p");
        assert_eq!(base(&Locations::Relative, "/p", &[host]), "/p");
    }

    #[test]
    fn an_external_url_has_the_prefix_once() {
        let external = |uri: &str, prefix| base(&Locations::External(uri.parse().unwrap()), prefix, &[]);
        assert_eq!(external("https://r.example", "/p"), "https://r.example/p");
        assert_eq!(external("https://r.example/p/", "/p"), "https://r.example/p");
        assert_eq!(external("https://r.example/sub/", ""), "https://r.example/sub");
    }
}
