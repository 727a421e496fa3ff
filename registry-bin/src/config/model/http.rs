//! `http`: where and how to listen, and what one client may cost.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ::http::{HeaderName, HeaderValue, Uri};
use registry::core::Network;

use super::Secret;

/// `http`
#[derive(Debug, Clone)]
pub(crate) struct Http {
    /// Never empty.
    pub(crate) addrs: Vec<Address>,
    /// Path under which the API lives, with a slash at both ends; `None` for the root.
    pub(crate) prefix: Option<String>,
    /// Base of generated URLs, with scheme and host.
    pub(crate) host: Option<String>,
    /// Key that signs upload state; `None` signs with a fixed key.
    pub(crate) secret: Option<Secret>,
    pub(crate) relative_urls: bool,
    /// Sent with every response of the API.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// What requests in flight get after the first signal to stop.
    pub(crate) drain_timeout: Duration,
    pub(crate) limits: Limits,
    /// `None` serves in the clear.
    pub(crate) tls: Option<Tls>,
    /// Whether HTTP/2 is offered to clients that come with TLS.
    pub(crate) http2: bool,
    /// Whether clients without TLS may speak HTTP/2 too.
    pub(crate) h2c: bool,
    pub(crate) proxy_protocol: Option<ProxyProtocol>,
}

/// `http.timeouts` and `http.limits`: what one client may cost before it is cut off.
///
/// The times bound how long nothing happens, except that of the head. However large a blob and however slow
/// its client, a request goes on for as long as bytes move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// For the head of a request, the wait for its first byte included: 60 s.
    pub(crate) header: Duration,
    /// Between two pieces of the body of a request, while they are waited for: 60 s.
    pub(crate) body: Duration,
    /// Until a client takes more of an answer: 60 s.
    pub(crate) write: Duration,
    /// Longest head of a request, its first line included: 64 KiB.
    pub(crate) header_bytes: usize,
    /// Most connections at the same time; `None`, half of the files that the process may have open.
    pub(crate) connections: Option<usize>,
    /// How much a connection reads ahead, at least; `None` leaves it to hyper. Not configured: see
    /// [`BUCKET_READ_AHEAD`](Self::BUCKET_READ_AHEAD).
    pub(crate) read_ahead: Option<usize>,
}

impl Limits {
    /// Reading ahead where uploads wait for a bucket, which is slower than any client: many of them are open at
    /// once, and what each has at hand makes none of them faster. A disk takes large pieces at less cost.
    pub(crate) const BUCKET_READ_AHEAD: usize = 128 << 10;
}

impl Default for Limits {
    fn default() -> Self {
        const TIME: Duration = Duration::from_secs(60);
        Self {
            header: TIME,
            body: TIME,
            write: TIME,
            header_bytes: 64 << 10,
            connections: None,
            read_ahead: None,
        }
    }
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// `host:port`; an empty host means every interface.
    Tcp { host: String, port: u16 },
    /// A socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `http.tls`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) certificate: Certificate,
    /// `None` asks no client for a certificate.
    pub(crate) clients: Option<ClientCertificates>,
    /// The oldest version that is spoken.
    pub(crate) minimum: TlsVersion,
    /// What may be used with TLS 1.2; TLS 1.3 always has its three.
    pub(crate) suites: Vec<Suite>,
}

/// Where the server's certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Certificate {
    Files { certificate: PathBuf, key: PathBuf },
    Acme(Acme),
}

/// `http.tls.letsencrypt`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acme {
    /// A directory, whatever the name of the key.
    pub(crate) cache: PathBuf,
    /// Whom the authority may write to.
    pub(crate) email: Option<String>,
    /// The names that certificates are asked for; never empty.
    pub(crate) hosts: Vec<String>,
    /// Of the authority; `None` for Let's Encrypt.
    pub(crate) directory: Option<Uri>,
}

/// `http.tls.clientcas` and `clientauth`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientCertificates {
    /// Files with certificates of authorities; never empty.
    pub(crate) authorities: Vec<PathBuf>,
    pub(crate) auth: ClientAuth,
}

/// What is asked of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// A certificate of any kind, if they like.
    Request,
    /// A certificate of any kind.
    RequireAny,
    /// If there is a certificate, it has to come from one of the authorities.
    VerifyIfGiven,
    /// A certificate from one of the authorities.
    RequireAndVerify,
}

impl ClientAuth {
    /// Whether a certificate that a client shows is held against the authorities.
    pub(crate) fn verifies(self) -> bool {
        match self {
            Self::Request | Self::RequireAny => false,
            Self::VerifyIfGiven | Self::RequireAndVerify => true,
        }
    }
}

/// Versions of TLS that are safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsVersion {
    V12,
    V13,
}

/// Cipher suites for TLS 1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suite {
    EcdsaAes128,
    EcdsaAes256,
    EcdsaChacha20,
    RsaAes128,
    RsaAes256,
    RsaChacha20,
}

/// The names that the registry of such suites has for them.
pub(crate) const SUITES: [(&str, Suite); 6] = [
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Suite::EcdsaAes128),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Suite::EcdsaAes256),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", Suite::EcdsaChacha20),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Suite::RsaAes128),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", Suite::RsaAes256),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Suite::RsaChacha20),
];

/// `http.proxyprotocol`: who is believed when it says for whom it forwards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ProxyProtocol {
    pub(crate) trusted: Vec<Network>,
    /// Whether whoever reaches the unix socket is trusted as well.
    pub(crate) unix: bool,
}
