//! `http`: TLS, versions of HTTP, several addresses, the PROXY protocol.

use std::path::PathBuf;

use super::*;
use crate::config::model::{Acme, Address, Certificate, ClientAuth, Http, SUITES, Suite, TlsVersion};

fn http(text: &str) -> Http {
    clean(&format!("{BASE}http: {text}\n"), &[]).http
}

#[test]
fn a_certificate_switches_tls_on() {
    assert_eq!(http("{addr: ':1'}").tls, None);
    let http = http("{tls: {certificate: /c, key: /k}}");
    let tls = http.tls.unwrap();
    let files = Certificate::Files { certificate: PathBuf::from("/c"), key: PathBuf::from("/k") };
    assert_eq!((tls.certificate, tls.clients, tls.minimum), (files, None, TlsVersion::V12));
    assert_eq!(tls.suites, SUITES.map(|(_, suite)| suite));
    assert!(http.http2 && !http.h2c && http.proxy_protocol.is_none());
}

#[test]
fn everything_about_tls_is_read() {
    for (word, auth) in [
        ("", ClientAuth::RequireAndVerify),
        ("clientauth: request-client-cert", ClientAuth::Request),
        ("clientauth: require-any-client-cert", ClientAuth::RequireAny),
        ("clientauth: verify-client-cert-if-given", ClientAuth::VerifyIfGiven),
        ("clientauth: require-and-verify-client-cert", ClientAuth::RequireAndVerify),
    ] {
        let clients = http(&format!("{{tls: {{certificate: c, key: k, clientcas: [a, b], {word}}}}}"));
        let clients = clients.tls.unwrap().clients.unwrap();
        assert_eq!((clients.authorities, clients.auth), (vec!["a".into(), "b".into()], auth), "{word}");
    }
    let tls = |text: &str| http(&format!("{{tls: {{certificate: c, key: k, {text}}}}}")).tls.unwrap();
    assert_eq!(tls("minimumtls: tls1.3").minimum, TlsVersion::V13);
    let chosen = tls("ciphersuites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256]");
    assert_eq!(chosen.suites, [Suite::RsaAes256]);
    let http = http("{http2: {disabled: true}, h2c: {enabled: true}}");
    assert!(!http.http2 && http.h2c);
}

#[test]
fn lets_encrypt_is_read() {
    let text = "{tls: {letsencrypt: {cachefile: /d, email: a@b.example, hosts: [R.example.com], directoryurl: 'https://x/dir'}}}";
    let acme = Acme {
        cache: PathBuf::from("/d"),
        email: Some("a@b.example".into()),
        hosts: vec!["r.example.com".into()],
        directory: Some("https://x/dir".parse().unwrap()),
    };
    assert_eq!(http(text).tls.unwrap().certificate, Certificate::Acme(acme));
}

#[test]
fn several_addresses_have_commas_between_them() {
    let addresses = |text: &str| {
        let list = http(text).addrs;
        list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(addresses("{addr: '127.0.0.1:1, [::1]:1,:2'}"), "127.0.0.1:1 [::1]:1 :2");
    assert_eq!(addresses("{addr: ':1,unix:/run/r.sock'}"), ":1 unix:/run/r.sock");
    // The path of a socket is one path, whatever is in it.
    assert_eq!(http("{net: unix, addr: '/a,b'}").addrs, [Address::Unix("/a,b".into())]);
    let from_environment = clean(BASE, &[("REGISTRY_HTTP_ADDR", "127.0.0.1:1,[::1]:1")]);
    assert_eq!(from_environment.http.addrs.len(), 2);
}

#[test]
fn the_proxies_that_are_believed_are_read() {
    let protocol =
        http("{proxyprotocol: {enabled: true, trusted: [10.0.0.0/8, '::1', unix]}}").proxy_protocol.unwrap();
    let networks = ["10.0.0.0/8", "::1"].map(|text| registry::core::Network::parse(text).unwrap());
    assert_eq!((protocol.trusted.as_slice(), protocol.unix), (networks.as_slice(), true));
    assert_eq!(http("{proxyprotocol: {enabled: false, trusted: [10.0.0.0/8]}}").proxy_protocol, None);
}

#[test]
fn the_environment_reaches_tls_too() {
    let variables = [
        ("REGISTRY_HTTP_TLS_CERTIFICATE", "/c"),
        ("REGISTRY_HTTP_TLS_KEY", "/k"),
        ("REGISTRY_HTTP_TLS_CLIENTCAS_0", "/a"),
        ("REGISTRY_HTTP_TLS_CLIENTAUTH", "require-any-client-cert"),
        ("REGISTRY_HTTP_TLS_MINIMUMTLS", "tls1.3"),
        ("REGISTRY_HTTP_H2C_ENABLED", "true"),
        ("REGISTRY_HTTP_PROXYPROTOCOL_ENABLED", "true"),
        ("REGISTRY_HTTP_PROXYPROTOCOL_TRUSTED_0", "127.0.0.1"),
    ];
    let http = clean(BASE, &variables).http;
    let tls = http.tls.unwrap();
    assert_eq!(tls.clients.unwrap().auth, ClientAuth::RequireAny);
    assert_eq!(tls.minimum, TlsVersion::V13);
    assert!(http.h2c && http.proxy_protocol.is_some());
}

#[test]
fn mistakes_about_connections_have_their_message() {
    for (text, message) in [
        (
            "{tls: {certificate: /c}}",
            "http.tls.key: is missing: the file with the private key of http.tls.certificate",
        ),
        (
            "{tls: {key: /k}}",
            "http.tls.certificate: is missing: the file with the certificate that http.tls.key is for",
        ),
        (
            "{tls: {clientcas: [/a]}}",
            "http.tls.clientcas: without http.tls.certificate there is no TLS, so no client would be asked",
        ),
        (
            "{tls: {certificate: c, key: k, clientauth: require-any-client-cert}}",
            "http.tls.clientauth: asks for nothing without http.tls.clientcas; add that or remove this",
        ),
        (
            "{tls: {certificate: c, key: k, clientcas: [a], clientauth: none}}",
            "http.tls.clientauth: invalid value \"none\"; it is one of request-client-cert, require-any-client-cert, verify-client-cert-if-given, require-and-verify-client-cert",
        ),
        (
            "{tls: {certificate: c, key: k, minimumtls: tls1.0}}",
            "http.tls.minimumtls: tls1.0 is not safe and not spoken any more; write tls1.2",
        ),
        (
            "{tls: {certificate: c, key: k, minimumtls: tls1.1}}",
            "http.tls.minimumtls: tls1.1 is not safe and not spoken any more; write tls1.2",
        ),
        (
            "{tls: {certificate: c, key: k, minimumtls: '1.3'}}",
            "http.tls.minimumtls: unknown version \"1.3\"; it is tls1.2 or tls1.3",
        ),
        (
            "{tls: {certificate: c, key: k, ciphersuites: [TLS_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_128_CBC_SHA]}}",
            "http.tls.ciphersuites[1]: TLS_RSA_WITH_AES_128_CBC_SHA is not safe and not supported; remove it, or write TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ),
        (
            "{tls: {certificate: c, key: k, ciphersuites: [TLS_NONE]}}",
            "http.tls.ciphersuites[0]: unknown TLS cipher suite \"TLS_NONE\"; for TLS 1.2 there are TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        ),
        (
            "{tls: {certificate: c, key: k, letsencrypt: {cachefile: /d, hosts: [a.example]}}}",
            "http.tls.letsencrypt: cannot be there together with http.tls.certificate; remove one of them",
        ),
        (
            "{tls: {letsencrypt: {hosts: [a.example]}}}",
            "http.tls.letsencrypt.cachefile: is missing: the directory where certificates are kept",
        ),
        (
            "{tls: {letsencrypt: {cachefile: /d}}}",
            "http.tls.letsencrypt.hosts: is missing: the names that clients use, for which certificates are asked",
        ),
        (
            "{tls: {letsencrypt: {cachefile: /d, hosts: [a.example, '*.b.example']}}}",
            "http.tls.letsencrypt.hosts[1]: \"*.b.example\" is not a host name such as registry.example.com",
        ),
        (
            "{tls: {letsencrypt: {cachefile: /d, hosts: [../a]}}}",
            "http.tls.letsencrypt.hosts[0]: \"../a\" is not a host name such as registry.example.com",
        ),
        (
            "{tls: {letsencrypt: {cachefile: /d, hosts: [a.example], directoryurl: 'http://x/'}}}",
            "http.tls.letsencrypt.directoryurl: \"http://x/\" is not a URL of https such as https://acme-v02.api.letsencrypt.org/directory",
        ),
        (
            "{tls: {letsencrypt: {cachefile: /d, hosts: [a.example], email: nobody}}}",
            "http.tls.letsencrypt.email: \"nobody\" is not a mail address",
        ),
        ("{addr: ':1,:1'}", "http.addr: :1 is there twice"),
        (
            "{addr: ':1,'}",
            "http.addr: \"\" is not an address such as :5000 or localhost:5000: the port is missing",
        ),
        (
            "{proxyprotocol: {enabled: true}}",
            "http.proxyprotocol.trusted: is missing: name the addresses of the proxies, or every client could say that it is another",
        ),
        (
            "{proxyprotocol: {enabled: true, trusted: [localhost]}}",
            "http.proxyprotocol.trusted[0]: \"localhost\" is not the address of a proxy, such as 10.0.0.0/8, 192.0.2.1 or unix",
        ),
    ] {
        let errors = errors(&format!("{BASE}http: {text}\n"), &[]);
        let place = errors[0].strip_prefix("c.yml:3:").and_then(|rest| rest.split_once(": "));
        assert_eq!((errors.len(), place.map(|(_, text)| text)), (1, Some(message)), "{text}: {errors:?}");
    }
}

#[test]
fn what_cannot_be_meant_gets_a_warning() {
    for (text, message) in [
        (
            "minimumtls: tls1.3, ciphersuites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]",
            "has no effect with minimumtls tls1.3, whose suites cannot be chosen from",
        ),
        ("ciphersuites: [TLS_AES_128_GCM_SHA256]", "has no suite for TLS 1.2, so only TLS 1.3 is spoken"),
    ] {
        let found = warnings(&format!("{BASE}http: {{tls: {{certificate: c, key: k, {text}}}}}\n"), &[]);
        assert!(
            found.len() == 1 && found[0].ends_with(&format!("http.tls.ciphersuites: {message}")),
            "{found:?}"
        );
    }
}
