//! Refresh tokens.

use super::*;

async fn refreshed(issuer: &Issuer, token: &str, more: &str) -> Reply {
    post(issuer, &format!("grant_type=refresh_token&refresh_token={token}{more}")).await
}

async fn refresh_token(issuer: &Issuer) -> String {
    let reply = get(issuer, "offline_token=true&client_id=docker", Some(("alice", "secret"))).await;
    reply.refresh_token().to_owned()
}

#[tokio::test]
async fn a_refresh_token_is_good_for_other_scopes_and_other_programs() {
    let issuer = issuer();
    let token = refresh_token(&issuer).await;
    let reply = refreshed(&issuer, &token, "&service=registry&client_id=crane&scope=repository:a:push").await;
    assert!(may(&issuer, reply.token(), access("a", Action::Push)).await);
    assert_eq!(reply.refresh_token(), token, "the same: it holds as long as it did");
    assert_eq!(refreshed(&issuer, &token, "&service=other").await.refusal(), (400, "invalid_target"));
}

#[tokio::test]
async fn nobody_gets_one_without_asking_or_without_logging_in() {
    let issuer = issuer();
    for (query, credentials) in [
        ("", Some(("alice", "secret"))),
        ("offline_token=false", Some(("alice", "secret"))),
        ("offline_token=true", None),
    ] {
        let reply = get(&issuer, query, credentials).await;
        assert!(!reply.token().is_empty() && reply.body.get("refresh_token").is_none(), "{query}");
    }
}

#[tokio::test]
async fn it_ends_with_the_password_and_with_the_user() {
    let users = users();
    let issuer =
        Issuer::open(IssuerOptions::default(), vec![Arc::clone(&users) as Arc<dyn UserSource>]).unwrap();
    let token = refresh_token(&issuer).await;
    assert_eq!(refreshed(&issuer, &token, "").await.status, StatusCode::OK);
    users.reload(&[user("alice", "changed"), user("bob", "other")]).unwrap();
    assert_eq!(refreshed(&issuer, &token, "").await.refusal(), (400, "invalid_grant"), "replayed");
    users.reload(&[user("alice", "secret")]).unwrap();
    assert_eq!(refreshed(&issuer, &token, "").await.status, StatusCode::OK, "the same hash again");
    users.reload(&[user("bob", "other")]).unwrap();
    assert_eq!(refreshed(&issuer, &token, "").await.refusal(), (400, "invalid_grant"));
}

#[tokio::test]
async fn the_two_kinds_of_tokens_are_not_taken_for_each_other() {
    let issuer = issuer();
    let reply = get(&issuer, "offline_token=true&scope=repository:a:pull", Some(("alice", "secret"))).await;
    let (access_token, refresh) = (reply.token(), reply.refresh_token());
    assert!(!may(&issuer, refresh, access("a", Action::Pull)).await);
    assert_eq!(refreshed(&issuer, access_token, "").await.refusal(), (400, "invalid_grant"));
    for token in [access_token, refresh] {
        assert_eq!(
            get(&issuer, "", Some(("alice", token))).await.refusal(),
            (401, "invalid_grant"),
            "as password"
        );
        let exchange = "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=";
        assert_eq!(post(&issuer, &format!("{exchange}{token}")).await.refusal(), (400, "invalid_grant"));
    }
}

#[tokio::test]
async fn it_holds_until_it_expires_for_its_service_and_under_its_key() {
    let keys = tempfile::tempdir().unwrap();
    let sharing = |service: &str, refresh_expiration: u64| {
        let (service, keys) = (service.to_owned(), Some(keys.path().to_owned()));
        let refresh_expiration = Duration::from_secs(refresh_expiration);
        let options = IssuerOptions { service, keys, refresh_expiration, ..IssuerOptions::default() };
        Issuer::open(options, vec![users()]).unwrap()
    };
    let (issuer, other) = (sharing("registry", 3600), sharing("other", 3600));
    let token = refresh_token(&issuer).await;
    assert_eq!(refreshed(&issuer, &token, "").await.status, StatusCode::OK);
    assert_eq!(refreshed(&other, &token, "").await.refusal(), (400, "invalid_grant"));
    let expired = refresh_token(&sharing("registry", 0)).await;
    assert_eq!(refreshed(&issuer, &expired, "").await.refusal(), (400, "invalid_grant"));
    let elsewhere = super::issuer();
    assert_eq!(refreshed(&elsewhere, &token, "").await.refusal(), (400, "invalid_grant"));
    let nobody = Issuer::open(
        IssuerOptions { keys: Some(keys.path().to_owned()), ..IssuerOptions::default() },
        vec![],
    );
    assert_eq!(
        refreshed(&nobody.unwrap(), &token, "").await.refusal(),
        (400, "invalid_grant"),
        "no such source"
    );
}
