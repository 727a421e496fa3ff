//! The examples of the RFCs, and what must not pass.

use super::jws::MAX_TOKEN;
use super::key::BadSignature;
use super::*;

const RFC7638_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRX\
    jBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0\
    zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kE\
    gU8awapJzKnqDKgw";
const RFC8037_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const RFC8037_JWS: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AI\
    bQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
const RFC7515_PAYLOAD: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

fn jwk(json: serde_json::Value) -> Result<VerifyingKey, KeyError> {
    serde_json::from_value::<Jwk>(json).unwrap().key()
}

fn ed25519() -> VerifyingKey {
    jwk(serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": RFC8037_X})).unwrap()
}

/// A token with this header, the payload `{}` and a signature of zeros.
fn with_header(header: &str) -> String {
    format!("{}.e30.{}", base64url::encode(header), base64url::encode([0; 64]))
}

#[test]
fn every_algorithm_is_found_by_its_name_and_none_is_none() {
    for algorithm in SigningAlgorithm::ALL {
        assert_eq!(SigningAlgorithm::parse(algorithm.as_str()), Some(algorithm));
    }
    for name in ["none", "None", "rs256", "", "ES256K", "RS1"] {
        assert_eq!(SigningAlgorithm::parse(name), None, "{name}");
    }
}

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    let rsa = jwk(serde_json::json!({"kty": "RSA", "n": RFC7638_N, "e": "AQAB"})).unwrap();
    assert_eq!(rsa.thumbprint().unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(ed25519().thumbprint().unwrap(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(VerifyingKey::secret(b"secret").thumbprint(), None);
}

/// Distribution leaves the zero out, so that such a key, one in 128, has another id there, by which it is known too.
#[test]
fn a_coordinate_that_begins_with_zero_counts_in_full_length() {
    let key = std::iter::repeat_with(|| SigningKey::generate(SigningAlgorithm::Es256).unwrap())
        .find(|key| {
            key.public_jwk().x.unwrap().starts_with("AA") || key.public_jwk().y.unwrap().starts_with("AA")
        })
        .unwrap();
    let Jwk { x: Some(x), y: Some(y), .. } = key.public_jwk() else { panic!() };
    assert_eq!((x.len(), y.len()), (43, 43));
    let json = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, json.as_bytes());
    assert_eq!(key.id(), base64url::encode(digest));
    assert_eq!(
        jwk(serde_json::json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})).as_ref(),
        Ok(key.public())
    );
    let short = |coordinate: &str| {
        let bytes = base64url::decode(coordinate).unwrap();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        base64url::encode(&bytes[zeros..])
    };
    let json = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, short(&x), short(&y));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, json.as_bytes());
    assert_eq!(key.public().ids(), [key.id().to_owned(), base64url::encode(digest)]);
    assert_eq!(ed25519().ids(), ["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"]);
    assert!(VerifyingKey::secret(b"secret").ids().is_empty());
}

#[test]
fn the_signatures_of_the_rfcs_verify() {
    let es256 = jwk(serde_json::json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }));
    let hs256 = jwk(serde_json::json!({
        "kty": "oct",
        "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    }));
    let tokens = [
        (RFC8037_JWS.to_owned(), ed25519()),
        (
            format!(
                "eyJhbGciOiJFUzI1NiJ9.{RFC7515_PAYLOAD}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISl\
                 SApmWQxfKTUJqPP3-Kg6NU1Q"
            ),
            es256.unwrap(),
        ),
        (
            format!(
                "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{RFC7515_PAYLOAD}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
            ),
            hs256.unwrap(),
        ),
    ];
    for (token, key) in &tokens {
        assert!(Jws::parse(token).unwrap().verify(key).is_ok(), "{token}");
        // One character of the payload is another.
        let forged = token.replacen(".e", ".f", 1).replacen(".R", ".S", 1);
        assert_ne!(&forged, token);
        assert_eq!(Jws::parse(&forged).unwrap().verify(key), Err(BadSignature), "{forged}");
        for (_, other) in tokens.iter().filter(|(_, other)| other != key) {
            assert_eq!(Jws::parse(token).unwrap().verify(other), Err(BadSignature), "{token}");
        }
    }
}

#[test]
fn what_is_signed_here_verifies_with_the_published_key_and_after_storing() {
    for algorithm in SigningAlgorithm::ALL {
        let key = match SigningKey::generate(algorithm) {
            Ok(key) => key,
            Err(error) => {
                assert!(algorithm.as_str().starts_with("HS"), "{algorithm}: {error}");
                continue;
            }
        };
        let stored = SigningKey::from_pem(key.to_pem().unwrap().as_bytes()).unwrap();
        let stored = stored.with_algorithm(algorithm).unwrap();
        assert_eq!(stored.id(), key.id());
        let token = sign(&stored, &serde_json::json!({"sub": "bob"})).unwrap();
        let published = serde_json::to_vec(&serde_json::json!({"keys": [key.public_jwk()]})).unwrap();
        let set = JwkSet::parse(&published).unwrap();
        let jws = Jws::parse(&token).unwrap();
        assert_eq!(jws.header.alg, algorithm);
        let header = base64url::decode(token.split('.').next().unwrap()).unwrap();
        let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
        assert_eq!(header, serde_json::json!({"alg": algorithm.as_str(), "kid": key.id(), "typ": "JWT"}));
        let (_, trusted) = set.keys.iter().find(|(id, _)| jws.header.kid.as_ref() == Some(id)).unwrap();
        assert_eq!(jws.verify(trusted), Ok(&br#"{"sub":"bob"}"#[..]));
        assert!(!String::from_utf8(published).unwrap().contains("\"d\""), "a private key was published");
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }
}

#[test]
fn a_key_signs_with_nothing_but_what_it_is_for() {
    let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    assert!(matches!(key.with_algorithm(SigningAlgorithm::Rs256), Err(SigningError::Unfit(_))));
    for (text, says) in [
        ("", "no block"),
        ("-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----\n", "base64"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not a key of a kind"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "encrypted"),
    ] {
        let error = SigningKey::from_pem(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says), "{text:?}: {error}");
    }
}

#[test]
fn malformed_tokens_are_told_apart() {
    let long = "a".repeat(MAX_TOKEN + 1);
    for (token, says) in [
        ("", "three parts"),
        ("abc", "three parts"),
        ("e30.e30", "three parts"),
        ("e30.e30.e30.e30", "payload"),
        ("e30=.e30.e30", "header is not base64url"),
        ("e30.e31.e30", "payload is not base64url"),
        ("e30.e30.e3+", "signature is not base64url"),
        ("e30.e30.e30 ", "signature is not base64url"),
        ("e30.e30.e30", "header cannot be read"),
        (long.as_str(), "64 KiB"),
        (&with_header(r#"{"alg":"none"}"#), "header cannot be read"),
        (&with_header(r#"{"alg":["RS256"]}"#), "header cannot be read"),
        (&with_header(r#"{"alg":"RS256","alg":"none"}"#), "header cannot be read"),
        (&with_header(r#"{"alg":"RS256","kid":1}"#), "header cannot be read"),
        (&with_header("[]"), "header cannot be read"),
        (&with_header(r#"["EdDSA",null,null,null,null,null]"#), "header cannot be read"),
        (&with_header(r#"{"alg":"EdDSA","jwk":["OKP"]}"#), "header cannot be read"),
        (&with_header("\u{feff}{}"), "header cannot be read"),
        (&with_header(&"[".repeat(10_000)), "header cannot be read"),
        (&with_header(r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}"#), "embedded key"),
        (&with_header(r#"{"alg":"RS256","jwk":{"kty":"RSA","n":"AQ","e":"AQAB"}}"#), "embedded key"),
        (
            &with_header(&format!(
                r#"{{"alg":"EdDSA","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{RFC8037_X}","d":"AA"}}}}"#
            )),
            "embedded key",
        ),
    ] {
        let error = Jws::parse(token).unwrap_err().to_string();
        assert!(error.contains(says), "{token:.80}: {error}");
    }
}

#[test]
fn critical_extensions_are_refused_whatever_the_signature() {
    let key = VerifyingKey::secret(b"secret");
    let mac = |header: &str| {
        let signed = format!("{}.e30", base64url::encode(header));
        let hmac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"secret");
        format!("{signed}.{}", base64url::encode(aws_lc_rs::hmac::sign(&hmac, signed.as_bytes())))
    };
    assert!(Jws::parse(&mac(r#"{"alg":"HS256"}"#)).unwrap().verify(&key).is_ok());
    assert!(Jws::parse(&mac(r#"{"alg":"HS256","unknown":1}"#)).unwrap().verify(&key).is_ok());
    assert!(Jws::parse(&mac(r#"{"alg":"HS256","b64":true}"#)).unwrap().verify(&key).is_ok());
    for b64 in ["false", "0", r#""true""#] {
        let token = mac(&format!(r#"{{"alg":"HS256","b64":{b64}}}"#));
        assert_eq!(Jws::parse(&token).unwrap().verify(&key), Err(BadSignature), "b64: {b64}");
    }
    for crit in [r#"["exp"]"#, r#"["b64"]"#, "[]", "1"] {
        let token = mac(&format!(r#"{{"alg":"HS256","b64":true,"exp":1,"crit":{crit}}}"#));
        assert_eq!(Jws::parse(&token).unwrap().verify(&key), Err(BadSignature), "{crit}");
    }
}

/// The signature that says nothing and once passed for every key (CVE-2022-21449).
#[test]
fn a_signature_of_zeros_is_none() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Es384, SigningAlgorithm::Es512] {
        let key = SigningKey::generate(algorithm).unwrap();
        for length in [0, 64, 96, 132] {
            assert_eq!(key.public().verify(algorithm, b"message", &vec![0; length]), Err(BadSignature));
        }
    }
}

#[test]
fn keys_that_are_no_keys_are_refused() {
    let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    for (json, error) in [
        (serde_json::json!({}), KeyError::Member("kty")),
        (serde_json::json!({"kty": "RSA", "e": "AQAB"}), KeyError::Member("n")),
        (serde_json::json!({"kty": "RSA", "n": "!", "e": "AQAB"}), KeyError::Member("n")),
        (serde_json::json!({"kty": "RSA", "n": "AQ", "e": "AQAB"}), KeyError::RsaSize(1)),
        (serde_json::json!({"kty": "RSA", "n": RFC7638_N, "e": "AA"}), KeyError::Invalid),
        (serde_json::json!({"kty": "EC", "x": x, "y": x}), KeyError::Member("crv")),
        (serde_json::json!({"kty": "EC", "crv": "secp256k1", "x": x, "y": x}), KeyError::Unsupported),
        (serde_json::json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": x}), KeyError::CoordinateLength(32)),
        // Not a point of the curve.
        (serde_json::json!({"kty": "EC", "crv": "P-256", "x": x, "y": x}), KeyError::Invalid),
        (serde_json::json!({"kty": "OKP", "crv": "X25519", "x": RFC8037_X}), KeyError::Unsupported),
        (serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), KeyError::Invalid),
        (serde_json::json!({"kty": "oct", "k": "AAAA"}), KeyError::SecretSize(3)),
    ] {
        assert_eq!(jwk(json.clone()).unwrap_err(), error, "{json}");
    }
}

#[test]
fn a_set_passes_over_what_it_does_not_know_and_stops_at_what_is_broken() {
    let set = JwkSet::parse(
        format!(
            r#"{{"other": 1, "keys": [
                {{"kty": "future", "kid": "a"}},
                {{"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}},
                {{"kty": "OKP", "crv": "Ed25519", "x": "{RFC8037_X}", "kid": "b", "use": "enc"}},
                {{"kty": "OKP", "crv": "Ed25519", "x": "{RFC8037_X}"}},
                {{"kty": "OKP", "crv": "Ed25519", "x": "{RFC8037_X}", "kid": "c", "use": "sig", "key_ops": []}}
            ]}}"#
        )
        .as_bytes(),
    )
    .unwrap();
    let ids: Vec<&str> = set.keys.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "c"]);
    assert_eq!(set.passed_over.len(), 3);
    assert!(set.passed_over[0].contains("keys[0] (\"a\")"), "{:?}", set.passed_over);

    for (json, says) in [
        ("", "EOF"),
        ("[[]]", "an object"),
        ("{}", "keys"),
        (r#"{"keys": {}}"#, "sequence"),
        (r#"{"keys": [1]}"#, "keys[0]: invalid type"),
        (r#"{"keys": [["RSA"]]}"#, "keys[0]: invalid type"),
        (
            r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "k"}]}"#,
            "keys[0] (\"k\"): key is not valid",
        ),
        (r#"{"keys": [{"kty": "oct", "k": "AAAA", "kid": "k"}]}"#, "secret of 3 bytes"),
        (
            r#"{"keys": [{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#,
            "needs a \"kid\"",
        ),
    ] {
        let error = JwkSet::parse(json.as_bytes()).unwrap_err();
        assert!(error.contains(says), "{json}: {error}");
    }
}
