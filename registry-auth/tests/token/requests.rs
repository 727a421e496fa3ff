//! What requests bring, and what they are told.

use super::*;

#[tokio::test]
async fn challenges_are_distributions() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    let start = "Bearer realm=\"https://auth.example/token\",service=\"service\"";
    assert_eq!(challenge(ask(&controller, &[], &[], &[]).await), start);
    let push = [on("a/b", Action::Pull), on("a/b", Action::Push)];
    let optional = [on("c", Action::Pull), Access { resource: Resource::AnyBlob, action: Action::Pull }];
    assert_eq!(
        challenge(ask(&controller, &[], &push, &optional).await),
        format!("{start},scope=\"repository:a/b:pull,push repository:c:pull\"")
    );
    // A mount from the repository itself asks once.
    assert_eq!(
        challenge(ask(&controller, &[], &push, &push[..1]).await),
        format!("{start},scope=\"repository:a/b:pull,push\"")
    );
    let catalog = [Access { resource: Resource::Catalog, action: Action::All }];
    assert_eq!(
        challenge(ask(&controller, &[], &catalog, &[]).await),
        format!("{start},scope=\"registry:catalog:*\"")
    );
    let token = signer.token(json!({"kid": "key"}), &claims());
    let header = format!("Bearer {token}");
    assert_eq!(
        challenge(ask(&controller, &[("authorization", header.as_bytes())], &push, &[]).await),
        format!("{start},scope=\"repository:a/b:pull,push\",error=\"insufficient_scope\"")
    );
}

#[tokio::test]
async fn the_scheme_is_bearer_in_any_case_and_anything_else_is_no_token() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    let token = signer.token(json!({"kid": "key"}), &claims());
    let required = [on("a/b", Action::Pull)];
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let header = format!("{scheme} {token}");
        ask(&controller, &[("authorization", header.as_bytes())], &required, &[]).await.unwrap();
    }
    let no_error = challenge(ask(&controller, &[], &required, &[]).await);
    for header in
        ["", "Bearer", "Bearer ", "Basic Ym9iOmJvYg==", &token, &format!("Bearer\t{token}"), "Bearer: x"]
    {
        let refused =
            challenge(ask(&controller, &[("authorization", header.as_bytes())], &required, &[]).await);
        assert_eq!(refused, no_error, "{header}");
    }
}

#[tokio::test]
async fn garbage_is_refused_as_invalid() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    let token = signer.token(json!({"kid": "key"}), &claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for garbage in [
        "garbage".to_owned(),
        "...".to_owned(),
        "a.b.c".to_owned(),
        format!(" {token}"),
        format!("{token}="),
        format!("{token}.{signature}"),
        signed.to_owned(),
        format!("{signed}."),
        token.replace('.', ". "),
        token.replace('.', "\t."),
        token.replace('-', "+").replace('_', "/") + "+/",
        format!("{}.{}", base64url("{}"), signed),
        // JSON serialization (RFC 7515, section 7.2).
        json!({"payload": signed, "signature": signature}).to_string(),
    ] {
        let challenge = challenge(pull(&controller, &garbage).await);
        let bad_signature = garbage == format!("{signed}.");
        assert_eq!(challenge.ends_with("error=\"invalid_token\""), !bad_signature, "{garbage}: {challenge}");
    }
}

#[tokio::test]
async fn a_token_cut_or_changed_anywhere_is_refused() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    let token = signer.token(json!({"kid": "key"}), &claims());
    granted(&controller, &token, "whole").await;
    for length in 1..token.len() {
        challenge(pull(&controller, &token[..length]).await);
    }
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        challenge(pull(&controller, std::str::from_utf8(&changed).unwrap()).await);
    }
}

#[tokio::test]
async fn an_oversized_token_is_not_looked_at() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    let of =
        |size: usize| signer.token(json!({"kid": "key"}), &claims_with(json!({"padding": "x".repeat(size)})));
    granted(&controller, &of(40 << 10), "large").await;
    refused(&controller, &of(64 << 10), INVALID, "larger").await;
    refused(&controller, &"a".repeat(10 << 20), INVALID, "huge").await;
}

#[tokio::test]
async fn bytes_that_are_no_utf_8_are_refused() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    let token = signer.token(json!({"kid": "key"}), &claims());
    for bytes in [&b"\xff\xfe"[..], b"\xc3\x28", b"\x80"] {
        let header = [b"Bearer ", token.as_bytes(), bytes].concat();
        let refused = ask(&controller, &[("authorization", &header)], &[], &[]).await;
        assert!(challenge(refused).ends_with("error=\"invalid_token\""));
        ask(&controller, &[("authorization", &[b"B\xff ", token.as_bytes()].concat())], &[], &[])
            .await
            .unwrap_err();
    }
}

/// Whichever of them somebody in front has looked at, it may have been the other one.
#[tokio::test]
async fn two_authorization_headers_are_refused() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    let good = format!("Bearer {}", signer.token(json!({"kid": "key"}), &claims()));
    for other in [good.as_str(), "Bearer garbage", "Basic Ym9iOmJvYg==", ""] {
        for pair in [[good.as_str(), other], [other, good.as_str()]] {
            let headers = pair.map(|value| ("authorization", value.as_bytes()));
            let refused = ask(&controller, &headers, &[], &[]).await;
            assert!(challenge(refused).ends_with("error=\"invalid_token\""), "{other}");
        }
    }
    // One header with two tokens is one token that is none.
    let joined = format!("{good}, {good}");
    assert!(ask(&controller, &[("authorization", joined.as_bytes())], &[], &[]).await.is_err());
    // Nor is a token anywhere else.
    assert!(ask(&controller, &[("proxy-authorization", good.as_bytes())], &[], &[]).await.is_err());
}

#[tokio::test]
async fn critical_extensions_are_refused() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!("exp"), json!(["http://example.com/x"])] {
        let header = json!({"kid": "key", "crit": crit, "b64": true, "exp": 1});
        refused(&controller, &signer.token(header, &claims()), None, &crit.to_string()).await;
    }
    let header = json!({"kid": "key", "typ": "anything", "cty": "x", "unknown": [1]});
    granted(&controller, &signer.token(header, &claims()), "not critical").await;
}

#[tokio::test]
async fn names_that_are_there_twice_are_refused() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    let payload = claims().to_string();
    for header in [
        r#"{"alg":"none","alg":"ES256","kid":"key"}"#,
        r#"{"alg":"ES256","alg":"none","kid":"key"}"#,
        r#"{"alg":"ES256","kid":"other","kid":"key"}"#,
    ] {
        refused(&controller, &signer.raw(header, &payload), INVALID, header).await;
    }
    for name in ["iss", "aud", "exp", "access", "sub"] {
        let twice = payload.replacen('{', &format!("{{\"{name}\":{},", claims()[name]), 1);
        refused(&controller, &signer.raw(r#"{"alg":"ES256","kid":"key"}"#, &twice), None, name).await;
    }
}

#[tokio::test]
async fn redirects_stay_on_the_host_that_was_asked() {
    let signer = Signer::new("ES256");
    let controller = Token::new(
        options().with_redirect(Some("/auth/token".to_owned())),
        jwks(&[signer.jwk_with_id("key")]),
    );
    for (headers, realm) in [
        (&[("host", "registry.example:5000")][..], "https://registry.example:5000/auth/token"),
        (&[("host", "[::1]:5000")], "https://[::1]:5000/auth/token"),
        (&[("host", "r"), ("x-forwarded-proto", "http")], "http://r/auth/token"),
        (&[("host", "r"), ("x-forwarded-proto", "HTTPS")], "https://r/auth/token"),
        // Distribution puts into the challenge whatever is sent.
        (&[("host", "r"), ("x-forwarded-proto", "javascript")], "https://r/auth/token"),
        (&[("host", "r"), ("x-forwarded-proto", "http://evil/?")], "https://r/auth/token"),
        (&[("host", "evil\"},error=\"x")], "https://auth.example/token"),
        (&[("host", "user@evil")], "https://auth.example/token"),
        (&[("host", "r/evil?")], "https://auth.example/token"),
        (&[("host", "")], "https://auth.example/token"),
        (&[], "https://auth.example/token"),
    ] {
        let headers: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let challenge = challenge(ask(&controller, &headers, &[], &[]).await);
        assert_eq!(challenge, format!("Bearer realm=\"{realm}\",service=\"service\""), "{headers:?}");
    }
}
