//! Certificates and who issued them.

use super::*;

/// A certificate and its key.
pub(crate) struct Certified {
    pub(crate) certificate: Certificate,
    pub(crate) key: KeyPair,
    pub(crate) params: CertificateParams,
}

impl Certified {
    pub(crate) fn params(name: &str, authority: bool) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        if authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        }
        params
    }

    pub(crate) fn root(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { certificate: params.self_signed(&key).unwrap(), key, params }
    }

    pub(crate) fn issue(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        Self { certificate: params.signed_by(&key, &issuer).unwrap(), key, params }
    }

    pub(crate) fn signer(&self) -> Signer {
        Signer::es256(&self.key.serialize_der())
    }

    /// A token that is signed by this, with this and the `others` in `x5c`.
    pub(crate) fn token(&self, others: &[&Self]) -> String {
        self.signer().token(json!({"x5c": self.x5c(others)}), &claims())
    }

    pub(crate) fn x5c(&self, others: &[&Self]) -> Vec<String> {
        let all = std::iter::once(self).chain(others.iter().copied());
        all.map(|one| STANDARD.encode(one.certificate.der())).collect()
    }
}
