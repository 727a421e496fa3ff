//! Who may do what.

use std::borrow::Cow;
use std::fmt;

use async_trait::async_trait;
use http::{Extensions, HeaderMap};

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
    /// The headers of the request.
    pub headers: &'a HeaderMap,
    /// What the request cannot do without.
    pub required: &'a [Access],
    /// What would help it, such as reading the source of a mount.
    pub optional: &'a [Access],
    /// What the listener knows about the connection, such as its address or client certificate.
    pub connection: &'a Extensions,
}

impl<'a> AuthRequest<'a> {
    /// A request for these accesses.
    pub fn new(
        headers: &'a HeaderMap,
        required: &'a [Access],
        optional: &'a [Access],
        connection: &'a Extensions,
    ) -> Self {
        Self { headers, required, optional, connection }
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
            Self::Pull => "pull",
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
