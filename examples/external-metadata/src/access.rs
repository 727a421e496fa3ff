//! Needs: a denied pull on the source of a mount must not fail the push; act as the calling user.
//!
//! The API decides. What a request cannot do without is asked first and refused if one is; what would
//! only help is asked for too, and a refusal there is left out of the grant, no more. The grant carries
//! an [`ApiClient`] that acts as the user, and middleware finds it in the context of the request.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Extensions, HeaderMap, header};
use registry::core::access::{Access, Action, Resource};
use registry::core::{AccessController, AuthError, AuthRequest, Challenge, Grant, Principal, RepositoryName};

use crate::api::{ApiError, MetadataApi, User, Verb};
use crate::app::Hooks;

/// What the history of a tag is called in an [`Access`]: whoever may read a stream may read it.
pub(crate) const HISTORY: &str = "history";

/// The API on behalf of a user.
#[derive(Debug, Clone)]
pub struct ApiClient {
    /// The API.
    pub api: Arc<dyn MetadataApi>,
    /// The user.
    pub user: User,
}

impl ApiClient {
    async fn may(&self, access: &Access) -> Result<bool, ApiError> {
        match &access.resource {
            Resource::Repository(name) => self.may_do(&access.action, name).await,
            // Who may list what is decided entry by entry.
            Resource::Catalog => Ok(true),
            Resource::Custom { kind, name } if kind == HISTORY => match RepositoryName::parse(name) {
                Ok(name) => self.may_do(&access.action, &name).await,
                Err(_) => Ok(false),
            },
            _ => Ok(self.user.admin),
        }
    }

    async fn may_do(&self, action: &Action, stream: &RepositoryName) -> Result<bool, ApiError> {
        let verb = match action {
            Action::Pull | Action::List => Verb::Get,
            Action::Push => Verb::Update,
            Action::Delete => Verb::Delete,
            _ => return Ok(self.user.admin),
        };
        self.api.review_access(&self.user, verb, stream).await
    }
}

fn token(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn unauthorized(reason: &'static str) -> AuthError {
    let params = vec![("realm".into(), "cluster".to_owned())];
    AuthError::Unauthorized {
        reason: reason.into(),
        challenges: vec![Challenge { scheme: "Bearer".into(), params }],
    }
}

fn failed(error: ApiError) -> AuthError {
    AuthError::Failed { retry: error == ApiError::Unavailable, source: error.into() }
}

#[async_trait]
impl AccessController for Hooks {
    async fn authorize(&self, request: &AuthRequest<'_>) -> Result<Grant, AuthError> {
        let token = token(request.headers).ok_or_else(|| unauthorized("there is no token"))?;
        let user = self.0.api.review_token(token).await.map_err(failed)?;
        let user = user.ok_or_else(|| unauthorized("the token is nobody's"))?;
        let client = ApiClient { api: Arc::clone(&self.0.api), user };
        for access in request.required {
            if !client.may(access).await.map_err(failed)? {
                let reason = format!("{} may not {access}", client.user.name);
                return Err(AuthError::Denied { reason: reason.into() });
            }
        }
        let mut optional = Vec::new();
        for access in request.optional {
            if client.may(access).await.unwrap_or(false) {
                optional.push(access.clone());
            }
        }
        let principal = Principal::new(client.user.name.clone());
        let mut extensions = Extensions::new();
        extensions.insert(client);
        Ok(Grant::new(Some(principal)).with_optional(optional).with_extensions(extensions))
    }
}
