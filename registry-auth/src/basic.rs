//! The `Basic` scheme of HTTP authentication (RFC 7617).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use registry_core::Challenge;

/// The name of the scheme.
const SCHEME: &str = "Basic";

/// A user and a password that nobody has checked yet. The user name may be empty; neither has control characters.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why a header is no credentials. To be answered like wrong credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("more than one Authorization header")]
    Several,
    #[error("Authorization is not ASCII text")]
    NotText,
    #[error("Basic credentials are not base64")]
    Base64,
    #[error("Basic credentials are not UTF-8")]
    Utf8,
    #[error("Basic credentials have no colon after the user name")]
    NoColon,
    #[error("Basic credentials have a control character")]
    Control,
}

/// The credentials of a request; `None` if it has no `Authorization`, or one of another scheme.
///
/// The first colon ends the user name, so that a password may have colons and a user name none (RFC 7617, section 2).
///
/// # Errors
/// There are two headers, of which anybody between us and the client may have read the other one, or one that breaks
/// the grammar.
pub(crate) fn credentials(headers: &HeaderMap) -> Result<Option<Credentials>, Malformed> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Malformed::Several);
    }
    let text = value.to_str().map_err(|_| Malformed::NotText)?;
    let (scheme, encoded) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Ok(None);
    }
    let bytes = STANDARD.decode(encoded.trim_matches(' ')).map_err(|_| Malformed::Base64)?;
    let text = String::from_utf8(bytes).map_err(|_| Malformed::Utf8)?;
    if text.chars().any(char::is_control) {
        return Err(Malformed::Control);
    }
    let (user, password) = text.split_once(':').ok_or(Malformed::NoColon)?;
    Ok(Some(Credentials { user: user.to_owned(), password: password.to_owned() }))
}

/// What asks for credentials.
pub(crate) fn challenge(realm: &str) -> Challenge {
    Challenge { scheme: SCHEME.into(), params: vec![("realm".into(), realm.to_owned())] }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(values: &[&[u8]]) -> Result<Option<(String, String)>, Malformed> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        credentials(&headers).map(|found| found.map(|found| (found.user, found.password)))
    }

    fn basic(plain: &[u8]) -> Vec<u8> {
        format!("Basic {}", STANDARD.encode(plain)).into_bytes()
    }

    #[test]
    fn credentials_are_read() {
        let pair = |user: &str, password: &str| Ok(Some((user.to_owned(), password.to_owned())));
        // RFC 7617, sections 2 and 2.1
        assert_eq!(of(&[b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]), pair("Aladdin", "open sesame"));
        assert_eq!(of(&[b"Basic dGVzdDoxMjPCow=="]), pair("test", "123£"));
        assert_eq!(of(&[b"bASIC  YTpi "]), pair("a", "b"));
        assert_eq!(of(&[&basic(b"a:b:c:")]), pair("a", "b:c:"));
        assert_eq!(of(&[&basic(b"a:")]), pair("a", ""));
        assert_eq!(of(&[&basic(b":b")]), pair("", "b"));
        let long = "x".repeat(10_000);
        assert_eq!(of(&[&basic(format!("a:{long}").as_bytes())]), pair("a", &long));
    }

    #[test]
    fn other_schemes_are_none() {
        for value in [
            &b""[..],
            b"Bearer abc",
            b"Basically YTpi",
            b"YTpi",
            b" Basic YTpi",
            b"Basic,YTpi",
            b"Basic\tYTpi",
        ] {
            assert_eq!(of(&[value]), Ok(None), "{}", String::from_utf8_lossy(value));
        }
        assert_eq!(of(&[]), Ok(None));
    }

    #[test]
    fn garbage_has_a_reason() {
        for (value, reason) in [
            (b"Basic".to_vec(), Malformed::NoColon),
            (b"Basic ".to_vec(), Malformed::NoColon),
            (b"Basic !!!".to_vec(), Malformed::Base64),
            (b"Basic YTp".to_vec(), Malformed::Base64),
            (b"Basic YTpi=".to_vec(), Malformed::Base64),
            (b"Basic YT pi".to_vec(), Malformed::Base64),
            (b"Basic YTpi,Basic YTpi".to_vec(), Malformed::Base64),
            (b"Basic \xff\xfe".to_vec(), Malformed::NotText),
            (basic(b"abc"), Malformed::NoColon),
            (basic(b"a:\xff"), Malformed::Utf8),
            (basic(b"\xe9:b"), Malformed::Utf8),
            (basic(b"a:b\n"), Malformed::Control),
            (basic(b"a\0:b"), Malformed::Control),
            (basic("a:\u{85}".as_bytes()), Malformed::Control),
        ] {
            assert_eq!(of(&[&value]), Err(reason), "{}", String::from_utf8_lossy(&value));
        }
        for second in [&b"Basic YTpi"[..], b"", b"Bearer x"] {
            assert_eq!(of(&[b"Basic YTpi", second]), Err(Malformed::Several));
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let credentials = Credentials { user: "a".into(), password: "secret".into() };
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
