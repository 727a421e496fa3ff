//! Signature version 4.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html>

use std::time::{Duration, SystemTime};

use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderName, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use registry_core::BoxError;

use super::credentials::Credentials;
use crate::drivers::bucket::text::percent;

/// What stands for the hash of a body that is not signed.
pub(super) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Who signs, when and for where.
#[derive(Debug)]
pub(super) struct Signer<'a> {
    pub(super) credentials: &'a Credentials,
    pub(super) region: &'a str,
    pub(super) now: SystemTime,
}

/// What is signed of a request.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) method: &'a Method,
    pub(super) host: &'a str,
    /// Escaped.
    pub(super) path: &'a str,
    /// Escaped, as it is sent.
    pub(super) query: &'a str,
}

impl Signer<'_> {
    /// Signs a request by its headers. `hash` is that of the body in hex, or [`UNSIGNED`]. Returns what was
    /// signed, for those who look for a mistake.
    ///
    /// # Errors
    /// If a credential cannot stand in a header.
    pub(super) fn sign(
        &self,
        target: &Target<'_>,
        headers: &mut HeaderMap,
        hash: &str,
    ) -> Result<String, BoxError> {
        let time = self.time();
        headers.insert(DATE, HeaderValue::from_str(&time)?);
        headers.insert(HASH, HeaderValue::from_str(hash)?);
        match &self.credentials.session_token {
            Some(token) => {
                let mut token = HeaderValue::from_str(token.expose())?;
                token.set_sensitive(true);
                headers.insert(TOKEN, token);
            }
            None => {
                headers.remove(TOKEN);
            }
        }
        let (names, lines) = canonical_headers(target.host, headers);
        let canonical = self.canonical(target, &canonical_query(target.query), &lines, &names, hash);
        let signature = self.signature(&time, &canonical);
        let value = format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={names}, Signature={signature}",
            self.credentials.access_key,
            self.scope(&time),
        );
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&value)?);
        Ok(canonical)
    }

    /// The query of a URL that is good for a while, whoever sends it. `target.query` is part of it.
    pub(super) fn presign(&self, target: &Target<'_>, good_for: Duration) -> String {
        let time = self.time();
        let mut query = target.query.to_owned();
        let mut add = |name: &str, value: &str| {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(name);
            query.push('=');
            query.push_str(&percent(value));
        };
        add("X-Amz-Algorithm", ALGORITHM);
        add("X-Amz-Credential", &format!("{}/{}", self.credentials.access_key, self.scope(&time)));
        add("X-Amz-Date", &time);
        add("X-Amz-Expires", &good_for.as_secs().to_string());
        if let Some(token) = &self.credentials.session_token {
            add("X-Amz-Security-Token", token.expose());
        }
        add("X-Amz-SignedHeaders", "host");
        let sorted = canonical_query(&query);
        let lines = format!("host:{}\n", target.host);
        let canonical = self.canonical(target, &sorted, &lines, "host", UNSIGNED);
        format!("{sorted}&X-Amz-Signature={}", self.signature(&time, &canonical))
    }

    fn canonical(&self, target: &Target<'_>, query: &str, lines: &str, names: &str, hash: &str) -> String {
        let path = if target.path.is_empty() { "/" } else { target.path };
        format!("{}\n{path}\n{query}\n{lines}\n{names}\n{hash}", target.method)
    }

    fn signature(&self, time: &str, canonical: &str) -> String {
        let hash = hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
        let text = format!("{ALGORITHM}\n{time}\n{}\n{hash}", self.scope(time));
        let first = format!("AWS4{}", self.credentials.secret_key.expose());
        let mut key = mac(first.as_bytes(), day(time));
        for step in [self.region, "s3", "aws4_request"] {
            key = mac(key.as_ref(), step);
        }
        hex::encode(mac(key.as_ref(), &text))
    }

    fn scope(&self, time: &str) -> String {
        format!("{}/{}/s3/aws4_request", day(time), self.region)
    }

    /// `20130524T000000Z`
    fn time(&self) -> String {
        humantime::format_rfc3339_seconds(self.now).to_string().replace(['-', ':'], "")
    }
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn day(time: &str) -> &str {
    time.split('T').next().unwrap_or(time)
}

/// The hash of a body in hex.
pub(super) fn hash(body: &[Bytes]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for piece in body {
        context.update(piece);
    }
    hex::encode(context.finish())
}

/// Names and values in order, each with a `=`.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The names of the signed headers, and their lines. Headers are left out that something between us and the
/// service may change.
fn canonical_headers(host: &str, headers: &HeaderMap) -> (String, String) {
    let mut signed: Vec<(&str, String)> = headers
        .iter()
        .filter(|(name, _)| ![AUTHORIZATION, CONTENT_LENGTH, HOST, USER_AGENT].contains(*name))
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes());
            (name.as_str(), text.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect();
    signed.push(("host", host.to_owned()));
    signed.sort_unstable();
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    (names, lines)
}

#[cfg(test)]
mod tests {
    //! The examples that Amazon publishes.

    use http::header::{DATE as HTTP_DATE, RANGE};

    use super::*;
    use crate::drivers::bucket::options::Secret;

    fn signer(credentials: &Credentials) -> Signer<'_> {
        let now = humantime::parse_rfc3339("2013-05-24T00:00:00Z").unwrap();
        Signer { credentials, region: "us-east-1", now }
    }

    fn signature(
        method: &Method,
        path: &str,
        query: &str,
        headers: &[(HeaderName, &'static str)],
        body: &'static str,
    ) -> String {
        let credentials = Credentials::example();
        let target = Target { method, host: "examplebucket.s3.amazonaws.com", path, query };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name.clone(), HeaderValue::from_static(value));
        }
        let hash = hash(&[Bytes::from_static(body.as_bytes())]);
        signer(&credentials).sign(&target, &mut map, &hash).unwrap();
        let value = map[AUTHORIZATION].to_str().unwrap().to_owned();
        assert!(value.starts_with(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        ));
        value.rsplit_once("Signature=").unwrap().1.to_owned()
    }

    #[test]
    fn published_examples_have_the_published_signatures() {
        assert_eq!(
            signature(&Method::GET, "/test.txt", "", &[(RANGE, "bytes=0-9")], ""),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let class = HeaderName::from_static("x-amz-storage-class");
        let headers = [(HTTP_DATE, "Fri, 24 May 2013 00:00:00 GMT"), (class, "REDUCED_REDUNDANCY")];
        assert_eq!(
            signature(&Method::PUT, "/test%24file.text", "", &headers, "Welcome to Amazon S3."),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
        assert_eq!(
            signature(&Method::GET, "/", "lifecycle", &[], ""),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
        assert_eq!(
            signature(&Method::GET, "/", "prefix=J&max-keys=2", &[], ""),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    #[test]
    fn the_published_url_has_the_published_signature() {
        let credentials = Credentials::example();
        let target = Target {
            method: &Method::GET,
            host: "examplebucket.s3.amazonaws.com",
            path: "/test.txt",
            query: "",
        };
        let query = signer(&credentials).presign(&target, Duration::from_secs(86400));
        assert_eq!(
            query,
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1\
             %2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    #[test]
    fn a_token_is_signed_and_not_shown() {
        let mut credentials = Credentials::example();
        credentials.session_token = Some(Secret::new("a token"));
        let target = Target { method: &Method::GET, host: "h", path: "/", query: "" };
        let mut headers = HeaderMap::new();
        signer(&credentials).sign(&target, &mut headers, UNSIGNED).unwrap();
        assert!(headers[AUTHORIZATION].to_str().unwrap().contains(";x-amz-security-token,"));
        assert!(!format!("{headers:?} {credentials:?}").contains("a token"));
        let query = signer(&credentials).presign(&target, Duration::from_secs(60));
        assert!(query.contains("X-Amz-Security-Token=a%20token&"), "{query}");
    }
}
