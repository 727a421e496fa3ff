//! `auth.htpasswd`: users in a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use registry::auth::{Htpasswd, HtpasswdError, Passwords, provision};
use tracing::{info, warn};

use super::AccessError;
use crate::reload::Reload;

/// The users, and the file that they are read from.
pub(super) struct Users(Arc<Passwords>);

/// Builds the controller, and a file with one user where there is none.
///
/// # Errors
/// A file that is broken, or that cannot be read or made.
pub(super) fn open(realm: &str, path: &Path) -> Result<(Htpasswd, Users), AccessError> {
    let told = |error: HtpasswdError| AccessError(told(&error));
    if let Some(user) = provision(path).map_err(told)? {
        // Distribution's words, which scripts look for. It is the one place where this password is ever told.
        warn!(
            user = user.name,
            password = user.password,
            "htpasswd is missing, provisioning with default user"
        );
    }
    let passwords = Arc::new(Passwords::open(path).map_err(told)?);
    match passwords.count() {
        0 => warn!("auth.htpasswd.path: no user in {} can log in", path.display()),
        count => info!("auth.htpasswd: {count} users in {}", path.display()),
    }
    Ok((Htpasswd::new(realm, Arc::clone(&passwords)), Users(passwords)))
}

fn told(error: &HtpasswdError) -> String {
    format!("auth.htpasswd.path: {error}")
}

impl Reload for Users {
    fn name(&self) -> &'static str {
        "auth.htpasswd"
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.0.path().to_owned()]
    }

    fn reload(&self) -> Result<String, String> {
        self.0.reload().map_err(|error| told(&error))
    }
}
