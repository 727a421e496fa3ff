//! Users and bcrypt hashes in a file, as `htpasswd -B` of Apache makes it.

mod file;
mod flights;
mod hash;
mod memory;
mod passwords;
mod queue;
mod verifier;

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::{AccessController, AuthError, AuthRequest, Error, ErrorCode, Grant};

pub use self::file::{HtpasswdError, NewUser, provision};
pub use self::passwords::Passwords;
pub use self::queue::Busy;
#[cfg(feature = "issuer")]
pub(crate) use self::{file::Users, passwords::read as read_users, verifier::Verifier};
use crate::basic;

/// Lets every user of an htpasswd file do everything, and nobody else anything. Users prove who they are with the
/// `Basic` scheme (RFC 7617); whoever does not gets 401 with a challenge.
#[derive(Debug, Clone)]
pub struct Htpasswd {
    realm: String,
    passwords: Arc<Passwords>,
}

impl Htpasswd {
    /// A controller for these users; `realm` is what the challenge says they are users of.
    pub fn new(realm: impl Into<String>, passwords: Arc<Passwords>) -> Self {
        Self { realm: realm.into(), passwords }
    }

    fn refusal(&self, reason: String) -> AuthError {
        AuthError::Unauthorized { reason: reason.into(), challenges: vec![basic::challenge(&self.realm)] }
    }
}

#[async_trait]
impl AccessController for Htpasswd {
    async fn authorize(&self, request: &AuthRequest<'_>) -> Result<Grant, AuthError> {
        let credentials = basic::credentials(request.headers)
            .map_err(|malformed| self.refusal(malformed.to_string()))?
            .ok_or_else(|| self.refusal("no Basic credentials".to_owned()))?;
        let verified =
            self.passwords.verify(&credentials.user, &credentials.password, request.client_addr()).await;
        match verified {
            Ok(Some(principal)) => {
                Ok(Grant::new(Some(principal)).with_optional(request.optional.iter().cloned()))
            }
            Ok(None) => {
                let user: String = credentials.user.chars().take(64).collect();
                Err(self.refusal(format!("no such user or a wrong password: {user:?}")))
            }
            Err(Busy) => Err(AuthError::Other(Error::coded(ErrorCode::TOOMANYREQUESTS))),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http::header::AUTHORIZATION;
    use registry_core::RepositoryName;
    use registry_core::access::{Access, Action};

    use super::*;

    async fn ask(headers: &[&[u8]]) -> Result<Grant, AuthError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("a:{}", bcrypt::hash_with_salt("b:c", 4, [1; 16]).unwrap()))
            .unwrap();
        let controller = Htpasswd::new("Here", Arc::new(Passwords::open(file.path()).unwrap()));
        let mut request = Request::get("/v2/");
        for header in headers {
            request = request.header(AUTHORIZATION, *header);
        }
        let name = RepositoryName::parse("a/b").unwrap();
        let (required, optional) =
            ([Access::repository(&name, Action::Push)], [Access::repository(&name, Action::Pull)]);
        let (parts, ()) = request.body(()).unwrap().into_parts();
        controller.authorize(&AuthRequest::new(&parts, &required, &optional)).await
    }

    #[tokio::test]
    async fn a_user_may_do_everything() {
        // a:b:c
        let grant = ask(&[b"Basic YTpiOmM="]).await.unwrap();
        let principal = grant.principal.unwrap();
        assert_eq!((principal.name.as_str(), principal.method.as_ref()), ("a", "htpasswd"));
        assert_eq!(grant.optional.len(), 1);
    }

    #[tokio::test]
    async fn everybody_else_is_asked_for_credentials() {
        for headers in [
            &[][..],
            &[&b"Bearer x"[..]],
            &[b""],
            // a:b, c:b:c, no colon, not UTF-8, not base64
            &[b"Basic YTpi"],
            &[b"Basic YzpiOmM="],
            &[b"Basic YWI="],
            &[b"Basic /w=="],
            &[b"Basic !"],
            &[b"\xff"],
            // Right ones, twice.
            &[b"Basic YTpiOmM=", b"Basic YTpiOmM="],
        ] {
            let refused = ask(headers).await;
            let Err(AuthError::Unauthorized { challenges, .. }) = refused else {
                panic!("{headers:?}: {refused:?}")
            };
            assert_eq!(challenges, [basic::challenge("Here")], "{headers:?}");
        }
    }
}
