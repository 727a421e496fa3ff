//! Where a bucket is.

use std::net::IpAddr;

use http::Uri;
use registry_core::BuildError;

use crate::drivers::bucket::options::S3Options;
use crate::drivers::bucket::text::{percent, percent_path};

/// Where requests for a bucket go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    scheme: &'static str,
    /// With the bucket in front, where it is in the host.
    authority: String,
    /// With the bucket at its end, where it is in the path; without a `/` at the end.
    path: String,
    bucket: String,
    in_host: bool,
}

impl Endpoint {
    /// The one that we send requests to.
    ///
    /// # Errors
    /// Where options contradict each other or make no URL.
    pub(super) fn new(options: &S3Options) -> Result<Self, BuildError> {
        let bucket = options.bucket.bucket.as_str();
        if bucket.is_empty() || bucket.contains(['/', '?', '#', '@', ' ']) {
            return Err(invalid("bucket", format!("{bucket:?} is not the name of a bucket")));
        }
        let Some(endpoint) = &options.endpoint else { return Self::amazon(options) };
        if options.accelerate {
            let reason = "transfer acceleration is Amazon's; it cannot be had at a regionendpoint".to_owned();
            return Err(invalid("accelerate", reason));
        }
        let default = if options.secure { "https" } else { "http" };
        let base = Base::parse("regionendpoint", endpoint, Some(default))?;
        Ok(base.with(bucket, options.path_style))
    }

    /// The one that clients are sent to.
    ///
    /// # Errors
    /// If it is more than scheme and host.
    pub(super) fn redirect(&self, options: &S3Options) -> Result<Self, BuildError> {
        let Some(endpoint) = &options.redirect_endpoint else { return Ok(self.clone()) };
        let base = Base::parse("redirectendpoint", endpoint, None)?;
        if !base.path.is_empty() {
            let reason = format!("it cannot have a path, and this one has {:?}", base.path);
            return Err(invalid("redirectendpoint", reason));
        }
        Ok(base.with(&self.bucket, options.path_style))
    }

    fn amazon(options: &S3Options) -> Result<Self, BuildError> {
        let region = options.region.as_str();
        if region.is_empty() {
            let reason = "it is needed unless there is a regionendpoint, such as eu-central-1".to_owned();
            return Err(invalid("region", reason));
        }
        if !region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            return Err(invalid("region", format!("{region:?} is not the name of a region")));
        }
        if !options.v4_auth {
            let reason = "Amazon S3 takes no other signatures than those of version 4; version 2 is for a \
                          regionendpoint"
                .to_owned();
            return Err(invalid("v4auth", reason));
        }
        let bucket = options.bucket.bucket.as_str();
        let scheme = if options.secure { "https" } else { "http" };
        let dual = if options.dual_stack { ".dualstack" } else { "" };
        if options.accelerate {
            // The bucket is in the host whatever forcepathstyle says, as with Distribution.
            if options.fips || bucket.contains('.') || !fits_host(bucket) {
                let reason = "transfer acceleration needs a bucket whose name has no dot and can be that of \
                              a host, and cannot be had with usefipsendpoint"
                    .to_owned();
                return Err(invalid("accelerate", reason));
            }
            let host = format!("s3-accelerate{dual}.amazonaws.com");
            return Ok(Base { scheme, authority: host, path: String::new() }.with(bucket, false));
        }
        let domain = match region {
            _ if region.starts_with("cn-") => "amazonaws.com.cn",
            _ if region.starts_with("us-iso-") => "c2s.ic.gov",
            _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
            _ => "amazonaws.com",
        };
        let service = if options.fips { "s3-fips" } else { "s3" };
        let host = format!("{service}{dual}.{region}.{domain}");
        // A certificate for *.s3… does not cover a name with a dot in front of it.
        let path_style = options.path_style || (options.secure && bucket.contains('.'));
        Ok(Base { scheme, authority: host, path: String::new() }.with(bucket, path_style))
    }

    /// Whether requests go through the open.
    pub(super) fn is_plain(&self) -> bool {
        self.scheme == "http"
    }

    /// The bucket's name.
    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The URL of the bucket, without a `/` at its end.
    pub(super) fn base(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority, self.path)
    }

    /// What a `Host` header says.
    pub(super) fn host(&self) -> &str {
        &self.authority
    }

    /// The path of an object or of the bucket, escaped.
    pub(super) fn path(&self, key: Option<&str>) -> String {
        match key {
            Some(key) => format!("{}/{}", self.path, percent_path(key)),
            None if self.path.is_empty() => "/".to_owned(),
            None => self.path.clone(),
        }
    }

    /// The URL of a path and an escaped query.
    pub(super) fn url(&self, path: &str, query: &str) -> String {
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}://{}{path}{mark}{query}", self.scheme, self.authority)
    }

    /// What stands in front of a path, for signatures that always have the bucket in it.
    pub(super) fn hidden(&self) -> String {
        if self.in_host { format!("/{}", self.bucket) } else { String::new() }
    }
}

/// An endpoint without a bucket.
struct Base {
    scheme: &'static str,
    authority: String,
    path: String,
}

impl Base {
    fn parse(what: &'static str, text: &str, default: Option<&str>) -> Result<Self, BuildError> {
        let text = text.trim();
        let whole = match (text.contains("://"), default) {
            (true, _) => text.to_owned(),
            (false, Some(scheme)) => format!("{scheme}://{text}"),
            (false, None) => {
                let reason = format!("{text:?} has no scheme; it would be like https://{text}");
                return Err(invalid(what, reason));
            }
        };
        let wrong = |why: &str| invalid(what, format!("{text:?} is not a URL: {why}"));
        let uri: Uri = whole.parse().map_err(|error| wrong(&format!("{error}")))?;
        let scheme = match uri.scheme_str() {
            Some("https") => "https",
            Some("http") => "http",
            _ => return Err(wrong("the scheme is neither http nor https")),
        };
        let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
            return Err(wrong("there is no host"));
        };
        if authority.as_str().contains('@') {
            // It is not repeated: there may be a secret in it.
            let reason = "there is a user in it; keys are given by accesskey and secretkey".to_owned();
            return Err(invalid(what, reason));
        }
        if uri.query().is_some() {
            return Err(invalid(what, format!("{text:?} has a query, which it cannot have")));
        }
        let authority = match (scheme, authority.port_u16()) {
            ("https", Some(443)) | ("http", Some(80)) => authority.host().to_owned(),
            _ => authority.as_str().to_owned(),
        };
        Ok(Self { scheme, authority, path: uri.path().trim_end_matches('/').to_owned() })
    }

    fn with(self, bucket: &str, path_style: bool) -> Endpoint {
        let in_host = !path_style && fits_host(bucket) && takes_names(&self.authority);
        let (authority, path) = match in_host {
            true => (format!("{bucket}.{}", self.authority), self.path),
            false => (self.authority, format!("{}/{}", self.path, percent(bucket))),
        };
        Endpoint { scheme: self.scheme, authority, path, bucket: bucket.to_owned(), in_host }
    }
}

/// Whether a bucket's name can be that of a host.
fn fits_host(bucket: &str) -> bool {
    (1..=63).contains(&bucket.len())
        && bucket
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
        && !bucket.starts_with(['-', '.'])
        && !bucket.ends_with(['-', '.'])
        && !bucket.contains("..")
}

/// Whether there can be names below a host: not below an address.
fn takes_names(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host != "localhost" && host.trim_matches(['[', ']']).parse::<IpAddr>().is_err()
}

fn invalid(what: &'static str, reason: String) -> BuildError {
    BuildError::Invalid { what, reason }
}

#[cfg(test)]
mod tests {
    //! The forms that endpoints have.

    use super::*;

    fn base(change: impl FnOnce(&mut S3Options)) -> String {
        let mut options = S3Options::new("images", "eu-west-1");
        change(&mut options);
        match Endpoint::new(&options) {
            Ok(endpoint) => endpoint.base(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn amazon_has_a_host_for_each_wish() {
        assert_eq!(base(|_| {}), "https://images.s3.eu-west-1.amazonaws.com");
        assert_eq!(base(|o| o.path_style = true), "https://s3.eu-west-1.amazonaws.com/images");
        assert_eq!(base(|o| o.dual_stack = true), "https://images.s3.dualstack.eu-west-1.amazonaws.com");
        assert_eq!(base(|o| o.fips = true), "https://images.s3-fips.eu-west-1.amazonaws.com");
        let both = base(|o| (o.fips, o.dual_stack) = (true, true));
        assert_eq!(both, "https://images.s3-fips.dualstack.eu-west-1.amazonaws.com");
        assert_eq!(base(|o| o.accelerate = true), "https://images.s3-accelerate.amazonaws.com");
        let both = base(|o| (o.accelerate, o.path_style) = (true, true));
        assert_eq!(both, "https://images.s3-accelerate.amazonaws.com");
        let both = base(|o| (o.accelerate, o.dual_stack) = (true, true));
        assert_eq!(both, "https://images.s3-accelerate.dualstack.amazonaws.com");
        assert_eq!(base(|o| o.region = "cn-north-1".into()), "https://images.s3.cn-north-1.amazonaws.com.cn");
        assert_eq!(base(|o| o.secure = false), "http://images.s3.eu-west-1.amazonaws.com");
    }

    #[test]
    fn a_name_that_no_host_can_have_goes_to_the_path() {
        for name in ["my.images", "Images", "im_ages", "-a"] {
            let url = base(|o| o.bucket.bucket = name.into());
            assert_eq!(url, format!("https://s3.eu-west-1.amazonaws.com/{name}"));
        }
    }

    #[test]
    fn an_endpoint_of_ones_own_has_any_form() {
        let at = |endpoint: &str, path_style: bool, secure: bool| {
            base(|o| {
                o.endpoint = Some(endpoint.to_owned());
                (o.path_style, o.secure) = (path_style, secure);
            })
        };
        assert_eq!(at("https://s3.example.org", true, false), "https://s3.example.org/images");
        assert_eq!(at("https://s3.example.org/", false, true), "https://images.s3.example.org");
        assert_eq!(at("s3.example.org:9000", true, true), "https://s3.example.org:9000/images");
        assert_eq!(at("s3.example.org:9000", true, false), "http://s3.example.org:9000/images");
        assert_eq!(at("http://10.0.0.1:9000", false, true), "http://10.0.0.1:9000/images");
        assert_eq!(at("http://[fd00::1]:9000", false, true), "http://[fd00::1]:9000/images");
        assert_eq!(at("localhost:9000", false, false), "http://localhost:9000/images");
        assert_eq!(at("https://example.org:443/s3/", true, true), "https://example.org/s3/images");
        assert_eq!(at("https://example.org/s3", false, true), "https://images.example.org/s3");
    }

    #[test]
    fn what_cannot_be_is_refused_by_key() {
        for (what, text) in [
            (base(|o| o.region = String::new()), "region: it is needed"),
            (base(|o| o.region = "EU west".into()), "region: \"EU west\""),
            (base(|o| o.bucket.bucket = String::new()), "bucket: "),
            (base(|o| o.bucket.bucket = "a/b".into()), "bucket: "),
            (base(|o| o.v4_auth = false), "v4auth: Amazon"),
            (base(|o| (o.accelerate, o.fips) = (true, true)), "accelerate: "),
            (base(|o| (o.accelerate, o.bucket.bucket) = (true, "a.b.c".into())), "accelerate: "),
            (base(|o| (o.accelerate, o.endpoint) = (true, Some("a.org".into()))), "accelerate: "),
            (base(|o| o.endpoint = Some("ftp://a.org".into())), "regionendpoint: \"ftp://a.org\""),
            (base(|o| o.endpoint = Some("https://a.org?x=1".into())), "regionendpoint: "),
            (base(|o| o.endpoint = Some("https://key:secret@a.org".into())), "regionendpoint: "),
            (base(|o| o.endpoint = Some("https://".into())), "regionendpoint: "),
        ] {
            assert!(what.starts_with(text), "{what} is not about {text}");
        }
    }

    #[test]
    fn clients_are_sent_to_an_endpoint_without_path_or_query() {
        let redirect = |endpoint: &str, path_style: bool| {
            let mut options = S3Options::new("images", "eu-west-1");
            options.redirect_endpoint = Some(endpoint.to_owned());
            options.path_style = path_style;
            match Endpoint::new(&options).unwrap().redirect(&options) {
                Ok(endpoint) => endpoint.base(),
                Err(error) => error.to_string(),
            }
        };
        assert_eq!(redirect("https://cdn.example.org", false), "https://images.cdn.example.org");
        assert_eq!(redirect("https://cdn.example.org/", true), "https://cdn.example.org/images");
        for (endpoint, text) in [
            ("cdn.example.org", "has no scheme"),
            ("https://cdn.example.org/x", "cannot have a path"),
            ("https://cdn.example.org/?x", "cannot have"),
            ("https:///", "redirectendpoint: "),
        ] {
            let error = redirect(endpoint, true);
            assert!(error.starts_with("redirectendpoint: ") && error.contains(text), "{error}");
        }
    }

    #[test]
    fn keys_are_escaped_once() {
        let endpoint = Endpoint::new(&S3Options::new("images", "eu-west-1")).unwrap();
        assert_eq!(endpoint.path(Some("a/b c+d%~é")), "/a/b%20c%2Bd%25~%C3%A9");
        assert_eq!(endpoint.path(None), "/");
        assert_eq!(endpoint.hidden(), "/images");
    }
}
