//! `http`: where and how to listen, and what one client may cost.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ::http::{HeaderName, HeaderValue, Uri};

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
}

impl Default for Limits {
    fn default() -> Self {
        const TIME: Duration = Duration::from_secs(60);
        Self { header: TIME, body: TIME, write: TIME, header_bytes: 64 << 10, connections: None }
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

/// Addresses with the same beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) address: IpAddr,
    /// How many bits have to be the same.
    pub(crate) bits: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, `fd00::/8` and single addresses.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok()).filter(|bits| *bits <= most)?;
        Some(Self { address, bits })
    }

    /// Whether `address` is one of them.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        fn starts_alike(one: &[u8], other: &[u8], bits: u8) -> bool {
            let (whole, rest) = (usize::from(bits / 8), bits % 8);
            one[..whole] == other[..whole] && (rest == 0 || (one[whole] ^ other[whole]) >> (8 - rest) == 0)
        }
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(one), IpAddr::V4(other)) => starts_alike(&one.octets(), &other.octets(), self.bits),
            (IpAddr::V6(one), IpAddr::V6(other)) => starts_alike(&one.octets(), &other.octets(), self.bits),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_begin_like_it() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("192.168.4.0/22", "192.168.7.255", true),
            ("192.168.4.0/22", "192.168.8.0", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe80::1", false),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), inside, "{network} {address}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::/129", "localhost", "10.0.0.0/-1"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
