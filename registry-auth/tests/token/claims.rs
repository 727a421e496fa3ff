//! What tokens say, and what it grants.

use super::*;

#[tokio::test]
async fn claims_have_to_be_for_us_and_for_now() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    let token = |changes: Value| signer.token(json!({"kid": "key"}), &claims_with(changes));
    for changes in [
        json!({"aud": ["other", "service"]}),
        json!({"exp": NOW - 60}),
        json!({"nbf": NOW + 60}),
        json!({"nbf": null}),
        json!({"iat": null, "jti": null}),
        json!({"iat": NOW + 9999}),
        json!({"exp": i64::MAX}),
        json!({"nbf": i64::MIN}),
        json!({"anything": {"else": [1]}}),
    ] {
        granted(&controller, &token(changes.clone()), &changes.to_string()).await;
    }
    for changes in [
        json!({"iss": "other"}),
        json!({"iss": "Issuer"}),
        json!({"iss": null}),
        json!({"aud": "other"}),
        json!({"aud": []}),
        json!({"aud": null}),
        json!({"aud": "service "}),
        json!({"exp": NOW - 61}),
        json!({"exp": 0}),
        json!({"exp": null}),
        json!({"exp": i64::MIN}),
        json!({"nbf": NOW + 61}),
        json!({"nbf": i64::MAX}),
    ] {
        refused(&controller, &token(changes.clone()), INVALID, &changes.to_string()).await;
    }
    // What cannot be read gets no `error`, as in Distribution.
    for changes in [
        json!({"exp": NOW as f64 + 600.5}),
        json!({"exp": (NOW + 600).to_string()}),
        json!({"exp": u64::MAX}),
        json!({"nbf": "now"}),
        json!({"iat": "now"}),
        json!({"aud": 1}),
        json!({"aud": ["service", 1]}),
        json!({"sub": 1}),
        json!({"iss": ["issuer"]}),
        json!({"access": "repository:a/b:pull"}),
        json!({"access": {"type": "repository", "name": "a/b", "actions": ["pull"]}}),
        json!({"access": [["repository", "", "a/b", ["pull"]]]}),
        json!({"access": [null]}),
        json!({"access": [{"type": "repository", "name": "a/b", "actions": "pull"}]}),
        json!({"access": [{"type": 1, "name": "a/b", "actions": ["pull"]}]}),
    ] {
        refused(&controller, &token(changes.clone()), None, &changes.to_string()).await;
    }
    for payload in ["", "null", "[]", "\"claims\"", "{", "{}{}", r#"{"iss":"issuer","iss":"issuer"}"#] {
        let token = signer.raw(r#"{"alg":"ES256","kid":"key"}"#, payload);
        refused(&controller, &token, None, payload).await;
    }
}

#[tokio::test]
async fn a_token_grants_what_it_says_and_nothing_else() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    let entry =
        |kind: &str, name: &str, actions: &[&str]| json!({"type": kind, "name": name, "actions": actions});
    let catalog = Access { resource: Resource::Catalog, action: Action::All };
    let blobs = Access { resource: Resource::AnyBlob, action: Action::Pull };
    let admin = Access {
        resource: Resource::Custom { kind: "admin".to_owned(), name: "gc".to_owned() },
        action: Action::Custom("run".to_owned()),
    };
    for (access, required, good) in [
        (json!([entry("repository", "a/b", &["pull"])]), vec![on("a/b", Action::Pull)], true),
        (json!([entry("repository", "a/b", &["pull"])]), vec![on("a/b", Action::List)], true),
        (json!([entry("repository", "a/b", &["*"])]), vec![on("a/b", Action::Delete)], true),
        (
            json!([entry("repository", "a/b", &["pull", "push"])]),
            vec![on("a/b", Action::Pull), on("a/b", Action::Push)],
            true,
        ),
        (
            json!([entry("repository", "a/b", &["pull"]), entry("repository", "a/b", &["push"])]),
            vec![on("a/b", Action::Pull), on("a/b", Action::Push)],
            true,
        ),
        (json!([entry("registry", "catalog", &["*"])]), vec![catalog.clone()], true),
        (json!([entry("admin", "gc", &["run"])]), vec![admin.clone()], true),
        (json!([entry("repository", "a/b", &[])]), vec![], true),
        (json!([]), vec![], true),
        (json!(null), vec![], true),
        (json!([entry("repository", "a/b", &["pull"])]), vec![on("a/b", Action::Push)], false),
        (
            json!([entry("repository", "a/b", &["push"])]),
            vec![on("a/b", Action::Pull), on("a/b", Action::Push)],
            false,
        ),
        (json!([entry("repository", "a/b", &["Pull"])]), vec![on("a/b", Action::Pull)], false),
        (json!([entry("repository", "a/b", &["pull,push"])]), vec![on("a/b", Action::Pull)], false),
        (json!([entry("repository", "a/b/c", &["*"])]), vec![on("a/b", Action::Pull)], false),
        (json!([entry("repository", "a", &["*"])]), vec![on("a/b", Action::Pull)], false),
        (json!([entry("repository", "*", &["*"])]), vec![on("a/b", Action::Pull)], false),
        (json!([entry("registry", "a/b", &["*"])]), vec![on("a/b", Action::Pull)], false),
        (json!([entry("repository(plugin)", "a/b", &["*"])]), vec![on("a/b", Action::Pull)], false),
        (json!([entry("registry", "catalog", &["pull"])]), vec![catalog.clone()], false),
        (json!([entry("repository", "catalog", &["*"])]), vec![catalog], false),
        (json!([entry("admin", "gc", &["other"])]), vec![admin], false),
        (json!([]), vec![on("a/b", Action::Pull)], false),
        (json!(null), vec![on("a/b", Action::Pull)], false),
    ] {
        let token = signer.token(json!({"kid": "key"}), &claims_with(json!({"access": access})));
        let header = format!("Bearer {token}");
        let result = ask(&controller, &[("authorization", header.as_bytes())], &required, &[]).await;
        if good {
            result.unwrap_or_else(|error| panic!("{access} {required:?}: {error}"));
        } else {
            let challenge = challenge(result);
            assert!(challenge.ends_with(",error=\"insufficient_scope\""), "{access}: {challenge}");
        }
    }
    // Optional accesses are granted as far as the token has them.
    let access = json!([entry("repository", "a/b", &["pull", "push"]), entry("repository", "c", &["pull"])]);
    let token = signer.token(json!({"kid": "key"}), &claims_with(json!({"access": access})));
    let header = format!("Bearer {token}");
    let optional = [on("c", Action::Pull), on("d", Action::Pull), blobs.clone()];
    let grant =
        ask(&controller, &[("authorization", header.as_bytes())], &[on("a/b", Action::Push)], &optional)
            .await;
    assert_eq!(grant.unwrap().optional, [on("c", Action::Pull)]);
    let access = json!([entry("registry", "blobs", &["pull"])]);
    let token = signer.token(json!({"kid": "key"}), &claims_with(json!({"access": access})));
    let header = format!("Bearer {token}");
    let grant = ask(&controller, &[("authorization", header.as_bytes())], &[], &optional).await;
    assert_eq!(grant.unwrap().optional, [blobs]);
}

#[tokio::test]
async fn the_grant_says_who_and_with_which_classes() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    let claims = claims_with(json!({
        "groups": ["dev", "ops", 1],
        "email": "bob@example.com",
        "access": [
            {"type": "repository", "name": "a/b", "actions": ["pull"]},
            {"type": "repository", "class": "plugin", "name": "c", "actions": ["pull"]},
            {"type": "registry", "name": "catalog", "actions": ["*"]},
        ],
    }));
    let grant = granted(&controller, &signer.token(json!({"kid": "key"}), &claims), "bob").await;
    let principal = grant.principal.unwrap();
    assert_eq!(principal.name, "bob");
    assert_eq!(principal.groups, ["dev", "ops"]);
    assert_eq!(principal.method, "token");
    let known: Vec<&str> = principal.claims.keys().map(String::as_str).collect();
    assert_eq!(known, ["email", "groups", "jti"]);
    let classes = grant.extensions.get::<GrantedClasses>().unwrap();
    let pair = |name: &str, class: &str| (name.to_owned(), class.to_owned());
    assert_eq!(classes.0, [pair("a/b", ""), pair("c", "plugin")]);

    for sub in [json!(""), Value::Null] {
        let token = signer.token(json!({"kid": "key"}), &claims_with(json!({"sub": sub})));
        assert_eq!(granted(&controller, &token, "nobody").await.principal, None);
    }
}

#[tokio::test]
async fn a_refusal_says_whose_token_did_not_suffice() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    let token = signer.token(json!({"kid": "key"}), &claims_with(json!({"sub": "bob", "access": []})));
    let refused = pull(&controller, &token).await.unwrap_err();
    assert_eq!(refused.principal().map(|bearer| bearer.name.as_str()), Some("bob"));
    // Of a token that is not good nothing is believed, the name neither.
    let refused = pull(&controller, &token[..token.len() - 4]).await.unwrap_err();
    assert_eq!(refused.principal(), None);
}
