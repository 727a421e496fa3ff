//! Signature version 2, which some services that are not Amazon's still want.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html>

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use percent_encoding::percent_decode_str;
use registry_core::BoxError;

use super::credentials::Credentials;
use crate::drivers::bucket::text::percent;

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// The parts of a query that are signed.
const SIGNED: &[&str] = &[
    "acl",
    "delete",
    "location",
    "partNumber",
    "policy",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
];

/// Signs a request by its headers. `resource` is the escaped path with the bucket in front, wherever it is in
/// the request. Returns what was signed.
///
/// # Errors
/// If a credential cannot stand in a header.
pub(super) fn sign(
    credentials: &Credentials,
    now: SystemTime,
    method: &Method,
    resource: &str,
    query: &str,
    headers: &mut HeaderMap,
) -> Result<String, BoxError> {
    headers.insert(DATE, HeaderValue::from_str(&httpdate::fmt_http_date(now))?);
    if let Some(token) = &credentials.session_token {
        let mut token = HeaderValue::from_str(token.expose())?;
        token.set_sensitive(true);
        headers.insert(TOKEN, token);
    }
    let text = to_sign(method, headers, value(headers, &DATE), resource, query);
    let header = format!("AWS {}:{}", credentials.access_key, signature(credentials, &text));
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&header)?);
    Ok(text)
}

/// The query of a URL that is good for a while, whoever sends it.
pub(super) fn presign(
    credentials: &Credentials,
    now: SystemTime,
    method: &Method,
    resource: &str,
    query: &str,
    good_for: Duration,
) -> String {
    let until = (now + good_for).duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
    let mut headers = HeaderMap::new();
    let mut token = String::new();
    if let Some(secret) = &credentials.session_token
        && let Ok(header) = HeaderValue::from_str(secret.expose())
    {
        headers.insert(TOKEN, header);
        token = format!("&x-amz-security-token={}", percent(secret.expose()));
    }
    let text = to_sign(method, &headers, &until, resource, query);
    let given = if query.is_empty() { String::new() } else { format!("{query}&") };
    format!(
        "{given}AWSAccessKeyId={}&Expires={until}{token}&Signature={}",
        percent(&credentials.access_key),
        percent(&signature(credentials, &text)),
    )
}

fn signature(credentials: &Credentials, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, credentials.secret_key.expose().as_bytes());
    BASE64_STANDARD.encode(hmac::sign(&key, text.as_bytes()))
}

fn to_sign(method: &Method, headers: &HeaderMap, date: &str, resource: &str, query: &str) -> String {
    let mut own: Vec<(&str, &str)> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-amz-"))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default().trim()))
        .collect();
    own.sort_unstable();
    let own: String = own.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let mut parts: Vec<String> = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(name, _)| SIGNED.contains(name))
        .map(|(name, value)| match value {
            "" => name.to_owned(),
            value => format!("{name}={}", percent_decode_str(value).decode_utf8_lossy()),
        })
        .collect();
    parts.sort_unstable();
    let mark = if parts.is_empty() { "" } else { "?" };
    format!(
        "{method}\n{}\n{}\n{date}\n{own}{resource}{mark}{}",
        value(headers, &CONTENT_MD5),
        value(headers, &CONTENT_TYPE),
        parts.join("&"),
    )
}

fn value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    //! The examples that Amazon published.

    use super::*;

    fn signed(
        method: &Method,
        date: &'static str,
        headers: &[(HeaderName, &'static str)],
        path: &str,
    ) -> String {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name.clone(), HeaderValue::from_static(value));
        }
        signature(&Credentials::example(), &to_sign(method, &map, date, path, query))
    }

    #[test]
    fn published_examples_have_the_published_signatures() {
        let get = signed(&Method::GET, "Tue, 27 Mar 2007 19:36:42 +0000", &[], "/johnsmith/photos/puppy.jpg");
        assert_eq!(get, "bWq2s1WEIj+Ydj0vQ697zp+IXMU=");
        let headers = [(CONTENT_TYPE, "image/jpeg")];
        let date = "Tue, 27 Mar 2007 21:15:45 +0000";
        let put = signed(&Method::PUT, date, &headers, "/johnsmith/photos/puppy.jpg");
        assert_eq!(put, "MyyxeRY7whkBe+bq8fHCL/2kKUg=");
        let list = "/johnsmith/?prefix=photos&max-keys=50&marker=puppy";
        let list = signed(&Method::GET, "Tue, 27 Mar 2007 19:42:41 +0000", &[], list);
        assert_eq!(list, "htDYFYduRNen8P9ZfE/s9SuKy0U=");
        let acl = signed(&Method::GET, "Tue, 27 Mar 2007 19:44:46 +0000", &[], "/johnsmith/?acl");
        assert_eq!(acl, "c2WLPFtWHVgbEmeEG93a4cG37dM=");
    }

    #[test]
    fn a_url_is_signed_for_a_while() {
        let now = UNIX_EPOCH + Duration::from_secs(1_175_139_000);
        let resource = "/johnsmith/photos/puppy.jpg";
        let query =
            presign(&Credentials::example(), now, &Method::GET, resource, "", Duration::from_secs(620));
        assert_eq!(
            query,
            "AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1175139620&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D"
        );
    }

    #[test]
    fn own_headers_and_what_is_overridden_are_signed() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-acl", HeaderValue::from_static("private"));
        let query = "response-content-type=application%2Foctet-stream&x=1&uploadId=a%2Bb";
        let text = to_sign(&Method::GET, &headers, "1", "/b/k", query);
        assert_eq!(
            text,
            "GET\n\n\n1\nx-amz-acl:private\n/b/k?response-content-type=application/octet-stream&uploadId=a+b"
        );
    }
}
