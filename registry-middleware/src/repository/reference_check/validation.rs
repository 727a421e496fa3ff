//! What a manifest may refer to.

use http::Uri;
use regex::Regex;
use registry_core::BuildError;
use registry_core::manifest::ManifestReference;

/// Rules for the URLs in a manifest and for what it refers to, as in Distribution's `validation` section.
///
/// The default allows no URL, except on OCI's non-distributable layers, and wants every layer of an image
/// and every child of an index to be there.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ManifestValidation {
    disabled: bool,
    allow: Vec<Regex>,
    deny: Vec<Regex>,
    platforms: Platforms,
    layers_required: bool,
}

impl Default for ManifestValidation {
    fn default() -> Self {
        Self {
            disabled: false,
            allow: Vec::new(),
            deny: Vec::new(),
            platforms: Platforms::All,
            layers_required: true,
        }
    }
}

/// Which children of an index have to be in the repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Platforms {
    /// Every child.
    #[default]
    All,
    /// None; the descriptors of children are not looked at.
    None,
    /// Those for one of these platforms, and those for no platform in particular.
    List(Vec<Platform>),
}

/// A platform, in Go's spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Platform {
    /// The operating system, such as `linux`.
    pub os: String,
    /// The processor, such as `amd64`.
    pub architecture: String,
}

impl ManifestValidation {
    /// Switches off the rules for URLs, except that scheme and fragment have to be right, and for the
    /// children of an index.
    #[must_use]
    pub fn with_disabled(mut self, disabled: bool) -> Self {
        self.disabled = disabled;
        self
    }

    /// Allows URLs in which one of these regular expressions matches somewhere. Without any, every URL is
    /// allowed that is not denied, or none if there is nothing to deny either.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] for text that is no regular expression.
    pub fn with_allowed_urls<I>(mut self, expressions: I) -> Result<Self, BuildError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        self.allow.extend(compile("validation.manifests.urls.allow", expressions)?);
        Ok(self)
    }

    /// Denies URLs in which one of these regular expressions matches somewhere.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] for text that is no regular expression.
    pub fn with_denied_urls<I>(mut self, expressions: I) -> Result<Self, BuildError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        self.deny.extend(compile("validation.manifests.urls.deny", expressions)?);
        Ok(self)
    }

    /// Sets which children of an index have to be there.
    #[must_use]
    pub fn with_platforms(mut self, platforms: Platforms) -> Self {
        self.platforms = platforms;
        self
    }

    /// Sets whether the layers of an image have to be there. Its configuration always has to.
    #[must_use]
    pub fn with_layers_required(mut self, required: bool) -> Self {
        self.layers_required = required;
        self
    }

    /// Whether the layers of an image have to be there.
    pub(super) fn requires_layers(&self) -> bool {
        self.layers_required
    }

    /// Whether a child of an index has to be there.
    pub(super) fn requires_child(&self, child: &ManifestReference) -> bool {
        match (&self.platforms, &child.platform) {
            _ if self.disabled => false,
            (Platforms::None, _) => false,
            (Platforms::All, _) | (Platforms::List(_), None) => true,
            (Platforms::List(wanted), Some(platform)) => wanted
                .iter()
                .any(|wanted| wanted.os == platform.os && wanted.architecture == platform.architecture),
        }
    }

    /// The rule that a URL breaks, if any. `elsewhere` tells that it belongs to a layer of which the image
    /// specification says that it is to be had elsewhere: such a layer makes no sense without URLs, so
    /// they are allowed unless a list says otherwise (Distribution refuses them).
    pub(super) fn url_fault(&self, url: &str, elsewhere: bool) -> Option<String> {
        let scheme = |uri: &Uri| {
            let scheme = uri.scheme_str()?;
            Some(scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
        };
        if url.contains('#') {
            return Some("a URL has no fragment here".to_owned());
        }
        match url.parse::<Uri>().map(|uri| scheme(&uri)) {
            Ok(Some(true)) => {}
            Ok(Some(false) | None) => return Some("its scheme is not http or https".to_owned()),
            Err(error) => return Some(error.to_string()),
        }
        if self.disabled {
            return None;
        }
        if self.allow.is_empty() && self.deny.is_empty() {
            let refused = || "no URLs are allowed (validation.manifests.urls is not set)".to_owned();
            return (!elsewhere).then(refused);
        }
        if !self.allow.is_empty() && !self.allow.iter().any(|allowed| allowed.is_match(url)) {
            return Some("it matches nothing in validation.manifests.urls.allow".to_owned());
        }
        let denied = self.deny.iter().find(|denied| denied.is_match(url))?;
        Some(format!("it matches {:?} in validation.manifests.urls.deny", denied.as_str()))
    }
}

fn compile<I>(what: &'static str, expressions: I) -> Result<Vec<Regex>, BuildError>
where
    I: IntoIterator<Item: AsRef<str>>,
{
    let compile = |text: &str| {
        Regex::new(text)
            .map_err(|error| BuildError::Invalid { what, reason: format!("error parsing regexp: {error}") })
    };
    expressions.into_iter().map(|text| compile(text.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> ManifestValidation {
        ManifestValidation::default().with_allowed_urls(allow).unwrap().with_denied_urls(deny).unwrap()
    }

    #[test]
    fn urls_follow_the_table() {
        let (none, allow, deny) = (rules(&[], &[]), rules(&["^https://ok/"], &[]), rules(&[], &["bad"]));
        let both = rules(&["^https://ok/"], &["bad"]);
        let off = none.clone().with_disabled(true);
        let cases = [
            (&none, "https://ok/x", Some("no URLs are allowed")),
            (&allow, "https://ok/x", None),
            (&allow, "https://other/x", Some("urls.allow")),
            (&allow, "http://evil/https://ok/", Some("urls.allow")),
            (&deny, "https://ok/x", None),
            (&deny, "https://ok/bad/x", Some("\"bad\" in validation.manifests.urls.deny")),
            (&both, "https://ok/bad", Some("urls.deny")),
            (&both, "https://ok/good", None),
            (&off, "https://anything/", None),
            (&off, "HTTPS://anything/", None),
            (&off, "https://anything/#part", Some("fragment")),
            (&off, "ftp://anything/", Some("scheme")),
            (&off, "/relative", Some("scheme")),
            (&off, "", Some("empty")),
            (&off, "https://a b/", Some("invalid")),
        ];
        for (rules, url, expected) in cases {
            let fault = rules.url_fault(url, false);
            match expected {
                None => assert_eq!(fault, None, "{url}"),
                Some(part) => assert!(fault.as_ref().is_some_and(|f| f.contains(part)), "{url}: {fault:?}"),
            }
        }
    }

    #[test]
    fn a_bad_expression_is_named_with_its_key() {
        let error = ManifestValidation::default().with_allowed_urls(["("]).unwrap_err().to_string();
        assert!(error.starts_with("validation.manifests.urls.allow: error parsing regexp: "), "{error}");
    }
}
