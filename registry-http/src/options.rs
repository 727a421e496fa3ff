//! How the service is set up.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use registry_core::AuditSink;

use crate::location::Locations;
use crate::redirects::RedirectPolicy;

/// How a [`RegistryService`](crate::RegistryService) is set up. The default suits an embedder.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// The path under which the API is, empty or `/like/this`.
    pub prefix: String,
    /// What the URLs in `Location` begin with.
    pub locations: Locations,
    /// The key that signs the states of uploads; the same on all processes over one store.
    pub secret: Option<String>,
    /// Headers that every response of the API has.
    pub headers: HeaderMap,
    /// Whether nothing can be changed.
    pub read_only: bool,
    /// The most repositories on a page of the catalog.
    pub catalog_max_entries: usize,
    /// The most tags on a page that a client asks for.
    pub tags_max: usize,
    /// Which clients may be sent to the store for the bytes of blobs.
    pub redirects: RedirectPolicy,
    /// Who hears of every request.
    pub audit: Option<Arc<dyn AuditSink>>,
}

impl HttpOptions {
    /// How many tags a client gets that does not say how many it wants, unless `tags_max` is more.
    /// Distribution gives all there are; beyond this number there is a `Link` to the rest.
    pub const TAGS_WITHOUT_N: usize = 10_000;
    /// How many repositories a client gets that does not say how many it wants.
    pub const CATALOG_WITHOUT_N: usize = 100;
    /// How many referrers are on a page at most.
    pub const REFERRERS_MAX: usize = 1000;

    /// Sets the path under which the API is. Slashes at its ends make no difference.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        self.prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        self
    }

    /// Sets what the URLs in `Location` begin with.
    #[must_use]
    pub fn with_locations(mut self, locations: Locations) -> Self {
        self.locations = locations;
        self
    }

    /// Sets the key that signs the states of uploads.
    #[must_use]
    pub fn with_secret(mut self, secret: Option<String>) -> Self {
        self.secret = secret.filter(|secret| !secret.is_empty());
        self
    }

    /// Adds a header to every response of the API.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Sets whether nothing can be changed.
    #[must_use]
    pub fn with_read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Sets the most repositories on a page of the catalog.
    #[must_use]
    pub fn with_catalog_max_entries(mut self, entries: usize) -> Self {
        self.catalog_max_entries = entries.max(1);
        self
    }

    /// Sets the most tags on a page that a client asks for.
    #[must_use]
    pub fn with_tags_max(mut self, tags: usize) -> Self {
        self.tags_max = tags.max(1);
        self
    }

    /// Sets which clients may be sent to the store for the bytes of blobs, where it offers that.
    #[must_use]
    pub fn with_redirects(mut self, redirects: RedirectPolicy) -> Self {
        self.redirects = redirects;
        self
    }

    /// Tells `sink` of every request for an endpoint, once, when the answer is known; refused ones too.
    #[must_use]
    pub fn with_audit(mut self, sink: Option<Arc<dyn AuditSink>>) -> Self {
        self.audit = sink;
        self
    }
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            locations: Locations::default(),
            secret: None,
            headers: HeaderMap::new(),
            read_only: false,
            catalog_max_entries: 1000,
            tags_max: 1000,
            redirects: RedirectPolicy::default(),
            audit: None,
        }
    }
}
