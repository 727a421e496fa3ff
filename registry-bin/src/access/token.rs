//! `auth.token`: tokens of a token server elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use registry::auth::{KeysError, Token, TokenOptions, TrustedKeys};
use tracing::{info, warn};

use super::AccessError;
use crate::config::model;
use crate::reload::Reload;

/// The controller, and the files that its keys are read from.
pub(super) struct TokenAuth {
    pub(super) controller: Arc<Token>,
    files: Files,
}

struct Files {
    bundle: Option<PathBuf>,
    jwks: Option<PathBuf>,
}

/// Builds the controller.
///
/// # Errors
/// A file that cannot be read, or has no keys.
pub(super) fn open(settings: &model::Token) -> Result<TokenAuth, AccessError> {
    let files = Files { bundle: settings.bundle.clone(), jwks: settings.jwks.clone() };
    let keys = files.read().map_err(AccessError)?;
    info!("auth.token: {keys} are trusted");
    let options = TokenOptions::new(&settings.realm, &settings.issuer, &settings.service)
        .with_redirect(settings.redirect.clone())
        .with_algorithms(settings.algorithms.iter().copied());
    Ok(TokenAuth { controller: Arc::new(Token::new(options, keys)), files })
}

impl Files {
    fn read(&self) -> Result<TrustedKeys, String> {
        let bundle = self.bundle.as_deref().map(|path| read("rootcertbundle", path)).transpose()?;
        let jwks = self.jwks.as_deref().map(|path| read("jwks", path)).transpose()?;
        let keys = TrustedKeys::read(bundle.as_deref(), jwks.as_deref()).map_err(|error| {
            let (key, path) = match error {
                KeysError::Jwks(_) => ("jwks", &self.jwks),
                KeysError::Bundle(_) => ("rootcertbundle", &self.bundle),
                _ if self.bundle.is_none() => ("jwks", &self.jwks),
                _ => ("rootcertbundle", &self.bundle),
            };
            let path = path.as_deref().unwrap_or(Path::new("")).display();
            format!("auth.token.{key}: {path}: {error}")
        })?;
        for passed_over in keys.passed_over() {
            warn!("auth.token: a key is not used: {passed_over}");
        }
        Ok(keys)
    }
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("auth.token.{key}: cannot read {}: {error}", path.display()))
}

impl Reload for TokenAuth {
    fn name(&self) -> &'static str {
        "auth.token"
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.bundle.iter().chain(&self.files.jwks).cloned().collect()
    }

    fn reload(&self) -> Result<String, String> {
        let keys = self.files.read()?;
        let changes = format!("{keys} are trusted now, tokens are verified anew");
        self.controller.replace_keys(keys);
        Ok(changes)
    }
}
