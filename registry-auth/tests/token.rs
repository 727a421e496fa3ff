//! The token controller: which tokens it believes, what they grant, and what it answers to all others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod signer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Request};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use registry_auth::{KeysError, SigningAlgorithm, Token, TokenOptions, TrustedKeys};
use registry_core::access::{Access, Action, Resource};
use registry_core::{AccessController, AuthError, AuthRequest, Grant, GrantedClasses, RepositoryName};
use serde_json::{Value, json};
use signer::{Signer, base64url};

/// In January 2027.
const NOW: u64 = 1_800_000_000;
const INVALID: Option<&str> = Some("invalid_token");

fn options() -> TokenOptions {
    TokenOptions::new("https://auth.example/token", "issuer", "service")
}

fn jwks(keys: &[Value]) -> TrustedKeys {
    TrustedKeys::read(None, Some(json!({"keys": keys}).to_string().as_bytes())).unwrap()
}

fn bundle(certificates: &[&Certificate]) -> TrustedKeys {
    let pem: String = certificates.iter().map(|certificate| certificate.pem()).collect();
    TrustedKeys::read(Some(pem.as_bytes()), None).unwrap()
}

fn controller(keys: TrustedKeys) -> Token {
    Token::new(options(), keys).with_clock(|| SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
}

/// Claims that grant pulling from `a/b` for ten minutes.
fn claims() -> Value {
    json!({
        "iss": "issuer",
        "sub": "bob",
        "aud": "service",
        "exp": NOW + 600,
        "nbf": NOW,
        "iat": NOW,
        "jti": "1",
        "access": [{"type": "repository", "name": "a/b", "actions": ["pull"]}],
    })
}

/// [`claims`] with some of them replaced; `null` takes one out.
fn claims_with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    claims
}

fn on(name: &str, action: Action) -> Access {
    Access::repository(&RepositoryName::parse(name).unwrap(), action)
}

async fn ask(
    token: &Token,
    headers: &[(&str, &[u8])],
    required: &[Access],
    optional: &[Access],
) -> Result<Grant, AuthError> {
    let mut request = Request::get("/v2/");
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value).unwrap());
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    token.authorize(&AuthRequest::new(&parts, required, optional)).await
}

/// Asks to pull from `a/b` with this token.
async fn pull(controller: &Token, token: &str) -> Result<Grant, AuthError> {
    let header = format!("Bearer {token}");
    ask(controller, &[("authorization", header.as_bytes())], &[on("a/b", Action::Pull)], &[]).await
}

/// The one challenge of a refusal, as it is rendered.
fn challenge(result: Result<Grant, AuthError>) -> String {
    let Err(AuthError::Unauthorized { challenges, .. }) = result else { panic!("not refused: {result:?}") };
    let [challenge] = challenges.as_slice() else { panic!("{challenges:?}") };
    let params = challenge.params.iter().map(|(name, value)| format!("{name}=\"{value}\""));
    format!("{} {}", challenge.scheme, params.collect::<Vec<_>>().join(","))
}

/// Asserts that pulling from `a/b` is refused, with this `error` in the challenge.
async fn refused(controller: &Token, token: &str, error: Option<&str>, what: &str) {
    let error = error.map_or(String::new(), |error| format!(",error=\"{error}\""));
    let expected = format!(
        "Bearer realm=\"https://auth.example/token\",service=\"service\",scope=\"repository:a/b:pull\"{error}"
    );
    assert_eq!(challenge(pull(controller, token).await), expected, "{what}");
}

async fn granted(controller: &Token, token: &str, what: &str) -> Grant {
    pull(controller, token).await.unwrap_or_else(|error| panic!("{what}: {error}"))
}

// ---- who signs

#[tokio::test]
async fn every_algorithm_is_taken_by_kid() {
    for algorithm in SigningAlgorithm::ALL {
        let signer = Signer::new(algorithm.as_str());
        let controller = controller(jwks(&[signer.jwk_with_id("key")]));
        let token = signer.token(json!({"kid": "key"}), &claims());
        granted(&controller, &token, algorithm.as_str()).await;
        refused(&controller, &signer.token(json!({"kid": "other"}), &claims()), INVALID, "another kid").await;
        refused(&controller, &signer.token(json!({}), &claims()), INVALID, "no kid").await;
        refused(&controller, &signer.token(json!({"kid": ""}), &claims()), INVALID, "an empty kid").await;
    }
}

#[tokio::test]
async fn a_key_without_an_id_is_known_by_its_thumbprint() {
    for alg in ["ES256", "EdDSA", "RS256"] {
        let signer = Signer::new(alg);
        let controller = controller(jwks(&[signer.jwk()]));
        granted(&controller, &signer.token(json!({"kid": signer.thumbprint()}), &claims()), alg).await;
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_listed_is_refused() {
    let signer = Signer::new("RS256");
    let keys = jwks(&[signer.jwk_with_id("key")]);
    let options = options().with_algorithms([SigningAlgorithm::Rs256, SigningAlgorithm::Es256]);
    let controller =
        Token::new(options, keys).with_clock(|| SystemTime::UNIX_EPOCH + Duration::from_secs(NOW));
    granted(&controller, &signer.token(json!({"kid": "key"}), &claims()), "listed").await;
    let signer = signer.with_alg("PS256");
    refused(&controller, &signer.token(json!({"kid": "key"}), &claims()), INVALID, "not listed").await;
}

/// CVE-2015-9235 and its like.
#[tokio::test]
async fn cve_2015_9235_a_token_that_nobody_signed_is_refused() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({"alg": alg, "kid": "key"}).to_string();
        let unsigned = format!("{}.{}.", base64url(&header), base64url(claims().to_string()));
        refused(&controller, &unsigned, INVALID, alg).await;
        refused(&controller, &signer.raw(&header, &claims().to_string()), INVALID, alg).await;
    }
}

/// The public key is public: whoever takes it for a secret could sign with it (CVE-2015-9235, CVE-2016-10555).
#[tokio::test]
async fn cve_2016_10555_a_public_key_is_no_secret() {
    for alg in ["RS256", "ES256", "EdDSA"] {
        let signer = Signer::new(alg);
        let controller = controller(jwks(&[signer.jwk_with_id("key")]));
        let texts = [
            signer.public_key(),
            signer.jwk().to_string().into_bytes(),
            signer.jwk_with_id("key").to_string().into_bytes(),
            signer.jwk()["n"].as_str().unwrap_or_default().as_bytes().to_vec(),
            Vec::new(),
        ];
        for (text, hs) in texts.iter().flat_map(|text| ["HS256", "HS384", "HS512"].map(|hs| (text, hs))) {
            let forged = Signer::secret(hs, text).token(json!({"kid": "key"}), &claims());
            refused(&controller, &forged, None, hs).await;
        }
    }
}

#[tokio::test]
async fn an_algorithm_for_another_kind_of_key_is_refused() {
    let keys = ["RS256", "ES256", "ES384", "ES512", "EdDSA"].map(Signer::new);
    for key in &keys {
        let controller = controller(jwks(&[key.jwk_with_id("key")]));
        for other in keys.iter().filter(|other| other.alg != key.alg) {
            refused(&controller, &other.token(json!({"kid": "key"}), &claims()), None, other.alg).await;
            // Signed by the right key, under the wrong name.
            let token = key.token(json!({"kid": "key", "alg": other.alg}), &claims());
            refused(&controller, &token, None, other.alg).await;
        }
    }
}

#[tokio::test]
async fn shared_secrets_beside_public_keys_do_not_count() {
    let (secret, public) = (Signer::new("HS256"), Signer::new("ES256"));
    let mixed = jwks(&[secret.jwk_with_id("secret"), public.jwk_with_id("public")]);
    assert_eq!(mixed.passed_over().len(), 1, "{:?}", mixed.passed_over());
    let mixed = controller(mixed);
    granted(&mixed, &public.token(json!({"kid": "public"}), &claims()), "public").await;
    refused(&mixed, &secret.token(json!({"kid": "secret"}), &claims()), INVALID, "secret").await;
    let alone = controller(jwks(&[secret.jwk_with_id("secret")]));
    granted(&alone, &secret.token(json!({"kid": "secret"}), &claims()), "alone").await;
    // And are never certified, whatever the token says.
    let embedded = secret.token(json!({"jwk": secret.jwk_with_id("secret")}), &claims());
    refused(&alone, &embedded, INVALID, "embedded").await;
}

/// A token that brings its key along, under the id of a trusted one (Distribution before 3.0.0-rc.3).
#[tokio::test]
async fn cve_2025_24976_an_embedded_key_vouches_for_nothing() {
    let (trusted, attacker) = (Signer::new("ES256"), Signer::new("ES256"));
    let controller = controller(jwks(&[trusted.jwk_with_id("key")]));
    for kid in ["key", "other", ""] {
        let token = attacker.token(json!({"jwk": attacker.jwk_with_id(kid)}), &claims());
        // Under the right id the trusted key is tried, and has not signed.
        refused(&controller, &token, if kid == "key" { None } else { INVALID }, kid).await;
        let token = attacker.token(json!({"kid": "key", "jwk": attacker.jwk_with_id(kid)}), &claims());
        refused(&controller, &token, if kid == "key" { None } else { INVALID }, kid).await;
    }
    refused(&controller, &attacker.token(json!({"jwk": attacker.jwk()}), &claims()), INVALID, "no id").await;
    // Its id finds the trusted key, whatever else is embedded.
    granted(&controller, &trusted.token(json!({"jwk": trusted.jwk_with_id("key")}), &claims()), "own").await;
    granted(&controller, &trusted.token(json!({"jwk": attacker.jwk_with_id("key")}), &claims()), "id").await;
}

/// CVE-2018-0114: the key in the header was believed.
#[tokio::test]
async fn cve_2018_0114_a_self_made_key_is_refused_whatever_its_kind() {
    let controller = controller(jwks(&[Signer::new("ES256").jwk_with_id("key")]));
    for alg in ["RS256", "PS512", "ES384", "EdDSA", "HS256"] {
        let attacker = Signer::new(alg);
        for header in [
            json!({"jwk": attacker.jwk()}),
            json!({"jwk": attacker.jwk_with_id(&attacker.thumbprint()), "kid": attacker.thumbprint()}),
            json!({"jku": "https://attacker.example/jwks", "kid": "attacker"}),
            json!({"x5u": "https://attacker.example/certificate", "kid": "attacker"}),
        ] {
            refused(&controller, &attacker.token(header.clone(), &claims()), INVALID, &header.to_string())
                .await;
        }
    }
}

/// CVE-2022-21449: a signature of zeros passed for every key.
#[tokio::test]
async fn cve_2022_21449_a_signature_of_zeros_is_none() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    let token = signer.token(json!({"kid": "key"}), &claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for forged in [base64url([0; 64]), String::new(), base64url([0; 8]), base64url([255; 64])] {
        refused(&controller, &format!("{signed}.{forged}"), None, &forged).await;
    }
    // The signature of another encoding, and one that goes on.
    refused(&controller, &format!("{signed}.{signature}AAAA"), None, "longer").await;
}

// ---- certificates

/// A certificate and its key.
struct Certified {
    certificate: Certificate,
    key: KeyPair,
    params: CertificateParams,
}

impl Certified {
    fn params(name: &str, authority: bool) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        if authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        }
        params
    }

    fn root(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { certificate: params.self_signed(&key).unwrap(), key, params }
    }

    fn issue(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        Self { certificate: params.signed_by(&key, &issuer).unwrap(), key, params }
    }

    fn signer(&self) -> Signer {
        Signer::es256(&self.key.serialize_der())
    }

    /// A token that is signed by this, with this and the `others` in `x5c`.
    fn token(&self, others: &[&Self]) -> String {
        self.signer().token(json!({"x5c": self.x5c(others)}), &claims())
    }

    fn x5c(&self, others: &[&Self]) -> Vec<String> {
        let all = std::iter::once(self).chain(others.iter().copied());
        all.map(|one| STANDARD.encode(one.certificate.der())).collect()
    }
}

#[tokio::test]
async fn chains_lead_to_the_bundle() {
    let root = Certified::root(Certified::params("root", true));
    let middle = root.issue(Certified::params("middle", true));
    let lower = middle.issue(Certified::params("lower", true));
    let leaf = lower.issue(Certified::params("leaf", false));
    let trust_root = controller(bundle(&[&root.certificate]));
    granted(&trust_root, &leaf.token(&[&lower, &middle]), "in order").await;
    granted(&trust_root, &leaf.token(&[&middle, &lower]), "in any order").await;
    granted(&trust_root, &leaf.token(&[&lower, &middle, &root]), "with the root").await;
    granted(&trust_root, &root.issue(Certified::params("direct", false)).token(&[]), "direct").await;
    refused(&trust_root, &leaf.token(&[&lower]), INVALID, "without the middle").await;
    refused(&trust_root, &leaf.token(&[]), INVALID, "alone").await;
    let trust_middle = controller(bundle(&[&middle.certificate]));
    granted(&trust_middle, &leaf.token(&[&lower]), "an intermediate is trusted").await;
    // Trusted itself, whatever it is.
    granted(&controller(bundle(&[&leaf.certificate])), &leaf.token(&[]), "the leaf itself").await;
}

/// What token servers usually have: one certificate that nobody else issued.
#[tokio::test]
async fn the_bundles_own_self_signed_certificate_signs() {
    for authority in [false, true] {
        let own = Certified::root(Certified::params("own", authority));
        let controller = controller(bundle(&[&own.certificate]));
        granted(&controller, &own.token(&[]), "x5c").await;
        let by_id = own.signer().token(json!({"kid": own.signer().thumbprint()}), &claims());
        granted(&controller, &by_id, "kid").await;
        let by_jwk = own
            .signer()
            .token(json!({"jwk": own.signer().jwk_with_id(&own.signer().thumbprint())}), &claims());
        granted(&controller, &by_jwk, "jwk").await;
    }
}

#[tokio::test]
async fn a_chain_of_somebody_elses_is_refused() {
    let root = Certified::root(Certified::params("root", true));
    let trusted = root.issue(Certified::params("leaf", false));
    let controller = controller(bundle(&[&root.certificate]));
    // Same names, other keys.
    let impostor = Certified::root(Certified::params("root", true));
    let leaf = impostor.issue(Certified::params("leaf", false));
    refused(&controller, &leaf.token(&[]), INVALID, "impostor").await;
    refused(&controller, &leaf.token(&[&impostor]), INVALID, "impostor with its root").await;
    refused(&controller, &leaf.token(&[&root]), INVALID, "impostor with our root").await;
    // The certificate is good and its key has not signed.
    let token = impostor.signer().token(json!({"x5c": trusted.x5c(&[])}), &claims());
    refused(&controller, &token, None, "another's certificate").await;
    // Certificates decide where there are any, not the id.
    let token =
        leaf.signer().token(json!({"x5c": leaf.x5c(&[]), "kid": root.signer().thumbprint()}), &claims());
    refused(&controller, &token, INVALID, "kid of the root").await;
    // A leaf issues nothing, nor does an authority that may sign only other things.
    let below = trusted.issue(Certified::params("below", false));
    refused(&controller, &below.token(&[&trusted]), INVALID, "issued by a leaf").await;
    let mut params = Certified::params("limited", true);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let limited = root.issue(params);
    let below = limited.issue(Certified::params("below", false));
    refused(&controller, &below.token(&[&limited]), INVALID, "issued without keyCertSign").await;
    // Also where the leaf is trusted: it vouches for itself alone.
    let direct = crate::controller(bundle(&[&trusted.certificate]));
    let below = trusted.issue(Certified::params("below", false));
    refused(&direct, &below.token(&[]), INVALID, "issued by a trusted leaf").await;
}

#[tokio::test]
async fn an_expired_member_breaks_the_chain() {
    let expired = |mut params: CertificateParams| {
        params.not_after = date_time_ymd(2026, 12, 31);
        params
    };
    let early = |mut params: CertificateParams| {
        params.not_before = date_time_ymd(2028, 1, 1);
        params
    };
    for (what, change) in
        [("expired", &expired as &dyn Fn(CertificateParams) -> CertificateParams), ("not yet valid", &early)]
    {
        let root = Certified::root(Certified::params("root", true));
        let old_root = Certified::root(change(Certified::params("root", true)));
        let middle = root.issue(Certified::params("middle", true));
        let old_middle = root.issue(change(Certified::params("middle", true)));
        let controller = controller(bundle(&[&root.certificate, &old_root.certificate]));
        let old_leaf = middle.issue(change(Certified::params("leaf", false)));
        refused(&controller, &old_leaf.token(&[&middle]), INVALID, what).await;
        let leaf = old_middle.issue(Certified::params("leaf", false));
        refused(&controller, &leaf.token(&[&old_middle]), INVALID, what).await;
        let leaf = old_root.issue(Certified::params("leaf", false));
        refused(&controller, &leaf.token(&[]), INVALID, what).await;
        // Not even in the bundle itself.
        refused(&controller, &old_root.token(&[]), INVALID, what).await;
        granted(&controller, &middle.issue(Certified::params("leaf", false)).token(&[&middle]), "good").await;
    }
}

#[tokio::test]
async fn extended_key_usages_do_not_count_and_unknown_critical_extensions_do() {
    let root = Certified::root(Certified::params("root", true));
    let controller = controller(bundle(&[&root.certificate]));
    for usage in [
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::CodeSigning,
        ExtendedKeyUsagePurpose::TimeStamping,
    ] {
        let mut params = Certified::params("middle", true);
        params.extended_key_usages = vec![usage.clone()];
        let middle = root.issue(params);
        let mut params = Certified::params("leaf", false);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
        params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
        granted(&controller, &middle.issue(params).token(&[&middle]), &format!("{usage:?}")).await;
    }
    for critical in [false, true] {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
        extension.set_criticality(critical);
        for authority in [false, true] {
            let mut params = Certified::params("extended", authority);
            params.custom_extensions = vec![extension.clone()];
            let extended = root.issue(params);
            let token = if authority {
                extended.issue(Certified::params("leaf", false)).token(&[&extended])
            } else {
                extended.token(&[])
            };
            if critical {
                refused(&controller, &token, INVALID, "critical").await;
            } else {
                granted(&controller, &token, "not critical").await;
            }
        }
    }
}

#[tokio::test]
async fn the_length_of_a_chain_is_bounded() {
    let mut params = Certified::params("root", true);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    let root = Certified::root(params);
    let controller = controller(bundle(&[&root.certificate]));
    let middle = root.issue(Certified::params("middle", true));
    let lower = middle.issue(Certified::params("lower", true));
    granted(&controller, &middle.issue(Certified::params("leaf", false)).token(&[&middle]), "one between")
        .await;
    let leaf = lower.issue(Certified::params("leaf", false));
    refused(&controller, &leaf.token(&[&lower, &middle]), INVALID, "two between").await;
    let many = [&middle; 10];
    let leaf = middle.issue(Certified::params("leaf", false));
    refused(&controller, &leaf.token(&many), INVALID, "eleven certificates").await;
    granted(&controller, &leaf.token(&many[..9]), "ten certificates").await;
}

/// Certificates that are all said to be issued by each other make a search for a path long: it is cut.
#[tokio::test]
async fn a_maze_of_certificates_is_left_soon() {
    let root = Certified::root(Certified::params("root", true));
    let controller = controller(bundle(&[&root.certificate]));
    let maze: Vec<Certified> = (0..9).map(|_| Certified::root(Certified::params("maze", true))).collect();
    let leaf = maze[0].issue(Certified::params("leaf", false));
    let others: Vec<&Certified> = maze.iter().collect();
    refused(&controller, &leaf.token(&others), INVALID, "maze").await;
}

#[tokio::test]
async fn broken_certificates_are_refused() {
    let own = Certified::root(Certified::params("own", false));
    let controller = controller(bundle(&[&own.certificate]));
    let good = STANDARD.encode(own.certificate.der());
    let cut = STANDARD.encode(&own.certificate.der()[..100]);
    let longer = STANDARD.encode([own.certificate.der().as_ref(), &[0]].concat());
    let kid = own.signer().thumbprint();
    for x5c in [
        json!(["!"]),
        json!([""]),
        json!([cut]),
        json!([longer]),
        json!([good, "AAAA"]),
        json!([good.trim_end_matches('='), 1]),
        json!(good),
        json!({"0": good}),
    ] {
        let token = own.signer().token(json!({"x5c": x5c, "kid": kid}), &claims());
        refused(&controller, &token, INVALID, &x5c.to_string()[..20.min(x5c.to_string().len())]).await;
    }
    granted(&controller, &own.signer().token(json!({"x5c": [], "kid": kid}), &claims()), "none").await;
    granted(&controller, &own.signer().token(json!({"x5c": null, "kid": kid}), &claims()), "null").await;
}

#[tokio::test]
async fn certificates_of_an_embedded_key_count_if_they_are_its_own() {
    let root = Certified::root(Certified::params("root", true));
    let leaf = root.issue(Certified::params("leaf", false));
    let controller = controller(bundle(&[&root.certificate]));
    let embedded = |signer: &Signer, x5c: Vec<String>| {
        let mut jwk = signer.jwk();
        jwk["x5c"] = json!(x5c);
        signer.token(json!({"jwk": jwk}), &claims())
    };
    granted(&controller, &embedded(&leaf.signer(), leaf.x5c(&[])), "own").await;
    refused(&controller, &embedded(&Signer::new("ES256"), leaf.x5c(&[])), INVALID, "another's").await;
    let impostor = Certified::root(Certified::params("root", true));
    let leaf = impostor.issue(Certified::params("leaf", false));
    refused(&controller, &embedded(&leaf.signer(), leaf.x5c(&[&impostor])), INVALID, "impostor").await;
}

// ---- what tokens say

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

// ---- requests

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

// ---- the same token again

/// A controller whose clock the test turns.
fn with_clock(keys: TrustedKeys) -> (Token, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(NOW));
    let read = Arc::clone(&clock);
    let token = Token::new(options(), keys)
        .with_clock(move || SystemTime::UNIX_EPOCH + Duration::from_secs(read.load(Ordering::Relaxed)));
    (token, clock)
}

#[tokio::test]
async fn a_token_that_was_good_is_refused_once_it_has_expired() {
    let signer = Signer::new("ES256");
    let (controller, clock) = with_clock(jwks(&[signer.jwk_with_id("key")]));
    let token = signer.token(json!({"kid": "key"}), &claims());
    for (now, good) in
        [(NOW, true), (NOW + 660, true), (NOW + 661, false), (NOW + 1, true), (NOW - 61, false)]
    {
        clock.store(now, Ordering::Relaxed);
        if good {
            granted(&controller, &token, &now.to_string()).await;
        } else {
            refused(&controller, &token, INVALID, &now.to_string()).await;
        }
    }
}

#[tokio::test]
async fn a_token_that_was_good_is_refused_once_its_certificate_has_expired() {
    let root = Certified::root(Certified::params("root", true));
    let mut params = Certified::params("leaf", false);
    // 15 January 2027 is NOW, at 8 o'clock.
    params.not_after = date_time_ymd(2027, 1, 16);
    let leaf = root.issue(params);
    let (controller, clock) = with_clock(bundle(&[&root.certificate]));
    let token =
        leaf.signer().token(json!({"x5c": leaf.x5c(&[])}), &claims_with(json!({"exp": NOW + 1_000_000})));
    granted(&controller, &token, "before").await;
    clock.store(NOW + 86_400, Ordering::Relaxed);
    refused(&controller, &token, INVALID, "after").await;
}

#[tokio::test]
async fn what_a_remembered_token_grants_is_looked_at_for_each_request() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    let header = format!("Bearer {}", signer.token(json!({"kid": "key"}), &claims()));
    for _ in 0..2 {
        let headers = [("authorization", header.as_bytes())];
        ask(&controller, &headers, &[on("a/b", Action::Pull)], &[]).await.unwrap();
        let refused = challenge(ask(&controller, &headers, &[on("a/b", Action::Push)], &[]).await);
        assert!(refused.ends_with("error=\"insufficient_scope\""), "{refused}");
        let refused = challenge(ask(&controller, &headers, &[on("a/c", Action::Pull)], &[]).await);
        assert!(refused.ends_with("error=\"insufficient_scope\""), "{refused}");
    }
}

#[tokio::test]
async fn replaced_keys_are_forgotten_with_all_they_have_verified() {
    let (old, new) = (Signer::new("ES256"), Signer::new("ES256"));
    let controller = controller(jwks(&[old.jwk_with_id("key")]));
    let (by_old, by_new) =
        (old.token(json!({"kid": "key"}), &claims()), new.token(json!({"kid": "key"}), &claims()));
    granted(&controller, &by_old, "old").await;
    refused(&controller, &by_new, None, "new").await;
    controller.replace_keys(jwks(&[new.jwk_with_id("key")]));
    refused(&controller, &by_old, None, "old").await;
    granted(&controller, &by_new, "new").await;
}

// ---- autoredirect

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

// ---- keys

#[test]
fn keys_that_cannot_be_read_are_refused_with_the_reason() {
    let own = Certified::root(Certified::params("own", false)).certificate.pem();
    let read = |bundle: Option<&str>, jwks: Option<&str>| {
        TrustedKeys::read(bundle.map(str::as_bytes), jwks.map(str::as_bytes))
            .map_err(|error| error.to_string())
    };
    let needs = "token auth requires at least one token signing key";
    for (bundle, jwks, says) in [
        (None, None, needs),
        (Some(""), None, needs),
        (Some("nothing of the kind"), None, needs),
        (None, Some(r#"{"keys": []}"#), needs),
        (None, Some(r#"{"keys": [{"kty": "future"}]}"#), "found only keys[0]: kind of key"),
        (Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), None, "certificate 1"),
        (Some("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"), None, "root certificate: "),
        (Some("-----BEGIN CERTIFICATE-----\nAAAA\n"), None, "root certificate: "),
        (Some(&own), Some("no json"), "failed to parse jwks: "),
        (Some(&own), Some("{}"), "failed to parse jwks: missing field"),
    ] {
        let error = read(bundle, jwks).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
    let garbage_around =
        format!("text\n{own}\nmore text\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    read(Some(&garbage_around), None).unwrap();
    read(Some(&own), Some(r#"{"keys": []}"#)).unwrap();
    assert_eq!(TrustedKeys::read(None, None).unwrap_err(), KeysError::Nothing(Vec::new()));
}

/// CPU that this thread has used, in nanoseconds.
fn cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// `cargo test --release -p registry-auth --features token --test token little -- --nocapture` says how little.
#[tokio::test]
async fn a_token_that_was_verified_costs_little_the_next_time() {
    const TIMES: u64 = 20_000;
    let signer = Signer::new("RS256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    let access = json!([
        {"type": "repository", "name": "a/b", "actions": ["pull", "push"]},
        {"type": "repository", "name": "library/base", "actions": ["pull"]},
    ]);
    let claims = claims_with(json!({"access": access, "groups": ["dev", "ops"], "email": "bob@example.com"}));
    let header = format!("Bearer {}", signer.token(json!({"kid": "key"}), &claims));
    let request = Request::get("/v2/a/b/manifests/latest").header("authorization", &header).body(()).unwrap();
    let (parts, ()) = request.into_parts();
    let required = [on("a/b", Action::Pull)];
    let asked = AuthRequest::new(&parts, &required, &[]);
    controller.authorize(&asked).await.unwrap();
    let start = cpu();
    for _ in 0..TIMES {
        controller.authorize(&asked).await.unwrap();
    }
    let each = (cpu() - start) / TIMES;
    println!("{} bytes: {each} ns of CPU each time", header.len());
    let most = if cfg!(debug_assertions) { 200_000 } else { 10_000 };
    assert!(each < most, "{each} ns");
}
