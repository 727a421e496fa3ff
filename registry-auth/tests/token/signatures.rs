//! Who signs: algorithms, and the keys that are believed.

use super::*;

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
