//! Decodes `auth.certificate`.

use registry::auth::{CertificateGroups, CertificateName};

use crate::config::model::{CertificateIdentity, Http};
use crate::config::reader::Reader;

/// The word of `key`, in any case, or what a missing one means.
fn word<T: Copy + Default>(reader: &Reader<'_>, key: &str, words: &[(&str, T)]) -> T {
    let Some(written) = reader.filled(key) else { return T::default() };
    match words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&written)) {
        Some((_, value)) => *value,
        None => {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            reader.fail(key, format!("unknown value {written:?}; it is one of {}", known.join(", ")));
            T::default()
        }
    }
}

pub(super) fn certificate(reader: &Reader<'_>) -> CertificateIdentity {
    CertificateIdentity {
        name: word(reader, "name", &CertificateName::ALL),
        groups: word(reader, "groups", &CertificateGroups::ALL),
    }
}

/// Reports that no certificate would ever count; `auth` is the section around.
pub(super) fn check(auth: &Reader<'_>, http: &Http) {
    let clients = http.tls.as_ref().and_then(|tls| tls.clients.as_ref());
    match clients {
        None => auth.missing(
            "certificate",
            "needs http.tls.clientcas: the authorities whose certificates tell who a client is",
        ),
        Some(clients) if !clients.auth.verifies() => auth.missing(
            "certificate",
            "needs certificates that are verified; write verify-client-cert-if-given or \
             require-and-verify-client-cert in http.tls.clientauth",
        ),
        Some(_) => {}
    }
}
