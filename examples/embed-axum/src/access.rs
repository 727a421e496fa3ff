//! Everybody may use repositories; whoever has the token may administer them too.

use std::fmt;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use registry::core::access::Resource;
use registry::core::{
    AccessController, Algorithm, AuthError, AuthRequest, Challenge, Digest, Grant, Principal,
};

/// Asks for a token where [`Resource::Custom`] is asked for, and for nothing elsewhere.
///
/// Tokens are compared by their digests, so that the time it takes tells nothing of the token.
pub struct AdminToken {
    token: Digest,
}

impl AdminToken {
    /// Administrators are those who send this token.
    pub fn new(token: impl AsRef<[u8]>) -> Self {
        Self { token: Algorithm::Sha256.digest(token.as_ref()) }
    }
}

#[async_trait]
impl AccessController for AdminToken {
    async fn authorize(&self, request: &AuthRequest<'_>) -> Result<Grant, AuthError> {
        let sent = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let sent = sent.and_then(|value| value.strip_prefix("Bearer "));
        if sent.is_some_and(|sent| Algorithm::Sha256.digest(sent.as_bytes()) == self.token) {
            let everything = request.optional.iter().cloned();
            return Ok(Grant::new(Some(Principal::new("admin"))).with_optional(everything));
        }
        let custom = |resource: &Resource| matches!(resource, Resource::Custom { .. });
        if request.required.iter().any(|access| custom(&access.resource)) {
            return Err(AuthError::Unauthorized {
                reason: "administration needs the token".into(),
                challenges: vec![Challenge {
                    scheme: "Bearer".into(),
                    params: vec![("realm".into(), "admin".to_owned())],
                }],
            });
        }
        let optional = request.optional.iter().filter(|access| !custom(&access.resource));
        Ok(Grant::new(None).with_optional(optional.cloned()))
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken")
    }
}
