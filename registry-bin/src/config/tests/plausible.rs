//! The hundred most plausible mistakes: what people write, and that they read where it is and what to do.

use super::*;

/// What is written after a complete beginning, so that its first line is line 3; then place and key, and the part
/// of the message that says what to do.
const MISTAKES: &[(&str, &str, &str)] = &[
    // Indented wrongly, or put at another level.
    ("addr: :5000", "3:1: addr", "did you mean http.addr?"),
    ("secret: x", "3:1: secret", "did you mean http.secret?"),
    ("host: https://x", "3:1: host", "did you mean http.host?"),
    ("headers: {}", "3:1: headers", "did you mean http.headers?"),
    ("tls: {certificate: /c}", "3:1: tls", "did you mean http.tls?"),
    ("debug: {addr: ':5001'}", "3:1: debug", "did you mean http.debug?"),
    ("prometheus: {enabled: true}", "3:1: prometheus", "did you mean http.debug.prometheus?"),
    ("level: debug", "3:1: level", "did you mean log.level?"),
    ("formatter: json", "3:1: formatter", "did you mean log.formatter?"),
    ("accesslog: {disabled: true}", "3:1: accesslog", "did you mean log.accesslog?"),
    ("hooks: []", "3:1: hooks", "did you mean log.hooks?"),
    ("delete: {enabled: true}", "3:1: delete", "did you mean storage.delete?"),
    ("maintenance: {readonly: {enabled: true}}", "3:1: maintenance", "did you mean storage.maintenance?"),
    ("readonly: {enabled: true}", "3:1: readonly", "did you mean"),
    ("cache: {blobdescriptor: inmemory}", "3:1: cache", "did you mean storage.cache?"),
    ("redirect: {disable: true}", "3:1: redirect", "did you mean storage.redirect?"),
    ("filesystem: {rootdirectory: /x}", "3:1: filesystem", "did you mean storage.filesystem?"),
    ("rootdirectory: /x", "3:1: rootdirectory", "did you mean"),
    ("s3: {bucket: b}", "3:1: s3", "unknown key"),
    ("htpasswd: {realm: r, path: /p}", "3:1: htpasswd", "did you mean auth.htpasswd?"),
    ("token: {realm: r}", "3:1: token", "did you mean auth.token?"),
    ("remoteurl: https://registry-1.docker.io", "3:1: remoteurl", "did you mean proxy.remoteurl?"),
    ("endpoints: []", "3:1: endpoints", "did you mean notifications.endpoints?"),
    ("storagedriver: {enabled: true}", "3:1: storagedriver", "did you mean health.storagedriver?"),
    ("manifests: {}", "3:1: manifests", "did you mean validation.manifests?"),
    ("http: {certificate: /c}", "3:8: http.certificate", "did you mean http.tls.certificate?"),
    ("http: {clientcas: [/c]}", "3:8: http.clientcas", "did you mean http.tls.clientcas?"),
    ("http: {letsencrypt: {}}", "3:8: http.letsencrypt", "did you mean http.tls.letsencrypt?"),
    ("log: {disabled: true}", "3:7: log.disabled", "unknown key"),
    ("log: {accesslog: {level: info}}", "3:19: log.accesslog.level", "did you mean log.level?"),
    ("catalog: {maxtags: 5}", "3:11: catalog.maxtags", "did you mean tags.maxtags?"),
    ("tags: {maxentries: 5}", "3:8: tags.maxentries", "did you mean catalog.maxentries?"),
    // Spelled wrongly, or as elsewhere.
    ("htpp: {}", "3:1: htpp", "did you mean http?"),
    ("logs: {}", "3:1: logs", "did you mean log?"),
    ("logging: {level: info}", "3:1: logging", "unknown key"),
    ("log_level: debug", "3:1: log_level", "did you mean loglevel?"),
    ("loglevl: debug", "3:1: loglevl", "did you mean loglevel?"),
    ("notification: {}", "3:1: notification", "did you mean notifications?"),
    ("middlewares: {}", "3:1: middlewares", "did you mean middleware?"),
    ("validations: {}", "3:1: validations", "did you mean validation?"),
    ("reddis: {}", "3:1: reddis", "did you mean redis?"),
    ("healthcheck: {}", "3:1: healthcheck", "did you mean health?"),
    ("auht: {htpasswd: {}}", "3:1: auht", "did you mean auth?"),
    ("Auth: {htpasswd: {}}", "3:1: Auth", "did you mean auth?"),
    ("auth: {htpaswd: {}}", "3:8: auth.htpaswd", "did you mean auth.htpasswd?"),
    ("auth: {basic: {}}", "3:8: auth.basic", "unknown key"),
    ("http: {address: ':5000'}", "3:8: http.address", "did you mean http.addr?"),
    ("http: {port: 5000}", "3:8: http.port", "unknown key"),
    ("http: {Addr: ':5000'}", "3:8: http.Addr", "did you mean http.addr?"),
    ("http: {relativeUrls: true}", "3:8: http.relativeUrls", "did you mean http.relativeurls?"),
    ("http: {relative_urls: true}", "3:8: http.relative_urls", "did you mean http.relativeurls?"),
    ("http: {drain_timeout: 5s}", "3:8: http.drain_timeout", "did you mean http.draintimeout?"),
    ("http: {draintimout: 5s}", "3:8: http.draintimout", "did you mean http.draintimeout?"),
    ("http: {header: {X-A: [b]}}", "3:8: http.header", "did you mean http.headers?"),
    ("http: {http2: {disable: true}}", "3:16: http.http2.disable", "did you mean http.http2.disabled?"),
    ("http: {h2c: {enable: true}}", "3:14: http.h2c.enable", "did you mean http.h2c.enabled?"),
    (
        "http: {limits: {maxconnections: 5}}",
        "3:17: http.limits.maxconnections",
        "did you mean http.limits.connections?",
    ),
    ("http: {timeouts: {read: 5s}}", "3:19: http.timeouts.read", "remove it"),
    ("log: {levle: debug}", "3:7: log.levle", "did you mean log.level?"),
    ("log: {format: json}", "3:7: log.format", "did you mean log.formatter?"),
    ("log: {accessLog: {disabled: true}}", "3:7: log.accessLog", "did you mean log.accesslog?"),
    ("log: {accesslog: {enabled: false}}", "3:19: log.accesslog.enabled", "did you mean"),
    ("log: {reportCaller: true}", "3:7: log.reportCaller", "did you mean log.reportcaller?"),
    ("catalog: {maxentrys: 5}", "3:11: catalog.maxentrys", "did you mean catalog.maxentries?"),
    ("tags: {maxtag: 5}", "3:8: tags.maxtag", "did you mean tags.maxtags?"),
    ("validation: {disable: true}", "3:14: validation.disable", "did you mean validation.disabled?"),
    (
        "validation: {manifests: {url: {}}}",
        "3:26: validation.manifests.url",
        "did you mean validation.manifests.urls?",
    ),
    (
        "validation: {manifests: {urls: {allowed: []}}}",
        "3:33: validation.manifests.urls.allowed",
        "did you mean validation.manifests.urls.allow?",
    ),
    (
        "validation: {manifests: {indexes: {platform: all}}}",
        "3:36: validation.manifests.indexes.platform",
        "did you mean validation.manifests.indexes.platforms?",
    ),
    (
        "validation: {manifests: {indexes: {platformlist: [{arch: amd64}]}}}",
        "3:52: validation.manifests.indexes.platformlist[0].arch",
        "did you mean",
    ),
    // A value of another kind.
    ("http: :5000", "3:7: http", "expected a section"),
    ("http: [{addr: ':5000'}]", "3:7: http", "expected a section"),
    ("log: debug", "3:6: log", "expected a section"),
    ("log: {accesslog: false}", "3:18: log.accesslog", "expected a section"),
    ("log: {fields: [a, b]}", "3:15: log.fields", "expected a section"),
    ("log: {hooks: {type: mail}}", "3:14: log.hooks", "expected a list"),
    ("log: {hooks: [mail]}", "3:15: log.hooks[0]", "expected a section"),
    ("log: {level: [debug]}", "3:14: log.level", "expected a single value"),
    ("http: {addr: [':5000']}", "3:14: http.addr", "expected a single value"),
    ("http: {headers: [nosniff]}", "3:17: http.headers", "expected a section"),
    (
        "http: {headers: {X-Content-Type-Options: nosniff}}",
        "3:42: http.headers.X-Content-Type-Options",
        "expected a list such as [one, two]",
    ),
    ("http: {http2: false}", "3:15: http.http2", "expected a section"),
    ("http: {timeouts: 60s}", "3:18: http.timeouts", "expected a section"),
    ("catalog: 500", "3:10: catalog", "expected a section"),
    ("validation: false", "3:13: validation", "expected a section"),
    (
        "validation: {manifests: {urls: {allow: ^https}}}",
        "3:40: validation.manifests.urls.allow",
        "expected a list such as [one, two]",
    ),
    (
        "validation: {manifests: {indexes: {platformlist: [linux/amd64]}}}",
        "3:51: validation.manifests.indexes.platformlist[0]",
        "expected a section",
    ),
    // A value that means nothing.
    ("http: {addr: 5000}", "3:14: http.addr", "an address such as :5000"),
    ("http: {addr: 0.0.0.0}", "3:14: http.addr", "the port is missing"),
    ("http: {addr: 'localhost:'}", "3:14: http.addr", "the port is missing"),
    ("http: {addr: ':70000'}", "3:14: http.addr", "a number from 0 to 65535"),
    ("http: {addr: 'http://localhost:5000'}", "3:14: http.addr", "such as :5000 or localhost:5000"),
    ("http: {addr: '::1:5000'}", "3:14: http.addr", "put brackets around an IPv6 address"),
    ("http: {net: udp}", "3:13: http.net", "it is tcp or unix"),
    ("http: {net: tcp4}", "3:13: http.net", "it is tcp or unix"),
    ("http: {net: unix}", "3:13: http.net", "needs the path of a socket in http.addr"),
    ("http: {prefix: registry}", "3:16: http.prefix", "has to start with a slash"),
    (
        "http: {host: 'registry.example.com:443'}",
        "3:14: http.host",
        "write it like https://registry.example.com",
    ),
    ("http: {draintimeout: 60 s}", "3:22: http.draintimeout", "use ns, us, ms, s, m or h"),
    ("http: {draintimeout: 1d}", "3:22: http.draintimeout", "use ns, us, ms, s, m or h"),
    ("http: {draintimeout: 5sec}", "3:22: http.draintimeout", "use ns, us, ms, s, m or h"),
    (
        "http: {draintimeout: \"60\"}",
        "3:22: http.draintimeout",
        "a number without a unit (ns, us, ms, s, m, h)",
    ),
    ("http: {draintimeout: -5s}", "3:22: http.draintimeout", "0 means the default"),
    ("http: {timeouts: {body: 60 seconds}}", "3:25: http.timeouts.body", "use ns, us, ms, s, m or h"),
    ("http: {limits: {headerbytes: 64KiB}}", "3:30: http.limits.headerbytes", "expected a whole number"),
    ("http: {limits: {connections: unlimited}}", "3:30: http.limits.connections", "expected a whole number"),
    ("http: {relativeurls: \"true\"}", "3:22: http.relativeurls", "remove the quotes"),
    ("http: {relativeurls: 1}", "3:22: http.relativeurls", "expected true or false"),
    ("http: {headers: {'X-A:': [b]}}", "3:26: http.headers.X-A:", "letters, digits and dashes"),
    ("log: {level: trace}", "3:14: log.level", "it is one of error, warn, info, debug"),
    ("log: {level: warning}", "3:14: log.level", "it is one of error, warn, info, debug"),
    ("log: {level: off}", "3:14: log.level", "it is one of error, warn, info, debug"),
    ("loglevel: 3", "3:11: loglevel", "it is one of error, warn, info, debug"),
    ("log: {formatter: plain}", "3:18: log.formatter", "use text, json or logstash"),
    ("log: {reportcaller: 'yes'}", "3:21: log.reportcaller", "remove the quotes"),
    ("log: {accesslog: {disabled: nope}}", "3:29: log.accesslog.disabled", "expected true or false"),
    ("catalog: {maxentries: all}", "3:23: catalog.maxentries", "expected a whole number"),
    ("catalog: {maxentries: '500'}", "3:23: catalog.maxentries", "expected a whole number"),
    ("tags: {maxtags: -1}", "3:17: tags.maxtags", "0 means the default"),
    (
        "validation: {manifests: {urls: {allow: ['*.example.com']}}}",
        "3:40: validation.manifests.urls.allow",
        "is not a regular expression",
    ),
    (
        "validation: {manifests: {indexes: {platforms: some}}}",
        "3:47: validation.manifests.indexes.platforms",
        "it is one of all, none, list",
    ),
    (
        "validation: {manifests: {images: {layers: no}}}",
        "3:43: validation.manifests.images.layers",
        "it is one of all, none",
    ),
    // Not YAML, or not what was meant.
    ("http:\n\taddr: :5000", "4:2: http", "not valid YAML"),
    ("http: {addr: ':5000'", "", "not valid YAML"),
    ("http:\n  addr: :5000\n addr: :5001", "5:", "not valid YAML"),
    ("http:\n  secret: \"abc", "", "not valid YAML"),
    ("http:\n  addr: :5000\nhttp:\n  secret: x", "5:1: http", "already given at line 3"),
    ("http:\n  addr: @5000", "4:9: http.addr", "not valid YAML"),
    ("http:\n  secret: %abc", "4:11: http.secret", "not valid YAML"),
    ("version: 0.1", "3:1: version", "already given at line 1"),
    ("{{- if .Values.tls }}", "", "not valid YAML"),
];

#[test]
fn each_is_told_where_it_is_and_what_to_do() {
    let mut wrong = Vec::new();
    for (text, place, remedy) in MISTAKES {
        let errors = errors(&format!("{BASE}{text}\n"), &[]);
        let told = errors.len() == 1
            && errors[0].starts_with(&format!("c.yml:{place}"))
            && errors[0].contains(remedy);
        if !told {
            wrong.push(format!("{text}\n expected {place} … {remedy}\n got {errors:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), MISTAKES.len(), wrong.join("\n"));
}

#[test]
fn there_are_a_hundred() {
    let mut texts: Vec<&str> = MISTAKES.iter().map(|(text, ..)| *text).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), MISTAKES.len(), "one is there twice");
    assert!(texts.len() >= 100, "{}", texts.len());
}
