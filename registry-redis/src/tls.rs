//! TLS to Redis.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::options::{RedisConfigError, RedisTls};

/// Reads all files. Blocks; for the start.
pub(crate) fn connector(tls: &RedisTls) -> Result<TlsConnector, RedisConfigError> {
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let broken = |error: &dyn std::fmt::Display| RedisConfigError::Tls(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(&error))?
        .with_root_certificates(roots(tls)?);
    let config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let der = PrivateKeyDer::from_pem_slice(&read(key)?)
                .map_err(|error| file(key, format!("holds no usable private key: {error}")))?;
            builder.with_client_auth_cert(chain, der).map_err(|error| {
                file(certificate, format!("does not go with the key in {}: {error}", key.display()))
            })?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn roots(tls: &RedisTls) -> Result<RootCertStore, RedisConfigError> {
    let mut roots = RootCertStore::empty();
    if tls.root_cas.is_empty() {
        // What of the system's cannot be read is not trusted; the handshake says so.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    }
    for path in &tls.root_cas {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| file(path, format!("is no usable authority: {error}")))?;
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, RedisConfigError> {
    let pem = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| file(path, format!("is not PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(file(path, "holds no certificate in PEM".to_owned()));
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<u8>, RedisConfigError> {
    std::fs::read(path).map_err(|error| file(path, format!("cannot be read: {error}")))
}

fn file(path: &Path, reason: String) -> RedisConfigError {
    RedisConfigError::File { path: path.to_owned(), reason }
}
