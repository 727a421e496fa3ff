//! A controller for trying out how clients answer to a challenge. It keeps nobody out.

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use registry_core::access::Resource;
use registry_core::{AccessController, AuthError, AuthRequest, Challenge, Grant, Principal};

/// Grants everything to any request that has an `Authorization` header, whatever it says, and asks the others for
/// one. As in Distribution; for tests of clients and never for anything else.
#[derive(Debug, Clone)]
pub struct Silly {
    realm: String,
    service: String,
}

impl Silly {
    /// A controller whose challenges have this realm and service.
    pub fn new(realm: impl Into<String>, service: impl Into<String>) -> Self {
        Self { realm: realm.into(), service: service.into() }
    }

    /// `Bearer`, with one scope for each access that is asked for, that to the source of a mount too.
    fn challenge(&self, request: &AuthRequest<'_>) -> Challenge {
        let mut params = vec![("realm".into(), self.realm.clone()), ("service".into(), self.service.clone())];
        let sources =
            request.optional.iter().filter(|access| matches!(access.resource, Resource::Repository(_)));
        let scopes: Vec<String> = request.required.iter().chain(sources).map(ToString::to_string).collect();
        if !scopes.is_empty() {
            params.push(("scope".into(), scopes.join(" ")));
        }
        Challenge { scheme: "Bearer".into(), params }
    }
}

#[async_trait]
impl AccessController for Silly {
    async fn authorize(&self, request: &AuthRequest<'_>) -> Result<Grant, AuthError> {
        let silent = request.headers.get(AUTHORIZATION).is_none_or(|value| value.is_empty());
        if silent {
            return Err(AuthError::Unauthorized {
                reason: "no authorization".into(),
                challenges: vec![self.challenge(request)],
            });
        }
        let principal = Principal::new("silly").with_method("silly");
        Ok(Grant::new(Some(principal)).with_optional(request.optional.iter().cloned()))
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use registry_core::RepositoryName;
    use registry_core::access::{Access, Action};

    use super::*;

    async fn ask(header: Option<&str>, required: &[Access], optional: &[Access]) -> Result<Grant, AuthError> {
        let mut request = Request::get("/v2/");
        if let Some(value) = header {
            request = request.header(AUTHORIZATION, value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Silly::new("r", "s").authorize(&AuthRequest::new(&parts, required, optional)).await
    }

    fn params(refused: Result<Grant, AuthError>) -> Vec<String> {
        let Err(AuthError::Unauthorized { challenges, .. }) = refused else { panic!("{refused:?}") };
        let [Challenge { scheme, params }] = challenges.as_slice() else { panic!("{challenges:?}") };
        assert_eq!(scheme, "Bearer");
        params.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[tokio::test]
    async fn without_authorization_there_is_a_challenge_with_all_that_is_asked_for() {
        let name = RepositoryName::parse("a/b").unwrap();
        let accesses = [Access::repository(&name, Action::Pull), Access::repository(&name, Action::Push)];
        assert_eq!(params(ask(None, &[], &[]).await), ["realm=r", "service=s"]);
        assert_eq!(params(ask(Some(""), &[], &[]).await), ["realm=r", "service=s"]);
        let source = [Access::repository(&RepositoryName::parse("c").unwrap(), Action::Pull)];
        assert_eq!(
            params(ask(None, &accesses, &source).await),
            ["realm=r", "service=s", "scope=repository:a/b:pull repository:a/b:push repository:c:pull"]
        );
        let anywhere = [Access { resource: Resource::AnyBlob, action: Action::Pull }];
        assert_eq!(
            params(ask(None, &accesses, &anywhere).await),
            ["realm=r", "service=s", "scope=repository:a/b:pull repository:a/b:push"]
        );
    }

    #[tokio::test]
    async fn any_authorization_passes() {
        let name = RepositoryName::parse("a/b").unwrap();
        let source = [Access::repository(&name, Action::Pull)];
        for header in ["x", "Basic !", "Bearer x"] {
            let grant = ask(Some(header), &[], &source).await.unwrap();
            assert_eq!(grant.principal.unwrap().name, "silly", "{header}");
            assert_eq!(grant.optional, source, "{header}");
        }
    }
}
