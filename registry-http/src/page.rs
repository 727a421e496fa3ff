//! `n`, `last` and `Link` of listings.

use http::HeaderValue;
use registry_core::{Error, ErrorCode, PageRequest};
use serde_json::json;

use crate::headers::value;
use crate::route::{PageQuery, Route};

/// What happens to an `n` beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// The page has as many items as the limit.
    Clamp,
    /// 400, as Distribution answers for the catalog.
    Refuse,
}

/// The page that a query asks for: `n` items, or `default` without `n`, at most `limit`.
pub(crate) fn request(
    query: &PageQuery,
    default: usize,
    limit: usize,
    beyond: Beyond,
) -> Result<PageRequest, Error> {
    let limit = match query.n.map(|n| (n, usize::try_from(n).unwrap_or(usize::MAX))) {
        None => default,
        Some((n, wanted)) if wanted > limit => match beyond {
            Beyond::Clamp => limit,
            Beyond::Refuse => {
                let code = ErrorCode::PAGINATION_NUMBER_INVALID;
                return Err(Error::coded_with(code, code.message(), Some(json!({ "n": n })), None));
            }
        },
        Some((_, wanted)) => wanted,
    };
    let after = query.last.clone().filter(|last| !last.is_empty());
    Ok(PageRequest { limit, after })
}

/// The `Link` to the next page (RFC 8288): the same route, going on after `last`. `route` is given the
/// page to put in, and `prefix` comes before it.
pub(crate) fn next_link(
    prefix: &str,
    last: &str,
    n: usize,
    route: impl FnOnce(PageQuery) -> Route,
) -> HeaderValue {
    let page = PageQuery { n: Some(n as u64), last: Some(last.to_owned()) };
    value(format!("<{prefix}{}>; rel=\"next\"", route(page).build()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_kept_in_either_way() {
        let query = |n| PageQuery { n, last: Some(String::new()) };
        let limit = |n, beyond| request(&query(n), 100, 1000, beyond).map(|page| page.limit);
        assert_eq!(limit(None, Beyond::Refuse).unwrap(), 100);
        assert_eq!(limit(Some(0), Beyond::Refuse).unwrap(), 0);
        assert_eq!(limit(Some(1000), Beyond::Refuse).unwrap(), 1000);
        assert_eq!(limit(Some(1001), Beyond::Clamp).unwrap(), 1000);
        let error = limit(Some(1001), Beyond::Refuse).unwrap_err();
        assert_eq!(error.wire()[0].detail, Some(json!({ "n": 1001 })));
        assert_eq!(request(&query(None), 1, 1, Beyond::Clamp).unwrap().after, None);
    }
}
