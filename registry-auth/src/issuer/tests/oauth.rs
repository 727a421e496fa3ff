//! OAuth 2.0.

use super::*;

const PASSWORD: &str = "grant_type=password&service=registry&client_id=docker&username=alice&password=secret";

#[tokio::test]
async fn a_password_is_a_grant() {
    let issuer = issuer();
    let scopes = "scope=repository:a:pull+repository:b:push%20registry:catalog:*+artifact:c:pull";
    let reply = post(&issuer, &format!("{PASSWORD}&{scopes}")).await;
    assert!(may(&issuer, reply.token(), access("b", Action::Push)).await);
    assert_eq!(reply.body["token_type"], "Bearer");
    assert_eq!(reply.body["scope"], "repository:a:pull repository:b:push registry:catalog:*");
    assert_eq!((reply.body.get("refresh_token"), reply.body.get("issued_token_type")), (None, None));
    let offline = post(&issuer, &format!("{PASSWORD}&access_type=offline")).await;
    assert!(!offline.refresh_token().is_empty());
}

#[tokio::test]
async fn what_is_encoded_is_decoded() {
    let users = PasswordUsers::open(None, &[user("al ice+é", "a&b=c%+ d")]).unwrap();
    let issuer = Issuer::open(IssuerOptions::default(), vec![Arc::new(users)]).unwrap();
    let form = "grant_type=password&username=al+ice%2b%C3%A9&password=a%26b%3Dc%25%2B+d";
    assert!(!post(&issuer, form).await.token().is_empty());
}

#[tokio::test]
async fn errors_are_those_of_the_specification() {
    let issuer = issuer();
    for (form, refusal) in [
        ("", (400, "invalid_request")),
        ("grant_type=", (400, "invalid_request")),
        ("grant_type=password&username=alice", (400, "invalid_request")),
        ("grant_type=password&password=secret", (400, "invalid_request")),
        ("grant_type=password&username=alice&password=secret&password=secret", (400, "invalid_request")),
        ("grant_type=password&username=alice&password=%ff", (400, "invalid_request")),
        ("grant_type=password&username=alice&password=wrong", (400, "invalid_grant")),
        ("grant_type=password&username=carol&password=secret", (400, "invalid_grant")),
        ("grant_type=password&username=alice&password=secret&service=other", (400, "invalid_target")),
        ("grant_type=client_credentials", (400, "unsupported_grant_type")),
        ("grant_type=authorization_code&code=x", (400, "unsupported_grant_type")),
        ("grant_type=PASSWORD&username=alice&password=secret", (400, "unsupported_grant_type")),
        ("grant_type=refresh_token", (400, "invalid_request")),
        ("grant_type=refresh_token&refresh_token=abc", (400, "invalid_grant")),
    ] {
        let reply = post(&issuer, form).await;
        assert_eq!(reply.refusal(), refusal, "{form}");
        assert!(
            !reply.headers.contains_key("www-authenticate"),
            "RFC 6749 has a challenge for clients alone"
        );
    }
    // Credentials in the URL end up in logs.
    let request = Request::post(format!("/auth/token?{PASSWORD}"))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    assert_eq!(send(&issuer, request, b"").await.refusal(), (400, "invalid_request"));
}

#[tokio::test]
async fn a_body_is_a_form_of_bounded_length() {
    let issuer = issuer();
    for kind in ["application/json", "text/plain", "multipart/form-data; boundary=x", ""] {
        let request = Request::post("/auth/token").header(CONTENT_TYPE, kind);
        assert_eq!(
            send(&issuer, request, PASSWORD.as_bytes()).await.refusal(),
            (400, "invalid_request"),
            "{kind}"
        );
    }
    let request = Request::post("/auth/token");
    assert_eq!(
        send(&issuer, request, PASSWORD.as_bytes()).await.refusal(),
        (400, "invalid_request"),
        "no type"
    );
    let request =
        Request::post("/auth/token").header(CONTENT_TYPE, "Application/X-WWW-Form-Urlencoded; charset=utf-8");
    assert_eq!(send(&issuer, request, PASSWORD.as_bytes()).await.status, StatusCode::OK);

    let filled = |length: usize| format!("{PASSWORD}&x={}", "a".repeat(length - PASSWORD.len() - 3));
    assert_eq!(post(&issuer, &filled(MAX_BODY)).await.status, StatusCode::OK);
    assert_eq!(post(&issuer, &filled(MAX_BODY + 1)).await.refusal(), (413, "invalid_request"));
}

#[tokio::test]
async fn a_failing_source_is_no_wrong_password() {
    #[derive(Debug)]
    struct Away(bool);
    #[async_trait::async_trait]
    impl UserSource for Away {
        fn name(&self) -> &str {
            "away"
        }
        async fn authenticate(
            &self,
            _: Credential<'_>,
            _: Option<IpAddr>,
        ) -> Result<Option<Login>, registry_core::BoxError> {
            Err(if self.0 { Box::new(crate::Busy) } else { "directory: connection refused".into() })
        }
        async fn resume(&self, _: &Login) -> Result<Option<Principal>, registry_core::BoxError> {
            unreachable!("nobody has logged in")
        }
    }
    for (busy, refusal) in
        [(false, (503, "temporarily_unavailable")), (true, (429, "temporarily_unavailable"))]
    {
        let issuer = Issuer::open(IssuerOptions::default(), vec![Arc::new(Away(busy))]).unwrap();
        let reply = get(&issuer, "", Some(("alice", "secret"))).await;
        assert_eq!(reply.refusal(), refusal);
        assert_eq!(reply.headers["retry-after"], "1", "some clients try again at once otherwise");
        assert!(!reply.body.to_string().contains("connection"), "{reply:?}");
        assert_eq!(post(&issuer, PASSWORD).await.refusal(), refusal);
    }
}
