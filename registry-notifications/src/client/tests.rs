//! Targets, redirects and proxies, without a network.

use hyper_util::client::proxy::matcher::Matcher;

use super::*;

fn target(text: &str) -> Target {
    Target::of(&text.parse().unwrap()).unwrap()
}

#[test]
fn a_target_is_a_server_and_a_path() {
    let plain = target("http://user:pass@host/a?b=c");
    assert_eq!(
        (plain.secure, plain.host.as_str(), plain.port, plain.path.as_str()),
        (false, "host", 80, "/a?b=c")
    );
    assert_eq!(plain.authority(), "host");
    assert_eq!(target("https://[::1]:8443").authority(), "[::1]:8443");
    assert_eq!(target("https://host:443").authority(), "host");
    assert_eq!(plain.uri(true).unwrap(), "http://host/a?b=c");
    assert_eq!(plain.uri(false).unwrap(), "/a?b=c");
    for refused in ["ftp://host/", "/path", "host:80"] {
        assert_eq!(Target::of(&refused.parse().unwrap()), None, "{refused}");
    }
}

#[test]
fn redirects_lead_where_they_say() {
    let here = target("https://host:8443/a/b?c=d");
    for (location, expected) in [
        ("http://other/x", "http://other/x"),
        ("//other/x", "https://other/x"),
        ("/x?y", "https://host:8443/x?y"),
        ("x", "https://host:8443/a/x"),
    ] {
        assert_eq!(here.join(location), Some(target(expected)), "{location}");
    }
    assert_eq!(here.join("ftp://other/"), None);
}

#[test]
fn a_password_is_sent_and_not_shown() {
    let uri: Uri = "https://Aladdin:open%20sesame@host:1/p?token=t".parse().unwrap();
    assert_eq!(shown(&uri), "https://host:1/p");
    let value = basic(&uri).unwrap();
    assert_eq!(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert!(value.is_sensitive());
    assert!(basic(&"https://host/".parse().unwrap()).is_none());
}

#[test]
fn proxies_are_for_others_than_this_machine() {
    let proxies = Matcher::builder().all("http://u:p@proxy:3128").no("internal.example").build();
    let outside = Outside::with_proxies(proxies);
    let proxy = outside.proxy(&target("https://hooks.example/")).unwrap();
    assert_eq!(proxy.uri.host(), Some("proxy"));
    assert!(proxy.authorization.is_some());
    for own in ["http://localhost/", "http://127.0.0.1:9/", "https://[::1]/", "http://internal.example/"] {
        assert!(outside.proxy(&target(own)).is_none(), "{own}");
    }
}
