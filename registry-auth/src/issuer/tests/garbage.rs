//! Whatever is sent, nobody is logged in without a credential.

use proptest::prelude::*;

use super::*;

/// Pieces that requests are made of, right and wrong ones.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "grant_type=password",
        "grant_type=refresh_token",
        "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer",
        "username=alice",
        "password=Secret",
        "password=ey.e30.x",
        "refresh_token=AQ",
        "assertion=eyJhbGciOiJub25lIn0.e30.",
        "service=registry",
        "scope=repository:a:*",
        "scope=registry:catalog:*",
        "access_type=offline",
        "offline_token=true",
        "account=alice",
        "username=%ff",
    ]);
    prop_oneof![known.prop_map(str::to_owned), "[ -~]{0,20}", "%[0-9a-f]{2}=?[a-z%+]{0,9}"]
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_garbage_logs_anybody_in(
        pieces in prop::collection::vec(piece(), 0..8),
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        authorization in prop::option::of(prop_oneof!["[ -~]{0,30}", "Basic [A-Za-z0-9+/=]{0,24}"]),
        posted in any::<bool>(),
    ) {
        let form = pieces.join("&");
        let mut body = form.clone().into_bytes();
        body.extend(&bytes);
        let query: String = form.chars().filter(|c| c.is_ascii_graphic() && !"#<>\"{}|\\^`".contains(*c)).collect();
        let uri = if posted { "/auth/token".to_owned() } else { format!("/auth/token?{query}") };
        let mut request = Request::builder().method(if posted { "POST" } else { "GET" }).uri(uri);
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = &authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let reply = runtime().block_on(send(&issuer(), request, if posted { &body } else { b"" }));
        match reply.status.as_u16() {
            200 => {
                let claims = reply.token().split('.').nth(1).unwrap();
                let claims: Value = serde_json::from_slice(&jose::base64url::decode(claims).unwrap()).unwrap();
                prop_assert!(!posted && claims["sub"] == "" && claims["access"] == serde_json::json!([]), "{claims}");
                prop_assert!(reply.body.get("refresh_token").is_none());
            }
            400 | 401 => prop_assert!(reply.body["error"].is_string()),
            status => prop_assert!(false, "{status}"),
        }
    }
}
