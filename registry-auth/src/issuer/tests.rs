//! Whole conversations with an issuer, and with the controller that takes its tokens.

mod garbage;
mod identity;
mod oauth;
mod protocol;
mod refresh;
mod replicas;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, Request};
use registry_core::access::{Access, Action, Resource};
use registry_core::{AccessController, AuthError, AuthRequest, Grant, Principal, RepositoryName};
use serde_json::Value;

use super::*;
use crate::jose;

/// What came back.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Reply {
    fn token(&self) -> &str {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        assert_eq!(self.body["token"], self.body["access_token"]);
        self.body["token"].as_str().unwrap()
    }

    fn refresh_token(&self) -> &str {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self.body["refresh_token"].as_str().unwrap()
    }

    /// Status and `error`.
    fn refusal(&self) -> (u16, &str) {
        assert!(
            self.body["error_description"].is_string() && self.body["errors"][0]["code"].is_string(),
            "{self:?}"
        );
        assert_eq!(self.headers["cache-control"], "no-store");
        (self.status.as_u16(), self.body["error"].as_str().unwrap())
    }
}

fn hash(password: &str) -> String {
    bcrypt::hash_with_salt(password, 4, [7; 16]).unwrap().to_string()
}

fn user(name: &str, password: &str) -> StaticUser {
    StaticUser { name: name.to_owned(), password: hash(password), groups: vec!["team".to_owned()] }
}

fn users() -> Arc<PasswordUsers> {
    Arc::new(PasswordUsers::open(None, &[user("alice", "secret"), user("bob", "other")]).unwrap())
}

fn issuer() -> Issuer {
    Issuer::open(IssuerOptions::default(), vec![users()]).unwrap()
}

async fn send(issuer: &Issuer, request: http::request::Builder, body: &[u8]) -> Reply {
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let (parts, body) = issuer.answer(&parts, body).await.into_parts();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Reply { status: parts.status, headers: parts.headers, body }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

async fn get(issuer: &Issuer, query: &str, credentials: Option<(&str, &str)>) -> Reply {
    let mut request = Request::get(format!("/auth/token?{query}"));
    if let Some((user, password)) = credentials {
        request = request.header(AUTHORIZATION, basic(user, password));
    }
    send(issuer, request, b"").await
}

async fn post(issuer: &Issuer, form: &str) -> Reply {
    let request = Request::post("/auth/token").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    send(issuer, request, form.as_bytes()).await
}

/// What the registry says to a request with this `Authorization` that needs these accesses.
async fn asked(
    controller: &IssuedTokens,
    authorization: Option<&str>,
    required: &[Access],
) -> Result<Grant, AuthError> {
    let mut request = Request::get("/v2/").header(HOST, "registry.test:5000");
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    controller.authorize(&AuthRequest::new(&parts, required, &[])).await
}

fn access(name: &str, action: Action) -> Access {
    Access::repository(&RepositoryName::parse(name).unwrap(), action)
}

async fn may(issuer: &Issuer, token: &str, access: Access) -> bool {
    let controller = IssuedTokens::new(issuer.clone());
    match asked(&controller, Some(&format!("Bearer {token}")), &[access]).await {
        Ok(_) => true,
        Err(error) => match error.into_inner() {
            AuthError::Unauthorized { .. } => false,
            other => panic!("{other}"),
        },
    }
}

/// The challenge of a refusal, as name and value.
fn challenge(refused: Result<Grant, AuthError>) -> Vec<(String, String)> {
    let Err(AuthError::Unauthorized { challenges, .. }) = refused.map_err(AuthError::into_inner) else {
        panic!("not refused with a challenge")
    };
    assert_eq!((challenges.len(), challenges[0].scheme.as_ref()), (1, "Bearer"));
    challenges[0].params.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
}

fn catalog() -> Access {
    Access { resource: Resource::Catalog, action: Action::All }
}
