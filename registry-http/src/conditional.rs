//! Conditional requests (RFC 9110, section 13). The entity tag of content is its digest, quoted; it is
//! always strong.

use http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE};
use http::{HeaderMap, HeaderName, HeaderValue};
use registry_core::Digest;

use crate::headers::value;

/// The entity tag of content.
pub(crate) fn etag(digest: &Digest) -> HeaderValue {
    value(["\"", digest.as_str(), "\""].concat())
}

/// What the conditions of a request come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The request is carried out.
    Met,
    /// 304: the client has the content.
    NotModified,
    /// 412: the content is not what the client expects.
    Failed,
}

/// Evaluates `If-Match` and `If-None-Match` of a GET or HEAD for content that exists.
pub(crate) fn evaluate(headers: &HeaderMap, digest: &Digest) -> Condition {
    if headers.contains_key(IF_MATCH) && !names(headers, IF_MATCH, digest, Comparison::Strong) {
        return Condition::Failed;
    }
    if names(headers, IF_NONE_MATCH, digest, Comparison::Weak) {
        Condition::NotModified
    } else {
        Condition::Met
    }
}

/// Whether `Range` counts: there is no `If-Range`, or it has our entity tag. A date never matches, since
/// no content has one.
pub(crate) fn range_counts(headers: &HeaderMap, digest: &Digest) -> bool {
    match headers.get(IF_RANGE) {
        None => true,
        Some(expected) => expected.to_str().is_ok_and(|text| is_tag(text.trim(), digest)),
    }
}

/// How entity tags are compared (RFC 9110, section 8.8.3.2): whether one marked as weak can match.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether a list of entity tags has that of `digest`, or is `*`. The digest without quotes is taken too,
/// as Distribution does for manifests.
fn names(headers: &HeaderMap, name: HeaderName, digest: &Digest, comparison: Comparison) -> bool {
    headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).any(|line| {
        line.split(',').map(str::trim).any(|tag| {
            let weak = tag.strip_prefix("W/").filter(|_| comparison == Comparison::Weak);
            tag == "*" || is_tag(weak.unwrap_or(tag), digest) || tag == digest.as_str()
        })
    })
}

fn is_tag(text: &str, digest: &Digest) -> bool {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) == Some(digest.as_str())
}

#[cfg(test)]
mod tests {
    use registry_core::Algorithm;

    use super::*;

    #[test]
    fn entity_tags_are_compared_in_all_their_forms() {
        let digest = Algorithm::Sha256.digest(b"x");
        let check = |name: HeaderName, text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, text.replace("DIGEST", digest.as_str()).parse().unwrap());
            evaluate(&headers, &digest)
        };
        assert_eq!(check(IF_NONE_MATCH, "W/\"DIGEST\""), Condition::NotModified);
        assert_eq!(check(IF_MATCH, "W/\"DIGEST\""), Condition::Failed, "a strong comparison");
        for text in ["\"DIGEST\"", "\"other\", \"DIGEST\"", "*", "DIGEST"] {
            assert_eq!(check(IF_NONE_MATCH, text), Condition::NotModified, "{text}");
            assert_eq!(check(IF_MATCH, text), Condition::Met, "{text}");
        }
        assert_eq!(check(IF_NONE_MATCH, "\"other\""), Condition::Met);
        assert_eq!(check(IF_MATCH, "\"other\""), Condition::Failed);
    }

    #[test]
    fn a_range_counts_only_for_the_same_content() {
        let digest = Algorithm::Sha256.digest(b"x");
        let mut headers = HeaderMap::new();
        assert!(range_counts(&headers, &digest));
        headers.insert(IF_RANGE, etag(&digest));
        assert!(range_counts(&headers, &digest));
        for other in ["\"other\"", "Sat, 21 Nov 2026 00:00:00 GMT"] {
            headers.insert(IF_RANGE, HeaderValue::from_static(other));
            assert!(!range_counts(&headers, &digest));
        }
        headers.insert(IF_RANGE, value(format!("W/\"{digest}\"")));
        assert!(!range_counts(&headers, &digest), "a weak tag never matches here");
    }
}
