//! Answers, and what can be asserted of them.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, LINK, LOCATION};
use http::{HeaderMap, HeaderName, Method, Response, StatusCode};
use serde_json::Value;

use super::client::path_and_query;

/// A whole answer, of which the following was found to hold already:
///
/// - the server did not fail;
/// - it says which API this is, unless `/` was asked for;
/// - `Content-Length` is the length of the body, and an answer to `HEAD` has no body; 204 has neither;
/// - an error is an envelope of JSON, with three exceptions: a method that an endpoint does not have is
///   answered in text, with the methods that it has; a failed precondition and an answer to `HEAD` have
///   no body;
/// - a `Location` is an absolute URL or begins with `/`.
#[derive(Debug)]
pub struct Reply {
    /// Method and URL of the request, for messages.
    pub asked: String,
    /// The status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    pub(super) fn check(asked: String, method: &Method, response: Response<Bytes>) -> Self {
        let (parts, body) = response.into_parts();
        let reply = Self { asked, status: parts.status, headers: parts.headers, body };
        assert!(!reply.status.is_server_error(), "the server fails: {}", reply.summary());
        let path = reply.asked.split([' ', '?']).nth(1);
        if path != Some("/") {
            assert_eq!(reply.header("docker-distribution-api-version"), "registry/2.0");
        }
        let head = method == Method::HEAD;
        if head || matches!(reply.status.as_u16(), 204 | 304 | 412) {
            assert!(reply.body.is_empty(), "there is a body: {}", reply.summary());
        }
        if reply.status == StatusCode::NO_CONTENT {
            assert_eq!(reply.find(CONTENT_LENGTH), None, "204 has no length: {}", reply.summary());
        }
        if !head
            && reply.status != StatusCode::NOT_MODIFIED
            && let Some(len) = reply.find(CONTENT_LENGTH)
        {
            assert_eq!(len, reply.body.len().to_string(), "the length: {}", reply.summary());
        }
        if reply.status.is_client_error() && reply.status != StatusCode::PRECONDITION_FAILED {
            reply.check_error(head);
        }
        if let Some(location) = reply.find(LOCATION) {
            let sound = location.starts_with('/') || location.starts_with("http");
            assert!(sound && !location.contains(' '), "Location: {}", reply.summary());
        }
        reply
    }

    fn check_error(&self, head: bool) {
        if self.status == StatusCode::METHOD_NOT_ALLOWED && self.find(ALLOW).is_some() {
            assert!(self.header(CONTENT_TYPE).starts_with("text/plain"), "{}", self.summary());
            return;
        }
        assert_eq!(self.header(CONTENT_TYPE), "application/json", "{}", self.summary());
        if head {
            let len: u64 = self.header(CONTENT_LENGTH).parse().expect("a length");
            assert!(len > 0, "HEAD tells the length of the envelope: {}", self.summary());
            return;
        }
        let errors = self.json()["errors"].take();
        let errors = errors.as_array().unwrap_or_else(|| panic!("no envelope: {}", self.summary()));
        assert!(!errors.is_empty(), "an envelope without errors: {}", self.summary());
        for error in errors {
            let code = error["code"].as_str().unwrap_or_default();
            let sound = !code.is_empty() && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
            assert!(sound, "the code: {}", self.summary());
            assert!(error["message"].is_string(), "the message: {}", self.summary());
        }
    }

    /// Everything on a few lines.
    pub fn summary(&self) -> String {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(600)]);
        format!("{} → {}\n{:?}\n{body}", self.asked, self.status, self.headers)
    }

    /// Asserts the status.
    ///
    /// # Panics
    /// If it is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.summary());
        self
    }

    /// Asserts the status and the only code of an error.
    ///
    /// # Panics
    /// If they are others.
    #[track_caller]
    pub fn fails(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        assert_eq!(reply.codes(), [code], "{}", reply.summary());
        reply
    }

    /// The codes in the envelope.
    ///
    /// # Panics
    /// If there is no envelope.
    #[track_caller]
    pub fn codes(&self) -> Vec<String> {
        let json = self.json();
        let errors = json["errors"].as_array().unwrap_or_else(|| panic!("no envelope: {}", self.summary()));
        errors.iter().map(|error| error["code"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The detail of the first error.
    #[track_caller]
    pub fn detail(&self) -> Value {
        self.json()["errors"][0]["detail"].take()
    }

    /// The value of a header that there has to be, once.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn header(&self, name: impl TryInto<HeaderName>) -> &str {
        let name = name.try_into().unwrap_or_else(|_| panic!("the name of a header"));
        assert_eq!(self.headers.get_all(&name).iter().count(), 1, "{name} of {}", self.summary());
        self.find(name).unwrap_or_default()
    }

    /// The value of a header, if there is one.
    ///
    /// # Panics
    /// If it is no text.
    #[track_caller]
    pub fn find(&self, name: impl TryInto<HeaderName>) -> Option<&str> {
        let name = name.try_into().unwrap_or_else(|_| panic!("the name of a header"));
        self.headers.get(&name).map(|value| value.to_str().expect("headers are text"))
    }

    /// Asserts that a header is there with a value.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn has(self, name: &str, value: impl ToString) -> Self {
        assert_eq!(self.header(name), value.to_string(), "{name} of {}", self.summary());
        self
    }

    /// Asserts that a header is not there.
    ///
    /// # Panics
    /// If it is.
    #[track_caller]
    pub fn lacks(self, name: &str) -> Self {
        assert_eq!(self.find(name), None, "{name} of {}", self.summary());
        self
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.summary()))
    }

    /// Path and query of `Location`.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn location(&self) -> String {
        path_and_query(self.header(LOCATION)).to_owned()
    }

    /// Path and query of the next page (RFC 8288), if there is a `Link` to one.
    ///
    /// # Panics
    /// If there is a `Link` to something else.
    #[track_caller]
    pub fn next_page(&self) -> Option<String> {
        let link = self.find(LINK)?;
        let target = link
            .strip_prefix('<')
            .and_then(|link| link.strip_suffix(">; rel=\"next\""))
            .unwrap_or_else(|| panic!("Link: {}", self.summary()));
        Some(path_and_query(target).to_owned())
    }
}
