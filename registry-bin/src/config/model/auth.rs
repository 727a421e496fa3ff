//! `auth` as values.

use std::path::PathBuf;
use std::time::Duration;

use registry::auth::oidc::{KeySource, NameTemplate};
use registry::auth::policy::PolicyDocument;
use registry::auth::{CertificateGroups, CertificateName, SigningAlgorithm};

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Auth {
    /// Who says who a caller is.
    pub(crate) provider: Provider,
    /// Whom a client certificate names, if that is asked before the provider.
    pub(crate) certificate: Option<CertificateIdentity>,
    /// What a caller may do; everything that the provider grants if there is none.
    pub(crate) policy: Option<Policy>,
    /// Who did what is written there.
    pub(crate) audit: Option<Audit>,
}

/// `auth.policy`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Rules in the configuration, known to be right.
    Inline(PolicyDocument),
    /// A file with rules.
    File(PathBuf),
}

/// `auth.audit`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Audit {
    /// The file; `None` for standard output.
    pub(crate) path: Option<PathBuf>,
    /// Whether reading is recorded.
    pub(crate) reads: bool,
}

/// `auth.certificate`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CertificateIdentity {
    pub(crate) name: CertificateName,
    pub(crate) groups: CertificateGroups,
}

impl Provider {
    /// Whether callers can log in.
    pub(crate) fn recognizes(&self) -> bool {
        *self != Self::None
    }
}

/// Tokens of a token server elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// The URL of the token server.
    pub(crate) realm: String,
    /// Whom tokens are for.
    pub(crate) service: String,
    /// Who signs them.
    pub(crate) issuer: String,
    /// The file with the certificates that are trusted.
    pub(crate) bundle: Option<PathBuf>,
    /// The file with the keys that are trusted.
    pub(crate) jwks: Option<PathBuf>,
    /// The path of the token server on the host that a client asked.
    pub(crate) redirect: Option<String>,
    /// What may sign.
    pub(crate) algorithms: Vec<SigningAlgorithm>,
}

/// A token server of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issuer {
    /// Whom tokens are for.
    pub(crate) service: String,
    /// Whose tokens they are.
    pub(crate) issuer: String,
    /// The URL of the endpoint; `None` for that at the host that a client asked.
    pub(crate) realm: Option<String>,
    /// The path of the endpoint.
    pub(crate) path: String,
    /// The directory with the keys; `None` for keys in memory.
    pub(crate) keys: Option<PathBuf>,
    /// What signs.
    pub(crate) algorithm: SigningAlgorithm,
    /// How long a key signs.
    pub(crate) rotation: Duration,
    /// How long a token holds.
    pub(crate) expiration: Duration,
    /// How long a refresh token holds.
    pub(crate) refresh_expiration: Duration,
    pub(crate) users: IssuerUsers,
}

/// `auth.issuer.users`, of which at least one is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IssuerUsers {
    /// An htpasswd file.
    pub(crate) htpasswd: Option<PathBuf>,
    /// A file with users and their groups.
    pub(crate) file: Option<PathBuf>,
    /// Whose identity tokens count.
    pub(crate) oidc: Vec<IdentityProvider>,
}

/// One of `auth.issuer.users.oidc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdentityProvider {
    /// What we call it.
    pub(crate) name: String,
    /// What it calls itself.
    pub(crate) issuer: String,
    /// What it calls us.
    pub(crate) audience: String,
    /// Where its keys are.
    pub(crate) keys: KeySource,
    /// What its principals are called.
    pub(crate) principal: NameTemplate,
    /// The claim with their groups.
    pub(crate) groups: Option<String>,
    /// What tokens have to claim: any of the patterns.
    pub(crate) claims: Vec<(String, Vec<String>)>,
    /// The file with the authorities of its server.
    pub(crate) authorities: Option<PathBuf>,
    /// The file with a token to show to its server.
    pub(crate) token_file: Option<PathBuf>,
    /// How long a login lasts.
    pub(crate) session: Duration,
}

/// The one provider that a configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Provider {
    /// Nobody; `auth: none`, or no provider at all.
    None,
    /// Whatever a client sends as authorization passes.
    Silly {
        /// Of the challenge.
        realm: String,
        /// Of the challenge.
        service: String,
    },
    /// Users of an htpasswd file.
    Htpasswd {
        /// Of the challenge.
        realm: String,
        path: PathBuf,
    },
    /// What a token says.
    Token(Token),
    /// What a token of our own says.
    Issuer(Box<Issuer>),
}
