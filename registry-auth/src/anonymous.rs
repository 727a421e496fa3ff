//! Access for everybody.

use async_trait::async_trait;
use registry_core::{AccessController, AuthError, AuthRequest, Grant};

/// Grants everything to everybody and knows nobody: for a registry that is open, or that something in
/// front of it guards.
///
/// Whatever credentials a request brings are not looked at, so the principal is always `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Anonymous;

#[async_trait]
impl AccessController for Anonymous {
    /// Grants what is required and everything that is optional. Never fails.
    async fn authorize(&self, request: &AuthRequest<'_>) -> Result<Grant, AuthError> {
        Ok(Grant::new(None).with_optional(request.optional.iter().cloned()))
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http::header::AUTHORIZATION;
    use registry_core::RepositoryName;
    use registry_core::access::{Access, Action, Resource};

    use super::*;

    #[tokio::test]
    async fn everything_asked_for_is_granted() {
        let name = RepositoryName::parse("a/b").unwrap();
        let required = [
            Access::repository(&name, Action::Delete),
            Access { resource: Resource::Catalog, action: Action::All },
        ];
        let optional = [
            Access::repository(&name, Action::Pull),
            Access { resource: Resource::AnyBlob, action: Action::Pull },
        ];
        let (parts, ()) = Request::new(()).into_parts();
        let grant = Anonymous.authorize(&AuthRequest::new(&parts, &required, &optional)).await.unwrap();
        assert_eq!(grant.optional, optional);
    }

    #[tokio::test]
    async fn credentials_name_nobody() {
        let request = Request::get("/v2/").header(AUTHORIZATION, "Basic Ym9iOng=").body(()).unwrap();
        let (parts, ()) = request.into_parts();
        let grant = Anonymous.authorize(&AuthRequest::new(&parts, &[], &[])).await.unwrap();
        assert_eq!(grant.principal, None);
        assert!(grant.optional.is_empty());
    }
}
