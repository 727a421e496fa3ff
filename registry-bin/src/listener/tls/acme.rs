//! Certificates from an authority that speaks ACME (RFC 8555), which looks at the names through the port that is
//! served (TLS-ALPN-01, RFC 8737).

mod cache;
mod order;

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use tokio::time::{sleep, timeout};
use tracing::{error, info};

use self::cache::Cache;
use super::{Facts, TlsError, certificate};
use crate::config::model;

/// The protocol that only the authority speaks.
const CHALLENGE: &[u8] = b"acme-tls/1";

/// A certificate is renewed when it has so long to go, or a third of its time if that is less.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long one certificate may take.
const ORDER: Duration = Duration::from_secs(300);

/// The first and the longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(6 * 3600));

/// The shortest pause after the authority has looked at the name: it allows few such failures an hour.
const PAUSE_AFTER_LOOK: Duration = Duration::from_secs(120);

/// How often is looked whether one has to be renewed. Shorter than any time they are valid.
const LOOK: Duration = Duration::from_secs(3600);

/// Certificates of all hosts, and the answers to the authority's questions.
#[derive(Debug)]
pub(crate) struct Acme {
    settings: model::Acme,
    cache: Cache,
    certificates: Arc<Certificates>,
    answers: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

/// By name of the host.
#[derive(Debug, Default)]
struct Certificates(RwLock<HashMap<String, (Arc<CertifiedKey>, Facts)>>);

impl Acme {
    /// Opens the directory and takes the certificates that are in it.
    pub(super) fn open(settings: &model::Acme) -> Result<Self, TlsError> {
        let cache = Cache::open(&settings.cache)?;
        let certificates = Certificates::default();
        for host in &settings.hosts {
            let Some(pem) = cache.certificate(host) else { continue };
            match certificate::parse(&pem) {
                Ok((certified, facts)) if facts.has(host) => certificates.set(host, certified, facts),
                Ok(_) => info!("http.tls.letsencrypt: what is kept for {host} is for another name"),
                Err(error) => info!("http.tls.letsencrypt: what is kept for {host} cannot be used: {error}"),
            }
        }
        Ok(Self {
            settings: settings.clone(),
            cache,
            certificates: Arc::new(certificates),
            answers: RwLock::default(),
        })
    }

    /// Chooses by the name that the client asks for.
    pub(super) fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::<Certificates>::clone(&self.certificates)
    }

    /// What the authority gets to see.
    pub(super) fn answer(&self, hello: &ClientHello<'_>) -> Result<Arc<ServerConfig>, rustls::Error> {
        let name = hello.server_name().unwrap_or_default().to_ascii_lowercase();
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.get(&name).map(Arc::clone);
        drop(answers);
        let answer =
            answer.ok_or(rustls::Error::General(format!("nobody asked for a certificate for {name}")))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Always(answer)));
        config.alpn_protocols = vec![CHALLENGE.to_vec()];
        Ok(Arc::new(config))
    }

    /// Gets what is missing and renews what is about to end, for as long as it is polled. The port has to be
    /// served meanwhile.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut hosts: Vec<(&String, Duration, SystemTime)> =
            self.settings.hosts.iter().map(|host| (host, PAUSE.0, SystemTime::UNIX_EPOCH)).collect();
        loop {
            for (host, pause, not_before) in &mut hosts {
                let now = SystemTime::now();
                if now < *not_before || now < self.renewal(host) {
                    continue;
                }
                let looked = AtomicBool::new(false);
                let result = timeout(ORDER, self.renew(host, &looked)).await;
                let result =
                    result.unwrap_or_else(|_| Err(format!("nothing came of it within {ORDER:?}").into()));
                match result {
                    Ok(facts) => {
                        info!("got a certificate for {host}, until {}", facts.until());
                        (*pause, *not_before) = (PAUSE.0, now);
                    }
                    Err(error) => {
                        if looked.into_inner() {
                            *pause = (*pause).max(PAUSE_AFTER_LOOK);
                        }
                        error!(
                            error = error.as_ref() as &(dyn Error + 'static),
                            "no certificate for {host} (http.tls.letsencrypt), trying again in {pause:?}"
                        );
                        *not_before = SystemTime::now() + *pause;
                        *pause = (*pause * 2).min(PAUSE.1);
                    }
                }
            }
            let next = hosts.iter().map(|(host, _, not_before)| self.renewal(host).max(*not_before)).min();
            let wait = next.and_then(|next| next.duration_since(SystemTime::now()).ok()).unwrap_or_default();
            sleep(wait.clamp(Duration::from_secs(1), LOOK)).await;
        }
    }

    /// When the certificate for `host` has to be renewed.
    fn renewal(&self, host: &str) -> SystemTime {
        let certificates = self.certificates.0.read().unwrap_or_else(PoisonError::into_inner);
        certificates.get(host).map_or(SystemTime::UNIX_EPOCH, |(_, facts)| {
            let whole = facts.ends().duration_since(facts.from()).unwrap_or_default();
            facts.ends() - RENEW_BEFORE.min(whole / 3)
        })
    }

    /// Sets `looked` when the authority is told to look at the name.
    async fn renew(&self, host: &str, looked: &AtomicBool) -> Result<Facts, Box<dyn Error + Send + Sync>> {
        let pem = order::certificate(&self.settings, &self.cache, host, |answer| {
            let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
            match answer {
                Some(answer) => {
                    looked.store(true, Ordering::Relaxed);
                    answers.insert(host.to_owned(), answer)
                }
                None => answers.remove(host),
            };
        })
        .await?;
        let (certified, facts) = certificate::parse(&pem)?;
        // Used even if it cannot be kept: the authority gives out few.
        self.certificates.set(host, certified, facts.clone());
        self.cache.keep_certificate(host, &pem)?;
        Ok(facts)
    }
}

/// Whether it is the authority that wants to see whether the name is ours.
pub(super) fn asks(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut protocols| protocols.any(|protocol| protocol == CHALLENGE))
}

impl Certificates {
    fn set(&self, host: &str, certified: CertifiedKey, facts: Facts) {
        let mut certificates = self.0.write().unwrap_or_else(PoisonError::into_inner);
        certificates.insert(host.to_owned(), (Arc::new(certified), facts));
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        let certificates = self.0.read().unwrap_or_else(PoisonError::into_inner);
        certificates.get(&name).map(|(certified, _)| Arc::clone(certified))
    }
}

/// One certificate, whatever the name.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
