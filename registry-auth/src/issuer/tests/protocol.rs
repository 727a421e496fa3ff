//! The registry token protocol.

use super::*;

#[tokio::test]
async fn a_user_gets_what_they_ask_for_and_no_more() {
    let issuer = issuer();
    let query = "service=registry&scope=repository:a/b:pull,push&scope=registry:catalog:*&account=alice&client_id=docker";
    let reply = get(&issuer, query, Some(("alice", "secret"))).await;
    let token = reply.token();
    assert_eq!(
        (reply.body["expires_in"].as_u64(), reply.headers["cache-control"].as_bytes()),
        (Some(300), &b"no-store"[..])
    );
    assert!(reply.body["issued_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(reply.body.get("refresh_token"), None);
    for allowed in
        [access("a/b", Action::Pull), access("a/b", Action::Push), access("a/b", Action::List), catalog()]
    {
        assert!(may(&issuer, token, allowed).await);
    }
    for refused in [access("a/b", Action::Delete), access("a", Action::Pull), access("a/b/c", Action::Pull)] {
        assert!(!may(&issuer, token, refused).await);
    }
}

#[tokio::test]
async fn the_principal_is_the_one_that_logged_in() {
    let issuer = issuer();
    let reply = get(&issuer, "", Some(("alice", "secret"))).await;
    let controller = IssuedTokens::new(issuer);
    let principal =
        asked(&controller, Some(&format!("Bearer {}", reply.token())), &[]).await.unwrap().principal;
    let expected = Principal::new("alice").with_groups(["team".to_owned()]).with_method("file");
    assert_eq!(principal, Some(expected));
}

#[tokio::test]
async fn without_credentials_anybody_gets_what_anybody_may_do() {
    #[derive(Debug)]
    struct PullForAnybody;
    impl Grants for PullForAnybody {
        fn granted(&self, who: Option<&Principal>, _: Option<IpAddr>, asked: &[Access]) -> Vec<Access> {
            let may = |access: &&Access| who.is_some() || access.action == Action::Pull;
            asked.iter().filter(may).cloned().collect()
        }
    }
    let scope = "scope=repository:a:pull,push";
    let nothing = issuer();
    let reply = get(&nothing, scope, None).await;
    assert!(!may(&nothing, reply.token(), access("a", Action::Pull)).await);
    let controller = IssuedTokens::new(nothing);
    let grant = asked(&controller, Some(&format!("Bearer {}", reply.token())), &[]).await.unwrap();
    assert_eq!(grant.principal, None, "it is nobody's");

    let pull = issuer().with_grants(Arc::new(PullForAnybody));
    let reply = get(&pull, scope, None).await;
    assert!(may(&pull, reply.token(), access("a", Action::Pull)).await);
    assert!(!may(&pull, reply.token(), access("a", Action::Push)).await);
    let reply = get(&pull, "scope=repository:a:*", None).await;
    assert!(may(&pull, reply.token(), access("a", Action::Pull)).await, "part of everything");
    assert!(!may(&pull, reply.token(), access("a", Action::Delete)).await);
    let reply = get(&pull, "scope=repository:a:*", Some(("bob", "other"))).await;
    assert!(may(&pull, reply.token(), access("a", Action::Delete)).await);
}

#[tokio::test]
async fn who_shows_wrong_credentials_is_not_anybody() {
    let issuer = issuer();
    let mut bodies = Vec::new();
    for credentials in
        [("alice", "Secret"), ("alice", ""), ("carol", "secret"), ("", "secret"), ("alice", "ey.a.b")]
    {
        let reply = get(&issuer, "offline_token=true", Some(credentials)).await;
        assert_eq!(reply.refusal(), (401, "invalid_grant"));
        assert_eq!(reply.headers["www-authenticate"], "Basic realm=\"registry\"");
        bodies.push(reply.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "nobody learns who exists");
    for authorization in ["Bearer abc", "Basic", "Basic !!!", "Basic YWxpY2U=", "Negotiate abc", ""] {
        let request = Request::get("/auth/token").header(AUTHORIZATION, authorization);
        assert_eq!(send(&issuer, request, b"").await.refusal(), (401, "invalid_grant"), "{authorization}");
    }
    let token = get(&issuer, "scope=repository:a:pull", Some(("", ""))).await;
    assert!(!may(&issuer, token.token(), access("a", Action::Pull)).await, "an empty pair is nobody");
    let right = basic("alice", "secret");
    let request = Request::get("/auth/token").header(AUTHORIZATION, &right).header(AUTHORIZATION, &right);
    assert_eq!(send(&issuer, request, b"").await.refusal(), (401, "invalid_grant"), "twice");
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let issuer = issuer();
    let many: String = (0..101).map(|n| format!("&scope=repository:a{n}:pull")).collect();
    for (query, code) in [
        ("service=other", "invalid_target"),
        ("service=registry&service=registry", "invalid_request"),
        ("service=%ff", "invalid_request"),
        (many.as_str(), "invalid_scope"),
    ] {
        assert_eq!(get(&issuer, query, Some(("alice", "secret"))).await.refusal(), (400, code), "{query}");
    }
    // What it does not know asks for nothing.
    let query = "&&x=1&scope=&scope=artifact:a:pull&scope=repository:A:pull&scope=%zz&service=";
    assert!(!may(&issuer, get(&issuer, query, Some(("alice", "secret"))).await.token(), catalog()).await);
}

#[tokio::test]
async fn other_methods_are_not_allowed_and_pages_of_others_not_let_in() {
    let issuer = issuer();
    for method in ["HEAD", "PUT", "DELETE", "PATCH", "TRACE"] {
        let reply = send(&issuer, Request::builder().method(method).uri("/auth/token"), b"").await;
        assert_eq!(
            (reply.status.as_u16(), reply.headers["allow"].as_bytes()),
            (405, &b"GET, POST, OPTIONS"[..])
        );
    }
    let request = Request::options("/auth/token").header("origin", "https://evil.test");
    let reply = send(&issuer, request, b"").await;
    assert_eq!(
        (reply.status.as_u16(), reply.headers.contains_key("access-control-allow-origin")),
        (204, false)
    );
}

#[tokio::test]
async fn only_the_endpoint_and_the_keys_are_served() {
    let issuer = issuer();
    for (path, serves) in [
        ("/auth/token", true),
        ("/auth/token/", true),
        ("/auth/token/jwks", true),
        ("/auth/token/jwks/", false),
        ("/auth/tokens", false),
        ("/auth", false),
        ("/v2/", false),
        ("/", false),
    ] {
        assert_eq!(issuer.serves(path), serves, "{path}");
    }
    let reply = send(&issuer, Request::get("/auth/token/jwks"), b"").await;
    assert_eq!(reply.headers["cache-control"], "public, max-age=300");
    let key = &reply.body["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
        (&"EC".into(), &"P-256".into(), &"ES256".into(), &"sig".into())
    );
    assert!(key.get("d").is_none());
    let token = get(&issuer, "", None).await;
    assert_eq!(jose::Jws::parse(token.token()).unwrap().header.kid.as_deref(), key["kid"].as_str());
    assert_eq!(
        send(&issuer, Request::post("/auth/token/jwks"), b"").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn published_keys_verify_tokens_as_those_of_any_token_server() {
    use crate::token::{Token, TokenOptions, TrustedKeys};
    let issuer = issuer();
    let reply = send(&issuer, Request::get("/auth/token/jwks"), b"").await;
    let keys = TrustedKeys::read(None, Some(reply.body.to_string().as_bytes())).unwrap();
    let other = Token::new(TokenOptions::new("https://r.test/token", "registry", "registry"), keys);
    let token = get(&issuer, "scope=repository:a:pull", Some(("alice", "secret"))).await;
    let request = Request::get("/v2/").header(AUTHORIZATION, format!("Bearer {}", token.token()));
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let grant = other.authorize(&AuthRequest::new(&parts, &[access("a", Action::Pull)], &[])).await.unwrap();
    assert_eq!(grant.principal.unwrap().name, "alice");
}

#[tokio::test]
async fn a_challenge_leads_to_the_endpoint() {
    let controller = IssuedTokens::new(issuer());
    let params = challenge(asked(&controller, None, &[access("a", Action::Pull)]).await);
    let expected = [
        ("realm", "http://registry.test:5000/auth/token"),
        ("service", "registry"),
        ("scope", "repository:a:pull"),
    ];
    assert_eq!(params, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let realm = |host: &str, proto: Option<&str>, uri: &str| {
        let mut request = Request::get(uri).header(HOST, host);
        if let Some(proto) = proto {
            request = request.header("x-forwarded-proto", proto);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let controller = IssuedTokens::new(issuer());
        async move { challenge(controller.authorize(&AuthRequest::new(&parts, &[], &[])).await).remove(0).1 }
    };
    for (host, proto, uri, expected) in [
        ("r.test", None, "/v2/", "http://r.test/auth/token"),
        ("r.test", None, "https://r.test/v2/", "https://r.test/auth/token"),
        ("r.test", Some("https"), "/v2/", "https://r.test/auth/token"),
        ("r.test", Some("HTTPS, http"), "/v2/", "https://r.test/auth/token"),
        ("r.test", Some("gopher"), "/v2/", "http://r.test/auth/token"),
        ("[::1]:5000", None, "/v2/", "http://[::1]:5000/auth/token"),
        ("a\"b", None, "/v2/", "/auth/token"),
        ("user@evil/..", None, "/v2/", "/auth/token"),
        ("", None, "/v2/", "/auth/token"),
    ] {
        assert_eq!(realm(host, proto, uri).await, expected, "{host} {proto:?}");
    }
    let request =
        Request::get("/v2/").header(HOST, "inside:5000").header("x-forwarded-host", "r.test, inside");
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let params = challenge(controller.authorize(&AuthRequest::new(&parts, &[], &[])).await);
    assert_eq!(params[0].1, "http://r.test/auth/token");
    let realm = Some("https://tokens.test/".to_owned());
    let fixed = Issuer::open(IssuerOptions { realm, ..IssuerOptions::default() }, vec![]).unwrap();
    let params = challenge(asked(&IssuedTokens::new(fixed), None, &[]).await);
    assert_eq!(params[0].1, "https://tokens.test/");
}

#[tokio::test]
async fn tokens_for_others_and_by_others_are_refused() {
    let ours = issuer();
    let token = |issuer: Issuer| async move {
        let scope = "scope=repository:a:pull";
        get(&issuer, scope, Some(("alice", "secret"))).await.token().to_owned()
    };
    assert!(may(&ours, &token(ours.clone()).await, access("a", Action::Pull)).await);
    assert!(!may(&ours, &token(issuer()).await, access("a", Action::Pull)).await, "other keys");

    let keys = tempfile::tempdir().unwrap();
    let sharing = |service: &str, name: &str| {
        let (service, issuer) = (service.to_owned(), Some(name.to_owned()));
        let keys = Some(keys.path().to_owned());
        Issuer::open(IssuerOptions { service, issuer, keys, ..IssuerOptions::default() }, vec![users()])
            .unwrap()
    };
    let one = sharing("one", "issuer");
    assert!(may(&one, &token(sharing("one", "issuer")).await, access("a", Action::Pull)).await);
    assert!(
        !may(&one, &token(sharing("two", "issuer")).await, access("a", Action::Pull)).await,
        "another service"
    );
    assert!(
        !may(&one, &token(sharing("one", "other")).await, access("a", Action::Pull)).await,
        "another issuer"
    );
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let path = |path: &str| IssuerOptions { path: path.to_owned(), ..IssuerOptions::default() };
    for options in [
        path("token"),
        path("/"),
        path("/auth/token/"),
        IssuerOptions { service: String::new(), ..IssuerOptions::default() },
        IssuerOptions { service: "a\"b".to_owned(), ..IssuerOptions::default() },
        IssuerOptions { realm: Some("a\nb".to_owned()), ..IssuerOptions::default() },
        IssuerOptions { expiration: Duration::from_secs(59), ..IssuerOptions::default() },
        IssuerOptions { algorithm: SigningAlgorithm::Hs256, ..IssuerOptions::default() },
    ] {
        let error = Issuer::open(options.clone(), vec![]).map(|_| ()).unwrap_err();
        assert!(!error.to_string().is_empty(), "{options:?}");
    }
}

#[test]
fn sources_of_users_have_different_names() {
    let error = Issuer::open(IssuerOptions::default(), vec![users(), users()]).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("same name"), "{error}");
}
