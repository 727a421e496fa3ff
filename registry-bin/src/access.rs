//! From `auth` of the configuration to an access controller.

pub(crate) mod audit;
mod htpasswd;
mod issuer;
mod oidc;
pub(crate) mod policy;
mod token;

use std::sync::Arc;

use registry::auth::audit::AuditLog;
use registry::auth::issuer::Issuer;
use registry::auth::policy::{LivePolicy, Policy};
use registry::auth::{Anonymous, Certificates, Silly};
use registry::core::AccessController;
use tracing::{info, warn};

use crate::config::Config;
use crate::config::model::Provider;
use crate::reload::Reload;

/// Why there is no access control as the configuration wants it; names the key and what it is about.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct AccessError(String);

/// Who decides on requests, and what of it lives in files.
pub(crate) struct Access {
    pub(crate) controller: Arc<dyn AccessController>,
    pub(crate) reloads: Vec<Arc<dyn Reload>>,
    /// The rules, if they are in the configuration itself.
    pub(crate) rules: Option<Arc<LivePolicy>>,
    /// Who answers the token endpoint, if that is here.
    pub(crate) issuer: Option<Issuer>,
    /// Where it is written down who did what.
    pub(crate) audit: Option<Arc<AuditLog>>,
}

impl Access {
    fn new(controller: Arc<dyn AccessController>, reloads: Vec<Arc<dyn Reload>>) -> Self {
        Self { controller, reloads, rules: None, issuer: None, audit: None }
    }
}

/// Builds the access control. Nothing is served if it fails.
///
/// # Errors
/// A file that cannot be used.
pub(crate) async fn access(config: &Config) -> Result<Access, AccessError> {
    let policy = config.auth.policy.as_ref().map(policy::open).transpose()?;
    let audit = config.auth.audit.as_ref().map(audit::open).transpose()?;
    let live = policy.as_ref().map(|(live, _)| live);
    let mut access = provider(config, live, audit.as_ref()).await?;
    if let Some(identity) = config.auth.certificate {
        let certificates = Certificates::new(identity.name).with_groups(identity.groups);
        access.controller = match config.auth.provider {
            Provider::None => Arc::new(certificates),
            _ => Arc::new(certificates.or(access.controller)),
        };
    }
    if let Some((live, file)) = policy {
        access.controller = Arc::new(Policy::new(access.controller, Arc::clone(&live)));
        access.rules = file.is_none().then_some(live);
        access.reloads.extend(file.map(|file| Arc::new(file) as Arc<dyn Reload>));
    }
    access.reloads.extend(audit.clone().map(|log| Arc::new(audit::Reopen(log)) as Arc<dyn Reload>));
    access.audit = audit;
    Ok(access)
}

async fn provider(
    config: &Config,
    policy: Option<&Arc<LivePolicy>>,
    audit: Option<&Arc<AuditLog>>,
) -> Result<Access, AccessError> {
    Ok(match &config.auth.provider {
        Provider::None => Access::new(Arc::new(Anonymous), Vec::new()),
        Provider::Silly { realm, service } => Access::new(Arc::new(Silly::new(realm, service)), Vec::new()),
        Provider::Htpasswd { realm, path } => {
            let (controller, users) = htpasswd::open(realm, path)?;
            Access::new(Arc::new(controller), vec![Arc::new(users)])
        }
        Provider::Token(settings) => {
            let token = token::open(settings)?;
            let controller = Arc::clone(&token.controller);
            Access::new(controller, vec![Arc::new(token)])
        }
        Provider::Issuer(settings) => issuer::open(settings, config.http.host.as_deref(), policy, audit)?,
    })
}

/// Says in the log who may do what.
pub(crate) fn describe(config: &Config) {
    let may = match (&config.auth.policy, config.storage.read_only) {
        (Some(_), _) => "do what auth.policy allows",
        (None, true) => "read",
        (None, false) => "read and write",
    };
    if config.auth.certificate.is_some() {
        info!("auth.certificate: whoever shows a client certificate may {may}");
    }
    match &config.auth.provider {
        Provider::None if config.auth.certificate.is_some() => {}
        Provider::None => info!("no authentication: whoever reaches the address may {may}"),
        Provider::Silly { .. } => {
            warn!("auth.silly is for tests: any Authorization header passes, whoever sends one may {may}");
        }
        Provider::Htpasswd { path, .. } => {
            info!("auth.htpasswd: whoever logs in as a user of {} may {may}", path.display());
        }
        Provider::Token(token) => {
            info!(
                "auth.token: who has a token of {:?} for {:?} may do what it says",
                token.issuer, token.service
            );
        }
        Provider::Issuer(issuer) => {
            info!("auth.issuer: who logs in at {} may {may}", issuer.path);
        }
    }
}
