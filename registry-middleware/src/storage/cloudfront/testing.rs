//! Keys, and what CloudFront does with a signed URL.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A private key in its forms, and its public key.
pub(crate) struct TestKey {
    /// PKCS #8 first.
    pub(crate) pems: [String; 2],
    public: Vec<u8>,
    algorithm: &'static dyn VerificationAlgorithm,
}

/// The bytes of PKCS #8 around an RSA key of 2048 bits.
const AROUND_RSA: usize = 26;

pub(crate) static RSA: LazyLock<TestKey> = LazyLock::new(|| {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = key.as_der().unwrap();
    TestKey {
        pems: [pem("PRIVATE KEY", der.as_ref()), pem("RSA PRIVATE KEY", &der.as_ref()[AROUND_RSA..])],
        public: key.public_key().as_ref().to_vec(),
        algorithm: &RSA_PKCS1_2048_8192_SHA256,
    }
});

pub(crate) static EC: LazyLock<TestKey> = LazyLock::new(|| {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let sec1: EcPrivateKeyRfc5915Der<'_> = key.private_key().as_der().unwrap();
    TestKey {
        pems: [pem("PRIVATE KEY", key.to_pkcs8v1().unwrap().as_ref()), pem("EC PRIVATE KEY", sec1.as_ref())],
        public: key.public_key().as_ref().to_vec(),
        algorithm: &ECDSA_P256_SHA256_ASN1,
    }
});

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

impl TestKey {
    /// What a signed URL gives access to, and until when; `None` if it is not good. Written from the
    /// developer guide, without anything of what signs.
    pub(crate) fn verify(&self, signed: &str) -> Option<(String, u64)> {
        let (url, query) = signed.split_once('?')?;
        let value = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
        };
        let expires: u64 = value("Expires")?.parse().ok()?;
        assert_eq!(value("Hash-Algorithm").as_deref(), Some("SHA256"));
        let signature: String = value("Signature")?
            .chars()
            .map(|c| match c {
                '-' => '+',
                '_' => '=',
                '~' => '/',
                c => c,
            })
            .collect();
        let policy = [
            r#"{"Statement":[{"Resource":""#,
            url,
            r#"","Condition":{"DateLessThan":{"AWS:EpochTime":"#,
            &expires.to_string(),
            "}}}]}",
        ]
        .concat();
        let key = UnparsedPublicKey::new(self.algorithm, &self.public);
        key.verify(policy.as_bytes(), &STANDARD.decode(signature).ok()?).ok()?;
        Some((url.to_owned(), expires))
    }
}
