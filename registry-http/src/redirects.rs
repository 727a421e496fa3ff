//! Who is sent to the store for the bytes of a blob.

use std::net::IpAddr;
use std::time::Duration;

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};
use http::request::Parts;
use http::{HeaderMap, Method};
use registry_core::{GetBlob, NetworkSet, RedirectHint};

use crate::range::RangeHeader;

/// Which requests for blobs may be answered with a URL of the store, where it offers one.
///
/// Requests whose meaning would be lost on the way never are: those for several ranges, which object stores do
/// not know, and those with conditions on entity tags and times, which theirs and ours differ in.
///
/// ```
/// use registry_core::Network;
/// use registry_http::{HttpOptions, RedirectPolicy};
/// let outside = RedirectPolicy::default().with_except(Network::parse("10.0.0.0/8"));
/// let options = HttpOptions::default().with_redirects(outside);
/// # let _ = options;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectPolicy {
    methods: Vec<Method>,
    only: Option<NetworkSet>,
    except: NetworkSet,
    min_size: u64,
    expires_in: Option<Duration>,
}

impl Default for RedirectPolicy {
    /// GET and HEAD from everywhere, for blobs of any size, as Distribution does.
    fn default() -> Self {
        Self {
            methods: vec![Method::GET, Method::HEAD],
            only: None,
            except: NetworkSet::default(),
            min_size: 0,
            expires_in: None,
        }
    }
}

impl RedirectPolicy {
    /// Only requests with these methods.
    #[must_use]
    pub fn with_methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = methods.into_iter().collect();
        self
    }

    /// Only clients with these addresses. One whose address is not known is not among them.
    #[must_use]
    pub fn with_only(mut self, networks: impl IntoIterator<Item = registry_core::Network>) -> Self {
        self.only = Some(networks.into_iter().collect());
        self
    }

    /// No clients with these addresses.
    #[must_use]
    pub fn with_except(mut self, networks: impl IntoIterator<Item = registry_core::Network>) -> Self {
        self.except = networks.into_iter().collect();
        self
    }

    /// Only blobs of at least this many bytes.
    #[must_use]
    pub fn with_min_size(mut self, bytes: u64) -> Self {
        self.min_size = bytes;
        self
    }

    /// How long URLs stay good, where the driver can choose.
    #[must_use]
    pub fn with_expires_in(mut self, expires_in: Duration) -> Self {
        self.expires_in = Some(expires_in);
        self
    }

    /// How a request wants its blob, the range aside.
    pub(crate) fn wanted(&self, request: &Parts, client: Option<IpAddr>) -> GetBlob {
        let redirect = self.admits(&request.method, client) && survives(&request.headers);
        let hint = redirect
            .then(|| RedirectHint::new(request.method.clone(), client).with_expires_in(self.expires_in));
        GetBlob::default().with_redirect(hint).with_redirect_from(self.min_size)
    }

    fn admits(&self, method: &Method, client: Option<IpAddr>) -> bool {
        let within = |networks: &NetworkSet| client.is_some_and(|client| networks.contains(client));
        self.methods.contains(method) && self.only.as_ref().is_none_or(within) && !within(&self.except)
    }
}

/// Whether a store answers a request with these headers as we would. Clients send them there as well.
fn survives(headers: &HeaderMap) -> bool {
    let conditions = [IF_MATCH, IF_RANGE, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE];
    let mut ranges = headers.get_all(RANGE).iter();
    let one_range = match (ranges.next().map(|range| range.to_str()), ranges.next()) {
        (None, _) => true,
        (Some(Ok(range)), None) => {
            !range.contains(',') && matches!(RangeHeader::parse(range), RangeHeader::Ranges(_))
        }
        _ => false,
    };
    one_range && !conditions.iter().any(|name| headers.contains_key(name))
}

#[cfg(test)]
mod tests {
    use http::Request;
    use registry_core::Network;

    use super::*;

    fn asks(policy: &RedirectPolicy, method: &str, headers: &[(&str, &str)], client: Option<&str>) -> bool {
        let request = Request::builder().method(method);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let client = client.map(|address| address.parse().unwrap());
        policy.wanted(&parts, client).redirect.is_some()
    }

    #[test]
    fn everybody_is_redirected_unless_said_otherwise() {
        let policy = RedirectPolicy::default();
        for client in [None, Some("192.0.2.1"), Some("2001:db8::1")] {
            assert!(asks(&policy, "GET", &[], client) && asks(&policy, "HEAD", &[], client), "{client:?}");
        }
    }

    #[test]
    fn networks_and_methods_say_who_is_redirected() {
        let networks =
            |list: &[&str]| list.iter().map(|text| Network::parse(text).unwrap()).collect::<Vec<_>>();
        let only = RedirectPolicy::default().with_only(networks(&["10.0.0.0/8", "fd00::/8"]));
        let except = RedirectPolicy::default().with_except(networks(&["10.0.0.0/8", "fd00::/8"]));
        for (client, inside) in [
            (Some("10.1.2.3"), true),
            (Some("::ffff:10.1.2.3"), true),
            (Some("fd00::1"), true),
            (Some("192.0.2.1"), false),
            (Some("2001:db8::1"), false),
            (None, false),
        ] {
            assert_eq!(asks(&only, "GET", &[], client), inside, "{client:?}");
            assert_eq!(asks(&except, "GET", &[], client), !inside, "{client:?}");
        }
        let both = only.with_except(networks(&["10.9.0.0/16"]));
        assert!(asks(&both, "GET", &[], Some("10.1.2.3")) && !asks(&both, "GET", &[], Some("10.9.2.3")));
        let get = RedirectPolicy::default().with_methods([Method::GET]);
        assert!(asks(&get, "GET", &[], None) && !asks(&get, "HEAD", &[], None));
    }

    #[test]
    fn what_the_store_would_answer_otherwise_is_answered_here() {
        let policy = RedirectPolicy::default();
        for (headers, redirected) in [
            (vec![("range", "bytes=0-99")], true),
            (vec![("range", "bytes=100-")], true),
            (vec![("range", "bytes=-5")], true),
            (vec![("range", "bytes=0-1,5-9")], false),
            (vec![("range", "bytes=0-1, 9-5")], false),
            (vec![("range", "bytes=0-1"), ("range", "bytes=5-9")], false),
            (vec![("range", "bytes=9-5")], false),
            (vec![("range", "lines=1-2")], false),
            (vec![("range", "bytes=0-99"), ("if-range", "\"x\"")], false),
            (vec![("if-match", "*")], false),
            (vec![("if-modified-since", "Sat, 29 Oct 1994 19:43:31 GMT")], false),
            (vec![("if-unmodified-since", "Sat, 29 Oct 1994 19:43:31 GMT")], false),
            (vec![("if-none-match", "\"x\"")], true),
        ] {
            assert_eq!(asks(&policy, "GET", &headers, None), redirected, "{headers:?}");
        }
    }

    #[test]
    fn size_and_time_go_along() {
        let policy = RedirectPolicy::default().with_min_size(5).with_expires_in(Duration::from_secs(9));
        let (parts, ()) = Request::new(()).into_parts();
        let wanted = policy.wanted(&parts, None);
        assert_eq!(wanted.redirect_from, 5);
        assert_eq!(wanted.redirect.unwrap().expires_in, Some(Duration::from_secs(9)));
    }
}
