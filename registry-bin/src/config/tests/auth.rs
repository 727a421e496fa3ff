//! `auth`: providers, one at most, and what stands beside them.

use super::*;
use registry::auth::{CertificateGroups, CertificateName};

use crate::config::model::{CertificateIdentity, Provider};

fn provider(text: &str, environment: &[(&str, &str)]) -> Provider {
    clean(&format!("{BASE}{text}\n"), environment).auth.provider
}

#[test]
fn without_a_provider_there_is_none() {
    for text in ["", "auth:", "auth: {}", "auth: none", "auth: NONE", "auth: {none: }", "auth: {none: {}}"] {
        assert_eq!(provider(text, &[]), Provider::None, "{text}");
    }
}

#[test]
fn silly_is_read() {
    let silly =
        |realm: &str, service: &str| Provider::Silly { realm: realm.to_owned(), service: service.to_owned() };
    assert_eq!(provider("auth: {silly: {realm: r, service: s}}", &[]), silly("r", "s"));
    // As in Distribution, empty text is text.
    assert_eq!(provider("auth: {silly: {realm: '', service: 5}}", &[]), silly("", "5"));
    let of_environment = [
        ("REGISTRY_AUTH", "silly"),
        ("REGISTRY_AUTH_SILLY_REALM", "r"),
        ("REGISTRY_AUTH_SILLY_SERVICE", "s"),
    ];
    assert_eq!(provider("", &of_environment), silly("r", "s"));
    assert_eq!(provider("auth: none", &of_environment), silly("r", "s"));
    assert_eq!(provider("", &of_environment[1..]), silly("r", "s"));
    assert_eq!(provider("", &[("REGISTRY_AUTH", "{silly: {realm: r, service: s}}")]), silly("r", "s"));
}

#[test]
fn htpasswd_is_read() {
    let htpasswd =
        |realm: &str, path: &str| Provider::Htpasswd { realm: realm.to_owned(), path: path.into() };
    assert_eq!(provider("auth: {htpasswd: {realm: r, path: /p}}", &[]), htpasswd("r", "/p"));
    let of_environment =
        [("REGISTRY_AUTH_HTPASSWD_REALM", "Here it is"), ("REGISTRY_AUTH_HTPASSWD_PATH", "a/b")];
    assert_eq!(provider("", &of_environment), htpasswd("Here it is", "a/b"));
    assert_eq!(
        provider("auth: {htpasswd: {realm: r, path: /p}}", &of_environment[1..]),
        htpasswd("r", "a/b")
    );
    let replaced = [("REGISTRY_AUTH", "htpasswd"), of_environment[0], of_environment[1]];
    assert_eq!(provider("auth: {silly: {realm: r, service: s}}", &replaced), htpasswd("Here it is", "a/b"));
}

#[test]
fn certificates_are_read_beside_any_provider() {
    const TLS: &str =
        "http: {tls: {certificate: a, key: b, clientcas: [c], clientauth: verify-client-cert-if-given}}\n";
    let read =
        |text: &str, environment: &[(&str, &str)]| clean(&format!("{BASE}{TLS}{text}\n"), environment).auth;
    let of = |name, groups| Some(CertificateIdentity { name, groups });
    let usual = of(CertificateName::SubjectCn, CertificateGroups::None);
    for text in [
        "auth: certificate",
        "auth: {certificate: }",
        "auth: {certificate: {}}",
        "auth: {none: , certificate: }",
    ] {
        let auth = read(text, &[]);
        assert_eq!((auth.provider, auth.certificate), (Provider::None, usual), "{text}");
    }
    assert_eq!(read("auth: none", &[]).certificate, None);
    for (word, name) in CertificateName::ALL {
        assert_eq!(
            read(&format!("auth: {{certificate: {{name: {word}}}}}"), &[]).certificate.unwrap().name,
            name
        );
    }
    for (word, groups) in CertificateGroups::ALL {
        let variable = [("REGISTRY_AUTH_CERTIFICATE_GROUPS", word)];
        assert_eq!(read("", &variable).certificate.unwrap().groups, groups);
    }
    let auth = read("auth: {htpasswd: {realm: r, path: /p}, certificate: {name: URI, groups: ou}}", &[]);
    assert!(matches!(auth.provider, Provider::Htpasswd { .. }));
    assert_eq!(auth.certificate, of(CertificateName::Uri, CertificateGroups::Ou));
}

#[test]
fn certificates_that_nobody_verifies_tell_nothing() {
    let nobody =
        "auth.certificate: needs http.tls.clientcas: the authorities whose certificates tell who a client is";
    let tls = |rest: &str| format!("http: {{tls: {{certificate: a, key: b{rest}}}}}\n");
    let unverified = "auth.certificate: needs certificates that are verified; write verify-client-cert-if-given or require-and-verify-client-cert in http.tls.clientauth";
    for (listener, expected) in [
        (String::new(), nobody),
        (tls(""), nobody),
        (tls(", clientcas: [c], clientauth: request-client-cert"), unverified),
        (tls(", clientcas: [c], clientauth: require-any-client-cert"), unverified),
    ] {
        let text = format!("{BASE}auth: {{certificate: {{name: dns}}}}\n{listener}");
        assert_eq!(errors(&text, &[]), [format!("c.yml:3:8: {expected}")], "{listener}");
    }
}

#[test]
fn there_is_one_provider() {
    let text =
        format!("{BASE}auth:\n  silly: {{realm: r, service: s}}\n  htpasswd: {{realm: r, path: /p}}\n");
    assert_eq!(
        errors(&text, &[]).last().unwrap(),
        "c.yml:5:3: auth: must provide exactly one type. Provided: [silly htpasswd] (silly by line 4, htpasswd by line 5)"
    );
    // Distribution takes one of the two, and not always the same.
    let text = format!("{BASE}auth: {{silly: {{realm: r, service: s}}}}\n");
    assert_eq!(
        errors(&text, &[("REGISTRY_AUTH_NONE", "x")]),
        [
            "REGISTRY_AUTH_NONE: auth: must provide exactly one type. Provided: [silly none] (silly by line 3, none by REGISTRY_AUTH_NONE); set REGISTRY_AUTH=none as well to replace the file's auth section"
        ]
    );
}

#[test]
fn mistakes_in_providers_are_told() {
    for (text, expected) in [
        (
            "auth: silly",
            &[
                "3:7: auth.silly.realm: must be set for silly access controller",
                "3:7: auth.silly.service: must be set for silly access controller",
            ][..],
        ),
        ("auth: {silly: {realm: r}}", &["3:8: auth.silly.service: must be set for silly access controller"]),
        (
            "auth: {silly: {realm: \"a\\nb\", service: s}}",
            &["3:23: auth.silly.realm: has a control character, which no header may carry"],
        ),
        (
            "auth: {silly: {realm: [r], service: s}}",
            &["3:23: auth.silly.realm: expected a single value, found a list"],
        ),
        (
            "auth: {silly: {realm: r, service: s, path: p}}",
            &["3:38: auth.silly.path: unknown key; did you mean auth.htpasswd.path?"],
        ),
        (
            "auth: htpasswd",
            &[
                "3:7: auth.htpasswd.realm: must be set for htpasswd access controller",
                "3:7: auth.htpasswd.path: must be set for htpasswd access controller; name the file with the users",
            ],
        ),
        (
            "auth: {htpasswd: {realm: r, path: ''}}",
            &[
                "3:29: auth.htpasswd.path: must be set for htpasswd access controller; name the file with the users",
            ],
        ),
        (
            "auth: {htpasswd: {realm: r, path: /p, users: x}}",
            &["3:39: auth.htpasswd.users: unknown key; did you mean auth.issuer.users?"],
        ),
        (
            "http: {tls: {certificate: a, key: b, clientcas: [c]}}\nauth: {certificate: {name: cn, groups: dn}}",
            &[
                "4:28: auth.certificate.name: unknown value \"cn\"; it is one of subject-cn, uri, dns, email",
                "4:40: auth.certificate.groups: unknown value \"dn\"; it is one of none, ou, o",
            ],
        ),
    ] {
        let expected: Vec<String> = expected.iter().map(|line| format!("c.yml:{line}")).collect();
        assert_eq!(errors(&format!("{BASE}{text}\n"), &[]), expected, "{text}");
    }
}
