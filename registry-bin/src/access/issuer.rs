//! `auth.issuer`: a token server of our own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use registry::auth::audit::AuditLog;
use registry::auth::issuer::{
    IssuedTokens, Issuer, IssuerOptions, PasswordUsers, StaticUser, UserSource, UsersError,
};
use registry::auth::policy::LivePolicy;
use serde::Deserialize;

use super::{Access, AccessError, oidc};
use crate::config::model;
use crate::reload::Reload;

/// More users than anybody keeps in a file, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// Builds the issuer and the controller that takes its tokens. `host` is the URL of the registry, if that is known.
///
/// # Errors
/// Users or keys that cannot be read.
pub(super) fn open(
    settings: &model::Issuer,
    host: Option<&str>,
    policy: Option<&Arc<LivePolicy>>,
    audit: Option<&Arc<AuditLog>>,
) -> Result<Access, AccessError> {
    let users = Users::open(&settings.users).map_err(AccessError)?;
    let at_host = || host.map(|host| format!("{}{}", host.trim_end_matches('/'), settings.path));
    let mut options = IssuerOptions::default();
    options.service.clone_from(&settings.service);
    options.issuer = Some(settings.issuer.clone());
    options.path.clone_from(&settings.path);
    options.realm = settings.realm.clone().or_else(at_host);
    options.keys.clone_from(&settings.keys);
    options.algorithm = settings.algorithm;
    options.rotation = settings.rotation;
    options.expiration = settings.expiration;
    options.refresh_expiration = settings.refresh_expiration;
    let mut sources: Vec<Arc<dyn UserSource>> = vec![Arc::clone(&users.passwords) as Arc<dyn UserSource>];
    for provider in &settings.users.oidc {
        sources.push(Arc::new(oidc::open(provider)?));
    }
    let issuer =
        Issuer::open(options, sources).map_err(|error| AccessError(format!("auth.issuer: {error}")))?;
    let issuer = match policy {
        // Tokens then have what the rules allow, and no more.
        Some(policy) => issuer.with_grants(Arc::<LivePolicy>::clone(policy)),
        None => issuer,
    };
    let issuer = match audit {
        Some(audit) => issuer.with_audit(Arc::<AuditLog>::clone(audit)),
        None => issuer,
    };
    let controller = Arc::new(IssuedTokens::new(issuer.clone()));
    Ok(Access { issuer: Some(issuer), ..Access::new(controller, vec![Arc::new(users)]) })
}

/// Users with passwords, and the file with groups that some of them come from.
struct Users {
    passwords: Arc<PasswordUsers>,
    file: Option<PathBuf>,
}

/// A file of users.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    users: Vec<StaticUser>,
}

impl Users {
    fn open(settings: &model::IssuerUsers) -> Result<Self, String> {
        let list = list(settings.file.as_deref())?;
        let passwords = PasswordUsers::open(settings.htpasswd.clone(), &list)
            .map_err(|error| told(&error, settings.file.as_deref()))?;
        Ok(Self { passwords: Arc::new(passwords), file: settings.file.clone() })
    }
}

/// The users of a file.
fn list(path: Option<&Path>) -> Result<Vec<StaticUser>, String> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let wrong = |why: String| format!("auth.issuer.users.file: {}: {why}", path.display());
    let length = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if length > MAX_FILE {
        return Err(wrong(format!("larger than {MAX_FILE} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    // The excerpt that the error has after its first line would show hashes.
    let first_line = |error: String| error.lines().next().unwrap_or_default().to_owned();
    let file: File = serde_saphyr::from_str(&text).map_err(|error| wrong(first_line(error.to_string())))?;
    Ok(file.users)
}

/// Says which key leads to the mistake.
fn told(error: &UsersError, file: Option<&Path>) -> String {
    match (error, file) {
        (UsersError::User { .. }, Some(file)) => {
            format!("auth.issuer.users.file: {}: {error}", file.display())
        }
        _ => format!("auth.issuer.users.htpasswd: {error}"),
    }
}

impl Reload for Users {
    fn name(&self) -> &'static str {
        "auth.issuer.users"
    }

    fn files(&self) -> Vec<PathBuf> {
        self.passwords.htpasswd().map(Path::to_owned).into_iter().chain(self.file.clone()).collect()
    }

    fn reload(&self) -> Result<String, String> {
        let list = list(self.file.as_deref())?;
        let count = self.passwords.reload(&list).map_err(|error| told(&error, self.file.as_deref()))?;
        Ok(format!("{count} users can log in now"))
    }
}
