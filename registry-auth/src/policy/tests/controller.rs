//! The controller around one that says who a caller is.

use std::sync::Arc;

use async_trait::async_trait;
use http::Request;
use http::header::AUTHORIZATION;
use registry_core::{AccessController, AuthError, AuthRequest, Challenge, ClientCertificate, Grant};

use super::*;

/// Believes `Authorization: <user>`; `limited` has a token for pulling only. Anything with a dot is wrong.
#[derive(Debug)]
struct Believer;

fn challenge(reason: &'static str) -> AuthError {
    let challenges =
        vec![Challenge { scheme: "Basic".into(), params: vec![("realm".into(), "r".to_owned())] }];
    AuthError::Unauthorized { reason: reason.into(), challenges }
}

#[async_trait]
impl AccessController for Believer {
    async fn authorize(&self, request: &AuthRequest<'_>) -> Result<Grant, AuthError> {
        let header = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let certificate = request.connection.get::<ClientCertificate>().filter(|shown| shown.verified);
        let user = header.or(certificate.map(|_| "robot"));
        match user {
            None => Err(challenge("no credentials")),
            Some(wrong) if wrong.contains(['.', ' ']) => Err(challenge("wrong credentials")),
            Some("limited") if request.required.iter().any(|access| access.action != Action::Pull) => {
                Err(challenge("insufficient scope"))
            }
            Some("broken") => Err(AuthError::Failed { retry: true, source: "away".into() }),
            Some("nobody") => Ok(Grant::new(None).with_optional(request.optional.iter().cloned())),
            Some(user) => {
                Ok(Grant::new(Some(Principal::new(user))).with_optional(request.optional.iter().cloned()))
            }
        }
    }
}

fn policy() -> Policy {
    let rules = rules(json!({
        "private": true,
        "rules": [
            { "allow": ["pull"], "repositories": ["public/**"], "who": ["anyone"] },
            { "allow": ["push"], "repositories": ["team/**", "public/**"], "who": ["authenticated"] },
            { "allow": ["list"], "repositories": ["seen/**"], "who": ["authenticated"] },
        ],
    }));
    Policy::new(Arc::new(Believer), Arc::new(LivePolicy::new(rules)))
}

async fn ask(
    user: Option<&str>,
    certificate: Option<bool>,
    required: &[Access],
    optional: &[Access],
) -> Result<Grant, AuthError> {
    let mut request = Request::get("/v2/");
    if let Some(user) = user {
        request = request.header(AUTHORIZATION, user);
    }
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    if let Some(verified) = certificate {
        parts.extensions.insert(ClientCertificate::new(Vec::new(), verified));
    }
    policy().authorize(&AuthRequest::new(&parts, required, optional)).await
}

/// In a word: who was granted it, or how it was refused.
async fn word(user: Option<&str>, certificate: Option<bool>, required: &[Access]) -> String {
    match ask(user, certificate, required, &[]).await {
        Ok(grant) => grant.principal.map_or_else(|| "anonymous".to_owned(), |principal| principal.name),
        Err(error) => {
            let who = error.principal().map(|principal| format!(" {}", principal.name)).unwrap_or_default();
            let how = match error.into_inner() {
                AuthError::Unauthorized { reason, challenges } => {
                    format!("401 {} {reason}", challenges.len())
                }
                AuthError::Denied { .. } => "403".to_owned(),
                AuthError::Hidden { .. } => "404".to_owned(),
                AuthError::Failed { .. } => "503".to_owned(),
                other => format!("{other:?}"),
            };
            how + &who
        }
    }
}

#[tokio::test]
async fn anonymous_callers_are_granted_what_is_anybodys_and_challenged_for_the_rest() {
    let pull = [access("pull", "public/a")];
    let push = [access("pull", "public/a"), access("push", "public/a")];
    let hidden = [access("pull", "other/a")];
    assert_eq!(word(None, None, &pull).await, "anonymous");
    assert_eq!(word(None, None, &push).await, "401 1 no credentials");
    assert_eq!(word(None, None, &hidden).await, "401 1 no credentials");
    // How clients find out that they can log in.
    assert_eq!(word(None, None, &[]).await, "401 1 no credentials");
    for empty in ["Basic Og==", "basic Og==", "Basic  Og"] {
        assert_eq!(word(Some(empty), None, &pull).await, "anonymous", "{empty}");
        assert_eq!(word(Some(empty), None, &push).await, "401 1 wrong credentials", "{empty}");
        assert_eq!(word(Some(empty), None, &[]).await, "401 1 wrong credentials", "{empty}");
    }
}

#[tokio::test]
async fn credentials_that_are_wrong_are_refused_where_none_are_needed() {
    assert_eq!(word(Some("wrong."), None, &[access("pull", "public/a")]).await, "401 1 wrong credentials");
    assert_eq!(word(Some("broken"), None, &[access("pull", "public/a")]).await, "503");
}

#[tokio::test]
async fn known_callers_are_denied_by_name() {
    assert_eq!(
        word(Some("alice"), None, &[access("pull", "team/a"), access("push", "team/a")]).await,
        "alice"
    );
    assert_eq!(word(Some("alice"), None, &[access("delete", "team/a")]).await, "403 alice");
    assert_eq!(word(Some("alice"), None, &[access("delete", "other/a")]).await, "404 alice");
    assert_eq!(word(Some("alice"), None, &[access("pull", "seen/a")]).await, "403 alice");
    assert_eq!(word(Some("alice"), None, &[]).await, "alice");
    assert_eq!(word(Some("nobody"), None, &[access("push", "team/a")]).await, "404");
}

#[tokio::test]
async fn a_token_and_the_policy_both_have_to_allow_it() {
    assert_eq!(word(Some("limited"), None, &[access("pull", "team/a")]).await, "limited");
    assert_eq!(word(Some("limited"), None, &[access("push", "team/a")]).await, "401 1 insufficient scope");
    assert_eq!(word(Some("limited"), None, &[access("pull", "other/a")]).await, "404 limited");
}

#[tokio::test]
async fn a_certificate_that_says_nothing_makes_nobody_of_the_caller() {
    let (pull, push) = ([access("pull", "public/a")], [access("push", "public/a")]);
    assert_eq!(word(None, Some(true), &push).await, "robot");
    assert_eq!(word(None, Some(true), &pull).await, "robot");
    assert_eq!(word(None, Some(false), &pull).await, "anonymous");
    assert_eq!(word(None, Some(false), &push).await, "401 1 no credentials");
    assert_eq!(word(Some("wrong."), Some(true), &pull).await, "401 1 wrong credentials");
}

/// Has no challenge to give, as a controller for certificates alone.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl AccessController for Silent {
    async fn authorize(&self, _: &AuthRequest<'_>) -> Result<Grant, AuthError> {
        Err(AuthError::Denied { reason: "no certificate".into() })
    }
}

#[tokio::test]
async fn where_nobody_can_log_in_the_policy_denies() {
    let controller = Policy::new(Arc::new(Silent), Arc::clone(&policy().rules));
    let (mut parts, ()) = Request::get("/v2/").body(()).unwrap().into_parts();
    for certificate in [false, true] {
        if certificate {
            parts.extensions.insert(ClientCertificate::new(Vec::new(), false));
        }
        let ask =
            async |required: &[Access]| controller.authorize(&AuthRequest::new(&parts, required, &[])).await;
        assert!(ask(&[access("pull", "public/a")]).await.is_ok());
        let denied = ask(&[access("push", "public/a")]).await;
        assert!(
            matches!(&denied, Err(AuthError::Denied { reason }) if reason.contains("no rule")),
            "{denied:?}"
        );
        assert!(matches!(ask(&[access("pull", "other/a")]).await, Err(AuthError::Hidden { .. })));
    }
}

#[tokio::test]
async fn of_what_is_optional_remains_what_the_policy_allows() {
    let push = [access("push", "team/a")];
    let sources = [access("pull", "public/a"), access("pull", "other/a"), access("pull", "blobs")];
    let grant = ask(Some("alice"), None, &push, &sources).await.unwrap();
    assert_eq!(grant.optional, sources[..1]);
    let grant = ask(None, None, &[access("pull", "public/a")], &sources).await.unwrap();
    assert_eq!(grant.optional, sources[..1]);
}

#[tokio::test]
async fn other_rules_hold_for_the_next_request() {
    let live = Arc::new(LivePolicy::new(rules(json!({}))));
    let controller = Policy::new(Arc::new(Believer), Arc::clone(&live));
    let (parts, ()) = Request::get("/v2/").header(AUTHORIZATION, "alice").body(()).unwrap().into_parts();
    let pull = [access("pull", "a")];
    let request = AuthRequest::new(&parts, &pull, &[]);
    assert!(controller.authorize(&request).await.is_err());
    live.replace(rules(
        json!({ "rules": [{ "allow": ["pull"], "repositories": ["a"], "who": ["user:alice"] }] }),
    ));
    assert!(controller.authorize(&request).await.is_ok());
}

#[tokio::test]
async fn with_nobody_who_recognizes_callers_the_denied_are_denied() {
    let rules = rules(json!({ "rules": [{ "allow": ["pull"], "repositories": ["a"], "who": ["anyone"] }] }));
    let controller = Policy::new(Arc::new(crate::Anonymous), Arc::new(LivePolicy::new(rules)));
    let (parts, ()) = Request::get("/v2/").body(()).unwrap().into_parts();
    let (pull, push) = ([access("pull", "a")], [access("push", "a")]);
    assert!(controller.authorize(&AuthRequest::new(&parts, &[], &[])).await.is_ok());
    assert!(controller.authorize(&AuthRequest::new(&parts, &pull, &[])).await.is_ok());
    let refused = controller.authorize(&AuthRequest::new(&parts, &push, &[])).await.unwrap_err();
    assert!(matches!(refused, AuthError::Denied { .. }));
}
