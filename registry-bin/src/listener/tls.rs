//! TLS around connections, with certificates that can change while connections go on.

mod acme;
mod certificate;
mod clients;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use registry::core::ClientCertificate;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::server::{Acceptor, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::SingleCertAndKey;
use rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version};
use tokio_rustls::LazyConfigAcceptor;
use tracing::{info, warn};

use self::acme::Acme;
use super::stream::Stream;
use super::transport::{Io, Protocol};
use crate::config::model::{self, Certificate, Suite, TlsVersion};
use crate::reload::Reload;

pub(super) use self::certificate::Facts;

/// Names of protocols, as they are agreed on.
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// What is encrypted before it is handed to the system: as much as is read of a blob at once. With a quarter of
/// it, as rustls has it, a large blob costs twice the CPU.
const AT_ONCE: usize = 256 << 10;

/// Why there is no TLS with these files; names the key and the file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TlsError(String);

/// A connection with TLS around it.
pub(super) struct Secured {
    pub(super) io: Io,
    pub(super) protocol: Protocol,
    /// What the client has shown, if it has.
    pub(super) certificate: Option<ClientCertificate>,
}

/// What new connections get.
#[derive(Debug)]
pub(crate) struct Tls {
    settings: model::Tls,
    http2: bool,
    /// `None` if the certificate is in files.
    acme: Option<Arc<Acme>>,
    now: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// A file that cannot be used, or two that do not belong together.
    pub(crate) fn load(settings: &model::Tls, http2: bool) -> Result<Self, TlsError> {
        let acme = match &settings.certificate {
            Certificate::Files { .. } => None,
            Certificate::Acme(acme) => Some(Arc::new(Acme::open(acme)?)),
        };
        let config = config(settings, http2, acme.as_ref())?;
        Ok(Self { settings: settings.clone(), http2, acme, now: RwLock::new(Arc::new(config)) })
    }

    /// Who gets the certificates, if they come from an authority.
    pub(crate) fn acme(&self) -> Option<&Arc<Acme>> {
        self.acme.as_ref()
    }

    /// Shakes hands. `None` if that was all there is to do.
    pub(super) async fn accept(&self, stream: Stream) -> io::Result<Option<Secured>> {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        if let Some(acme) = &self.acme
            && acme::asks(&hello.client_hello())
        {
            // The authority only wants to see the certificate.
            let answer = acme.answer(&hello.client_hello()).map_err(io::Error::other)?;
            let mut stream = hello.into_stream(answer).await?;
            tokio::io::AsyncWriteExt::shutdown(&mut stream).await?;
            return Ok(None);
        }
        let now = Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner));
        let stream =
            hello.into_stream_with(now, |connection| connection.set_buffer_limit(Some(AT_ONCE))).await?;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(HTTP2) => Protocol::Http2,
            Some(_) | None => Protocol::Http1,
        };
        let verified = self.settings.clients.as_ref().is_some_and(|clients| clients.auth.verifies());
        let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let certificate = (!shown.is_empty()).then(|| {
            let chain: Vec<Vec<u8>> = shown.iter().map(|certificate| certificate.to_vec()).collect();
            ClientCertificate::new(chain, verified)
        });
        Ok(Some(Secured { io: Io::Tls(Box::new(stream)), protocol, certificate }))
    }
}

impl Reload for Tls {
    fn name(&self) -> &'static str {
        "http.tls"
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = match &self.settings.certificate {
            Certificate::Files { certificate, key } => vec![certificate.clone(), key.clone()],
            Certificate::Acme(_) => Vec::new(),
        };
        files.extend(self.settings.clients.iter().flat_map(|clients| clients.authorities.clone()));
        files
    }

    fn reload(&self) -> Result<String, String> {
        let config = config(&self.settings, self.http2, self.acme.as_ref()).map_err(|error| error.0)?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok("new connections get the certificates that are in the files now".to_owned())
    }
}

fn config(settings: &model::Tls, http2: bool, acme: Option<&Arc<Acme>>) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(provider(&settings.suites));
    let certificate: Arc<dyn ResolvesServerCert> = match (&settings.certificate, acme) {
        (Certificate::Files { certificate, key }, _) => {
            let (certified, facts) = certificate::read(certificate, key)?;
            say(&facts, certificate);
            Arc::new(SingleCertAndKey::from(certified))
        }
        (Certificate::Acme(_), Some(acme)) => acme.resolver(),
        (Certificate::Acme(_), None) => return Err(TlsError("http.tls.letsencrypt: not opened".to_owned())),
    };
    let versions: &[&'static SupportedProtocolVersion] = match settings.minimum {
        TlsVersion::V12 => &[&version::TLS13, &version::TLS12],
        TlsVersion::V13 => &[&version::TLS13],
    };
    let failed = |error: rustls::Error| TlsError(format!("http.tls: {error}"));
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(failed)?;
    let builder = match &settings.clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(clients::verifier(clients, provider)?),
    };
    let mut config = builder.with_cert_resolver(certificate);
    config.alpn_protocols = if http2 { vec![HTTP2.to_vec(), HTTP1.to_vec()] } else { vec![HTTP1.to_vec()] };
    // Clients keep what is needed to resume, so that nothing has to be kept here.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(failed)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// Says what clients are going to see.
fn say(facts: &Facts, file: &std::path::Path) {
    let file = file.display();
    info!("certificate of {file}: for {}, until {}", facts.names(), facts.until());
    if let Some(problem) = facts.problem() {
        warn!("http.tls.certificate: {file} {problem}");
    }
}

fn provider(suites: &[Suite]) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    let chosen: Vec<SupportedCipherSuite> = suites.iter().map(|suite| of(*suite)).collect();
    provider.cipher_suites.retain(|suite| suite.tls13().is_some() || chosen.contains(suite));
    provider
}

fn of(suite: Suite) -> SupportedCipherSuite {
    use aws_lc_rs::cipher_suite as suites;
    match suite {
        Suite::EcdsaAes128 => suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        Suite::EcdsaAes256 => suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        Suite::EcdsaChacha20 => suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        Suite::RsaAes128 => suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        Suite::RsaAes256 => suites::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        Suite::RsaChacha20 => suites::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    }
}
