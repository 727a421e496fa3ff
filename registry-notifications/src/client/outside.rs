//! What this system says about the world outside: whom it trusts, and through whom it goes.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use rustls::{ClientConfig, RootCertStore};

use super::{ClientError, Target};

/// Shared by all endpoints.
#[derive(Debug)]
pub(crate) struct Outside {
    proxies: Matcher,
    tls: OnceLock<Arc<ClientConfig>>,
}

/// A proxy to go through.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    pub(super) uri: Uri,
    pub(super) authorization: Option<HeaderValue>,
}

impl Outside {
    /// Reads `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    pub(crate) fn new() -> Self {
        Self { proxies: Matcher::from_env(), tls: OnceLock::new() }
    }

    /// Settings that trust whom the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    pub(super) fn tls(&self) -> Result<Arc<ClientConfig>, ClientError> {
        if let Some(tls) = self.tls.get() {
            return Ok(Arc::clone(tls));
        }
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let reasons: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
            return Err(ClientError::Roots(reasons.join(", ")));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::clone(self.tls.get_or_init(|| Arc::new(config))))
    }

    /// The proxy for a target, if there is one. This machine itself is never behind a proxy, as for Go.
    pub(super) fn proxy(&self, target: &Target) -> Option<Proxy> {
        let host = target.host.trim_start_matches('[').trim_end_matches(']');
        if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
            return None;
        }
        let scheme = if target.secure { "https" } else { "http" };
        let uri: Uri = format!("{scheme}://{}/", target.authority()).parse().ok()?;
        let proxy = self.proxies.intercept(&uri)?;
        Some(Proxy { uri: proxy.uri().clone(), authorization: proxy.basic_auth().cloned() })
    }

    #[cfg(test)]
    pub(super) fn with_proxies(proxies: Matcher) -> Self {
        Self { proxies, tls: OnceLock::new() }
    }
}
