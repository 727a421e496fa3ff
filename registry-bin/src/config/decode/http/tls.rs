//! Decodes `http.tls`.

use std::path::PathBuf;

use http::Uri;

use crate::config::model::{
    Acme, Certificate, ClientAuth, ClientCertificates, SUITES, Suite, Tls, TlsVersion,
};
use crate::config::reader::Reader;

/// Suites of TLS 1.3, which cannot be chosen from: naming them changes nothing.
const ALWAYS: [&str; 3] =
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// What Distribution knows besides, all of it without forward secrecy or with a broken way to authenticate.
const UNSAFE: [&str; 16] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
];

const MODES: [(&str, ClientAuth); 4] = [
    ("request-client-cert", ClientAuth::Request),
    ("require-any-client-cert", ClientAuth::RequireAny),
    ("verify-client-cert-if-given", ClientAuth::VerifyIfGiven),
    ("require-and-verify-client-cert", ClientAuth::RequireAndVerify),
];

/// `None` without a certificate, which is what switches TLS on.
pub(super) fn tls(reader: &Reader<'_>) -> Option<Tls> {
    let clients = clients(reader);
    let minimum = minimum(reader);
    let suites = suites(reader, minimum);
    let Some(certificate) = certificate(reader) else {
        for key in ["clientcas", "clientauth"] {
            if reader.node(key).is_some_and(|node| !node.is_blank()) {
                reader.fail(key, "without http.tls.certificate there is no TLS, so no client would be asked");
            }
        }
        return None;
    };
    let minimum = match suites.as_ref() {
        // A list without any suite for TLS 1.2 leaves TLS 1.3.
        Some(list) if list.is_empty() => TlsVersion::V13,
        Some(_) | None => minimum,
    };
    let suites = suites.unwrap_or_else(|| SUITES.iter().map(|(_, suite)| *suite).collect());
    Some(Tls { certificate, clients, minimum, suites })
}

fn certificate(reader: &Reader<'_>) -> Option<Certificate> {
    let acme = acme(&reader.section("letsencrypt"));
    match (reader.filled("certificate"), reader.filled("key")) {
        (Some(certificate), Some(key)) => {
            if acme.is_some() {
                reader.fail(
                    "letsencrypt",
                    "cannot be there together with http.tls.certificate; remove one of them",
                );
            }
            Some(Certificate::Files { certificate: PathBuf::from(certificate), key: PathBuf::from(key) })
        }
        (Some(_), None) => {
            reader.missing("key", "is missing: the file with the private key of http.tls.certificate");
            None
        }
        (None, Some(_)) => {
            reader
                .missing("certificate", "is missing: the file with the certificate that http.tls.key is for");
            None
        }
        (None, None) => acme.map(Certificate::Acme),
    }
}

fn acme(reader: &Reader<'_>) -> Option<Acme> {
    let hosts: Vec<String> = reader.texts("hosts").into_iter().filter(|host| !host.is_empty()).collect();
    let (email, directory) = (reader.filled("email"), reader.filled("directoryurl"));
    let Some(cache) = reader.filled("cachefile") else {
        if email.is_some() || directory.is_some() || !hosts.is_empty() {
            reader.missing("cachefile", "is missing: the directory where certificates are kept");
        }
        return None;
    };
    if hosts.is_empty() {
        reader.missing("hosts", "is missing: the names that clients use, for which certificates are asked");
    }
    for (index, host) in hosts.iter().enumerate() {
        let labels = |host: &str| {
            host.contains('.') && host.split('.').all(|label| !label.is_empty() && label.len() < 64)
        };
        let ascii = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
        if !labels(host) || !ascii || host.parse::<std::net::IpAddr>().is_ok() {
            reader.fail_at(
                "hosts",
                index,
                format!("{host:?} is not a host name such as registry.example.com"),
            );
        }
    }
    let directory = directory.and_then(|text| match text.parse::<Uri>() {
        Ok(uri) if uri.scheme_str() == Some("https") && uri.host().is_some() => Some(uri),
        Ok(_) | Err(_) => {
            let example = "https://acme-v02.api.letsencrypt.org/directory";
            reader.fail("directoryurl", format!("{text:?} is not a URL of https such as {example}"));
            None
        }
    });
    if let Some(email) = email.as_ref().filter(|email| !email.contains('@') || email.contains([' ', ','])) {
        reader.fail("email", format!("{email:?} is not a mail address"));
    }
    let hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
    Some(Acme { cache: PathBuf::from(cache), email, hosts, directory })
}

fn clients(reader: &Reader<'_>) -> Option<ClientCertificates> {
    let files = reader.texts("clientcas");
    let authorities: Vec<PathBuf> =
        files.into_iter().filter(|file| !file.is_empty()).map(Into::into).collect();
    let word = reader.filled("clientauth");
    let auth = match word.as_deref().map(|word| MODES.iter().find(|(name, _)| *name == word)) {
        None => ClientAuth::RequireAndVerify,
        Some(Some((_, auth))) => *auth,
        Some(None) => {
            let known = MODES.map(|(name, _)| name).join(", ");
            let word = word.as_deref().unwrap_or_default();
            reader.fail("clientauth", format!("invalid value {word:?}; it is one of {known}"));
            ClientAuth::RequireAndVerify
        }
    };
    if authorities.is_empty() {
        if word.is_some() {
            // Distribution ignores it, so that whoever meant to ask for certificates asks for none.
            reader.fail("clientauth", "asks for nothing without http.tls.clientcas; add that or remove this");
        }
        return None;
    }
    Some(ClientCertificates { authorities, auth })
}

fn minimum(reader: &Reader<'_>) -> TlsVersion {
    match reader.filled("minimumtls").as_deref() {
        None | Some("tls1.2") => TlsVersion::V12,
        Some("tls1.3") => TlsVersion::V13,
        Some(old @ ("tls1.0" | "tls1.1")) => {
            reader.fail("minimumtls", format!("{old} is not safe and not spoken any more; write tls1.2"));
            TlsVersion::V12
        }
        Some(other) => {
            reader.fail("minimumtls", format!("unknown version {other:?}; it is tls1.2 or tls1.3"));
            TlsVersion::V12
        }
    }
}

/// `None` if nothing is chosen.
fn suites(reader: &Reader<'_>, minimum: TlsVersion) -> Option<Vec<Suite>> {
    let names = reader.texts("ciphersuites");
    if names.is_empty() {
        return None;
    }
    let mut suites = Vec::new();
    let mut refused = false;
    for (index, name) in names.iter().enumerate() {
        let name = name.trim();
        match SUITES.iter().find(|(known, _)| *known == name) {
            Some((_, suite)) if suites.contains(suite) => {}
            Some((_, suite)) => suites.push(*suite),
            None if ALWAYS.contains(&name) => {}
            None if UNSAFE.contains(&name) => {
                refused = true;
                let instead = if name.contains("ECDSA") { SUITES[0].0 } else { SUITES[3].0 };
                reader.fail_at(
                    "ciphersuites",
                    index,
                    format!("{name} is not safe and not supported; remove it, or write {instead}"),
                );
            }
            None => {
                refused = true;
                let known = SUITES.map(|(name, _)| name).join(", ");
                reader.fail_at(
                    "ciphersuites",
                    index,
                    format!("unknown TLS cipher suite {name:?}; for TLS 1.2 there are {known}"),
                );
            }
        }
    }
    if refused {
        return None;
    }
    if minimum == TlsVersion::V13 {
        reader
            .warn("ciphersuites", "has no effect with minimumtls tls1.3, whose suites cannot be chosen from");
        return None;
    }
    if suites.is_empty() {
        reader.warn("ciphersuites", "has no suite for TLS 1.2, so only TLS 1.3 is spoken");
    }
    Some(suites)
}
