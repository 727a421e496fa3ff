//! Variables: where they land and what they mean.

use super::*;
use crate::config::model::{Config, Driver, Level, Platforms};
use crate::config::schema::UNSUPPORTED;

fn with(environment: &[(&str, &str)]) -> Config {
    clean(BASE, environment)
}

fn secret(value: &str) -> String {
    with(&[("REGISTRY_HTTP_SECRET", value)])
        .http
        .secret
        .map(|secret| secret.expose().to_owned())
        .unwrap_or_default()
}

#[test]
fn single_values_replace_those_of_the_file() {
    let text = format!("{BASE}log: {{level: error}}\nhttp: {{addr: ':1', relativeurls: true}}\n");
    let config = clean(
        &text,
        &[
            ("REGISTRY_LOG_LEVEL", "debug"),
            ("REGISTRY_HTTP_ADDR", ":2"),
            ("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
            ("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true"),
            ("REGISTRY_CATALOG_MAXENTRIES", "5"),
            ("REGISTRY_HTTP_DRAINTIMEOUT", "5s"),
            ("OTHER_HTTP_ADDR", ":3"),
            ("registry_http_addr", ":4"),
        ],
    );
    assert_eq!(config.log.level, Level::Debug);
    assert_eq!(config.http.addrs[0].to_string(), ":2");
    assert!(config.http.relative_urls && config.storage.delete_enabled && config.storage.read_only);
    assert_eq!((config.catalog_max_entries, config.http.drain_timeout.as_secs()), (5, 5));
}

#[test]
fn text_is_taken_as_it_is() {
    for value in [
        "abc #def", "a: b", "@x", "`x`", "*x", "&x", "!x", "{x", "[x]", "%x", "- x", "? x", "012", "true",
        "null", "a\"b", "x'",
    ] {
        assert_eq!(secret(value), value);
    }
    // The original needs quotes for some of these, so quotes around the whole are not part of the text.
    assert_eq!(secret("\"a: b\""), "a: b");
    assert_eq!(secret("'abc #def'"), "abc #def");
    assert_eq!(secret("\"open"), "\"open");
    assert_eq!(secret("'a' or 'b'"), "'a' or 'b'");
    assert_eq!(secret(" padded\n"), "padded");
    assert_eq!(secret(""), "");
}

#[test]
fn sections_and_lists_are_yaml_and_replace_the_whole() {
    let text = format!("{BASE}http: {{addr: ':1', relativeurls: true}}\n");
    let config = clean(
        &text,
        &[
            ("REGISTRY_HTTP", "{addr: ':99'}"),
            ("REGISTRY_HTTP_PREFIX", "/p/"),
            ("REGISTRY_LOG", "{\"level\": \"warn\", \"fields\": {\"a\": 1}}"),
        ],
    );
    assert_eq!((config.http.addrs[0].to_string().as_str(), config.http.relative_urls), (":99", false));
    assert_eq!(config.http.prefix.as_deref(), Some("/p/"));
    assert_eq!((config.log.level, config.log.fields.len()), (Level::Warn, 1));
    let allow = clean(BASE, &[("REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW", "[a, b]")]).validation.urls_allow;
    assert_eq!(allow, ["a", "b"]);
}

#[test]
fn lists_by_index() {
    let text = format!("{BASE}validation: {{manifests: {{urls: {{allow: [a, b]}}}}}}\n");
    let allow = |environment: &[(&str, &str)]| clean(&text, environment).validation.urls_allow;
    assert_eq!(allow(&[("REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0", "x")]), ["x", "b"]);
    assert_eq!(allow(&[("REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_2", "c")]), ["a", "b", "c"]);
    let name = "REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_3";
    assert_eq!(
        errors(&text, &[(name, "x")]),
        [format!(
            "{name}: validation.manifests.urls.allow: undefined index 3: the list has 2 entries, 2 would add one"
        )]
    );
    let name = "REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_FIRST";
    assert_eq!(
        errors(&text, &[(name, "x")]),
        [format!(
            "{name}: validation.manifests.urls.allow: non-numeric index \"FIRST\" for an entry of a list"
        )]
    );
    let loaded = load_with(
        BASE,
        &[
            ("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS", "list"),
            ("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_OS", "linux"),
            ("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_ARCHITECTURE", "arm64"),
        ],
    )
    .unwrap();
    let Platforms::List(list) = loaded.config.validation.platforms else { panic!("not a list") };
    assert_eq!((list.len(), list[0].os.as_str(), list[0].architecture.as_str()), (1, "linux", "arm64"));
}

#[test]
fn keys_of_the_operators_own() {
    let text = format!("{BASE}http: {{headers: {{X-Content-Type-Options: [nosniff]}}}}\n");
    let headers = |environment: &[(&str, &str)]| -> Vec<String> {
        let headers = clean(&text, environment).http.headers;
        headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect()
    };
    assert_eq!(
        headers(&[("REGISTRY_HTTP_HEADERS_X-CONTENT-TYPE-OPTIONS", "[a]")]),
        ["x-content-type-options=a"]
    );
    assert_eq!(
        headers(&[("REGISTRY_HTTP_HEADERS_X_CONTENT_TYPE_OPTIONS_0", "a")]),
        ["x-content-type-options=a"]
    );
    assert_eq!(
        headers(&[("REGISTRY_HTTP_HEADERS_AUTHORIZATION", "[x]"), ("REGISTRY_HTTP_HEADERS_X_NEW_0", "y")]),
        ["x-content-type-options=nosniff", "authorization=x", "x-new=y"]
    );
    let fields =
        with(&[("REGISTRY_LOG_FIELDS_SERVICE", "registry"), ("REGISTRY_LOG_FIELDS_MY_ZONE", "a: b: c")])
            .log
            .fields;
    assert_eq!(fields, [("my_zone".to_owned(), "a: b: c".into()), ("service".to_owned(), "registry".into())]);
}

#[test]
fn storage_by_name_replaces_the_section() {
    let text = "version: 0.1\nstorage: {filesystem: {rootdirectory: /a}, delete: {enabled: true}}\n";
    let storage = clean(text, &[("REGISTRY_STORAGE", "inmemory")]).storage;
    assert_eq!((storage.driver, storage.delete_enabled), (Driver::InMemory, false));
    let storage = clean(text, &[("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/d")]).storage;
    assert_eq!(storage.driver, Driver::Filesystem { root: "/d".into(), max_threads: 100 });
    assert!(storage.delete_enabled);
    let storage = clean(
        BASE,
        &[("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/d"), ("REGISTRY_STORAGE", "filesystem")],
    )
    .storage;
    assert_eq!(storage.driver, Driver::Filesystem { root: "/d".into(), max_threads: 100 });
}

#[test]
fn mistakes_name_the_variable() {
    let file = "version: 0.1\nstorage: {filesystem: {rootdirectory: /a}}\nhttp: {addr: ':1'}\n";
    for (name, value, expected) in [
        ("REGISTRY_HTTP_ADDR", "5000", "http.addr: \"5000\" is not an address such as :5000 or localhost:5000: the port is missing".to_owned()),
        ("REGISTRY_LOG_LEVEL", "loud", "log.level: invalid loglevel \"loud\"; it is one of error, warn, info, debug".to_owned()),
        ("REGISTRY_LOGLEVEL", "loud", "loglevel: invalid loglevel \"loud\"; it is one of error, warn, info, debug".to_owned()),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "maybe", "storage.delete.enabled: expected true or false, found \"maybe\"".to_owned()),
        ("REGISTRY_STORAGE_FILESYSTEM", "/data", "storage.filesystem: expected a section, found a single value".to_owned()),
        ("REGISTRY_HTTP_HEADERS", "{X: [a}", "http.headers: the value is not valid YAML".to_owned()),
        ("REGISTRY_HTTP", "{adr: x}", "http.adr: unknown key; did you mean http.addr?".to_owned()),
        ("REGISTRY_HTTP", "{net: tcp, net: tcp}", "http.net: this key is already given at REGISTRY_HTTP".to_owned()),
        ("REGISTRY_STORAGE_INMEMORY", "", "storage: must provide exactly one storage type, found [filesystem inmemory] (filesystem by line 2, inmemory by REGISTRY_STORAGE_INMEMORY); set REGISTRY_STORAGE=inmemory as well to replace the file's storage section".to_owned()),
        ("REGISTRY_AUTH", "{htpasswd: {realm: r}}", "auth.htpasswd.path: must be set for htpasswd access controller; name the file with the users".to_owned()),
        ("REGISTRY_PROXY_REMOTEURL", "http://x", format!("proxy.remoteurl: {UNSUPPORTED}")),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL", "x", "notifications.endpoints[0].url: is not a URL of http or https; write it like https://hooks.example.com/events".to_owned()),
        ("REGISTRY_REDIS_OPTIONS_ADDRS", "[x]", "redis.addrs: \"x\" is not an address such as redis.example.com:6379".to_owned()),
        ("REGISTRY_REDIS_ADDRS_0", "redis://ann:secret@r:6379", "redis.addrs: is not an address such as redis.example.com:6379; who logs in is in redis.username and redis.password".to_owned()),
        ("REGISTRY_REDIS_ADDRS_0", "x", "redis.addrs: \"x\" is not an address such as redis.example.com:6379".to_owned()),
        ("REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_BASEURL", "x", "middleware.storage[0].name: is missing; it is one of cloudfront, redirect, rewrite".to_owned()),
        ("REGISTRY_MIDDLEWARE_REGISTRY_0_NAME", "x", format!("middleware.registry[0]: {UNSUPPORTED}")),
        ("REGISTRY_AUTH_HTPASWD_PATH", "/x", "not a configuration key; the registry will not guess about access control".to_owned()),
        ("REGISTRY_AUHT", "htpasswd", "not a configuration key; the registry will not guess about access control".to_owned()),
        ("REGISTRY_HTPASSWD_PATH", "/x", "not a configuration key; the registry will not guess about access control".to_owned()),
    ] {
        assert_eq!(errors(file, &[(name, value)]), [format!("{name}: {expected}")], "{name}={value}");
    }
    let misplaced = format!("{BASE}http: text\n");
    assert_eq!(
        errors(&misplaced, &[("REGISTRY_HTTP_ADDR", ":1")]),
        ["c.yml:3:7: http: expected a section, found a single value"]
    );
}

#[test]
fn variables_without_a_place_are_only_warned_about() {
    for (name, value) in [
        ("REGISTRY_PORT", "tcp://10.0.0.1:5000"),
        ("REGISTRY_PORT_5000_TCP_ADDR", "10.0.0.1"),
        ("REGISTRY_SERVICE_HOST", "10.0.0.1"),
        ("REGISTRY_SERVICE_PORT_HTTPS", "443"),
        ("REGISTRY_AUTH_PORT", "tcp://10.0.0.1:5000"),
        ("REGISTRY_AUTH_SERVICE_HOST", "10.0.0.1"),
        ("REGISTRY_STORAGE_PORT", "tcp://10.0.0.1:5000"),
    ] {
        let warnings = warnings(BASE, &[(name, value)]);
        assert!(
            warnings.len() == 1 && warnings[0].starts_with(&format!("{name}: not a configuration key")),
            "{warnings:?}"
        );
        assert!(warnings[0].contains("Kubernetes"), "{warnings:?}");
    }
    for name in [
        "REGISTRY_HTTP_ADDR_FOO",
        "REGISTRY_HTPP_ADDR",
        "REGISTRY_",
        "REGISTRY__",
        "REGISTRY_HTTP_",
        "REGISTRY_PATH",
    ] {
        assert_eq!(warnings(BASE, &[(name, "x")]), [format!("{name}: not a configuration key, ignored")]);
    }
    assert_eq!(
        warnings(BASE, &[("REGISTRY_VERSION", "2")]),
        ["REGISTRY_VERSION: version: ignored: the version of the file cannot be overridden"]
    );
    clean(BASE, &[("REGISTRY_CONFIGURATION_PATH", "/etc/x.yml")]);
}

#[test]
fn access_control_goes_away_only_by_name() {
    let text = format!("{BASE}auth: {{htpasswd: {{realm: r, path: /p}}}}\n");
    clean(&text, &[("REGISTRY_AUTH", "none")]);
    assert_eq!(
        errors(&text, &[("REGISTRY_AUTH", "")]),
        ["REGISTRY_AUTH: auth: is empty; write `none` to run without access control"]
    );
    clean(BASE, &[("REGISTRY_AUTH", "")]);
}

#[test]
fn an_empty_value_means_the_default() {
    let text = format!("{BASE}http: {{addr: ':1', draintimeout: 5s}}\ncatalog: {{maxentries: 5}}\n");
    let config = clean(
        &text,
        &[("REGISTRY_HTTP_ADDR", ""), ("REGISTRY_HTTP_DRAINTIMEOUT", ""), ("REGISTRY_CATALOG", "")],
    );
    assert_eq!((config.http.addrs[0].to_string().as_str(), config.catalog_max_entries), (":5000", 1000));
    assert_eq!(config.http.drain_timeout.as_secs(), 10);
}

#[test]
fn a_name_that_leads_too_deep_is_no_key() {
    let deep = format!("REGISTRY_LOG_FIELDS{}", "_A".repeat(60_000));
    let found = warnings(BASE, &[(&deep, "1")]);
    assert_eq!(found, [format!("{deep}: not a configuration key, ignored")]);
}
