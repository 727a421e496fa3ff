//! Where the registry is: the URL of the command line, and the ones that the registry hands out.

use std::str::FromStr;

use http::uri::{InvalidUri, PathAndQuery, Uri};
use http::{HeaderValue, header};

/// A registry on plain HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    host: String,
    port: u16,
    /// Goes before `/v2/`; empty or `/some/path`.
    base: String,
}

/// Why a URL is none that can be measured.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("not a URL such as http://127.0.0.1:5000")]
    Malformed,
    #[error("https is not supported; measure on plain http, on the server's own machine")]
    Https,
    #[error("{0:?} is not a scheme that can be measured, only http is")]
    Scheme(String),
}

impl FromStr for Target {
    type Err = TargetError;

    /// Reads `http://host[:port][/prefix]`; a URL without a scheme is taken for http.
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let with_scheme;
        let text = if text.contains("://") {
            text
        } else {
            with_scheme = format!("http://{text}");
            &with_scheme
        };
        let uri: Uri = text.parse().map_err(|_| TargetError::Malformed)?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(TargetError::Https),
            scheme => return Err(TargetError::Scheme(scheme.unwrap_or_default().to_owned())),
        }
        let authority = uri.authority().ok_or(TargetError::Malformed)?;
        let clean = !authority.as_str().contains('@') && uri.query().is_none();
        // `port()` is also `None` for a port that is none.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => Some(80),
            _ => authority.port_u16(),
        };
        match (clean && !authority.host().is_empty(), port) {
            (true, Some(port)) => Ok(Self {
                host: authority.host().to_owned(),
                port,
                base: uri.path().trim_end_matches('/').trim_end_matches("/v2").to_owned(),
            }),
            _ => Err(TargetError::Malformed),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}:{}{}", self.host, self.port, self.base)
    }
}

impl Target {
    /// What a socket connects to; without the brackets of an IPv6 address.
    pub(super) fn address(&self) -> (&str, u16) {
        (self.host.trim_start_matches('[').trim_end_matches(']'), self.port)
    }

    /// The `host` header.
    pub(super) fn host_header(&self) -> HeaderValue {
        let text = format!("{}:{}", self.host, self.port);
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("localhost"))
    }

    /// The request target for `path`, which begins with `/v2/`.
    pub(super) fn uri(&self, path: &str) -> Result<Uri, InvalidUri> {
        Ok(Uri::from(PathAndQuery::try_from(format!("{}{path}", self.base))?))
    }

    /// The request target that `location` in an answer to `asked` leads to, `digest` appended to its query.
    /// `None` when it is no URL or leads to another server.
    pub(super) fn follow(&self, asked: &Uri, location: &HeaderValue, digest: &str) -> Option<Uri> {
        let location = location.to_str().ok()?;
        let path = if let Some((scheme, rest)) = location.split_once("://") {
            let (authority, path) = rest.find('/').map(|at| rest.split_at(at))?;
            let ours = [format!("{}:{}", self.host, self.port), self.host.clone()];
            let same = authority.eq_ignore_ascii_case(&ours[0])
                || (self.port == 80 && authority.eq_ignore_ascii_case(&ours[1]));
            if scheme != "http" || !same {
                return None;
            }
            path.to_owned()
        } else if location.starts_with('/') {
            location.to_owned()
        } else {
            let directory = asked.path().rsplit_once('/').map_or("", |(directory, _)| directory);
            format!("{directory}/{location}")
        };
        let joint = if path.contains('?') { '&' } else { '?' };
        format!("{path}{joint}digest={digest}").parse::<PathAndQuery>().ok().map(Uri::from)
    }
}

/// The upload's URL in the headers of an answer.
pub(super) fn location(headers: &http::HeaderMap) -> Option<&HeaderValue> {
    headers.get(header::LOCATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        text.parse().unwrap()
    }

    #[test]
    fn urls_that_can_be_measured() {
        for (text, shown, address) in [
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000", ("127.0.0.1", 5000)),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:5000", ("127.0.0.1", 5000)),
            ("http://localhost:5000/v2/", "http://localhost:5000", ("localhost", 5000)),
            ("localhost:5000", "http://localhost:5000", ("localhost", 5000)),
            ("http://registry", "http://registry:80", ("registry", 80)),
            ("http://[::1]:5000/a/b/", "http://[::1]:5000/a/b", ("::1", 5000)),
        ] {
            assert_eq!(
                (target(text).to_string().as_str(), target(text).address()),
                (shown, address),
                "{text}"
            );
        }
    }

    #[test]
    fn urls_that_cannot_say_why() {
        for (text, error) in [
            ("", TargetError::Malformed),
            ("http://", TargetError::Malformed),
            ("http://user:secret@host", TargetError::Malformed),
            ("http://host:99999", TargetError::Malformed),
            ("http://host:/", TargetError::Malformed),
            ("http://host/?q", TargetError::Malformed),
            ("https://host", TargetError::Https),
            ("ftp://host", TargetError::Scheme("ftp".into())),
        ] {
            assert_eq!(text.parse::<Target>(), Err(error), "{text}");
        }
    }

    #[test]
    fn an_upload_goes_where_its_location_says() {
        let target = target("http://127.0.0.1:5000");
        let asked: Uri = "/v2/a/blobs/uploads/".parse().unwrap();
        let follow = |location: &'static str| {
            let found = target.follow(&asked, &HeaderValue::from_static(location), "sha256:00");
            found.map(|uri| uri.to_string())
        };
        let expected = |text: &str| Some(text.to_owned());
        assert_eq!(follow("/v2/a/u/1"), expected("/v2/a/u/1?digest=sha256:00"));
        assert_eq!(follow("/u/1?_state=x%3D"), expected("/u/1?_state=x%3D&digest=sha256:00"));
        assert_eq!(follow("http://127.0.0.1:5000/u/1?s=2"), expected("/u/1?s=2&digest=sha256:00"));
        assert_eq!(follow("1"), expected("/v2/a/blobs/uploads/1?digest=sha256:00"));
        assert_eq!(follow("http://127.0.0.1:5001/u/1"), None);
        assert_eq!(follow("https://127.0.0.1:5000/u/1"), None);
        assert_eq!(follow("http://127.0.0.1:5000"), None);
    }

    #[test]
    fn a_prefix_goes_before_every_path() {
        assert_eq!(target("http://h/some").uri("/v2/").unwrap(), "/some/v2/");
        assert_eq!(target("http://h").uri("/v2/").unwrap(), "/v2/");
    }
}
