//! What URLs that clients are sent to begin with.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// Scheme, host and a path that others are appended to: `https://cdn.example.com/images`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    /// Empty, or with a `/` in front and none at the end.
    path: String,
}

/// Why a text is no [`BaseUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaseUrlError {
    /// It is not a URL.
    #[error("is not a URL")]
    NotUrl,
    /// The scheme is missing.
    #[error("no scheme specified")]
    NoScheme,
    /// The scheme is not one that clients fetch blobs with.
    #[error("the scheme has to be http or https")]
    Scheme,
    /// The host is missing.
    #[error("no host specified")]
    NoHost,
    /// There is a user in it, whom every client would learn of.
    #[error("cannot have a user")]
    User,
    /// There is a query or fragment in it, which would be lost.
    #[error("cannot have a query or fragment")]
    Query,
}

impl BaseUrl {
    /// Reads a URL of `http` or `https` without user, query and fragment.
    ///
    /// # Errors
    /// [`BaseUrlError`].
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(BaseUrlError::NoScheme);
        };
        match rest.chars().next() {
            _ if scheme.is_empty() => return Err(BaseUrlError::NoScheme),
            None | Some('/' | ':' | '?' | '#') => return Err(BaseUrlError::NoHost),
            Some(_) if text.contains(['?', '#']) => return Err(BaseUrlError::Query),
            Some(_) => {}
        }
        let parts = text.parse::<Uri>().map_err(|_| BaseUrlError::NotUrl)?.into_parts();
        let scheme = parts.scheme.ok_or(BaseUrlError::NoScheme)?;
        if ![Scheme::HTTP, Scheme::HTTPS].contains(&scheme) {
            return Err(BaseUrlError::Scheme);
        }
        let authority = authority(parts.authority.ok_or(BaseUrlError::NoHost)?)?;
        let path = parts.path_and_query.as_ref().map_or("", PathAndQuery::path);
        Ok(Self { scheme, authority, path: clean(path) })
    }

    /// The same, with `https` where no scheme is said.
    ///
    /// # Errors
    /// [`BaseUrlError`].
    pub fn parse_or_https(text: &str) -> Result<Self, BaseUrlError> {
        if text.contains("://") { Self::parse(text) } else { Self::parse(&format!("https://{text}")) }
    }

    /// The URL of `path`, which begins with `/`. `None` if a URL cannot have such a path.
    pub(super) fn join(&self, path: &str) -> Option<Uri> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{}{path}", self.path))
            .build()
            .ok()
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        Self::parse(text)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

/// A host and perhaps a port, and nobody before them.
pub(super) fn authority(authority: Authority) -> Result<Authority, BaseUrlError> {
    match authority.host() {
        _ if authority.as_str().contains('@') => Err(BaseUrlError::User),
        "" => Err(BaseUrlError::NoHost),
        // `Authority` takes `host:` and `host:x`.
        host if authority.as_str() != host && authority.port_u16().is_none() => Err(BaseUrlError::NotUrl),
        _ => Ok(authority),
    }
}

/// The path without what means nothing in it: empty segments, `.` and `..`.
fn clean(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    segments.iter().map(|segment| format!("/{segment}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_appended_to_what_a_base_url_has() {
        for (base, joined) in [
            ("https://cdn.example.com", "https://cdn.example.com/a/b"),
            ("https://cdn.example.com/", "https://cdn.example.com/a/b"),
            ("http://cdn.example.com:8080/base/x", "http://cdn.example.com:8080/base/x/a/b"),
            ("http://127.0.0.1:80/base//./x/../y/", "http://127.0.0.1:80/base/y/a/b"),
            ("https://[::1]:5000/%20", "https://[::1]:5000/%20/a/b"),
            ("HTTPS://CDN.example.com/..", "https://CDN.example.com/a/b"),
        ] {
            let url = BaseUrl::parse(base).unwrap();
            assert_eq!(url.join("/a/b").unwrap().to_string(), joined, "{base}");
            assert_eq!(BaseUrl::parse(&url.to_string()), Ok(url), "{base}");
        }
        for text in ["d111.cloudfront.net/x/", "https://d111.cloudfront.net/x"] {
            assert_eq!(BaseUrl::parse_or_https(text).unwrap().to_string(), "https://d111.cloudfront.net/x");
        }
    }

    #[test]
    fn what_is_no_base_url_says_why() {
        for (text, expected) in [
            ("", BaseUrlError::NoScheme),
            ("cdn.example.com", BaseUrlError::NoScheme),
            ("cdn.example.com/base", BaseUrlError::NoScheme),
            ("://cdn.example.com", BaseUrlError::NoScheme),
            ("https://", BaseUrlError::NoHost),
            ("https:///base", BaseUrlError::NoHost),
            ("https://:443/base", BaseUrlError::NoHost),
            ("https://?a", BaseUrlError::NoHost),
            ("ftp://cdn.example.com", BaseUrlError::Scheme),
            ("https://user:password@cdn.example.com", BaseUrlError::User),
            ("https://cdn.example.com/?token=1", BaseUrlError::Query),
            ("https://cdn.example.com#top", BaseUrlError::Query),
            ("https://cdn.example.com/a b", BaseUrlError::NotUrl),
            ("https://cdn.example.com:x/", BaseUrlError::NotUrl),
            ("https://cdn.example.com:/", BaseUrlError::NotUrl),
            ("https://cdn.example.com:99999/", BaseUrlError::NotUrl),
        ] {
            assert_eq!(BaseUrl::parse(text), Err(expected), "{text:?}");
        }
    }
}
