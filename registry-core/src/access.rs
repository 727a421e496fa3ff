//! Who may do what.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use http::header::HOST;
use http::request::Parts;
use http::{Extensions, HeaderMap, Uri};

use crate::context::Principal;
use crate::error::{BoxError, Error};
use crate::name::RepositoryName;

/// Decides whether a request may do what it is about to do.
#[async_trait]
pub trait AccessController: fmt::Debug + Send + Sync + 'static {
    /// Grants a request, or says how the caller could come to be granted it.
    ///
    /// Every access in `request.required` is granted by `Ok`, and no other is; those of
    /// `request.optional` that are granted too are listed in [`Grant::optional`].
    ///
    /// # Errors
    /// [`AuthError`]. A failure of the controller is [`AuthError::Failed`], never a grant.
    async fn authorize(&self, request: &AuthRequest<'_>) -> Result<Grant, AuthError>;
}

/// What a request is about to do, and what it brings to prove that it may.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct AuthRequest<'a> {
    /// What is asked for, and of which host.
    pub uri: &'a Uri,
    /// The headers of the request.
    pub headers: &'a HeaderMap,
    /// What the request cannot do without.
    pub required: &'a [Access],
    /// What would help it, such as reading the source of a mount.
    pub optional: &'a [Access],
    /// What the listener knows about the connection: the peer as a [`SocketAddr`], and a [`ClientCertificate`].
    pub connection: &'a Extensions,
}

impl<'a> AuthRequest<'a> {
    /// A request for these accesses.
    pub fn new(parts: &'a Parts, required: &'a [Access], optional: &'a [Access]) -> Self {
        let Parts { uri, headers, extensions: connection, .. } = parts;
        Self { uri, headers, required, optional, connection }
    }

    /// The same request for other accesses.
    #[must_use]
    pub fn for_accesses(self, required: &'a [Access], optional: &'a [Access]) -> Self {
        Self { required, optional, ..self }
    }

    /// The host that the client asked, with its port if it named one. The client can say what it likes.
    pub fn host(&self) -> Option<&'a str> {
        let of_uri = self.uri.authority().map(|authority| authority.as_str());
        of_uri.or_else(|| self.headers.get(HOST)?.to_str().ok())
    }

    /// The address of the client, or of the nearest proxy that does not speak the PROXY protocol.
    pub fn client_addr(&self) -> Option<IpAddr> {
        self.connection.get::<SocketAddr>().map(|peer| peer.ip().to_canonical())
    }
}

/// The certificate that a client showed the listener, which leaves it among the extensions of a request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientCertificate {
    /// The certificate in DER (X.509, RFC 5280), and those that came with it.
    pub chain: Arc<[Vec<u8>]>,
    /// Whether the listener has checked that one of its authorities issued it.
    pub verified: bool,
}

impl ClientCertificate {
    /// A certificate as the listener got it.
    pub fn new(chain: impl Into<Arc<[Vec<u8>]>>, verified: bool) -> Self {
        Self { chain: chain.into(), verified }
    }
}

/// Decides which repositories a caller learns of.
pub trait Visibility: fmt::Debug + Send + Sync + 'static {
    /// Whether the caller may know that there is a repository of this name. Asked once for each name of a list, so
    /// it does not wait for anything.
    fn shows(&self, name: &RepositoryName) -> bool;

    /// Names such that all that is shown is one of them or below one, if that is known: `team` for `team/**`. A
    /// list then passes over the rest without reading it.
    fn among(&self) -> Option<Vec<RepositoryName>> {
        None
    }
}

/// That a request may go on, and as whom.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Grant {
    /// As whom; `None` for an anonymous request.
    pub principal: Option<Principal>,
    /// Which of the optional accesses are granted.
    pub optional: Vec<Access>,
    /// Which repositories the caller learns of in lists; `None` for all.
    pub visible: Option<Arc<dyn Visibility>>,
    /// Values for [`RequestContext::extensions`](crate::RequestContext::extensions).
    pub extensions: Extensions,
}

impl Grant {
    /// Grants what is required.
    pub fn new(principal: Option<Principal>) -> Self {
        Self { principal, ..Self::default() }
    }

    /// Grants these of the optional accesses too.
    #[must_use]
    pub fn with_optional(mut self, optional: impl IntoIterator<Item = Access>) -> Self {
        self.optional.extend(optional);
        self
    }

    /// Lets the caller learn of these repositories only.
    #[must_use]
    pub fn with_visible(mut self, visible: Option<Arc<dyn Visibility>>) -> Self {
        self.visible = visible;
        self
    }

    /// Hands these values on to middleware.
    #[must_use]
    pub fn with_extensions(mut self, extensions: Extensions) -> Self {
        self.extensions = extensions;
        self
    }
}

/// Something done to something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Access {
    /// To what.
    pub resource: Resource,
    /// What.
    pub action: Action,
}

impl Access {
    /// An action on a repository.
    pub fn repository(name: &RepositoryName, action: Action) -> Self {
        Self { resource: Resource::Repository(name.clone()), action }
    }
}

/// To what access is asked for. In a scope it reads `type:name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// A repository.
    Repository(RepositoryName),
    /// The list of repositories: `registry:catalog`.
    Catalog,
    /// Content of any repository, by digest alone: `registry:blobs`. What a mount without a source
    /// needs.
    AnyBlob,
    /// Something of an embedder's own.
    Custom {
        /// The type.
        kind: String,
        /// The name.
        name: String,
    },
}

impl Resource {
    /// The type, as a scope names it.
    pub fn kind(&self) -> &str {
        match self {
            Self::Repository(_) => "repository",
            Self::Catalog | Self::AnyBlob => "registry",
            Self::Custom { kind, .. } => kind,
        }
    }

    /// The name, as a scope names it.
    pub fn name(&self) -> &str {
        match self {
            Self::Repository(name) => name.as_str(),
            Self::Catalog => "catalog",
            Self::AnyBlob => "blobs",
            Self::Custom { name, .. } => name,
        }
    }
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Reading.
    Pull,
    /// Learning which tags there are. Scopes have no word of their own for it: `pull`.
    List,
    /// Writing.
    Push,
    /// Removing.
    Delete,
    /// Everything.
    All,
    /// Something of an embedder's own.
    Custom(String),
}

impl Action {
    /// The word for it in a scope.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pull | Self::List => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::All => "*",
            Self::Custom(word) => word,
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.resource.kind(), self.resource.name(), self.action.as_str())
    }
}

/// Repositories and the class that the caller's token has them in: `plugin` for a scope of `repository(plugin)`,
/// empty where the scope has none, which means `image`. An access controller that knows them leaves them among the
/// extensions of its [`Grant`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantedClasses(pub Vec<(String, String)>);

/// How a client can prove who it is: one `WWW-Authenticate` challenge (RFC 9110, section 11.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme, such as `Basic` or `Bearer`.
    pub scheme: Cow<'static, str>,
    /// The parameters in order. Values are quoted when the challenge is rendered.
    pub params: Vec<(Cow<'static, str>, String)>,
}

/// Why a request may not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The client has not proved who it is, or not well enough: 401 with these challenges.
    #[error("authentication required: {reason}")]
    Unauthorized {
        /// For the log.
        reason: Cow<'static, str>,
        /// How to go on.
        challenges: Vec<Challenge>,
    },
    /// The caller is known and may not do this: 403.
    #[error("denied: {reason}")]
    Denied {
        /// Which rule says so.
        reason: Cow<'static, str>,
    },
    /// One of the others, for a caller who is known: logs can then say who was turned away.
    #[error("{error}")]
    For {
        /// Who.
        principal: Box<Principal>,
        /// Why.
        #[source]
        error: Box<Self>,
    },
    /// The caller is known and may not even learn that there is such a repository: 404, as if there were none.
    #[error("hidden: {reason}")]
    Hidden {
        /// Which it is.
        repository: RepositoryName,
        /// Which rule says so, for the log alone.
        reason: Cow<'static, str>,
    },
    /// An error for the client, with a code of its own.
    #[error(transparent)]
    Other(Error),
    /// The controller failed: 500 or 503, logged.
    #[error("access controller failed")]
    Failed {
        /// Whether trying again may help.
        retry: bool,
        /// The cause.
        #[source]
        source: BoxError,
    },
}

impl AuthError {
    /// The same for a caller who is known.
    #[must_use]
    pub fn with_principal(self, principal: Option<Principal>) -> Self {
        match principal {
            Some(principal) => Self::For { principal: Box::new(principal), error: Box::new(self) },
            None => self,
        }
    }

    /// Who was turned away, if that is known.
    pub fn principal(&self) -> Option<&Principal> {
        match self {
            Self::For { principal, .. } => Some(principal),
            _ => None,
        }
    }

    /// Why, without who.
    pub fn reason(&self) -> Cow<'_, str> {
        match self {
            Self::For { error, .. } => error.reason(),
            Self::Unauthorized { reason, .. } | Self::Denied { reason } | Self::Hidden { reason, .. } => {
                Cow::Borrowed(reason)
            }
            Self::Other(error) => error.to_string().into(),
            Self::Failed { source, .. } => source.to_string().into(),
        }
    }

    /// The error itself, without who met it.
    #[must_use]
    pub fn into_inner(self) -> Self {
        match self {
            Self::For { error, .. } => error.into_inner(),
            other => other,
        }
    }
}
