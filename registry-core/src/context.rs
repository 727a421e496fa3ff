//! Who asks, and from where.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{Extensions, Method};
use serde_json::Value;

use crate::access::Visibility;

/// What is known about the request that an operation serves. Data, not a service locator.
///
/// Made once by the HTTP service after authorization, or by [`RequestContext::system`] for background
/// work, and given to [`Namespace::repository`](crate::Namespace::repository). The typed map
/// [`extensions`](Self::extensions) lets an access controller hand a value of its own, such as an API
/// client that acts as the user, to a middleware by the same author.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RequestContext {
    /// Identifies the request in logs and events.
    pub request_id: String,
    /// On whose behalf; `None` if nobody has said.
    pub principal: Option<Principal>,
    /// The address of the client, as far as it can be trusted.
    pub client_addr: Option<IpAddr>,
    /// The other end of the connection: the client itself, or the nearest proxy.
    pub peer: Option<SocketAddr>,
    /// The address of the client as `X-Forwarded-For` or `X-Real-Ip` of the request have it. Whoever sends the
    /// request can write anything there: good for logs and events, never for decisions.
    pub claimed_addr: Option<IpAddr>,
    /// What URLs of the API begin with, as for the `Location` of the answer: up to and without `/v2/`.
    pub url_base: Option<String>,
    /// The method of the request; `None` for work that no request asked for.
    pub method: Option<Method>,
    /// The host that the client asked for.
    pub host: Option<String>,
    /// What the client says it is.
    pub user_agent: Option<String>,
    /// Which repositories the caller learns of in lists; `None` for all.
    pub visible: Option<Arc<dyn Visibility>>,
    /// Values of access controllers and embedders, by type.
    pub extensions: Extensions,
}

impl RequestContext {
    /// The context of a request with this id.
    pub fn new(request_id: impl Into<String>) -> Self {
        Self { request_id: request_id.into(), ..Self::default() }
    }

    /// The context of background work of the registry itself, such as garbage collection.
    pub fn system(task: &str) -> Self {
        Self::new(format!("system:{task}"))
    }

    /// Sets on whose behalf the request is made.
    #[must_use]
    pub fn with_principal(mut self, principal: Option<Principal>) -> Self {
        self.principal = principal;
        self
    }

    /// Sets which repositories the caller learns of in lists.
    #[must_use]
    pub fn with_visible(mut self, visible: Option<Arc<dyn Visibility>>) -> Self {
        self.visible = visible;
        self
    }

    /// Sets the values of access controllers and embedders.
    #[must_use]
    pub fn with_extensions(mut self, extensions: Extensions) -> Self {
        self.extensions = extensions;
        self
    }
}

/// A user or machine that an access controller has recognized.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Principal {
    /// The name, as it appears in logs, events and quotas.
    pub name: String,
    /// The groups it is in, as far as whoever recognized it knows.
    pub groups: Vec<String>,
    /// What else is known about it, such as the claims of an identity token.
    pub claims: BTreeMap<String, Value>,
    /// How it was recognized: `htpasswd`, `token`, `certificate`, or a word of an embedder's own.
    pub method: Cow<'static, str>,
}

impl Principal {
    /// A principal of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Puts it into these groups too.
    #[must_use]
    pub fn with_groups(mut self, groups: impl IntoIterator<Item = String>) -> Self {
        self.groups.extend(groups);
        self
    }

    /// Adds what else is known.
    #[must_use]
    pub fn with_claims(mut self, claims: impl IntoIterator<Item = (String, Value)>) -> Self {
        self.claims.extend(claims);
        self
    }

    /// Says how it was recognized.
    #[must_use]
    pub fn with_method(mut self, method: impl Into<Cow<'static, str>>) -> Self {
        self.method = method.into();
        self
    }
}
