//! Identity tokens of others.

use std::time::SystemTime;

use registry_core::BoxError;

use super::*;

/// Believes one token.
#[derive(Debug)]
struct Provider {
    session: Duration,
}

const IDENTITY: &str = "eyJhbGciOiJub25lIn0.e30.x";

#[async_trait::async_trait]
impl UserSource for Provider {
    fn name(&self) -> &str {
        "provider"
    }

    async fn authenticate(
        &self,
        credential: Credential<'_>,
        _: Option<IpAddr>,
    ) -> Result<Option<Login>, BoxError> {
        let Credential::IdentityToken(IDENTITY) = credential else { return Ok(None) };
        let claims = [("repository".to_owned(), Value::from("org/repo"))];
        let principal = Principal::new("repo:org/repo").with_claims(claims).with_method("oidc");
        Ok(Some(Login::new(principal, "").with_until(SystemTime::now() + self.session)))
    }

    async fn resume(&self, login: &Login) -> Result<Option<Principal>, BoxError> {
        Ok(Some(login.principal.clone()))
    }
}

fn issuer(session: u64) -> Issuer {
    let provider = Provider { session: Duration::from_secs(session) };
    Issuer::open(IssuerOptions::default(), vec![users(), Arc::new(provider)]).unwrap()
}

async fn principal(issuer: &Issuer, reply: &Reply) -> Principal {
    let controller = IssuedTokens::new(issuer.clone());
    asked(&controller, Some(&format!("Bearer {}", reply.token())), &[]).await.unwrap().principal.unwrap()
}

#[tokio::test]
async fn a_machine_logs_in_with_its_identity_token_as_password() {
    let issuer = issuer(3600);
    for name in ["oidc", "alice", ""] {
        let reply = get(&issuer, "scope=repository:a:push", Some((name, IDENTITY))).await;
        assert!(may(&issuer, reply.token(), access("a", Action::Push)).await);
        let principal = principal(&issuer, &reply).await;
        assert_eq!(
            (principal.name.as_str(), principal.method.as_ref()),
            ("repo:org/repo", "oidc"),
            "not {name:?}"
        );
        assert_eq!(principal.claims["repository"], "org/repo");
    }
    let other = "eyJhbGciOiJub25lIn0.e30.y";
    assert_eq!(get(&issuer, "", Some(("oidc", other))).await.refusal(), (401, "invalid_grant"));
}

#[tokio::test]
async fn it_exchanges_one_by_either_grant() {
    let issuer = issuer(3600);
    let exchange = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange";
    let jwt = "subject_token_type=urn:ietf:params:oauth:token-type:jwt";
    for kind in [jwt, "subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token"] {
        let reply =
            post(&issuer, &format!("{exchange}&{kind}&subject_token={IDENTITY}&scope=repository:a:pull"))
                .await;
        assert_eq!(principal(&issuer, &reply).await.name, "repo:org/repo");
        assert_eq!(reply.body["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
        assert_eq!(
            (&reply.body["token_type"], &reply.body["scope"]),
            (&"Bearer".into(), &"repository:a:pull".into())
        );
    }
    let bearer = "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer";
    let reply = post(&issuer, &format!("{bearer}&assertion={IDENTITY}")).await;
    assert_eq!(principal(&issuer, &reply).await.name, "repo:org/repo");
    for (form, code) in [
        (format!("{exchange}&subject_token={IDENTITY}"), "invalid_request"),
        (format!("{exchange}&{jwt}"), "invalid_request"),
        (format!("{exchange}&{jwt}&subject_token={IDENTITY}&actor_token=x"), "invalid_request"),
        (format!("{exchange}&{jwt}&subject_token={IDENTITY}&requested_token_type=saml"), "invalid_request"),
        (format!("{exchange}&subject_token_type=saml2&subject_token={IDENTITY}"), "invalid_request"),
        (format!("{exchange}&{jwt}&subject_token=other"), "invalid_grant"),
        (format!("{bearer}&assertion=other"), "invalid_grant"),
        (bearer.to_owned(), "invalid_request"),
    ] {
        assert_eq!(post(&issuer, &form).await.refusal(), (400, code), "{form}");
    }
}

#[tokio::test]
async fn a_refresh_token_lasts_no_longer_than_the_source_says() {
    let issuer = issuer(3600);
    let reply = get(&issuer, "offline_token=true", Some(("oidc", IDENTITY))).await;
    let form = |reply: &Reply| format!("grant_type=refresh_token&refresh_token={}", reply.refresh_token());
    let again = post(&issuer, &form(&reply)).await;
    assert_eq!(principal(&issuer, &again).await.claims["repository"], "org/repo");
    let over = super::identity::issuer(0);
    let reply = get(&over, "offline_token=true", Some(("oidc", IDENTITY))).await;
    assert_eq!(post(&over, &form(&reply)).await.refusal(), (400, "invalid_grant"));
}
