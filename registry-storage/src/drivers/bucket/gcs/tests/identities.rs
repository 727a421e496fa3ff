//! Credential files of every kind, and the tokens that they give.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::super::super::played::{Played, Said, said};
use super::super::identity::{Identity, Subject, SubjectFormat};
use super::super::token::{Places, SignedBy, Tokens};
use super::signatures::pem;
use super::*;

fn tokens(identity: Identity, played: &Played) -> Tokens {
    let places = Places { metadata: "metadata".to_owned(), iam: "https://iam".to_owned() };
    Tokens::new(identity, played.client(), places)
}

fn parse(file: &Value) -> Identity {
    Identity::parse(&file.to_string()).unwrap()
}

fn refusal(file: &Value) -> String {
    Identity::parse(&file.to_string()).unwrap_err().to_string()
}

fn granted(token: &str, seconds: u64) -> Said {
    said(200, json!({ "access_token": token, "expires_in": seconds, "token_type": "Bearer" }).to_string())
}

fn external(source: Value) -> Value {
    json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts/v1/token",
        "credential_source": source,
    })
}

#[tokio::test]
async fn an_account_with_a_key_asks_nobody() {
    let played = Played::new(|asked| panic!("asked {asked:?}"));
    let file = json!({ "type": "service_account", "client_email": "a@b", "private_key_id": "k", "private_key": pem() });
    let tokens = tokens(parse(&file), &played);
    let token = tokens.token().await.unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let decode = |text: &str| -> Value {
        use base64::Engine;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    assert_eq!(decode(parts[0]), json!({ "alg": "RS256", "typ": "JWT", "kid": "k" }));
    let claims = decode(parts[1]);
    assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some("a@b"), Some("a@b")));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
    assert_eq!(parts.len(), 3);
    assert_eq!(tokens.token().await.unwrap(), token, "kept");
    assert!(matches!(tokens.signed_by().await.unwrap(), SignedBy::Key(account) if account.email == "a@b"));
}

#[tokio::test]
async fn a_person_has_a_refresh_token() {
    let played = Played::new(|_| granted("of a person", 3600));
    let file =
        json!({ "type": "authorized_user", "client_id": "c", "client_secret": "s&", "refresh_token": "r" });
    let tokens = tokens(parse(&file), &played);
    assert_eq!(&*tokens.token().await.unwrap(), "of a person");
    let asked = played.asked();
    assert_eq!(asked[0].uri(), "https://oauth2.googleapis.com/token");
    assert_eq!(asked[0].body(), "grant_type=refresh_token&client_id=c&client_secret=s%26&refresh_token=r");
    assert!(matches!(tokens.signed_by().await.unwrap(), SignedBy::Nobody));
}

#[tokio::test]
async fn a_token_of_another_provider_is_exchanged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "from outside\n").unwrap();
    let played = Played::new(|_| granted("federated", 3600));
    let tokens = tokens(parse(&external(json!({ "file": path }))), &played);
    assert_eq!(&*tokens.token().await.unwrap(), "federated");
    let asked = played.asked();
    assert_eq!(asked[0].uri(), "https://sts/v1/token");
    for field in [
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange",
        "audience=%2F%2Fiam.googleapis.com%2Fprojects%2F1",
        "subject_token=from%20outside",
        "subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt",
        "scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform",
    ] {
        assert!(asked[0].body().contains(field), "{field} in {}", asked[0].body());
    }
    std::fs::remove_file(&path).unwrap();
    tokens.forget().await;
    let error = tokens.token().await.unwrap_err().to_string();
    assert!(error.contains(&*path.to_string_lossy()), "{error}");
}

#[tokio::test]
async fn a_federated_identity_may_speak_for_an_account() {
    let played = Played::new(|asked| match asked.uri().host() {
        Some("provider") => said(200, json!({ "value": "from a url" }).to_string()),
        Some("sts") => granted("federated", 3600),
        Some("iam") if asked.uri().path().ends_with(":signBlob") => {
            said(200, json!({ "keyId": "k", "signedBlob": "c2lnbmF0dXJl" }).to_string())
        }
        Some("iam") => {
            let ends = SystemTime::now() + Duration::from_secs(1800);
            let ends = humantime::format_rfc3339_seconds(ends).to_string();
            said(200, json!({ "accessToken": "of the account", "expireTime": ends }).to_string())
        }
        other => panic!("{other:?}"),
    });
    let mut file = external(json!({
        "url": "http://provider/token",
        "headers": { "Metadata": "True" },
        "format": { "type": "json", "subject_token_field_name": "value" },
    }));
    let account = "https://iam/v1/projects/-/serviceAccounts/a@b.iam:generateAccessToken";
    file["service_account_impersonation_url"] = account.into();
    file["service_account_impersonation"] = json!({ "token_lifetime_seconds": 1800 });
    let tokens = tokens(parse(&file), &played);
    assert_eq!(&*tokens.token().await.unwrap(), "of the account");
    let asked = played.asked();
    assert_eq!(asked[0].headers()["metadata"], "True");
    assert!(asked[1].body().contains("subject_token=from%20a%20url"));
    assert_eq!(asked[2].uri(), account);
    assert_eq!(asked[2].headers()["authorization"], "Bearer federated");
    assert!(asked[2].body().contains("\"lifetime\":\"1800s\""), "{}", asked[2].body());

    let SignedBy::Iam(email) = tokens.signed_by().await.unwrap() else { panic!("not signed by IAM") };
    assert_eq!(email, "a@b.iam");
    assert_eq!(tokens.sign_blob(&email, b"message").await.unwrap(), b"signature");
    let asked = played.asked();
    assert_eq!(asked[0].uri(), "https://iam/v1/projects/-/serviceAccounts/a%40b.iam:signBlob");
    assert_eq!(asked[0].headers()["authorization"], "Bearer of the account");
    assert_eq!(asked[0].body(), "{\"payload\":\"bWVzc2FnZQ==\"}");
}

#[tokio::test]
async fn the_metadata_server_knows_who_we_are() {
    let played = Played::new(|asked| match asked.uri().path() {
        "/computeMetadata/v1/instance/service-accounts/default/token" => granted("of the machine", 3599),
        "/computeMetadata/v1/instance/service-accounts/default/email" => said(200, "m@b\n"),
        other => panic!("{other}"),
    });
    let tokens = tokens(Identity::Metadata, &played);
    assert_eq!(&*tokens.token().await.unwrap(), "of the machine");
    assert!(matches!(tokens.signed_by().await.unwrap(), SignedBy::Iam(email) if email == "m@b"));
    assert!(played.asked().iter().all(|asked| asked.headers()["metadata-flavor"] == "Google"));
}

#[tokio::test]
async fn tokens_are_renewed_early_and_the_old_one_serves_while_that_fails() {
    let count = Arc::new(AtomicU64::new(0));
    let answers = Arc::clone(&count);
    let played = Played::new(move |_| match answers.fetch_add(1, Ordering::SeqCst) {
        // With less time than is wanted, so that it is renewed at once.
        0 => granted("first", 200),
        1 => said(503, "busy"),
        _ => granted("third", 3600),
    });
    let tokens = tokens(Identity::Metadata, &played);
    assert_eq!(&*tokens.token().await.unwrap(), "first");
    assert_eq!(&*tokens.token().await.unwrap(), "first");
    assert_eq!(&*tokens.token().await.unwrap(), "third");
    assert_eq!(&*tokens.token().await.unwrap(), "third");
    assert_eq!(count.load(Ordering::SeqCst), 3);
    assert!(tokens.forget().await);
    assert_eq!(&*tokens.token().await.unwrap(), "third");
    assert_eq!(count.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn without_a_token_the_error_says_what_was_tried() {
    let played = Played::new(|_| said(404, "no such host"));
    let error = tokens(Identity::Metadata, &played).token().await.unwrap_err().to_string();
    assert!(error.contains("no credentials are configured") && error.contains("no such host"), "{error}");
}

#[test]
fn sources_of_tokens_that_are_not_supported_are_told() {
    let amazon = external(json!({ "environment_id": "aws1", "regional_cred_verification_url": "https://x" }));
    let program = external(json!({ "executable": { "command": "/bin/token" } }));
    let format = external(json!({ "file": "/t", "format": { "type": "xml" } }));
    let field = external(json!({ "file": "/t", "format": { "type": "json" } }));
    for (file, expected) in [
        (amazon, "only tokens from a file or a url"),
        (program, "only tokens from a file or a url"),
        (format, "unknown type xml"),
        (field, "no field name"),
        (json!({ "type": "gdch_service_account" }), "gdch_service_account"),
        (json!({ "client_email": "a@b" }), "type"),
        (json!({ "type": "service_account", "client_email": "a", "private_key": "x" }), "private_key"),
    ] {
        let error = refusal(&file);
        assert!(error.contains(expected), "{error}");
    }
    assert!(
        !refusal(&json!({ "type": "service_account", "client_email": "a", "private_key": "secret" }))
            .contains("secret")
    );
}

#[test]
fn the_text_of_a_source_may_be_wrapped() {
    let Identity::External(plain) = parse(&external(json!({ "file": "/t", "format": { "type": "text" } })))
    else {
        panic!("not external")
    };
    assert_eq!(plain.format, SubjectFormat::Text);
    assert!(matches!(plain.subject, Subject::File(path) if path.as_os_str() == "/t"));
}

#[test]
fn the_environment_says_where_credentials_are() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, client: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = json!({ "type": "authorized_user", "client_id": client, "client_secret": "", "refresh_token": "" });
        std::fs::write(&path, file.to_string()).unwrap();
        path.to_string_lossy().into_owned()
    };
    let named = write("named.json", "named");
    write("home/.config/gcloud/application_default_credentials.json", "home");
    write("sdk/application_default_credentials.json", "sdk");
    let at = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let found = |variables: &[(&str, String)]| {
        let variables = variables.to_vec();
        let env = move |name: &str| Some(variables.iter().find(|(n, _)| *n == name)?.1.clone());
        Identity::find(&GcsCredentials::Default, &env)
    };
    let client = |identity: Identity| match identity {
        Identity::User(user) => user.client,
        other => format!("{other:?}"),
    };
    let (home, sdk) = (("HOME", at("home")), ("CLOUDSDK_CONFIG", at("sdk")));
    let application = ("GOOGLE_APPLICATION_CREDENTIALS", named);
    assert_eq!(client(found(&[application, home.clone(), sdk.clone()]).unwrap()), "named");
    assert_eq!(client(found(&[home.clone(), sdk]).unwrap()), "sdk");
    assert_eq!(client(found(&[home]).unwrap()), "home");
    assert_eq!(client(found(&[("HOME", at("nobody"))]).unwrap()), "Metadata");
    let missing = found(&[("GOOGLE_APPLICATION_CREDENTIALS", at("none.json"))]).unwrap_err().to_string();
    assert!(missing.contains("none.json"), "{missing}");
}

#[test]
fn secrets_are_not_shown() {
    let file = json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "hidden1", "refresh_token": "hidden2",
    });
    let shown = format!("{:?}", parse(&file));
    assert!(!shown.contains("hidden"), "{shown}");
}
